#![allow(clippy::unwrap_used)]
use std::fs;
use std::process::Command;

use nodeimg_test_support::judge;

use super::*;

/// A program of one section of 16 bytes, with room for three headers more.
fn program() -> Vec<u8> {
    let mut image = vec![0; 0x400];
    image[..2].copy_from_slice(b"MZ");
    put(&mut image, 60, 0x80);
    image[0x80..0x84].copy_from_slice(b"PE\0\0");
    image[0x84..0x86].copy_from_slice(&0x8664u16.to_le_bytes());
    image[0x86..0x88].copy_from_slice(&1u16.to_le_bytes());
    image[0x94..0x96].copy_from_slice(&240u16.to_le_bytes());
    image[0x96..0x98].copy_from_slice(&0x22eu16.to_le_bytes());
    let optional = 0x98;
    image[optional..optional + 2].copy_from_slice(&PE32_PLUS.to_le_bytes());
    for (at, number) in [
        (16, 0x1000),
        (32, 0x1000),
        (36, 0x200),
        (56, 0x2000),
        (60, 0x240),
        (64, 7),
        (108, 16),
    ] {
        put(&mut image, optional + at, number);
    }
    image[optional + 68..optional + 70].copy_from_slice(&10u16.to_le_bytes());
    let table = optional + 240;
    image[table..table + 5].copy_from_slice(b".text");
    for (at, number) in [
        (8, 16),
        (12, 0x1000),
        (16, 0x1c0),
        (20, 0x240),
        (36, 0x6000_0020),
    ] {
        put(&mut image, table + at, number);
    }
    image
}

fn new<'a>(name: &'a str, bytes: &'a [u8]) -> NewSection<'a> {
    NewSection { name, bytes }
}

#[test]
fn sections_follow_what_is_there() {
    let bytes = vec![7; 0x1234];
    let image = with_sections(&program(), &[new(".a", b"abc"), new(".linux", &bytes)]).unwrap();
    let found = sections(&image).unwrap();
    let lines: Vec<_> = found
        .iter()
        .map(|s| {
            format!(
                "{} {:x} {:x} {:x} {:x}",
                s.name, s.address, s.size, s.offset, s.stored
            )
        })
        .collect();
    let want = [
        ".text 1000 10 240 1c0",
        ".a 2000 3 400 200",
        ".linux 3000 1234 600 1400",
    ];
    assert_eq!(lines, want);
    assert_eq!(image.len(), 0x1a00);
    assert_eq!(&image[0x400..0x404], b"abc\0");
    assert_eq!(image[0x600..0x600 + 0x1234], bytes);
    assert_eq!(u32_at(&image, 0x98 + 56), Some(0x5000));
    assert_eq!(u32_at(&image, 0x98 + 64), Some(0));
}

#[test]
fn objdump_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.efi");
    let image = with_sections(
        &program(),
        &[new(".osrel", b"ID=x\n"), new(".b", &[1; 513])],
    )
    .unwrap();
    fs::write(&file, &image).unwrap();
    let Some(told) = judge::run(Command::new("objdump").arg("-h").arg(&file)) else {
        return;
    };
    assert!(told.status.success(), "{told:?}");
    let text = String::from_utf8(told.stdout).unwrap();
    for line in [".osrel        00000005", ".b            00000201"] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn what_cannot_be_done_is_an_error() {
    let refusal = |image: &[u8], sections: &[NewSection<'_>]| {
        with_sections(image, sections).unwrap_err().to_string()
    };
    let four = ["a", "b", "c", "d"].map(|name| new(name, b""));
    assert_eq!(
        refusal(&program(), &four),
        "has room for 3 more sections among its headers, but 4 are needed"
    );
    assert!(refusal(&program(), &[new(".text", b"")]).contains(".text"));
    assert!(refusal(&program(), &[new("123456789", b"")]).contains("123456789"));
    let mut signed = program();
    put(&mut signed, 0x98 + CERTIFICATES + 4, 8);
    assert!(refusal(&signed, &[]).contains("signed"));
    let whole = program();
    for end in (0..whole.len()).step_by(7) {
        // No cut and no byte makes it panic.
        let _ = with_sections(&whole[..end], &[new(".a", b"x")]);
        let mut bent = whole.clone();
        bent[end] ^= 0xff;
        let _ = with_sections(&bent, &[new(".a", b"x")]);
    }
    assert!(refusal(b"MZ", &[]).contains("not an EFI program"));
}
