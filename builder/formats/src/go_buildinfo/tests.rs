//! Programs as Go links them, made here, and real ones if this machine has any.
#![allow(clippy::unwrap_used)]
use std::process::Command;

use nodeimg_test_support::judge;

use super::*;

const MODULES: &str = "path\texample.org/tool/cmd/tool\nmod\texample.org/tool\t(devel)\t\n\
    dep\tgithub.com/a/b\tv1.2.3\th1:abc=\n\
    dep\tgithub.com/old/c\tv0.1.0\th1:old=\n=>\tgithub.com/new/c\tv0.2.0\th1:new=\n\
    dep\tk8s.io/api\tv0.36.0\n=>\t./staging/src/k8s.io/api\t(devel)\t\n\
    build\t-compiler=gc\nbuild\t-ldflags=\"-s -w\"\nbuild\tvcs.revision=0123\n";

fn info(flags: u8, go: &str, modules: &str) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend([8, flags]);
    bytes.resize(TEXTS, 0);
    let marked = format!("{}{modules}{}", "m".repeat(MARK), "n".repeat(MARK));
    for text in [go, if modules.is_empty() { "" } else { &marked }] {
        let mut len = text.len();
        while len >= 0x80 {
            bytes.push(len as u8 | 0x80);
            len >>= 7;
        }
        bytes.push(len as u8);
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// An ELF file with `info` behind some other data: in a section of its own, or in the second
/// of two segments only.
fn program(info: &[u8], by_section: bool) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(0x200, 0);
    let at = file.len() as u64;
    file.extend(info);
    let size = info.len() as u64;
    let put = |file: &mut Vec<u8>, place: usize, bytes: &[u8]| {
        file[place..place + bytes.len()].copy_from_slice(bytes);
    };
    if by_section {
        let names = file.len() as u64;
        file.extend(b"\0.go.buildinfo\0.shstrtab\0");
        let table = file.len() as u64;
        for (name, offset, size) in [(0_u32, 0, 0), (1, at, size), (15, names, 25)] {
            let mut header = vec![0; 64];
            put(&mut header, 0, &name.to_le_bytes());
            put(&mut header, 24, &u64::to_le_bytes(offset));
            put(&mut header, 32, &u64::to_le_bytes(size));
            file.extend(header);
        }
        put(&mut file, 40, &table.to_le_bytes());
        put(&mut file, 58, &[64, 0, 3, 0, 2, 0]);
    } else {
        for (number, (flags, offset, size)) in [(5_u32, 0, 0x40_u64), (6, at - 32, size + 32)]
            .into_iter()
            .enumerate()
        {
            let header = 64 + 56 * number;
            put(&mut file, header, &PT_LOAD.to_le_bytes());
            put(&mut file, header + 4, &flags.to_le_bytes());
            put(&mut file, header + 8, &u64::to_le_bytes(offset));
            put(&mut file, header + 32, &size.to_le_bytes());
        }
        put(&mut file, 32, &64_u64.to_le_bytes());
        put(&mut file, 54, &[56, 0, 2, 0]);
    }
    file
}

#[test]
fn modules_replacements_and_settings() {
    for by_section in [true, false] {
        let file = program(&info(2, "go1.27.1", MODULES), by_section);
        let Some(BuildInfo::Readable(build)) = read(&file).unwrap() else {
            panic!("{by_section}");
        };
        assert_eq!(build.go, "go1.27.1");
        assert_eq!(build.path.as_deref(), Some("example.org/tool/cmd/tool"));
        assert_eq!(build.main.as_ref().unwrap().version, "(devel)");
        let modules: Vec<_> = build.modules.iter().collect();
        let names: Vec<_> = modules
            .iter()
            .map(|module| format!("{} {} {}", module.name, module.version, module.sum))
            .collect();
        let want = [
            "github.com/a/b v1.2.3 h1:abc=",
            "github.com/new/c v0.2.0 h1:new=",
            "k8s.io/api v0.36.0 ",
        ];
        assert_eq!(names, want);
        let want = [
            ("-compiler", "gc"),
            ("-ldflags", "-s -w"),
            ("vcs.revision", "0123"),
        ];
        let settings: Vec<_> = build
            .settings
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(settings, want);
    }
}

#[test]
fn a_program_without_modules_still_names_its_compiler() {
    let file = program(&info(2, "go1.24.4", ""), true);
    let Some(BuildInfo::Readable(build)) = read(&file).unwrap() else {
        panic!();
    };
    assert_eq!((build.go.as_str(), build.modules.len()), ("go1.24.4", 0));
}

#[test]
fn what_cannot_be_read_is_said() {
    let why = |file: &[u8]| match read(file).unwrap() {
        Some(BuildInfo::Unreadable(why)) => why,
        other => panic!("{other:?}"),
    };
    for flags in [0, 1] {
        assert!(why(&program(&info(flags, "", ""), true)).contains("1.18"));
    }
    let whole = info(2, "go1.27.1", MODULES);
    for len in [MAGIC.len(), TEXTS, TEXTS + 1, TEXTS + 4, whole.len() - 1] {
        let file = program(&whole[..len], false);
        let told = why(&file);
        assert!(
            told.contains("cut off") || told.contains("1.18"),
            "{len}: {told}"
        );
    }
    let mut endless = info(2, "", "");
    endless[TEXTS..].fill(0xff);
    endless.extend([0xff; 16]);
    assert!(why(&program(&endless, false)).contains("cut off"));
    let mut big = program(&whole, true);
    big[5] = 2;
    assert!(why(&big).contains("big-endian"));
}

#[test]
fn other_files_are_not_go() {
    let mut huge = program(b"", true);
    // Tables that lie outside of the file, or are too large.
    huge[40..48].fill(0xff);
    huge[58..62].fill(0xff);
    let mut far = program(b"", false);
    far[64 + 56 + 8..64 + 56 + 16].fill(0xff);
    for file in [
        &b""[..],
        b"#!/bin/sh\n",
        b"\x7fELF\x02\x01",
        &program(b"", true),
        &huge,
        &far,
    ] {
        assert_eq!(read(file).unwrap(), None);
    }
}

/// `go version -m` is the judge, of itself.
#[test]
fn as_go_itself_says() {
    let Some(told) = judge::run(Command::new("go").args(["env", "GOROOT"])) else {
        return;
    };
    let root = String::from_utf8(told.stdout).unwrap();
    let program = format!("{}/bin/go", root.trim());
    let Some(told) = judge::run(Command::new("go").args(["version", "-m", &program])) else {
        return;
    };
    let told = String::from_utf8(told.stdout).unwrap();
    let Some(BuildInfo::Readable(build)) = read(&std::fs::read(&program).unwrap()).unwrap() else {
        panic!("{program}");
    };
    let said = |start: &str| {
        let lines = told.lines().filter_map(|line| line.strip_prefix(start));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let modules = build.modules.iter();
    let modules: Vec<_> = modules
        .map(|module| format!("{}\t{}\t{}", module.name, module.version, module.sum))
        .collect();
    assert_eq!(said("\tdep\t"), modules);
    assert_eq!(said("\tpath\t"), [build.path.unwrap()]);
    assert!(
        told.starts_with(&format!("{program}: {}\n", build.go)),
        "{told}"
    );
    assert!(!build.settings.is_empty());
}
