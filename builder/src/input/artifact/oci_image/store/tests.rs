//! What a store holds of images that are made here, layer by layer.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use nodeimg_formats::squashfs::Options;
use nodeimg_test_support::archive::{Member, file, pax, special, tar};
use nodeimg_test_support::judge;
use nodeimg_test_support::layout::{Blobs, INDEX};
use nodeimg_values::arch::Arch;
use nodeimg_values::epoch::Epoch;
use serde_json::{Value, json};

use super::*;
use crate::input::artifact::oci_image::tests::{Place, place};
use crate::tree::{Kind, Tree, squashfs};

/// cap_dac_override,cap_fowner+ep: a line feed in the attribute.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The image that `descriptor` names.
fn image(place: &Place, blobs: &Blobs, descriptor: &Value) -> Image {
    let layout = place.path();
    let _ = std::fs::remove_dir_all(&layout);
    blobs.layout(&layout, std::slice::from_ref(descriptor));
    place.image(&layout, Arch::Amd64).unwrap()
}

fn one(place: &Place, layers: &[Vec<u8>]) -> Result<Vec<(ImagePath, Node)>> {
    let mut blobs = Blobs::default();
    let descriptor = blobs.image_of("amd64", layers);
    let image = image(place, &blobs, &descriptor);
    nodes(&place.store, &[asked("x", &image, &["example.org/x:1"])])
}

fn refusal(place: &Place, members: &[Member]) -> String {
    let layer = tar(&[&[file("ok", "")], members].concat());
    format!("{:#}", one(place, &[layer]).unwrap_err())
}

fn asked<'a>(artifact: &'a str, image: &'a Image, names: &[&str]) -> Asked<'a> {
    Asked {
        artifact,
        image,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn directory(name: &str) -> Member {
    special(b'5', name, "").mode(0o755)
}

fn bytes(node: &Node) -> Vec<u8> {
    let Kind::File(content) = &node.kind else {
        panic!("no file")
    };
    content.head(u64::MAX).unwrap()
}

fn line((path, node): &(ImagePath, Node)) -> String {
    let stat = &node.stat;
    let of = match &node.kind {
        Kind::Directory => "directory".to_owned(),
        Kind::File(_) => format!("{:?}", String::from_utf8_lossy(&bytes(node))),
        Kind::Symlink(target) => format!("-> {target}"),
    };
    let xattrs: String = stat.xattrs.keys().map(|name| format!(" {name}")).collect();
    let path = path.as_str().strip_prefix(DIRECTORY).unwrap();
    format!(
        "{path} {:04o} {}:{} {of}{xattrs}",
        stat.mode, stat.uid, stat.gid
    )
}

/// Below the one layer's `diff`.
fn diff(nodes: &[(ImagePath, Node)]) -> Vec<String> {
    let mut lines: Vec<String> = nodes
        .iter()
        .map(line)
        .filter_map(|line| Some(line.split_once("/diff")?.1.to_owned()))
        .filter(|line| !line.is_empty())
        .collect();
    lines.sort();
    lines
}

/// Two layers with everything that makes one of them more than files.
fn layers() -> Vec<Vec<u8>> {
    let lower = tar(&[
        directory("./").mode(0o711),
        directory("bin"),
        file("bin/su", "su").mode(0o4755),
        special(b'1', "bin/su2", "bin/su"),
        pax(&[
            ("SCHILY.xattr.security.capability", CAPABILITY),
            ("uid", b"65532"),
            ("gid", b"7"),
        ]),
        file("bin/ping", "ping"),
        directory("etc"),
        file("etc/gone", "x"),
        file("etc/shadow", "root::").mode(0o640),
        directory("opaque"),
        file("opaque/lower", "x"),
        directory("opaque/below"),
        file("opaque/below/lower", "x"),
        special(b'2', "run", "/var/run"),
        file("shared", "lower"),
    ]);
    let upper = tar(&[
        file("etc/.wh.gone", ""),
        file("etc/.wh.never", ""),
        file("opaque/upper", "{{ NODE_IP }}"),
        file("opaque/.wh..wh..opq", ""),
        // Of AUFS: no file.
        file(".wh..wh.aufs", ""),
        special(b'1', "bin/su3", "bin/su"),
        file("shared", "upper").mode(0o666),
        // Where a link was; and not brought by any directory of its own.
        file("run/pid", "1"),
    ]);
    vec![lower, upper]
}

#[test]
fn layers_become_one() {
    let place = place();
    let nodes = one(&place, &layers()).unwrap();
    assert_eq!(
        diff(&nodes),
        [
            " 0711 0:0 directory",
            "/bin 0755 0:0 directory",
            "/bin/ping 0755 65532:7 \"ping\" security.capability",
            "/bin/su 4755 0:0 \"su\"",
            "/bin/su2 4755 0:0 \"su\"",
            "/bin/su3 4755 0:0 \"su\"",
            "/etc 0755 0:0 directory",
            "/etc/shadow 0640 0:0 \"root::\"",
            "/opaque 0755 0:0 directory",
            "/opaque/upper 0755 0:0 \"{{ NODE_IP }}\"",
            "/run 0755 0:0 directory",
            "/run/pid 0755 0:0 \"1\"",
            "/shared 0666 0:0 \"upper\"",
        ]
    );
    let ping = nodes
        .iter()
        .find(|(path, _)| path.name() == "ping")
        .unwrap();
    assert_eq!(ping.1.stat.xattrs["security.capability"], CAPABILITY);
}

#[test]
fn a_link_of_the_same_layer_is_followed_but_never_out_of_the_image() {
    let place = place();
    let layer = tar(&[
        special(b'2', "lib", "../../usr/lib"),
        special(b'2', "abs", "/lib/deep/"),
        file("lib/a", "a"),
        file("abs/b", "b"),
        special(b'2', "up", "../../../etc/passwd"),
        file("/from/top", "t"),
        // A link itself is replaced, not followed.
        special(b'2', "self", "lib"),
        file("self", "s"),
    ]);
    assert_eq!(
        diff(&one(&place, &[layer]).unwrap()),
        [
            " 0755 0:0 directory",
            "/abs 0777 0:0 -> /lib/deep/",
            "/from 0755 0:0 directory",
            "/from/top 0755 0:0 \"t\"",
            "/lib 0777 0:0 -> ../../usr/lib",
            "/self 0755 0:0 \"s\"",
            "/up 0777 0:0 -> ../../../etc/passwd",
            "/usr 0755 0:0 directory",
            "/usr/lib 0755 0:0 directory",
            "/usr/lib/a 0755 0:0 \"a\"",
            "/usr/lib/deep 0755 0:0 directory",
            "/usr/lib/deep/b 0755 0:0 \"b\"",
        ]
    );
}

/// Two images of one index each, which share a layer.
fn two(place: &Place) -> (Image, Image) {
    let [lower, upper] = <[_; 2]>::try_from(layers()).unwrap();
    let mut blobs = Blobs::default();
    let mut index = |layers: &[Vec<u8>]| {
        let amd64 = blobs.image_of("amd64", layers);
        let other = blobs.image("arm64", b"other");
        blobs.index(&[amd64, other])
    };
    let indexes = [index(std::slice::from_ref(&lower)), index(&[lower, upper])];
    let image_at = |top: &Value| {
        let descriptor =
            json!({ "mediaType": INDEX, "digest": top["digest"], "size": top["size"] });
        image(place, &blobs, &descriptor)
    };
    (image_at(&indexes[0]), image_at(&indexes[1]))
}

/// Lines of the store's own files, with digests by what they are of.
fn golden(place: &Place) -> String {
    let (one, other) = two(place);
    let both = [
        asked("one", &one, &["example.org/one:1", "example.org/one:2"]),
        asked("other", &other, &["example.org/other:1"]),
    ];
    let nodes = nodes(&place.store, &both).unwrap();
    let mut text = String::new();
    for (path, node) in nodes {
        if path.as_str().contains("/diff/") {
            continue;
        }
        text += &match path.name().strip_prefix('=') {
            Some(item) => {
                let item = String::from_utf8(STANDARD.decode(item).unwrap()).unwrap();
                format!(
                    "{}/={item} {}\n",
                    path.parent().unwrap(),
                    Digest::sha256(&bytes(&node))
                )
            }
            None if path.name() == "manifest" => {
                format!("{path} {}\n", Digest::sha256(&bytes(&node)))
            }
            None if path.as_str().ends_with(".json") => {
                let list: Value = serde_json::from_slice(&bytes(&node)).unwrap();
                format!("{path} {list:#}\n")
            }
            None => line(&(path, node)) + "\n",
        };
    }
    for (name, image) in [("ONE", &one), ("OTHER", &other)] {
        let identity = format!(
            "nodeimg flattened container image {}",
            image.manifest.digest
        );
        let layer = Digest::sha256(identity.as_bytes());
        text = text.replace(&link_name(layer.hex()), &format!("LINK-{name}"));
        for (what, digest) in [
            ("CONFIG", &image.config.digest),
            ("MANIFEST", &image.manifest.digest),
            ("INDEX", &image.top.digest),
            ("LAYER", &layer),
        ] {
            text = text.replace(digest.hex(), &format!("{what}-{name}"));
        }
    }
    text.replace(DIRECTORY, "")
}

#[test]
fn two_images_are_the_pinned_store_every_time() {
    let text = golden(&place());
    assert_eq!(golden(&place()), text);
    assert_eq!(text, include_str!("tests/two.txt"), "{text}");
}

#[test]
fn a_link_is_base32_of_a_hash_of_its_layer() {
    // printf 'link x' | sha256sum | xxd -r -p | base32
    assert_eq!(link_name("x"), "JUJQ5YVMRE3TURNEJYET3GR4F5");
}

#[test]
fn a_store_is_asked_for_an_image_by_every_name() {
    let place = place();
    let (one, other) = two(&place);
    let both = [
        asked("one", &one, &["a.b/one:1"]),
        asked("again", &one, &["a.b/again:1"]),
        asked("other", &other, &["a.b/other:1"]),
    ];
    let nodes = nodes(&place.store, &both).unwrap();
    let list = |name: &str| -> Vec<Value> {
        let found = nodes.iter().find(|(path, _)| path.name() == name).unwrap();
        serde_json::from_slice(&bytes(&found.1)).unwrap()
    };
    let images = list("images.json");
    assert_eq!(images.len(), 2);
    let first = images
        .iter()
        .find(|image| image["id"] == one.config.digest.hex())
        .unwrap();
    assert_eq!(first["names"], json!(["a.b/one:1", "a.b/again:1"]));
    let digests = first["big-data-digests"].as_object().unwrap();
    for blob in [&one.top, &one.manifest] {
        assert_eq!(
            digests[&format!("manifest-{}", blob.digest)],
            blob.digest.to_string()
        );
    }
    // What is pulled later must not rest on a layer of this store: no digest of a layer,
    // packed or not, is one of its layers'.
    let layers = list("layers.json");
    assert_eq!(layers.len(), 2);
    for layer in &layers {
        let text = layer.to_string();
        for image in [&one, &other] {
            let packed = image.layers.iter().map(|layer| &layer.digest);
            for digest in packed.chain(&image.diff_ids) {
                assert!(!text.contains(digest.hex()), "{text}");
            }
        }
        let keys: Vec<&String> = layer.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["created", "diff-size", "id", "toc-digest"]);
    }
}

#[test]
fn what_a_store_cannot_hold_is_refused_by_name() {
    let place = place();
    for (members, needles) in [
        (
            vec![special(b'3', "dev/null", "")],
            ["`dev/null`", "device node"],
        ),
        (
            vec![special(b'4', "dev/sda", "")],
            ["`dev/sda`", "device node"],
        ),
        (
            vec![special(b'6', "run/fifo", "")],
            ["`run/fifo`", "named pipe"],
        ),
        (
            vec![file("a/../b", "")],
            ["`a/../b`", "leaves the image's root"],
        ),
        (vec![special(b'1', "a", "b")], ["`a`", "hard link to `b`"]),
        (
            vec![file("a", ""), file("a/b", "")],
            ["`a/b`", "not a directory"],
        ),
        (
            vec![
                special(b'2', "a", "b"),
                special(b'2', "b", "a"),
                file("a/c", ""),
            ],
            ["`a/c`", "in a circle"],
        ),
        (vec![special(b'S', "a", "")], ["`a`", "sparse"]),
        (
            vec![pax(&[("size", b"8589934592")]), file("a", "")],
            ["`a`", "8 GiB"],
        ),
        (vec![file("a\nb", "")], ["cannot hold", "control character"]),
    ] {
        let told = refusal(&place, &members);
        for needle in needles.iter().chain(&["baking the container image x: "]) {
            assert!(told.contains(needle), "{needle}: {told}");
        }
    }
}

#[test]
fn a_layer_that_its_configuration_does_not_know_is_refused() {
    let place = place();
    let (mut one, other) = two(&place);
    one.diff_ids[0] = other.diff_ids[1].clone();
    let error = nodes(&place.store, &[asked("one", &one, &[])]).unwrap_err();
    assert!(
        format!("{error:#}").contains("the image's configuration says"),
        "{error:#}"
    );
}

#[test]
fn a_store_that_lacks_a_part_is_found() {
    let place = place();
    let whole = one(&place, &layers()).unwrap();
    let tree = |left_out: &str| {
        let mut tree = Tree::default();
        for (path, node) in &whole {
            if !path.as_str().ends_with(left_out) || left_out.is_empty() {
                tree.insert(path.clone(), node.clone()).unwrap();
            }
        }
        tree
    };
    assert_eq!(problems(&tree("")).unwrap(), [""; 0]);
    for part in [
        "/images.lock",
        "/layers.lock",
        "/images.json",
        "/layers.json",
        "/manifest",
        "/link",
    ] {
        let told = problems(&tree(part)).unwrap();
        assert!(told[0].contains(part), "{part}: {told:?}");
    }
}

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
    let mut to = std::fs::File::create(directory.join("image")).unwrap();
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
