//! An extension in an output directory, and the tools that look at it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use nodeimg_test_support::judge;
use nodeimg_test_support::run::{Ran, clean, host_program, tool};
use nodeimg_test_support::synthetic::World;

/// Builds it.
pub fn built(world: &World, arch: &str) -> Extension {
    let mut command = world.nodeimg("build");
    Ran::of(command.args(["--arch", arch])).good();
    Extension {
        image: world.image(arch),
        name: format!("tiny-1.0.0-{arch}-sysext"),
    }
}

/// An output directory with an extension in it.
pub struct Extension {
    pub image: PathBuf,
    pub name: String,
}

impl Extension {
    pub fn raw(&self) -> PathBuf {
        self.image.join(format!("{}.raw", self.name))
    }

    pub fn root_hash(&self) -> String {
        let text = fs::read_to_string(self.image.join(format!("{}.roothash", self.name))).unwrap();
        text.trim_end().to_owned()
    }

    /// Its partitions as sfdisk reads them.
    pub fn table(&self) -> Option<Vec<Value>> {
        let mut command = host_program("sfdisk");
        let ran = tool(command.arg("--json").arg(self.raw()))?.good();
        assert_eq!(ran.err, "", "sfdisk complains");
        let mut told: Value = serde_json::from_str(&ran.out).unwrap();
        let Value::Array(partitions) = told["partitiontable"]["partitions"].take() else {
            panic!("{}", ran.out);
        };
        Some(partitions)
    }

    /// Its two partitions as files in `to`.
    pub fn cut(&self, to: &Path) -> Option<[PathBuf; 2]> {
        let bytes = fs::read(self.raw()).unwrap();
        let table = self.table()?;
        let mut files = table.iter().map(|partition| {
            let range = |key: &str| partition[key].as_u64().unwrap() as usize * 512;
            let path = to.join(partition["name"].as_str().unwrap());
            fs::write(&path, &bytes[range("start")..][..range("size")]).unwrap();
            path
        });
        Some([files.next().unwrap(), files.next().unwrap()])
    }

    /// Its files, by unsquashfs.
    pub fn unpacked(&self, to: &Path) -> Option<PathBuf> {
        let root = to.join("root");
        let [data, _] = self.cut(to)?;
        let mut command = clean(Command::new("unsquashfs"));
        // Xattrs of the namespace `user` need a file system that has them.
        command.arg("-no-xattrs").arg("-d").arg(&root).arg(data);
        tool(&mut command)?.good();
        Some(root)
    }
}

pub fn verified(data: &Path, tree: &Path, root_hash: &str) -> Option<bool> {
    let mut command = host_program("veritysetup");
    command.arg("verify").args([data, tree]).arg(root_hash);
    Some(tool(&mut command)?.code == Some(0))
}

/// Runs a script where its mounts are its own; `None` where this user or this
/// machine has no loop devices and no mounts.
pub fn with_mounts(script: &str, arguments: &[&Path]) -> Option<Ran> {
    let mut unshare = clean(Command::new("unshare"));
    let able = Path::new("/dev/loop-control").exists()
        && matches!(unshare.args(["-m", "true"]).status(), Ok(status) if status.success());
    if !(judge::is_root() && able) {
        eprintln!("skipped: no loop devices or mounts here");
        return None;
    }
    let mut command = clean(Command::new("unshare"));
    command
        .args(["-m", "sh", "-euc", script, "sh"])
        .args(arguments);
    Some(Ran::of(&mut command))
}
