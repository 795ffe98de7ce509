//! What recipes ask for, single programs, ELF headers.
use super::*;
use crate::input::artifact::rule::Destination;

#[test]
fn wrong_rules_say_what_to_write() {
    let bytes = tar(&[
        special(b'5', "bin", ""),
        file("bin/containerd", arm64()),
        file("bin/ctr", arm64()),
    ]);
    for (rules, want) in [
        (vec![], "its `files` are empty"),
        (vec![rule("", "/usr/bin/x")], "lacks `from`"),
        (
            vec![rule("bin", "/usr/bin/x")],
            "member `bin`: is a directory: write `from = \"bin/*\"`",
        ),
        (
            vec![rule("bin/*", "/usr/bin")],
            "write `to = \"/usr/bin/\"`",
        ),
        (
            vec![rule("containerd", "/usr/bin/")],
            "it has no member `containerd`: similar names are `bin/containerd`",
        ),
        (
            vec![rule("bin/containrd", "/usr/bin/")],
            "similar names are `bin/containerd`",
        ),
        (
            vec![rule("zzz", "/usr/bin/")],
            "its files are `bin/containerd`, `bin/ctr`",
        ),
        (
            vec![rule("sbin/*", "/usr/bin/")],
            "it has no file for `sbin/*`",
        ),
        (
            vec![
                rule("bin/ctr", "/usr/bin/x"),
                rule("bin/containerd", "/bin/x"),
            ],
            "`files` installs two things as `/usr/bin/x`",
        ),
    ] {
        let error = Case::new(&bytes).refusal(&rules);
        assert!(error.contains(want), "{want}: {error}");
    }
}

#[test]
fn a_binary_is_a_program_of_the_architecture_or_a_script() {
    let unpack = |bytes: &[u8], rules: &[InstallRule]| {
        let case = Case {
            kind: Kind::Binary,
            ..Case::new(bytes)
        };
        case.unpack(rules)
            .map(|nodes| nodes.iter().map(line).collect::<Vec<_>>())
            .map_err(|error| format!("{error:#}"))
    };
    let bin = [rule("", "/usr/local/bin/kubelet")];
    let want = |bytes: &[u8]| {
        Ok(vec![format!(
            "/usr/local/bin/kubelet file 0755 {}",
            short(bytes)
        )])
    };
    assert_eq!(unpack(&arm64(), &bin), want(&arm64()));
    assert_eq!(unpack(b"#!/bin/sh\n", &bin), want(b"#!/bin/sh\n"));
    let named = format!("/usr/bin/containerd file 0755 {}", short(&arm64()));
    assert_eq!(unpack(&arm64(), &[rule("", "/bin/")]), Ok(vec![named]));
    for (bytes, rules, part) in [
        (elf(2, 1, 62), &bin[..], "is an ELF file for amd64"),
        (
            gz(b"x"),
            &bin,
            "in its gzip data: it is not a program: it begins with \"x\"",
        ),
        (b"<html>".to_vec(), &bin, "web page"),
        (vec![], &bin, "it is empty"),
        (
            arm64(),
            &[rule("x", "/bin/x")],
            "`from = \"x\"` is for archives",
        ),
        (arm64(), &[], "its `files` are empty"),
    ] {
        let error = unpack(&bytes, rules).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn rules_are_read_from_toml() {
    #[derive(Debug, Deserialize)]
    struct Files {
        files: Vec<InstallRule>,
    }
    let read = |text: &str| toml::from_str::<Files>(&format!("files = [{text}]"));
    let rules = read(r#"{ from = "./bin/*", to = "/usr/bin/", mode = "0750" }, { to = "/bin/x" }"#)
        .unwrap()
        .files;
    assert_eq!(rules[0].from, Some(Selector::AllIn("bin".into())));
    assert_eq!(rules[0].to, Destination::Into("/usr/bin".parse().unwrap()));
    assert_eq!(rules[0].mode.bits(), 0o750);
    assert_eq!(rules[1], rule("", "/usr/bin/x"));
    for (text, part) in [
        (r#"{ from = "../x", to = "/x" }"#, "could leave"),
        (r#"{ from = "/x", to = "/x" }"#, "absolute"),
        (
            r#"{ from = "a*/b", to = "/x" }"#,
            "is allowed only at the end",
        ),
        (
            r#"{ from = "kube*", to = "/x" }"#,
            "is allowed only at the end",
        ),
        (r#"{ from = "./", to = "/x" }"#, "names no file"),
        (r#"{ to = "x" }"#, "not an absolute path"),
        (r#"{ to = "/x", mode = "0o755" }"#, "is not a mode"),
        (r#"{ to = "/x", mode = "0789" }"#, "is not a mode"),
        (
            r#"{ to = "/x", mode = "17777" }"#,
            "more than permission bits",
        ),
        (r#"{ to = "/x", made = "0755" }"#, "unknown field `made`"),
        (r#"{ from = "x" }"#, "missing field `to`"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    for text in ["bin/*", "*", "bin/x"] {
        assert_eq!(
            Selector::try_from(text.to_owned()).unwrap().to_string(),
            text
        );
    }
    for text in ["/usr/bin/", "/usr/bin", "/"] {
        assert_eq!(
            Destination::try_from(text.to_owned()).unwrap().to_string(),
            text
        );
    }
}

#[test]
fn a_static_program_has_no_interpreter() {
    let program = |types: &[u32]| {
        let mut bytes = arm64();
        bytes.resize(64, 0);
        bytes[24] = 1;
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = types.len() as u8;
        for kind in types {
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.resize(bytes.len() + 52, 0);
        }
        bytes
    };
    for (bytes, want) in [
        (program(&[1, 1]), true),
        (program(&[1, 3]), false),
        (program(&[]), false),
        (program(&[1, 1])[..170].to_vec(), false),
        (arm64(), false),
        (b"#!/bin/sh".to_vec(), false),
        (vec![], false),
    ] {
        let content = Content::inline(bytes.clone());
        assert_eq!(program::is_static(&content).unwrap(), want, "{bytes:?}");
    }
}
