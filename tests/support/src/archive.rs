//! Programs and archives made in code: byte by byte, so that hostile ones can
//! be made that no tar would.

use std::fmt::Write as _;
use std::io::Write as _;

use sha2::{Digest as _, Sha256, Sha512};

/// The architectures of an image with their `e_machine`.
pub const MACHINES: [(&str, u16); 2] = [("amd64", 62), ("arm64", 183)];

/// One member of a tar.
#[derive(Clone)]
pub struct Member {
    pub name: String,
    pub flag: u8,
    pub mode: u32,
    pub link: String,
    pub bytes: Vec<u8>,
    /// What the header says of the size, if it is not the truth.
    pub size: Option<u64>,
}

/// A regular file.
pub fn file(name: &str, bytes: impl Into<Vec<u8>>) -> Member {
    Member {
        name: name.to_owned(),
        flag: b'0',
        mode: 0o755,
        link: String::new(),
        bytes: bytes.into(),
        size: None,
    }
}

/// Another kind by its typeflag: `1` and `2` are links, `3` and `4` devices,
/// `6` a pipe.
pub fn special(flag: u8, name: &str, link: &str) -> Member {
    Member {
        flag,
        link: link.to_owned(),
        ..file(name, "")
    }
}

/// Records of pax for the member that follows.
pub fn pax(records: &[(&str, &[u8])]) -> Member {
    let mut bytes = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let len = rest + (rest + 2).to_string().len();
        bytes.extend_from_slice(format!("{len} {key}=").as_bytes());
        bytes.extend_from_slice(value);
        bytes.push(b'\n');
    }
    Member {
        flag: b'x',
        ..file("pax", bytes)
    }
}

impl Member {
    pub fn mode(self, mode: u32) -> Member {
        Member { mode, ..self }
    }
}

/// POSIX ustar, with nothing checked.
pub fn tar(members: &[Member]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for member in members {
        let mut header = tar::Header::new_ustar();
        let raw = header.as_old_mut();
        raw.name[..member.name.len()].copy_from_slice(member.name.as_bytes());
        raw.linkname[..member.link.len()].copy_from_slice(member.link.as_bytes());
        raw.linkflag = [member.flag];
        header.set_mode(member.mode);
        header.set_size(member.size.unwrap_or(member.bytes.len() as u64));
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&member.bytes);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn machine(arch: &str) -> u16 {
    let found = MACHINES.iter().find(|(name, _)| *name == arch);
    found.expect("no such architecture").1
}

/// An ELF header for `arch` and `name` after it, so that no two are the same.
pub fn program(arch: &str, name: &str) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[18..20].copy_from_slice(&machine(arch).to_le_bytes());
    bytes.extend_from_slice(name.as_bytes());
    bytes
}

/// What nodeimg takes for a static first-boot binary.
pub fn firstboot(arch: &str) -> Vec<u8> {
    static_program(arch, nodeimg_seed::contract::CONTRACT_MARKER)
}

/// A static program of nodeimg's: an entry point, one program header that is no PT_INTERP, and
/// the marker that says which one it is.
pub fn static_program(arch: &str, marker: &str) -> Vec<u8> {
    let mut bytes = program(arch, "");
    bytes[24] = 1;
    bytes[32] = 64;
    bytes[54] = 56;
    bytes[56] = 1;
    bytes.push(1);
    bytes.resize(64 + 56, 0);
    bytes.extend_from_slice(marker.as_bytes());
    bytes
}

/// Bytes that no compressor makes smaller; the same for the same size.
pub fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub fn sha512(bytes: &[u8]) -> String {
    hex(&Sha512::digest(bytes))
}
