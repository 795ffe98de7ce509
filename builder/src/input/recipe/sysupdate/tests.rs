#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nodeimg_formats::blocks::Blocks;
use nodeimg_formats::gpt::{self, Extent, Partition};
use nodeimg_formats::guid::Guid;
use nodeimg_test_support::judge;

use super::super::ExtraContent;
use super::super::tests::{disk_recipe, refusal};
use super::{architecture, stem};
use crate::input::recipe::Recipe;

const OLD: &str = "13.0-202611010000";
const NEW: &str = "13.0-202612010000";
/// The halves of the new root's hash.
const ROOT: &str = "32735770-737b-fe84-2ad6-c5120ad0d36c";
const VERITY: &str = "8ba0a3fb-f572-fd32-47af-b827328fc70e";
const SIZE: usize = 1 << 20;

fn transfers(recipe: &Recipe) -> Vec<(String, String)> {
    let files = recipe.files.iter();
    let files = files.filter(|file| file.path.as_str().starts_with("/usr/lib/sysupdate.d/"));
    let text = |content: &ExtraContent| match content {
        ExtraContent::Text(text) => text.clone(),
        ExtraContent::Source(path) => panic!("{}", path.display()),
    };
    files
        .map(|file| (file.path.to_string(), text(&file.content)))
        .collect()
}

#[test]
fn an_image_gets_transfer_files_if_asked() {
    assert!(transfers(&disk_recipe("[update]\nsource = \"https://x.example/\"\n")).is_empty());
    let asked = "[update]\nsource = \"https://x.example/\"\nsysupdate = true\n";
    let files = transfers(&disk_recipe(asked));
    let names: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    let place = |name: &str| format!("/usr/lib/sysupdate.d/{name}.transfer");
    assert_eq!(
        names,
        [place("10-verity"), place("20-root"), place("90-uki")]
    );
    let uki = &files[2].1;
    for line in [
        "ProtectVersion=%A\nVerify=no\n",
        "Type=url-file\nPath=https://x.example/\nMatchPattern=mine_@v_%a.efi\n",
        "MatchPattern=mine_@v+@l-@d.efi mine_@v+@l.efi mine_@v.efi\n",
    ] {
        assert!(uki.contains(line), "{uki}");
    }
    let keyed = format!(
        "[[file]]\npath = \"/usr/lib/systemd/import-pubring.gpg\"\ncontent = \"x\"\n{asked}"
    );
    assert!(!transfers(&disk_recipe(&keyed))[0].1.contains("Verify=no"));
}

#[test]
fn a_source_that_systemd_cannot_read_is_refused() {
    for source in ["", "source = \"oci://registry.example/node\"\n"] {
        let refused = refusal(&format!("[update]\n{source}sysupdate = true\n"));
        assert!(
            refused.contains("update.sysupdate: needs a `source`"),
            "{refused}"
        );
    }
}

/// A disk in a file: the slot that runs, and one that first boot has made.
fn disk(path: &Path) -> File {
    let disk = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .unwrap();
    let (root, tree) = if cfg!(target_arch = "aarch64") {
        (
            0xb921b045_1df0_41c3_af44_4c6f280d3fae,
            0xdf3300ce_d69f_4c92_978c_9bfb0f38d820,
        )
    } else {
        (
            0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709,
            0x2c7357ed_ebd2_46d9_aec1_23d437ec2bf5,
        )
    };
    let running = format!("mine_{OLD}");
    let mut place = Extent::first(SIZE as u64);
    let mut partitions = Vec::new();
    for (number, kind) in [tree, root, tree, root].into_iter().enumerate() {
        partitions.push(Partition {
            kind: Guid::known(kind),
            unique: Guid::derived(&["partition", &number.to_string()]),
            name: if number < 2 { &running } else { "_empty" },
            flags: 0,
            place,
        });
        if number < 3 {
            place = place.then(SIZE as u64);
        }
    }
    let size = gpt::disk_size(place);
    disk.set_len(size).unwrap();
    gpt::write(&disk, size, Guid::derived(&["disk"]), &partitions).unwrap();
    disk
}

/// Debian 13's systemd-sysupdate, in a root of its own over which `work` is at /given.
fn sysupdate(root: &Path, work: &Path, verb: &str) -> Output {
    let script = format!(
        "set -e\n\
         device=$(losetup --find --show --partscan {work}/disk)\n\
         trap 'losetup --detach \"$device\"' EXIT\n\
         mount -t tmpfs none /mnt\n\
         mkdir /mnt/root /mnt/upper /mnt/work\n\
         mount -t overlay overlay -o lowerdir={root},upperdir=/mnt/upper,workdir=/mnt/work /mnt/root\n\
         for name in dev proc sys; do mount --rbind /$name /mnt/root/$name; done\n\
         mkdir -p /mnt/root/given /mnt/root/run /mnt/root/tmp /mnt/root/var/tmp\n\
         mount --bind {work} /mnt/root/given\n\
         printf 'ID=debian\\nIMAGE_ID=mine\\nIMAGE_VERSION={OLD}\\n' >/mnt/root/etc/os-release\n\
         sed -i \"s|^Path=auto|Path=$device|\" {work}/definitions/*.transfer\n\
         chroot /mnt/root /usr/lib/systemd/systemd-sysupdate --definitions=/given/definitions --no-pager {verb}\n",
        root = root.display(),
        work = work.display(),
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]);
    for name in ["ESP", "XBOOTLDR"] {
        command.env(format!("SYSTEMD_{name}_PATH"), "/given/esp");
        command.env(format!("SYSTEMD_RELAX_{name}_CHECKS"), "1");
    }
    command.output().unwrap()
}

/// The program itself takes the transfer files and the names of the files, and does an update.
#[test]
fn systemd_sysupdate_updates_by_these_files() {
    let Some(root) = judge::sysupdate() else {
        return;
    };
    if !judge::is_root() {
        return judge::missing("root, to attach a disk");
    }
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path();
    let disk = disk(&work.join("disk"));
    for name in ["definitions", "source", "esp/EFI/Linux"] {
        fs::create_dir_all(work.join(name)).unwrap();
    }
    let recipe = disk_recipe("[update]\nsource = \"/given/source\"\nsysupdate = true\n");
    for (path, text) in transfers(&recipe) {
        let name = PathBuf::from(path);
        let name = name.file_name().unwrap();
        fs::write(work.join("definitions").join(name), text).unwrap();
    }
    fs::write(work.join(format!("esp/EFI/Linux/mine_{OLD}.efi")), "old").unwrap();
    let native = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let begin = stem("mine", NEW, architecture(native));
    let put = |name: String, bytes: &[u8]| {
        fs::write(work.join("source").join(name), bytes).unwrap();
    };
    put(format!("{begin}_{ROOT}.root.raw"), &[1; SIZE]);
    put(format!("{begin}_{VERITY}.verity.raw"), &[2; SIZE]);
    put(format!("{begin}.efi"), b"new");

    let output = sysupdate(&root, work, "update");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains(&format!("Successfully installed update '{NEW}'")),
        "{said}"
    );
    let table = Command::new("sfdisk")
        .arg("--dump")
        .arg(work.join("disk"))
        .output()
        .unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    for (unique, byte, number) in [(VERITY, 2, 2), (ROOT, 1, 3)] {
        let line = table
            .lines()
            .find(|line| line.contains(&unique.to_uppercase()));
        let line = line.unwrap_or_else(|| panic!("{unique} is missing:\n{table}"));
        assert!(line.contains(&format!("name=\"mine_{NEW}\"")), "{line}");
        let mut place = Extent::first(SIZE as u64);
        for _ in 0..number {
            place = place.then(SIZE as u64);
        }
        let mut content = vec![0; SIZE];
        disk.read(&mut content, place.start).unwrap();
        assert!(content == vec![byte; SIZE], "partition {number}");
    }
    let entry = work.join(format!("esp/EFI/Linux/mine_{NEW}+3-0.efi"));
    assert_eq!(fs::read(entry).unwrap(), b"new");
}
