//! The modes of an overlay's files: one table, by path.
//!
//! A checkout's modes are not asked: git keeps one bit of them, and the umask
//! decides on the rest.

use super::ImagePath;

pub const DIRECTORY: u32 = 0o755;
const FILE: u32 = 0o644;
const PROGRAM: u32 = 0o755;

/// Directories that only root looks into.
const PRIVATE_DIRECTORIES: [&str; 5] = [
    "/root",
    "/root/.ssh",
    "/etc/sudoers.d",
    "/etc/kubernetes/pki",
    "/var/lib/nodeimg",
];

/// Directories whose files only root reads.
const PRIVATE_FILES_IN: [&str; 4] = [
    "/root/.ssh",
    "/etc/kubernetes/pki",
    "/etc/NetworkManager/system-connections",
    "/var/lib/nodeimg",
];

/// Single files with a mode of their own.
const FILES: [(&str, u32); 4] = [
    ("/etc/shadow", 0o600),
    ("/etc/gshadow", 0o600),
    ("/etc/sudoers", 0o440),
    ("/etc/crypttab", 0o600),
];

/// Directories of programs.
const PROGRAMS_IN: [&str; 7] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/lib/nodeimg/bin",
    "/usr/libexec",
    "/opt/cni/bin",
];

/// The mode of a directory that has one of its own.
pub fn directory(path: &ImagePath) -> Option<u32> {
    PRIVATE_DIRECTORIES
        .contains(&path.as_str())
        .then_some(0o700)
}

/// The mode of a file; `bytes` are its content.
pub fn file(path: &ImagePath, bytes: &[u8]) -> u32 {
    let name = path.as_str();
    if let Some((_, mode)) = FILES.iter().find(|(file, _)| *file == name) {
        return *mode;
    }
    let is_in = |directories: &[&str]| {
        directories.iter().any(|directory| {
            name.strip_prefix(directory)
                .is_some_and(|rest| rest.starts_with('/'))
        })
    };
    let ssh_key = name.starts_with("/etc/ssh/ssh_host_") && path.name().ends_with("_key");
    if is_in(&["/etc/sudoers.d"]) {
        return 0o440;
    }
    if ssh_key || is_in(&PRIVATE_FILES_IN) {
        return 0o600;
    }
    match is_in(&PROGRAMS_IN) || bytes.starts_with(b"#!") {
        true => PROGRAM,
        false => FILE,
    }
}
