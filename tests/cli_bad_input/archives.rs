use std::fs;
use std::process::Command;

use super::{Case, try_all};
use nodeimg_test_support::archive::{Member, file, gz, noise, program, sha256, special, tar, zst};
use nodeimg_test_support::synthetic::{World, members};

/// containerd's archive of both architectures with one more member, pinned as
/// it is: the digest is right, the content is not.
fn with(world: &mut World, member: &Member) -> Command {
    serve(world, |arch| {
        let mut all = members("containerd", arch);
        all.push(member.clone());
        gz(&tar(&all))
    })
}

fn serve(world: &mut World, body: impl Fn(&str) -> Vec<u8>) -> Command {
    pinned(world, "containerd", "2.3.4", body)
}

/// By digests of the user's own, which `lock` takes unseen: so the build has the last word.
fn pinned(world: &mut World, name: &str, version: &str, body: impl Fn(&str) -> Vec<u8>) -> Command {
    let mut known = String::new();
    for arch in ["amd64", "arm64"] {
        let body = body(arch);
        world.serve(name, version, arch, &body);
        let target = World::target(name, version, arch);
        known += &format!("{}  https:/{target}\n", sha256(&body));
    }
    fs::write(world.path("known"), known).unwrap();
    let mut lock = world.nodeimg("lock");
    super::Ran::of(lock.args(["--update", name, "--digests", "known"])).good();
    world.build()
}

/// The same, asked of `lock` itself: it pins nothing that no build could use.
#[test]
fn nothing_is_pinned_that_no_build_could_use() {
    fn update(world: &mut World, name: &'static str, body: &dyn Fn(&str) -> Vec<u8>) -> Command {
        let version = if name == "runc" { "1.4.3" } else { "2.3.4" };
        for arch in ["amd64", "arm64"] {
            world.serve(name, version, arch, &body(arch));
        }
        let mut lock = world.nodeimg("lock");
        lock.args(["--update", name]);
        lock
    }
    macro_rules! pins {
        ($name:literal, $of:literal, $body:expr, $($says:literal),+) => {
            Case {
                name: $name,
                given: |w| update(w, $of, &$body),
                code: 1,
                says: &[concat!($of, " "), "is not pinned", "https://up.test/", $($says),+],
            }
        };
    }
    let before = World::locked().lock_text();
    try_all(&[
        pins!(
            "a web page",
            "containerd",
            |_| b"<!DOCTYPE html><html>Sign in".to_vec(),
            "web page"
        ),
        pins!("nothing", "containerd", |_| Vec::new(), "it is empty"),
        pins!(
            "a member is missing",
            "containerd",
            |arch| gz(&tar(&members("containerd", arch)[..1])),
            "similar names are"
        ),
        pins!(
            "of the other architecture",
            "containerd",
            |_| gz(&tar(&members("containerd", "amd64"))),
            "ELF file for amd64",
            "(arm64)"
        ),
        pins!(
            "a pointer",
            "runc",
            |_| b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n".to_vec(),
            "git-lfs"
        ),
        pins!(
            "a web page for a program",
            "runc",
            |_| b"<html>".to_vec(),
            "web page"
        ),
        pins!("a packed web page", "runc", |_| gz(b"<html>"), "web page"),
        pins!(
            "an archive for a program",
            "runc",
            |arch| gz(&tar(&[file("runc", program(arch, "x"))])),
            "`kind = \"archive\"`"
        ),
        pins!(
            "a cut program",
            "runc",
            |arch| {
                let mut bytes = program(arch, "runc");
                bytes[40..48].copy_from_slice(&(1u64 << 20).to_le_bytes());
                bytes
            },
            "cut short"
        ),
    ]);
    assert_eq!(World::locked().lock_text(), before);
}

/// Of every refusal here.
const NAMED: &str = "unpacking containerd 2.3.4 (amd64)";

macro_rules! case {
    ($name:literal, $given:expr, $($says:literal),+) => {
        Case { name: $name, given: $given, code: 1, says: &[NAMED, $($says),+] }
    };
}

#[test]
fn hostile_members() {
    try_all(&[
        case!(
            "climbing",
            |w| with(w, &file("../evil", "x")),
            "`../evil`",
            "`..`",
            "ask its publisher"
        ),
        case!(
            "climbing inside",
            |w| with(w, &file("bin/../../evil", "x")),
            "`bin/../../evil`",
            "`..`",
            "ask its publisher"
        ),
        case!(
            "absolute",
            |w| with(w, &file("/etc/evil", "x")),
            "`/etc/evil`",
            "absolute"
        ),
        case!(
            "a link out",
            |w| with(w, &special(b'2', "bin/link", "../../etc/shadow")),
            "`bin/link`",
            "`../../etc/shadow`",
            "leaves the archive's root",
            "ask its publisher"
        ),
        case!(
            "a hard link out",
            |w| with(w, &special(b'1', "bin/link", "../etc/shadow")),
            "`bin/link`",
            "hard link",
            "leaves the archive's root",
            "ask its publisher"
        ),
        case!(
            "a character device",
            |w| with(w, &special(b'3', "bin/null", "")),
            "`bin/null`",
            "device node",
            "ask its publisher"
        ),
        case!(
            "a block device",
            |w| with(w, &special(b'4', "bin/sda", "")),
            "`bin/sda`",
            "device node",
            "ask its publisher"
        ),
        case!(
            "a pipe",
            |w| with(w, &special(b'6', "bin/pipe", "")),
            "`bin/pipe`",
            "named pipe",
            "ask its publisher"
        ),
        case!(
            "an unknown kind",
            |w| with(w, &special(b'V', "bin/v", "")),
            "`bin/v`",
            "unknown type"
        ),
        case!(
            "a NUL",
            |w| with(w, &file("bin/\u{1}x", "x")),
            "bin/",
            "control"
        ),
        case!(
            "setuid",
            |w| serve(w, |arch| {
                let mut all = members("containerd", arch);
                all[0] = file("bin/containerd", program(arch, "x")).mode(0o4755);
                gz(&tar(&all))
            }),
            "`bin/containerd`",
            "setuid",
            "`allow_setuid = true`"
        ),
        case!(
            "setgid",
            |w| serve(w, |arch| {
                let mut all = members("containerd", arch);
                all[1] = file("bin/containerd-shim-runc-v2", program(arch, "x")).mode(0o2755);
                zst(&tar(&all))
            }),
            "`bin/containerd-shim-runc-v2`",
            "setgid",
            "`allow_setuid = true`"
        ),
    ]);
}

#[test]
fn archives_that_are_not_what_they_should_be() {
    try_all(&[
        case!(
            "a bomb",
            |w| with(w, &file("zeros", vec![0; 8 << 20])),
            "more than 1048576 bytes",
            "`max_unpacked`"
        ),
        case!(
            "a large plain tar",
            |w| serve(w, |_| tar(&[file("bin/containerd", noise(2 << 20))])),
            "more than 1048576 bytes",
            "`max_unpacked`"
        ),
        case!(
            "programs of the other architecture",
            |w| serve(w, |arch| {
                let other = if arch == "amd64" { "arm64" } else { "amd64" };
                gz(&tar(&members("containerd", other)))
            }),
            "`bin/containerd`",
            "ELF file for arm64",
            "image is for amd64",
            "URL"
        ),
        case!(
            "a member is missing",
            |w| serve(w, |arch| gz(&tar(&members("containerd", arch)[..1]))),
            "`bin/containerd-shim-runc-v2`",
            "similar names are `bin/containerd`"
        ),
        case!(
            "a member stands there twice",
            |w| serve(w, |arch| {
                let all = [members("containerd", arch), members("containerd", arch)].concat();
                gz(&tar(&all))
            }),
            "`bin/containerd`",
            "is in the archive 2 times"
        ),
        case!(
            "an empty program",
            |w| serve(w, |arch| {
                let mut all = members("containerd", arch);
                all[0] = file("bin/containerd", "");
                gz(&tar(&all))
            }),
            "`bin/containerd`",
            "is empty"
        ),
        case!(
            "a web page",
            |w| serve(w, |_| b"<!DOCTYPE html><html>Not found</html>".to_vec()),
            "not a tar archive",
            "web page",
            "URL"
        ),
        case!(
            "nothing",
            |w| serve(w, |_| Vec::new()),
            "not a tar archive",
            "empty"
        ),
        case!(
            "cut short",
            |w| serve(w, |arch| {
                let mut bytes = gz(&tar(&members("containerd", arch)));
                bytes.truncate(bytes.len() - 9);
                bytes
            }),
            "cut short"
        ),
        case!(
            "garbage after the end",
            |w| serve(w, |arch| {
                let mut bytes = tar(&members("containerd", arch));
                bytes.extend_from_slice(b"more");
                gz(&bytes)
            }),
            "after the archive's end mark"
        ),
    ]);
}

/// Not an error of one archive: two artifacts that want the same path.
#[test]
fn two_owners_of_one_path() {
    try_all(&[Case {
        name: "two owners",
        given: |world| {
            world.edit(
                "{ from = \"bin/containerd\", to = \"/bin/containerd\" }",
                "{ from = \"bin/containerd\", to = \"/bin/containerd\" },\n    \
                 { from = \"bin/containerd\", to = \"/usr/local/bin/runc\" }",
            );
            world.build()
        },
        code: 1,
        says: &["`/usr/local/bin/runc`", "containerd", "runc"],
    }]);
}

#[test]
fn a_binary_of_the_wrong_kind() {
    fn runc(world: &mut World, body: &[u8]) -> Command {
        pinned(world, "runc", "1.4.3", |_| body.to_vec())
    }
    try_all(&[
        Case {
            name: "of the other architecture",
            given: |world| runc(world, &program("arm64", "runc")),
            code: 1,
            says: &[
                "unpacking runc 1.4.3 (amd64)",
                "ELF file for arm64",
                "image is for amd64",
                "URL",
            ],
        },
        Case {
            name: "32 bits",
            given: |world| {
                let mut bytes = program("amd64", "runc");
                bytes[4] = 1;
                runc(world, &bytes)
            },
            code: 1,
            says: &["unpacking runc 1.4.3 (amd64)", "32-bit"],
        },
        Case {
            name: "an archive",
            given: |world| runc(world, &gz(&tar(&[file("runc", program("amd64", "x"))]))),
            code: 1,
            says: &[
                "unpacking runc 1.4.3 (amd64)",
                "not a program",
                "a tar archive",
            ],
        },
        Case {
            name: "a header that ends early",
            given: |world| runc(world, &program("amd64", "")[..10]),
            code: 1,
            says: &["unpacking runc 1.4.3 (amd64)", "ends within its header"],
        },
    ]);
}
