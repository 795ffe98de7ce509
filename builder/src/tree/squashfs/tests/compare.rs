//! Trees as lines, and the same lines of what others read.

use std::path::Path;
use std::process::Command;

use nodeimg_values::digest::{Digest, Hasher};

use super::EPOCH;
use crate::tree::{Kind, Stat, Tree};

/// The tree, a line a path: what the dump of a directory must be.
pub fn lines(tree: &Tree) -> Vec<String> {
    let mut lines: Vec<String> = tree
        .iter()
        .map(|(path, node)| {
            let Stat {
                mode,
                uid,
                gid,
                xattrs,
            } = &node.stat;
            let (kind, what) = match &node.kind {
                Kind::Directory => ("dir", String::new()),
                Kind::File(content) => {
                    let digest = Hasher::measure(content.reader(), &[]).unwrap().sha256;
                    ("file", format!("{} {}", content.len(), digest.hex()))
                }
                Kind::Symlink(target) => ("link", target.clone()),
            };
            let xattrs: String = xattrs
                .iter()
                .map(|(name, value)| format!(" {name}={}", Digest::sha256(value).hex()))
                .collect();
            format!(
                "{path} {kind} {mode:04o} {uid}:{gid} {} {what}{xattrs}",
                EPOCH.0
            )
        })
        .collect();
    lines.sort();
    lines
}

/// Prints the same lines of a directory.
pub const DUMP: &str = r#"
import errno, hashlib, os, stat, sys
root = os.fsencode(sys.argv[1])
def sha(b): return hashlib.sha256(b).hexdigest()
def names(p):
    try: return sorted(os.listxattr(p, follow_symlinks=False))
    except OSError as e:  # as of an image without any
        if e.errno == errno.ENOTSUP: return []
        raise
def dump(p):
    s = os.lstat(p)
    if stat.S_ISLNK(s.st_mode): kind, what = 'link', os.readlink(p).decode()
    elif stat.S_ISDIR(s.st_mode): kind, what = 'dir', ''
    else: kind, what = 'file', '%d %s' % (s.st_size, sha(open(p, 'rb').read()))
    xattrs = ''.join(' %s=%s' % (n, sha(os.getxattr(p, n, follow_symlinks=False)))
                     for n in names(p))
    print('%s %s %04o %d:%d %d %s%s' % (p[len(root):].decode() or '/', kind, stat.S_IMODE(s.st_mode),
          s.st_uid, s.st_gid, s.st_mtime, what, xattrs))
    if kind == 'dir':
        for n in os.listdir(p): dump(os.path.join(p, n))
dump(root)
"#;

pub fn dump(directory: &Path) -> Vec<String> {
    let mut dump = Command::new("python3");
    dump.args(["-c", DUMP]).arg(directory);
    dumped(&mut dump)
}

pub fn dumped(command: &mut Command) -> Vec<String> {
    let out = command
        .env("PYTHONIOENCODING", "utf-8")
        .env("PYTHONUTF8", "1")
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let text = String::from_utf8(out.stdout).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

pub fn assert_lines(got: &[String], want: &[String]) {
    for (got, want) in got.iter().zip(want) {
        assert_eq!(got, want);
    }
    assert_eq!(got.len(), want.len());
}

/// `true` if a test's judge is there; missing, it fails in CI.
pub fn judge(name: &str) -> bool {
    let there = Command::new(name).arg("-version").output().is_ok();
    if !there {
        assert!(std::env::var_os("CI").is_none(), "{name} is not installed");
        eprintln!("skipped: {name} is not installed");
    }
    there
}

/// Owners and attributes can be extracted by root alone.
pub fn root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: extracting owners and attributes needs root");
    }
    root
}

/// What unsquashfs makes of an image in a new directory.
pub fn extract(image: &Path, to: &Path) {
    let out = Command::new("unsquashfs")
        .args(["-no-progress", "-strict-errors", "-d"])
        .args([to, image])
        .output()
        .unwrap();
    assert!(
        out.status.success() && out.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}
