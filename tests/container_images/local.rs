use std::fs;

use super::{archive, manifest, members, pause, pinned, world};
use nodeimg_test_support::layout::{self, Blobs, saved};
use nodeimg_test_support::run::Ran;

#[test]
fn an_oci_layout_beside_the_recipe_is_an_image() {
    let (blobs, top) = pause();
    let world = world(
        "example.org/pause:1",
        "source = \"layout\"\nas = [\"example.org/other:2\"]",
    );
    let size = blobs.0[&top].len();
    let index = serde_json::json!({ "mediaType": layout::INDEX, "digest": top, "size": size });
    blobs.layout(&world.path("layout"), &[index]);
    world.lock();
    assert_eq!(pinned(&world), [top.clone(), top.clone()]);
    Ran::of(&mut world.build()).good();
    let first = archive(&world);
    let image = &manifest(&world.image("amd64"))["container_images"][0];
    let wanted = [
        "example.org/pause:1".to_owned(),
        format!("example.org/pause@{top}"),
        "example.org/other:2".to_owned(),
        format!("example.org/other@{top}"),
    ];
    assert_eq!(image["names"], serde_json::json!(wanted));
    // All of it is in the store: the layout may go.
    fs::remove_dir_all(world.path("layout")).unwrap();
    Ran::of(world.build().args(["--force", "--offline"])).good();
    assert_eq!(archive(&world), first);
    let mut other = world.nodeimg("build");
    Ran::of(other.args(["--arch", "arm64"])).refused(1, &["the image pause (arm64)", "layout"]);
}

#[test]
fn a_saved_image_is_for_one_architecture() {
    let world = world(
        "example.org/pause:1",
        "source = { amd64 = \"pause-amd64.tar\", arm64 = \"pause-arm64.tar\" }",
    );
    for arch in ["amd64", "arm64"] {
        let tar = saved(arch, &["example.org/pause:1"], arch.as_bytes());
        fs::write(world.path(&format!("pause-{arch}.tar")), tar).unwrap();
    }
    world.lock();
    let digests = pinned(&world);
    assert_ne!(digests[0], digests[1]);
    Ran::of(world.build().args(["--arch", "arm64"])).good();
    assert_eq!(members(&archive(&world)).len(), 5);
}

#[test]
fn a_source_that_changed_or_lacks_something_is_told() {
    let world = world("example.org/pause:1", "source = \"layout\"");
    let mut blobs = Blobs::default();
    let only = blobs.image("amd64", b"program");
    blobs.layout(&world.path("layout"), std::slice::from_ref(&only));
    world.lock();
    let mut other = Blobs::default();
    let changed = other.image("amd64", b"another");
    fs::remove_dir_all(world.path("layout")).unwrap();
    other.layout(&world.path("layout"), &[changed]);
    Ran::of(&mut world.build()).refused(1, &["the image pause (amd64)", "lock --update"]);
    Ran::of(world.nodeimg("lock").args(["--update", "pause"])).good();
    Ran::of(&mut world.build()).good();
    let mut arm64 = world.nodeimg("build");
    Ran::of(arm64.args(["--arch", "arm64"])).refused(1, &["for linux/amd64, not for linux/arm64"]);
    fs::remove_dir_all(world.path("layout")).unwrap();
    Ran::of(world.nodeimg("lock").args(["--update", "pause"])).refused(
        1,
        &["reading the image example.org/pause:1 from ", "layout"],
    );
}

#[test]
fn a_recipe_has_only_keys_that_go_with_the_kind() {
    let image = |keys: &str| format!("[[artifact]]\nname = \"x\"\nkind = \"oci_image\"\n{keys}\n");
    let name = "image = \"a.b/x:1\"\n";
    for (text, needles) in [
        (image(""), ["`image` is missing", "artifact.x"]),
        (image("image = \"https://a.b/x\""), ["is a URL", "image ="]),
        (image("image = \"A\""), ["lowercase", "image ="]),
        (
            image(&format!("{name}version = \"1\"")),
            ["artifact.x.version", "in `image`"],
        ),
        (
            image(&format!("{name}url = \"https://a.b/x\"")),
            ["artifact.x.url", "in `image`"],
        ),
        (
            image(&format!("{name}files = [{{ to = \"/x\" }}]")),
            ["artifact.x.files", "in `image`"],
        ),
        (
            image(&format!("{name}allow_setuid = true")),
            ["artifact.x.allow_setuid", "in `image`"],
        ),
        (
            image(&format!("{name}source = 7")),
            ["one path per architecture", "source = 7"],
        ),
        (
            format!("{}{}", image(name), image(name).replace("\"x\"", "\"y\"")),
            ["artifact.y", "is already baked by the artifact `x`"],
        ),
        (
            "[[artifact]]\nname = \"runc\"\nimage = \"a.b/x:1\"\n".to_owned(),
            ["artifact.runc.image", "oci_image"],
        ),
    ] {
        let world = nodeimg_test_support::synthetic::World::new();
        fs::write(
            world.path("mine.toml"),
            format!("extends = \"./recipe.toml\"\n{text}"),
        )
        .unwrap();
        let mut check = world.bare("recipe");
        Ran::of(check.args(["show", "-r", "./mine.toml"])).refused(1, &needles);
    }
}

#[test]
fn the_sandbox_image_must_be_the_baked_one() {
    let (blobs, top) = pause();
    let index = serde_json::json!({ "mediaType": layout::INDEX, "digest": top, "size": blobs.0[&top].len() });
    let warning = "the first pod has to wait for its registry";
    for (sandbox, names, wanted) in [
        ("example.org/pause:1", "", Ok("")),
        (
            "docker.io/other/pause:2",
            "as = [\"other/pause:2\"]",
            Ok(""),
        ),
        ("example.org/infra:1", "", Ok(warning)),
        (
            "example.org/pause:2",
            "",
            Err("artifact.pause bakes `example.org/pause:1`"),
        ),
        ("mirror.example/pause:1", "", Err("artifact.pause bakes")),
        ("No Name", "", Err("sandbox_image: ")),
    ] {
        let mut world = world(
            "example.org/pause:1",
            &format!("source = \"layout\"\n{names}"),
        );
        world.edit(
            "profile = ",
            &format!("sandbox_image = \"{sandbox}\"\nprofile = "),
        );
        blobs.layout(&world.path("layout"), std::slice::from_ref(&index));
        world.lock();
        let ran = Ran::of(&mut world.build());
        match wanted {
            Ok(wanted) => {
                let ran = ran.good();
                assert_eq!(
                    ran.err.contains(warning),
                    !wanted.is_empty(),
                    "{sandbox}: {}",
                    ran.err
                );
            }
            Err(wanted) => drop(ran.refused(1, &[wanted])),
        }
    }
}

#[test]
fn images_without_their_importer_are_no_image() {
    let (blobs, top) = pause();
    let index = serde_json::json!({ "mediaType": layout::INDEX, "digest": top, "size": blobs.0[&top].len() });
    let mut world = world("example.org/pause:1", "source = \"layout\"");
    blobs.layout(&world.path("layout"), &[index]);
    world.edit("/usr/bin/ctr", "/usr/bin/other");
    world.lock();
    Ran::of(&mut world.build()).refused(
        1,
        &[
            "artifact.pause",
            "`/usr/bin/ctr`, which imports container images, is missing",
        ],
    );
}
