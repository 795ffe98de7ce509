//! Members that no image may get.
use super::*;

#[test]
fn hostile_members_are_named() {
    let long = "x".repeat(90);
    for (member, want) in [
        (file("../../etc/passwd", ""), "member `../../etc/passwd`: "),
        (file("bin/../../x", ""), "member `bin/../../x`: "),
        (
            file("/etc/passwd", ""),
            "member `/etc/passwd`: `/etc/passwd` is absolute",
        ),
        (file("a\nb", ""), "control character"),
        (
            special(b'2', "bin/up", "../../x"),
            "member `bin/up`: is a symbolic link to `../../x`, which leaves",
        ),
        (
            special(b'2', "bin/up", "a/../../../x"),
            "leaves the archive's root",
        ),
        (
            special(b'2', "bin/none", ""),
            "member `bin/none`: is a symbolic link to nothing",
        ),
        (
            special(b'1', "hard", "../etc/shadow"),
            "member `hard`: is a hard link that leaves the archive's root",
        ),
        (
            special(b'1', "hard", "/etc/shadow"),
            "member `hard`: is a hard link that leaves the archive's root",
        ),
        (
            special(b'3', "dev/null", ""),
            "member `dev/null`: is a device node",
        ),
        (
            special(b'4', "dev/sda", ""),
            "member `dev/sda`: is a device node",
        ),
        (special(b'6', "pipe", ""), "member `pipe`: is a named pipe"),
        (
            special(b'Z', "odd", ""),
            "member `odd`: has the unknown type `Z`",
        ),
        (special(b'S', "sparse", ""), "sparse"),
        (file(&long, ""), ""),
    ] {
        let name = member.name.to_owned();
        let bytes = tar(&[file("bin/good", arm64()), member]);
        for bytes in [bytes.clone(), gz(&bytes)] {
            let case = Case::new(&bytes);
            let rules = [rule("bin/good", "/usr/bin/good")];
            if want.is_empty() {
                assert_eq!(case.lines(&rules).len(), 1, "{name}");
                continue;
            }
            let error = case.refusal(&rules);
            assert!(error.contains(want), "{name}: {error}");
        }
    }
}

#[test]
fn hostile_choices_are_named() {
    let setuid = || Member {
        mode: 0o4755,
        ..file("bin/su", arm64())
    };
    let twice = || file("bin/twice", arm64());
    for (members, want) in [
        (
            vec![setuid()],
            "member `bin/su`: is setuid or setgid: set `allow_setuid",
        ),
        (
            vec![Member {
                mode: 0o2755,
                ..setuid()
            }],
            "is setuid or setgid",
        ),
        (
            vec![setuid(), special(b'1', "bin/link", "bin/su")],
            "member `bin/link`: is setuid",
        ),
        (
            vec![twice(), twice()],
            "member `bin/twice`: is in the archive 2 times",
        ),
        (vec![file("bin/x", "")], "member `bin/x`: is empty, but"),
        (
            vec![file("bin/x", elf(2, 1, 62))],
            "member `bin/x`: is an ELF file for amd64, but the image is for arm64",
        ),
        (
            vec![file("bin/x", elf(1, 1, 40))],
            "is an ELF file for 32-bit arm",
        ),
        (vec![file("bin/x", elf(1, 1, 183))], "is a 32-bit ELF file"),
        (
            vec![file("bin/x", elf(2, 2, 183))],
            "is a big-endian ELF file",
        ),
        (
            vec![file("bin/x", &b"\x7fELF\x02"[..])],
            "ends within its header",
        ),
        (
            vec![
                special(b'1', "bin/a", "bin/b"),
                special(b'1', "bin/b", "bin/a"),
            ],
            "hard link to itself",
        ),
        (
            vec![special(b'1', "bin/a", "bin/gone")],
            "member `bin/a`: is a hard link to `bin/gone`, which: is not in the archive",
        ),
        (
            vec![special(b'5', "d", ""), special(b'1', "bin/a", "d")],
            "is a hard link to the directory `d`",
        ),
        (vec![special(b'5', "bin", "")], "it has no file for `bin/*`"),
    ] {
        let bytes = tar(&members);
        for bytes in [bytes.clone(), xz(&bytes)] {
            let error = Case::new(&bytes).refusal(&[rule("bin/*", "/usr/bin/")]);
            assert!(error.contains(want), "{want}: {error}");
        }
    }
}

#[test]
fn setuid_is_let_in_where_the_recipe_allows_it() {
    let mut asked = rule("su", "/usr/bin/su");
    asked.mode = Mode::new(0o4755).unwrap();
    let mut case = Case::new(&gz(&tar(&[file("su", arm64())])));
    assert!(case.refusal(&[asked.clone()]).contains("allow_setuid"));
    case.allow_setuid = true;
    let want = format!("/usr/bin/su file 4755 {}", short(&arm64()));
    assert_eq!(case.lines(&[asked]), [want]);
}

#[test]
fn a_link_is_judged_by_where_it_comes_to_lie() {
    let bytes = tar(&[
        file("a/b/c/d/x", ""),
        special(b'2', "a/b/c/d/link", "../../../x"),
    ]);
    let case = Case::new(&bytes);
    assert_eq!(
        case.lines(&[rule("a/b/c/d/link", "/usr/lib/x/link")]),
        ["/usr/lib/x/link -> 0777 ../../../x"]
    );
    let error = case.refusal(&[rule("a/b/c/d/link", "/usr/link")]);
    assert!(
        error.contains("member `a/b/c/d/link`: is a symbolic link to `../../../x`, which leaves the image's root from `/usr/link`"),
        "{error}"
    );
}

#[test]
fn a_name_as_long_as_a_bomb_is_not_read_into_memory() {
    for flag in [b'L', b'K', b'x', b'g'] {
        let name = Member {
            flag,
            ..file("././@LongLink", vec![b'a'; 2 << 20])
        };
        let mut case = Case::new(&gz(&tar(&[name, file("x", arm64())])));
        case.max_unpacked = 8 << 20;
        let error = case.refusal(&[rule("x", "/usr/bin/")]);
        assert!(error.contains("longer than 1048576 bytes"), "{error}");
    }
}

#[test]
fn pax_records_for_all_members_and_sparse_records_are_refused() {
    for (flag, record, want) in [
        (
            b'g',
            "21 path=../../shadow\n",
            "sets `path` for every member",
        ),
        (b'x', "22 GNU.sparse.major=1\n", "is a sparse file"),
        (b'x', "99 path=y\n", "cannot be read"),
    ] {
        let pax = Member {
            flag,
            ..file("pax", record)
        };
        let case = Case::new(&gz(&tar(&[pax, file("x", arm64())])));
        let error = case.refusal(&[rule("*", "/usr/bin/")]);
        assert!(error.contains(want), "{error}");
    }
    // What `git archive` writes is harmless.
    let comment = Member {
        flag: b'g',
        ..file("pax_global_header", "22 comment=0123456789\n")
    };
    let case = Case::new(&gz(&tar(&[comment, file("x", arm64())])));
    assert_eq!(case.lines(&[rule("*", "/usr/bin/")]).len(), 1);
}

/// What one reader takes so and another one otherwise.
#[test]
fn records_that_readers_take_differently_are_refused() {
    for (records, want) in [
        ("11 size=-1\n", "a pax record `size` of `-1`"),
        ("29 size=18446744073709551616\n", "which is not a size"),
        ("10 size=1\n10 size=2\n", "two pax records `size`"),
        ("10 path=y\n10 path=z\n", "two pax records `path`"),
    ] {
        let pax = Member {
            flag: b'x',
            ..file("pax", records)
        };
        let case = Case::new(&gz(&tar(&[pax, file("x", arm64())])));
        let error = case.refusal(&[rule("x", "/usr/bin/x")]);
        assert!(error.contains(want), "{want}: {error}");
    }
    let full = Member {
        bytes: b"content".to_vec(),
        ..special(b'1', "hard", "x")
    };
    let case = Case::new(&gz(&tar(&[file("x", arm64()), full])));
    let error = case.refusal(&[rule("x", "/usr/bin/x")]);
    assert!(error.contains("is a hard link with content"), "{error}");
}

#[test]
fn a_file_capability_is_not_dropped_in_silence() {
    let record = "SCHILY.xattr.security.capability=x\n";
    let record = format!("{} {record}", record.len() + 3);
    let pax = Member {
        flag: b'x',
        ..file("pax", record)
    };
    let mut case = Case::new(&gz(&tar(&[pax, file("x", arm64()), file("y", arm64())])));
    let error = case.refusal(&[rule("x", "/usr/bin/x")]);
    assert!(error.contains("has a file capability"), "{error}");
    assert_eq!(case.lines(&[rule("y", "/usr/bin/y")]).len(), 1);
    case.allow_setuid = true;
    assert_eq!(case.lines(&[rule("x", "/usr/bin/x")]).len(), 1);
}
