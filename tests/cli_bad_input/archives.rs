use std::process::Command;

use super::{Case, try_all};
use nodeimg_test_support::archive::{Member, file, gz, noise, program, special, tar, zst};
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
    for arch in ["amd64", "arm64"] {
        world.serve("containerd", "2.3.4", arch, &body(arch));
    }
    pinned(world, "containerd")
}

fn pinned(world: &mut World, name: &str) -> Command {
    let mut lock = world.nodeimg("lock");
    super::Ran::of(lock.args(["--update", name])).good();
    world.build()
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
        for arch in ["amd64", "arm64"] {
            world.serve("runc", "1.4.3", arch, body);
        }
        pinned(world, "runc")
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
                "a gzip file",
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
