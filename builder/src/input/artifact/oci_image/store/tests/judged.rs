//! Debian's skopeo reads a store with the library that CRI-O reads it with.

use std::fs::File;
use std::process::Command;

use nodeimg_formats::squashfs::Options;
use nodeimg_test_support::judge;
use nodeimg_values::epoch::Epoch;
use serde_json::Value;

use super::super::{DIRECTORY, nodes};
use super::{asked, place, two};
use crate::tree::{Tree, squashfs};

/// What Debian's skopeo is asked, in a mount namespace of its own: it leaves a mount behind.
const ASK: &str = r#"
unsquashfs -quiet -no-progress -dest "$1/root" "$1/image" >&2
mount --bind "$1/root" "$1/root"
mount -o remount,bind,ro "$1/root"
store=$1/root$2
at="[overlay@$1/rw+$1/run:overlay.imagestore=$store]"
shift 2
for name; do
    skopeo inspect "containers-storage:$at$name"
done
"#;

#[test]
fn skopeo_finds_every_name_in_a_sealed_store() {
    if !judge::is_root() {
        return judge::missing("root, for skopeo's mounts");
    }
    let place = place();
    let (one, other) = two(&place);
    let both = [
        asked("one", &one, &["a.b/one:1"]),
        asked("other", &other, &["a.b/other:1"]),
    ];
    let mut tree = Tree::default();
    for (path, node) in nodes(&place.store, &both).unwrap() {
        tree.insert(path, node).unwrap();
    }
    let own = tempfile::tempdir().unwrap();
    let directory = own.path();
    let mut to = File::create(directory.join("image")).unwrap();
    squashfs::write(&tree, Epoch(1), &Options::default(), &mut to).unwrap();
    let names = [
        "a.b/one:1".to_owned(),
        format!("a.b/one@{}", one.top.digest),
        format!("a.b/one@{}", one.manifest.digest),
        "a.b/other:1".to_owned(),
    ];
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-euc", ASK, "sh"]);
    command.arg(directory).arg(DIRECTORY).args(&names);
    let Some(told) = judge::run(command.env("HOME", directory)) else {
        return;
    };
    let errors = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{errors}");
    let answers = serde_json::Deserializer::from_slice(&told.stdout).into_iter::<Value>();
    let answers: Vec<Value> = answers.map(Result::unwrap).collect();
    let digests: Vec<&str> = answers
        .iter()
        .map(|one| one["Digest"].as_str().unwrap())
        .collect();
    let wanted = [&one.manifest, &one.top, &one.manifest, &other.manifest];
    let wanted = wanted.map(|document| document.digest.to_string());
    assert_eq!(digests, wanted);
}
