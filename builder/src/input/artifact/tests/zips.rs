//! Zip archives, made by hand, and programs that are packed by themselves.

use std::io::Write;

use super::*;

/// A member as the central directory has it.
#[derive(Clone)]
struct Zipped {
    name: Vec<u8>,
    body: Vec<u8>,
    method: u16,
    flags: u16,
    /// Of Unix, with the type; 0 for an archive of DOS.
    mode: u32,
    /// Stated instead of the true ones.
    size: Option<u64>,
    crc: Option<u32>,
}

fn zipped(name: &str, body: impl Into<Vec<u8>>) -> Zipped {
    Zipped {
        name: name.into(),
        body: body.into(),
        method: 8,
        flags: 0,
        mode: 0o100_755,
        size: None,
        crc: None,
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn packed(member: &Zipped) -> Vec<u8> {
    match member.method {
        8 => {
            let mut to =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            to.write_all(&member.body).unwrap();
            to.finish().unwrap()
        }
        93 => zst(&member.body),
        95 => xz(&member.body),
        _ => member.body.clone(),
    }
}

/// With `large`, sizes and offsets are where zip64 has them.
fn zip(members: &[Zipped], large: bool) -> Vec<u8> {
    let (mut out, mut central) = (Vec::new(), Vec::new());
    for member in members {
        let offset = out.len() as u64;
        let data = packed(member);
        let size = member.size.unwrap_or(member.body.len() as u64);
        let sum = member.crc.unwrap_or_else(|| crc(&member.body));
        let short = |value: u64| if large { u32::MAX } else { value as u32 };
        let common = |extra: usize| {
            let mut bytes = Vec::new();
            for half in [member.flags, member.method, 0, 0x21] {
                bytes.extend_from_slice(&half.to_le_bytes());
            }
            for word in [sum, short(data.len() as u64), short(size)] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
            bytes.extend_from_slice(&(member.name.len() as u16).to_le_bytes());
            bytes.extend_from_slice(&(extra as u16).to_le_bytes());
            bytes
        };
        let field = |values: &[u64]| {
            let mut bytes = vec![1, 0, (values.len() * 8) as u8, 0];
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            if large { bytes } else { Vec::new() }
        };
        let local = field(&[size, data.len() as u64]);
        out.extend_from_slice(b"PK\x03\x04\x2d\0");
        out.extend(common(local.len()));
        out.extend_from_slice(&member.name);
        out.extend(local);
        out.extend(data.clone());
        let far = field(&[size, data.len() as u64, offset]);
        let system = if member.mode == 0 { 0 } else { 3 };
        central.extend_from_slice(b"PK\x01\x02\x2d");
        central.extend_from_slice(&[system, 0x2d, 0]);
        central.extend(common(far.len()));
        central.extend_from_slice(&[0; 8]);
        central.truncate(central.len() - 2);
        central.extend_from_slice(&(member.mode << 16).to_le_bytes());
        central.extend_from_slice(&short(offset).to_le_bytes());
        central.extend_from_slice(&member.name);
        central.extend(far);
    }
    let (at, len, count) = (out.len() as u64, central.len() as u64, members.len() as u64);
    out.extend(central);
    if large {
        let record = out.len() as u64;
        out.extend_from_slice(b"PK\x06\x06");
        out.extend_from_slice(&44u64.to_le_bytes());
        out.extend_from_slice(&[0x2d, 3, 0x2d, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for value in [count, count, len, at] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        out.extend_from_slice(&record.to_le_bytes());
        out.extend_from_slice(&1u32.to_le_bytes());
    }
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    let short = |value: u64, most: u64| if large { most } else { value };
    for half in [count, count] {
        out.extend_from_slice(&(short(half, 0xffff) as u16).to_le_bytes());
    }
    for word in [len, at] {
        out.extend_from_slice(&(short(word, 0xffff_ffff) as u32).to_le_bytes());
    }
    out.extend_from_slice(&[0, 0]);
    out
}

fn release() -> Vec<Zipped> {
    let mut link = zipped("bin/soft", "tool");
    link.mode = 0o120_777;
    let mut stored = zipped("etc/config.toml", "version = 3\n");
    stored.method = 0;
    let mut folder = zipped("bin/", "");
    folder.mode = 0o040_755;
    let mut dos = zipped("bin/dos", arm64());
    dos.mode = 0;
    vec![folder, zipped("bin/tool", arm64()), dos, link, stored]
}

#[test]
fn a_zip_is_an_archive() {
    let rules = [
        rule("bin/*", "/bin/"),
        rule("etc/config.toml", "/etc/c.toml"),
    ];
    let program = short(&arm64());
    let want = [
        format!("/etc/c.toml file 0755 {}", short(b"version = 3\n")),
        format!("/usr/bin/dos file 0755 {program}"),
        "/usr/bin/soft -> 0777 tool".to_owned(),
        format!("/usr/bin/tool file 0755 {program}"),
    ];
    for large in [false, true] {
        for method in [0, 8, 93, 95] {
            let mut members = release();
            members[1].method = method;
            let case = Case::new(&zip(&members, large));
            assert_eq!(case.lines(&rules), want, "zip64 {large}, method {method}");
            assert_eq!(case.lines(&rules), want, "again");
        }
    }
    let long = format!("{}/tool", "folder".repeat(30));
    let case = Case::new(&zip(&[zipped(&long, arm64())], false));
    assert_eq!(case.lines(&[rule(&long, "/bin/")]).len(), 1);
}

#[test]
fn bad_zips_are_refused() {
    type Change = fn(&mut Vec<Zipped>);
    let table: [(&str, Change, &[&str]); 16] = [
        ("nothing in it", |m| m.clear(), &["it holds no file at all"]),
        (
            "encrypted",
            |m| m[1].flags = 1,
            &["`bin/tool`", "is encrypted"],
        ),
        (
            "encrypted elsewhere",
            |m| m[4].flags = 1,
            &["`etc/config.toml`", "is encrypted"],
        ),
        (
            "climbing",
            |m| m.push(zipped("../evil", "x")),
            &["`../evil`", "ask its publisher"],
        ),
        (
            "absolute",
            |m| m.push(zipped("/etc/evil", "x")),
            &["`/etc/evil`", "absolute"],
        ),
        (
            "a link out",
            |m| m[3].body = b"../../x".to_vec(),
            &["leaves the archive's root"],
        ),
        ("a device", |m| m[1].mode = 0o020_644, &["neither a file"]),
        (
            "twice",
            |m| m.push(zipped("bin/tool", arm64())),
            &["2 times"],
        ),
        ("setuid", |m| m[1].mode = 0o104_755, &["setuid"]),
        ("another method", |m| m[1].method = 12, &["zip method"]),
        ("a wrong sum", |m| m[1].crc = Some(1), &["checksum"]),
        (
            "longer than stated",
            |m| m[1].size = Some(99),
            &["longer than is stated"],
        ),
        (
            "shorter than stated",
            |m| m[1].size = Some(101),
            &["shorter than is stated"],
        ),
        (
            "a bomb",
            |m| m[4] = zipped("zeros", vec![0; 3 << 20]),
            &["more than 1048576 bytes"],
        ),
        (
            "no UTF-8",
            |m| m[4].name = b"etc/\xff".to_vec(),
            &["not UTF-8"],
        ),
        (
            "another machine",
            |m| m[1].body = elf(2, 1, 62),
            &["ELF file for amd64"],
        ),
    ];
    for (name, change, parts) in table {
        let mut members = release();
        change(&mut members);
        let error = Case::new(&zip(&members, false)).refusal(&[rule("bin/tool", "/bin/")]);
        for part in parts {
            assert!(error.contains(part), "{name}: no {part:?} in {error}");
        }
    }
    let whole = zip(&release(), false);
    for cut in [whole.len() - 1, whole.len() / 2, 10] {
        let error = Case::new(&whole[..cut]).refusal(&[rule("bin/tool", "/bin/")]);
        assert!(error.contains("zip"), "{error}");
    }
}

#[test]
fn a_program_may_be_packed_by_itself() {
    let plain = arm64();
    for (name, bytes) in [("gz", gz(&plain)), ("zst", zst(&plain)), ("xz", xz(&plain))] {
        let mut case = Case::new(&bytes);
        case.kind = Kind::Binary;
        let want = [format!("/usr/bin/tool file 0755 {}", short(&plain))];
        assert_eq!(case.lines(&[rule("", "/bin/tool")]), want, "{name}");
        assert_eq!(case.lines(&[rule("", "/bin/tool")]), want, "{name}, again");
    }
    let mut script = b"#!/bin/sh\n".to_vec();
    script.resize(3 << 20, b'#');
    for (bytes, part) in [
        (gz(b"<html>"), "web page"),
        (
            gz(&tar(&everything())),
            "a tar archive (`kind = \"archive\"`?)",
        ),
        (gz(&elf(2, 1, 62)), "ELF file for amd64"),
        (gz(&script), "more than 1048576 bytes"),
        (gz(&plain)[..30].to_vec(), "cut short"),
        (zip(&release(), false), "a zip file (`kind = \"archive\"`?)"),
    ] {
        let mut case = Case::new(&bytes);
        case.kind = Kind::Binary;
        let error = format!("{:#}", case.unpack(&[rule("", "/bin/tool")]).unwrap_err());
        assert!(error.contains(part), "no {part:?} in {error}");
    }
}

#[test]
fn bpf_is_for_every_machine() {
    for data in [1, 2] {
        let case = Case::new(&gz(&tar(&[file("x.o", elf(2, data, 247))])));
        assert_eq!(case.lines(&[rule("x.o", "/usr/lib/bpf/")]).len(), 1);
    }
    let error = Case::new(&gz(&tar(&[file("x.o", elf(2, 1, 22))])));
    assert!(error.refusal(&[rule("x.o", "/x")]).contains("s390x"));
}

#[test]
fn members_are_named_by_version_and_architecture() {
    let filled = |from: &str| {
        let rule = rule(from, "/bin/").filled("1.2.3", "x86_64")?;
        Ok::<_, anyhow::Error>(rule.from.unwrap().to_string())
    };
    for (from, want) in [
        (
            "tool-{version}.linux-{arch}/tool",
            "tool-1.2.3.linux-x86_64/tool",
        ),
        ("{arch}/*", "x86_64/*"),
        ("plain", "plain"),
        ("{{cookiecutter.name}}/x", "{{cookiecutter.name}}/x"),
    ] {
        assert_eq!(filled(from).unwrap(), want);
    }
    let refused = Selector::try_from("tool-{os}/x".to_owned()).unwrap_err();
    assert!(refused.to_string().contains("`{os}`"), "{refused}");
}
