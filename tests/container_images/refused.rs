use std::fs;

use super::registry::{BASIC, logins};
use super::{pause, world};
use nodeimg_test_support::layout::{self, Blobs};
use nodeimg_test_support::registry_server::{Auth, Registry};
use nodeimg_test_support::run::Ran;

#[test]
fn a_login_that_is_wanted_and_not_there_says_what_to_do() {
    let (blobs, top) = pause();
    let empty = r#"{"auths":{"HOST":{}},"credsStore":"desktop"}"#;
    let wrong = r#"{"auths":{"HOST":{"auth":"dXNlcjpodW50ZXIy"}}}"#;
    let broken = r#"{"auths":{"HOST":{"auth":"hunter2"}}}"#;
    for auth in [
        Auth::Basic(BASIC.to_owned()),
        Auth::Token(Some(BASIC.to_owned())),
    ] {
        let registry = Registry::start(auth);
        registry.serve("pause", &blobs.0, "1", &top);
        let host = registry.address().to_string();
        let world = world(&format!("{host}/pause:1"), "");
        for (text, needles) in [
            (None, ["requires a login", "docker login"]),
            (Some(empty), ["`docker-credential-desktop`", "`auths` only"]),
            (Some(wrong), ["to the user of ", "log in again"]),
            (Some(broken), ["its `auth` is not the base64", "auth.json"]),
            (Some("{"), ["reading the logins", "line 1"]),
        ] {
            let path = world.path("auth.json");
            let _ = fs::remove_file(&path);
            if let Some(text) = text {
                fs::write(&path, text.replace("HOST", &host)).unwrap();
            }
            let mut lock = world.nodeimg("lock");
            let ran = Ran::of(lock.env("REGISTRY_AUTH_FILE", &path)).refused(1, &needles);
            assert!(
                ran.err.contains(&format!("resolving {host}/pause:1")),
                "{}",
                ran.err
            );
            for secret in ["hunter2", "dXNlcj"] {
                assert!(!ran.err.contains(secret), "{}", ran.err);
            }
        }
    }
}

#[test]
fn a_password_goes_to_no_service_of_another_kind() {
    let registry = Registry::start(Auth::Realm("ftp://thief.example/token".to_owned()));
    let world = world(&format!("{}/pause:1", registry.address()), "");
    let file = logins(&world, &registry.address().to_string());
    let mut lock = world.nodeimg("lock");
    Ran::of(lock.env("REGISTRY_AUTH_FILE", &file))
        .refused(1, &["not https", "ftp://thief.example/token"]);
}

#[test]
fn what_a_registry_may_send_instead() {
    let (blobs, top) = pause();
    let v1 = br#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#.to_vec();
    let page = b"<html>moved</html>".to_vec();
    for (bytes, needles) in [
        (None, ["404", "resolving"]),
        (Some(v1), ["schema 1", "push the image again"]),
        (
            Some(page),
            [
                "a web page (HTML) came in the place of the image",
                "resolving",
            ],
        ),
        (Some(b"{}".to_vec()), ["without `config`", "resolving"]),
        (Some(vec![b' '; 5 << 20]), ["4194304 bytes", "pause"]),
    ] {
        let registry = Registry::start(Auth::Open);
        if let Some(bytes) = &bytes {
            registry.put("/v2/pause/manifests/1", bytes);
        }
        let world = world(&format!("{}/pause:1", registry.address()), "");
        Ran::of(&mut world.nodeimg("lock")).refused(1, &needles);
    }
    // Every step of the chain is held to its digest.
    for broken in blobs.0.keys() {
        let registry = Registry::start(Auth::Open);
        let world = world(&format!("{}/pause:1", registry.address()), "");
        let hex = top.strip_prefix("sha256:").unwrap();
        let line = format!("{hex}  oci://{}/pause:1\n", registry.address());
        fs::write(world.path("known.txt"), line).unwrap();
        let mut bad = blobs.0.clone();
        let bytes = bad.get_mut(broken).unwrap();
        bytes[0] ^= 1;
        registry.serve("pause", &bad, "1", &top);
        Ran::of(world.nodeimg("lock").args(["--digests", "known.txt"])).good();
        let mut fetch = world.nodeimg("fetch");
        let ran = Ran::of(fetch.args(["--arch", "amd64", "--arch", "arm64"]));
        ran.refused(1, &["the image pause (", &format!("expected {broken}")]);
        assert_eq!(world.is_clean(), Ok(()));
    }
}

#[test]
fn an_image_for_another_machine_is_told() {
    let mut blobs = Blobs::default();
    let only = blobs.image("amd64", b"program");
    let index = blobs.index(std::slice::from_ref(&only));
    let lying = {
        let mut lying = only.clone();
        lying["platform"]["architecture"] = "arm64".into();
        blobs.index(&[lying])
    };
    for (top, needle) in [
        (
            &index,
            "it has no image for linux/arm64: it is for linux/amd64",
        ),
        (&only, "it is for linux/amd64, not for linux/arm64"),
        (&lying, "it is for linux/amd64, not for linux/arm64"),
    ] {
        let registry = Registry::start(Auth::Open);
        let top = top["digest"].as_str().unwrap();
        registry.serve("pause", &blobs.0, "1", top);
        let world = world(&format!("{}/pause:1", registry.address()), "");
        world.lock();
        let mut build = world.nodeimg("build");
        Ran::of(build.args(["--arch", "arm64"])).refused(1, &["the image pause (arm64): ", needle]);
    }
    // A chart under an image's name.
    let mut chart = Blobs::default();
    let config = chart.add("application/vnd.cncf.helm.config.v1+json", b"{}".to_vec());
    let manifest = serde_json::json!({ "schemaVersion": 2, "config": config, "layers": [] });
    let top = chart.add(layout::MANIFEST, manifest.to_string().into_bytes());
    let registry = Registry::start(Auth::Open);
    registry.serve("pause", &chart.0, "1", top["digest"].as_str().unwrap());
    let world = world(&format!("{}/pause:1", registry.address()), "");
    Ran::of(&mut world.nodeimg("lock")).refused(1, &["helm", "not an image that can be run"]);
}

#[test]
fn offline_names_what_is_missing_of_an_image() {
    let (blobs, top) = pause();
    let registry = Registry::start(Auth::Open);
    registry.serve("pause", &blobs.0, "1", &top);
    let world = world(&format!("{}/pause:1", registry.address()), "");
    world.lock();
    Ran::of(world.nodeimg("fetch").args(["--arch", "arm64"])).good();
    let asked = registry.asked().len();
    Ran::of(world.build().arg("--offline"))
        .refused(1, &["--offline forbids fetching", "nodeimg fetch"]);
    assert_eq!(registry.asked().len(), asked);
}
