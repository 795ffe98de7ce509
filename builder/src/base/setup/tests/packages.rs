//! All steps over real packages: `NODEIMG_TEST_DEBS=DIR` holds the `.deb` files
//! of one architecture, `NODEIMG_TEST_OUT=DIR` gets `rootfs.tar.zst`.

use std::io::Read;
use std::path::Path;
use std::process::Command;

use super::super::{Facts, Package, configure, seal};
use crate::arch::Arch;
use crate::tree::{Content, Epoch, ImagePath, Node, Origin, Tree};

const EXCLUDED: [&str; 6] = [
    "/usr/share/man",
    "/usr/share/info",
    "/usr/share/locale",
    "/usr/share/lintian",
    "/usr/share/bash-completion",
    "/etc/cron.d",
];

fn output(program: &str, args: &[&str], deb: &Path) -> Vec<u8> {
    let out = Command::new(program).args(args).arg(deb).output().unwrap();
    assert!(out.status.success(), "{program} {}", deb.display());
    out.stdout
}

fn control_member(deb: &Path, member: &str) -> String {
    let bytes = output("dpkg-deb", &["--ctrl-tarfile"], deb);
    let mut archive = tar::Archive::new(&bytes[..]);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().ends_with(member) {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            return text;
        }
    }
    String::new()
}

fn unpack(tree: &mut Tree, deb: &Path) -> Package {
    let control = control_member(deb, "control");
    let name = control.lines().next().unwrap()["Package: ".len()..].to_owned();
    let bytes = output("dpkg-deb", &["--fsys-tarfile"], deb);
    let mut archive = tar::Archive::new(&bytes[..]);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        let at = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let path = ImagePath::from_relative(&at).unwrap();
        let merged = ["./bin", "./sbin", "./lib", "./lib64"].contains(&at.trim_end_matches('/'));
        let excluded = EXCLUDED
            .iter()
            .any(|prefix| path.as_str().starts_with(prefix));
        if path == ImagePath::root() || merged || excluded {
            continue;
        }
        let origin = Origin::Package(name.clone());
        let mode = header.mode().unwrap() & 0o7777;
        let link = entry
            .link_name_bytes()
            .map(|link| String::from_utf8(link.into_owned()).unwrap());
        let mut node = match header.entry_type() {
            tar::EntryType::Directory => Node::directory(mode, origin),
            tar::EntryType::Symlink => Node::symlink(link.unwrap(), origin),
            tar::EntryType::Link => {
                let to = ImagePath::from_relative(&link.unwrap()).unwrap();
                tree.get(&to).unwrap().clone()
            }
            _ => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                Node::file(Content::inline(bytes), mode, origin)
            }
        };
        node.stat.uid = u32::try_from(header.uid().unwrap()).unwrap();
        node.stat.gid = u32::try_from(header.gid().unwrap()).unwrap();
        if tree.get(&path).is_none() || header.entry_type() != tar::EntryType::Directory {
            tree.insert(path, node).unwrap();
        }
    }
    let md5sums = control_member(deb, "md5sums");
    Package {
        name,
        control,
        md5sums,
    }
}

#[test]
fn real_packages_become_a_root() {
    let Some(directory) = std::env::var_os("NODEIMG_TEST_DEBS") else {
        eprintln!("skipped: NODEIMG_TEST_DEBS is not set");
        return;
    };
    let mut debs: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "deb"))
        .collect();
    debs.sort();
    let mut tree = Tree::default();
    let packages: Vec<_> = debs.iter().map(|deb| unpack(&mut tree, deb)).collect();
    let facts = Facts {
        arch: Arch::Amd64,
        epoch: Epoch(1_790_000_000),
        packages: &packages,
        enable: &[],
        build_directory: Some(env!("CARGO_MANIFEST_DIR")),
    };
    configure(&mut tree, facts)
        .map_err(|e| format!("{e:#}"))
        .unwrap();
    seal(&mut tree, facts)
        .map_err(|e| format!("{e:#}"))
        .unwrap();
    let dpkg = "/usr/lib/sysimage/dpkg/status".parse().unwrap();
    let status = crate::units::text_at(&tree, &dpkg).unwrap().unwrap();
    assert_eq!(
        status.matches("\nStatus: install ok installed\n").count(),
        packages.len()
    );
    if let Some(out) = std::env::var_os("NODEIMG_TEST_OUT") {
        let to = Path::new(&out).join("rootfs.tar.zst");
        crate::output::tarball::write(&tree, facts.epoch, &to, 3).unwrap();
    }
}
