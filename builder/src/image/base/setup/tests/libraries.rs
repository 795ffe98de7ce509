//! The closure lint, on ELF files made here.

use nodeimg_formats::elf::dynamic;
use nodeimg_values::arch::Arch;
use nodeimg_values::epoch::Epoch;

use super::super::{BaseFacts, configure, seal};
use crate::input::recipe::runtime::containerd::CONTAINERD;
use crate::tree::{Content, Node, Origin, Tree};

/// One PT_LOAD over the whole file, one PT_DYNAMIC, one PT_INTERP.
pub fn program(needed: &[&str], run_path: Option<&str>, interpreter: &str) -> Vec<u8> {
    let mut strings = vec![0];
    let mut entries: Vec<(u64, u64)> = Vec::new();
    let mut add = |tag: u64, text: &str| {
        entries.push((tag, strings.len() as u64));
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
    };
    needed.iter().for_each(|name| add(1, name));
    run_path.iter().for_each(|path| add(29, path));
    let (table, dynamic) = (64_u64, 64 + 3 * 56_u64);
    let strings_at = dynamic + 16 * (entries.len() as u64 + 3);
    let interpreter_at = strings_at + strings.len() as u64;
    let end = interpreter_at + interpreter.len() as u64 + 1;
    // The string table is given by its address, which is not its offset.
    const BASE: u64 = 0x40_0000;
    entries.extend([(5, BASE + strings_at), (10, strings.len() as u64), (0, 0)]);
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(64, 0);
    file[32..40].copy_from_slice(&table.to_le_bytes());
    file[54..56].copy_from_slice(&56_u16.to_le_bytes());
    file[56..58].copy_from_slice(&3_u16.to_le_bytes());
    for (kind, offset, size) in [
        (1_u32, 0, end),
        (2, dynamic, strings_at - dynamic),
        (3, interpreter_at, end - interpreter_at),
    ] {
        file.extend(kind.to_le_bytes());
        file.extend(0_u32.to_le_bytes());
        for word in [offset, BASE + offset, 0, size, size, 1] {
            file.extend(word.to_le_bytes());
        }
    }
    for (tag, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend(strings);
    file.extend(interpreter.as_bytes());
    file.push(0);
    file
}

fn outcome(program: &[u8], libraries: &[(&str, Option<&str>)]) -> Result<(), String> {
    let mut tree = Tree::default();
    let origin = || Origin::Package("p".into());
    let mut put = |at: &str, node: Node| tree.insert(at.parse().unwrap(), node).unwrap();
    let file = |bytes: &[u8]| Node::file(Content::inline(bytes.to_vec()), 0o755, origin());
    put("/usr/bin/p", file(program));
    put("/usr/lib64/ld.so", file(b"x"));
    for master in ["passwd", "group"] {
        let text: &[u8] = if master == "passwd" {
            b"root:*:0:0:root:/root:/bin/sh\n"
        } else {
            b"root:*:0:\n"
        };
        put(
            &format!("/usr/share/base-passwd/{master}.master"),
            file(text),
        );
    }
    for (at, link) in libraries {
        put(
            at,
            link.map_or_else(|| file(b"x"), |to| Node::symlink(to, origin())),
        );
    }
    let facts = BaseFacts {
        arch: Arch::Amd64,
        epoch: Epoch(0),
        packages: &[],
        enable: &[],
        runtime: &CONTAINERD,
        build_directory: None,
    };
    configure(&mut tree, facts).unwrap();
    seal(&mut tree, facts).map_err(|error| format!("{error:#}"))
}

#[test]
fn libraries_are_found_as_the_loader_finds_them() {
    let plain = program(&["liba.so"], None, "/lib64/ld.so");
    let multiarch = "/usr/lib/x86_64-linux-gnu";
    let (library, real) = (
        format!("{multiarch}/liba.so"),
        format!("{multiarch}/liba.so.1"),
    );
    assert_eq!(outcome(&plain, &[(&library, None)]), Ok(()));
    assert_eq!(
        outcome(&plain, &[(&library, Some("liba.so.1")), (&real, None)]),
        Ok(())
    );
    let dangling = outcome(&plain, &[(&library, Some("liba.so.1"))]).unwrap_err();
    assert!(
        dangling.contains("`/usr/bin/p`") && dangling.contains("`liba.so`"),
        "{dangling}"
    );
    assert!(outcome(&plain, &[("/opt/liba.so", None)]).is_err());
    assert!(outcome(&plain, &[("/usr/lib/aarch64-linux-gnu/liba.so", None)]).is_err());

    let own = program(&["liba.so"], Some("/x:$ORIGIN/../own"), "/lib64/ld.so");
    assert_eq!(outcome(&own, &[("/usr/own/liba.so", None)]), Ok(()));

    let loader = outcome(&program(&[], None, "/lib/ld-musl.so"), &[]).unwrap_err();
    assert!(loader.contains("the loader `/lib/ld-musl.so`"), "{loader}");
}

#[test]
fn broken_files_are_refused_and_others_passed_by() {
    let read = |bytes: Vec<u8>| {
        dynamic::read(move |at, len| {
            let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            Ok(bytes[at..].iter().take(len).copied().collect())
        })
    };
    let whole = program(&["liba.so"], Some("/x"), "/ld");
    let found = read(whole.clone()).unwrap().unwrap();
    assert_eq!(found.needed, ["liba.so"]);
    assert_eq!(found.run_path.as_deref(), Some("/x"));
    assert_eq!(found.interpreter.as_deref(), Some("/ld"));
    for cut in 64..whole.len() {
        assert!(read(whole[..cut].to_vec()).is_err(), "cut at {cut}");
    }
    assert_eq!(read(b"#!/bin/sh\n".to_vec()).unwrap(), None);
    assert_eq!(read(Vec::new()).unwrap(), None);
}
