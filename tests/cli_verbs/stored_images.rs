//! Container images in an image with CRI-O: the store is in what is built, its
//! configuration names it, and a damaged one stops the build.

use std::fs;

use nodeimg_test_support::archive::{file, pax, special, tar};
use nodeimg_test_support::image::{Extracted, listed};
use nodeimg_test_support::layout::Blobs;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::World;

const STORE: &str = "/usr/lib/containers/storage";
const ARTIFACT: &str = r#"
[[artifact]]
name = "tool"
kind = "oci_image"
image = "example.org/tool:1"
source = "layout"
as = ["example.org/other:2"]
"#;

/// A recipe that bakes an image of these layers; not locked yet.
fn world(layers: &[Vec<u8>], more: &str) -> World {
    let mut world = super::runtimes::world();
    let text = format!("{}{ARTIFACT}{more}", world.recipe);
    world.write_recipe(&text);
    let mut blobs = Blobs::default();
    let both = ["amd64", "arm64"].map(|arch| blobs.image_of(arch, layers));
    let index = blobs.index(&both);
    blobs.layout(&world.path("layout"), &[index]);
    world.lock();
    world
}

fn layers() -> Vec<Vec<u8>> {
    let lower = tar(&[
        special(b'5', "etc", "").mode(0o755),
        file("etc/shadow", "root::").mode(0o640),
        file("etc/gone", ""),
        file("etc/text", "{{ node_ip }}"),
    ]);
    let upper = tar(&[
        file("etc/.wh.gone", ""),
        pax(&[("uid", b"65532"), ("gid", b"7")]),
        file("bin/su", "su").mode(0o4755),
    ]);
    vec![lower, upper]
}

#[test]
fn an_image_with_crio_holds_a_store_and_says_where() {
    let world = world(&layers(), "");
    Ran::of(&mut world.build()).good();
    let image = world.image("amd64");
    let sums = fs::read_to_string(image.join("SHA256SUMS")).unwrap();
    Ran::of(world.build().args(["--force", "--offline"])).good();
    let again = fs::read_to_string(image.join("SHA256SUMS")).unwrap();
    assert_eq!(again, sums);

    let lines = listed(&image);
    let found = |end: &str| {
        let below = |path: &str| path.starts_with(STORE) && path.ends_with(end);
        let mut lines = lines.iter().filter(|line| below(&line.path));
        let line = lines.next();
        line.map(|line| format!("{} {}", line.mode, line.owner))
    };
    for (end, wanted) in [
        ("/diff/bin/su", Some("-rwsr-xr-x 65532/7")),
        ("/diff/etc/shadow", Some("-rw-r----- 0/0")),
        ("/diff/etc/gone", None),
        ("/diff/etc/text", Some("-rwxr-xr-x 0/0")),
        ("/overlay-images/images.lock", Some("-rw-r--r-- 0/0")),
        ("/overlay-layers/layers.lock", Some("-rw-r--r-- 0/0")),
    ] {
        assert_eq!(found(end).as_deref(), wanted, "{end}");
    }
    let extracted = Extracted::of(&image);
    assert!(!extracted.path("/usr/lib/nodeimg/images").exists());
    // With a read-only store and `internal_repair`, the first crash of CRI-O would wipe
    // every pulled image below its containers.
    let drop_in = extracted.text("/etc/crio/crio.conf.d/10-nodeimg.conf");
    for part in [
        &format!("storage_option = [\"overlay.imagestore={STORE}\"]"),
        "internal_repair = false",
        "\"example.org/tool:1\"",
        "\"example.org/other:2\"",
    ] {
        assert!(drop_in.contains(part), "{part}:\n{drop_in}");
    }
}

#[test]
fn a_damaged_store_or_a_device_node_stops_the_build() {
    let list = format!("{STORE}/overlay-images/images.json");
    let damaged = format!("\n[[file]]\npath = \"{list}\"\ncontent = \"{{\"\n");
    let device = [tar(&[special(b'3', "dev/null", "")])];
    for (layers, more, needles) in [
        (
            &layers()[..],
            damaged.as_str(),
            [list.as_str(), "cannot be read"],
        ),
        (
            &device[..],
            "",
            ["container image tool", "`dev/null`: is a device node"],
        ),
    ] {
        let world = world(layers, more);
        Ran::of(&mut world.build()).refused(1, &needles);
    }
}
