//! Archives that were good once: whatever became of them is unpacked or
//! refused, in bounded time, and nothing lands outside the rules' targets.
use nodeimg_test_support::mutate::Mutator;

use super::*;

type Pack = fn(&[u8]) -> Vec<u8>;

const WORDS: [&str; 14] = [
    "../",
    "/",
    "./",
    "\0",
    "ustar\0",
    "ustar  \0",
    "././@LongLink",
    "0000000",
    "7777777",
    "\u{80}",
    "60 path=../x\n",
    "19 path=/etc/x\n",
    "GNU.sparse.map",
    "usr/bin/containerd",
];

#[test]
fn mangled_archives_are_unpacked_or_refused() {
    let plain = tar(&[
        file("bin/containerd", arm64()),
        file("bin/other", "text"),
        special(b'2', "bin/soft", "containerd"),
        special(b'1', "bin/hard", "bin/containerd"),
        special(b'5', "bin/dir/", ""),
        file("etc/config.toml", "version = 3\n"),
    ]);
    let rules = [
        rule("bin/*", "/opt/x/bin/"),
        rule("etc/config.toml", "/opt/x/config.toml"),
    ];
    let packings: [(&str, Pack, usize); 4] = [
        ("tar", <[u8]>::to_vec, 400),
        ("gz", gz, 150),
        ("zst", zst, 150),
        ("xz", xz, 100),
    ];
    let (mut good, mut refused) = (0, 0);
    for (name, pack, runs) in packings {
        let mut mutator = Mutator::new(name.len() as u64);
        let packed = pack(&plain);
        for run in 0..runs {
            // Damage within the packing, and within what is packed.
            let bytes = if run % 2 == 0 {
                mutator.input(std::slice::from_ref(&packed), &WORDS)
            } else {
                pack(&mutator.input(std::slice::from_ref(&plain), &WORDS))
            };
            match Case::new(&bytes).unpack(&rules) {
                Ok(nodes) => {
                    good += 1;
                    for (path, _) in nodes {
                        assert!(path.as_str().starts_with("/opt/x/"), "{name} {run}: {path}");
                    }
                }
                Err(error) => {
                    refused += 1;
                    let text = format!("{error:#}");
                    assert!(
                        text.starts_with("unpacking containerd 2.3.4 (arm64): "),
                        "{text}"
                    );
                }
            }
        }
    }
    assert!(good > 5 && refused > 200, "{good} good, {refused} refused");
}
