#![allow(clippy::unwrap_used)]
use serde_json::{Value, json};

use super::*;

fn digest() -> String {
    Digest::sha256(b"").to_string()
}

fn descriptor(media_type: &str) -> Value {
    json!({ "mediaType": media_type, "digest": digest(), "size": 7 })
}

fn manifest(config: &str, layers: &[&str]) -> Value {
    let layers: Vec<Value> = layers.iter().map(|layer| descriptor(layer)).collect();
    json!({ "schemaVersion": 2, "config": descriptor(config), "layers": layers })
}

fn index(platforms: &[(&str, &str, &str)]) -> Value {
    let of = |(os, architecture, variant): &(&str, &str, &str)| {
        let mut found = descriptor(MANIFEST);
        found["platform"] = json!({ "os": os, "architecture": architecture, "variant": variant });
        found
    };
    let manifests: Vec<Value> = platforms.iter().map(of).collect();
    json!({ "schemaVersion": 2, "manifests": manifests })
}

fn with(mut document: Value, key: &str, value: Value) -> Value {
    document[key] = value;
    document
}

fn parse(document: &Value, told: Option<&str>) -> Result<Document> {
    Document::parse(document.to_string().as_bytes(), told)
}

#[test]
fn both_kinds_of_both_makers_are_read() {
    let image = manifest(CONFIG, &LAYERS);
    let docker = manifest(DOCKER_CONFIG, &[LAYERS[4]]);
    for (document, told) in [
        (image.clone(), None),
        (image.clone(), Some(MANIFEST)),
        (with(image, "mediaType", MANIFEST.into()), None),
        (docker.clone(), Some(DOCKER_MANIFEST)),
        (
            with(docker, "mediaType", DOCKER_MANIFEST.into()),
            Some(DOCKER_MANIFEST),
        ),
    ] {
        let read = parse(&document, told).unwrap();
        let Document::Manifest(manifest) = read else {
            panic!("{document} is not a manifest")
        };
        assert_eq!(manifest.config.size, 7);
        let wanted = document["mediaType"].as_str().or(told).unwrap_or(MANIFEST);
        assert_eq!(manifest.media_type, wanted);
    }
    let list = index(&[("linux", "amd64", "")]);
    for told in [None, Some(INDEX), Some(DOCKER_LIST)] {
        assert!(matches!(parse(&list, told).unwrap(), Document::Index(_)));
    }
}

#[test]
fn what_cannot_be_run_is_refused_by_name() {
    let image = manifest(CONFIG, &[LAYER]);
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let elsewhere = {
        let mut image = image.clone();
        image["layers"][0]["urls"] = json!(["https://example.com/layer"]);
        image
    };
    let huge = {
        let mut image = image.clone();
        image["config"]["size"] = json!(MAX_DOCUMENT + 1);
        image
    };
    let both = with(image.clone(), "manifests", json!([]));
    for (document, told, wanted) in [
        (
            json!({ "schemaVersion": 1, "fsLayers": [] }),
            None,
            "schema 1",
        ),
        (
            json!({ "errors": [{ "code": "DENIED", "message": "license\u{7} expired" }] }),
            None,
            r#"an error in its place: "license\u{7} expired""#,
        ),
        (
            json!({ "errors": [{ "code": "DENIED" }, { "code": "X" }] }),
            None,
            r#"in its place: "DENIED; X""#,
        ),
        (json!([]), None, "neither"),
        (json!({}), None, "without `config`"),
        (
            json!({ "schemaVersion": 2 }),
            Some(INDEX),
            "without `manifests`",
        ),
        (both, None, "not clear"),
        (image.clone(), Some(INDEX), "without `manifests`"),
        (
            image.clone(),
            Some("application/json"),
            "`application/json`",
        ),
        (
            with(image, "mediaType", DOCKER_MANIFEST.into()),
            Some(MANIFEST),
            "announced as",
        ),
        (
            manifest("application/vnd.cncf.helm.config.v1+json", &[]),
            None,
            "helm",
        ),
        (manifest(CONFIG, &[foreign]), None, "stored elsewhere"),
        (
            manifest(
                CONFIG,
                &["application/vnd.oci.image.layer.v1.tar+encrypted"],
            ),
            None,
            "+encrypted",
        ),
        (elsewhere, None, "stored elsewhere"),
        (huge, None, "longer than"),
    ] {
        let error = format!("{:#}", parse(&document, told).unwrap_err());
        assert!(error.contains(wanted), "{document}: {error}");
    }
}

fn selected(document: &Value, arch: Arch) -> Result<usize> {
    let Document::Index(index) = parse(document, None)? else {
        panic!("{document} is not an index")
    };
    let found = index.select(arch)?;
    Ok(index.manifests.iter().position(|one| one == found).unwrap())
}

#[test]
fn the_platform_decides() {
    let many = index(&[
        ("windows", "amd64", ""),
        ("linux", "amd64", "v3"),
        ("linux", "arm", "v7"),
        ("linux", "arm64", "v8"),
        ("linux", "amd64", ""),
        ("unknown", "unknown", ""),
    ]);
    assert_eq!(selected(&many, Arch::Arm64).unwrap(), 3);
    assert_eq!(selected(&many, Arch::Amd64).unwrap(), 4);
    let silent = json!({ "schemaVersion": 2, "manifests": [descriptor(MANIFEST)] });
    assert_eq!(selected(&silent, Arch::Arm64).unwrap(), 0);
}

#[test]
fn a_missing_platform_names_those_there_are() {
    let some = index(&[
        ("linux", "arm", "v7"),
        ("linux", "amd64", ""),
        ("unknown", "unknown", ""),
    ]);
    let error = selected(&some, Arch::Arm64).unwrap_err().to_string();
    assert_eq!(
        error,
        "it has no image for linux/arm64: it is for linux/amd64, linux/arm/v7"
    );
    let none = json!({ "schemaVersion": 2, "manifests": [] });
    let error = selected(&none, Arch::Arm64).unwrap_err().to_string();
    assert!(error.ends_with("no platform at all"), "{error}");
    let nested = json!({ "schemaVersion": 2, "manifests": [
        { "mediaType": INDEX, "digest": digest(), "size": 7,
          "platform": { "os": "linux", "architecture": "arm64" } } ] });
    let error = selected(&nested, Arch::Arm64).unwrap_err().to_string();
    assert!(error.contains("index in an index"), "{error}");
}

#[test]
fn the_configuration_is_held_against_machine_and_layers() {
    let config = json!({ "os": "linux", "architecture": "arm64", "rootfs": { "type": "layers", "diff_ids": [digest()] } });
    let bytes = config.to_string();
    diff_ids(bytes.as_bytes(), Arch::Arm64, 1).unwrap();
    for (arch, layers, wanted) in [
        (Arch::Amd64, 1, "for linux/arm64, not for linux/amd64"),
        (Arch::Arm64, 2, "1 layers, its manifest 2"),
    ] {
        let error = diff_ids(bytes.as_bytes(), arch, layers).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error:#}");
    }
    assert!(diff_ids(b"{}", Arch::Arm64, 0).is_err());
}
