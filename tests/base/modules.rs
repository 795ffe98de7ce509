//! The index of the real kernel's modules, by kmod of this system.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{ARCHS, images};
use nodeimg_test_support::real;
use nodeimg_test_support::run::{Ran, host_program, tool};

/// The one directory of modules below `root`.
fn directory(root: &Path) -> PathBuf {
    let mut found: Vec<_> = fs::read_dir(root.join("usr/lib/modules"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn release(directory: &Path) -> String {
    directory.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Text by text; what depmod writes in the order of its hash table, sorted. Its
/// binary files are other ones before kmod 34, where nodes came after their
/// children: from then on they are compared too.
#[test]
fn depmod_writes_the_same_for_the_real_kernel() {
    let Some(images) = images() else { return };
    let Some(version) = tool(host_program("depmod").arg("--version")) else {
        return;
    };
    let number = version.good().out;
    let number = number.split_whitespace().nth(2).unwrap().to_owned();
    let major: u32 = number.split('.').next().unwrap().parse().unwrap();
    for arch in ARCHS {
        let ours = directory(&images.root(arch));
        let out = real::directory("modules").join(arch);
        let _ = fs::remove_dir_all(&out);
        let theirs = out.join("lib/modules").join(release(&ours));
        fs::create_dir_all(&theirs).unwrap();
        symlink(ours.join("kernel"), theirs.join("kernel")).unwrap();
        for name in [
            "modules.order",
            "modules.builtin",
            "modules.builtin.modinfo",
        ] {
            fs::copy(ours.join(name), theirs.join(name)).unwrap();
        }
        Ran::of(
            host_program("depmod")
                .arg("-b")
                .arg(&out)
                .arg(release(&ours)),
        )
        .good();
        let mut compared = BTreeSet::new();
        for entry in fs::read_dir(&theirs).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name == "kernel" {
                continue;
            }
            if name.ends_with(".bin") && major < 34 {
                continue;
            }
            let read = |directory: &Path| fs::read(directory.join(&name)).unwrap();
            let (mut ours, mut theirs) = (read(&ours), read(&theirs));
            if name == "modules.symbols" {
                for bytes in [&mut ours, &mut theirs] {
                    let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
                    lines.sort_unstable();
                    *bytes = lines.concat();
                }
            }
            assert!(ours == theirs, "{arch}: {name} differs from depmod's");
            compared.insert(name);
        }
        assert!(compared.len() >= 8, "{arch}: only {compared:?}");
    }
}

/// A name of each kind that there is.
#[test]
fn modprobe_finds_modules_by_all_their_names() {
    let Some(images) = images() else { return };
    for arch in ARCHS {
        let root = images.root(arch);
        let release = release(&directory(&root));
        for (asked, found) in [
            ("overlay", "/overlay.ko"),
            ("br_netfilter", "/br_netfilter.ko"),
            ("fs-ext4", "/ext4.ko"),
            ("crypto-ecb", "ecb"),
            ("virtio:d00000001v00001AF4", "/virtio_net.ko"),
            (
                "pci:v00001D0Fd0000EC20sv00001D0Fsd0000EC20bc02sc00i00",
                "/ena.ko",
            ),
            ("net-pf-16-proto-16-family-wireguard", "/wireguard.ko"),
            ("symbol:br_fdb_test_addr_hook", ""),
        ] {
            let mut modprobe = host_program("modprobe");
            modprobe.args(["--show-depends", "-C", "/nowhere", "-S", &release, "-d"]);
            let Some(ran) = tool(modprobe.arg(&root).arg(asked)) else {
                return;
            };
            if found.is_empty() {
                assert_eq!(ran.code, Some(1), "{arch}: {asked}: {}", ran.out);
                continue;
            }
            let ran = ran.good();
            let said = ran.out.replace("builtin ", "/");
            let wanted = found.trim_end_matches(".ko");
            assert!(said.contains(wanted), "{arch}: {asked}: {}", ran.out);
        }
    }
}
