//! In manifest and SBOMs.

use super::*;

/// Changes a file of the manifest.
fn listed(fixture: &Fixture, image: &Path, path: &str, change: impl Fn(&mut serde_json::Value)) {
    edit(image, "manifest.json", |value| {
        let files = value["files"].as_array_mut().unwrap();
        change(files.iter_mut().find(|file| file["path"] == path).unwrap());
    });
    fixture.tell(image, &[]);
}

/// Takes what `is` says out of both SBOMs.
fn unlisted(fixture: &Fixture, image: &Path, is: impl Fn(&str) -> bool) {
    edit(image, "sbom.spdx.json", |value| {
        let packages = value["packages"].as_array_mut().unwrap();
        packages.retain(|one| !is(one["name"].as_str().unwrap()));
    });
    edit(image, "sbom.cdx.json", |value| {
        let components = value["components"].as_array_mut().unwrap();
        components.retain(|one| !is(one["name"].as_str().unwrap()));
    });
    fixture.tell(image, &[]);
}

#[test]
fn in_manifest_and_sbom() {
    run(&[
        Case(
            "a mode",
            Step::Root,
            &["its mode is 0640", "0644", "`/etc/motd`"],
            |fixture, image| {
                listed(fixture, image, "/etc/motd", |file| {
                    file["mode"] = "0644".into()
                });
            },
        ),
        Case(
            "an owner",
            Step::Root,
            &["its owner is 0:0", "7:0", "`/etc/motd`"],
            |fixture, image| {
                listed(fixture, image, "/etc/motd", |file| file["uid"] = 7.into());
            },
        ),
        Case(
            "a target",
            Step::Root,
            &["its target is usr/bin", "`/bin`"],
            |fixture, image| {
                listed(fixture, image, "/bin", |file| {
                    file["target"] = "evil".into()
                });
            },
        ),
        Case(
            "a file less",
            Step::Root,
            &["does not list it", "`/etc/motd`"],
            |fixture, image| {
                edit(image, "manifest.json", |value| {
                    value["files"]
                        .as_array_mut()
                        .unwrap()
                        .retain(|file| file["path"] != "/etc/motd");
                });
                fixture.tell(image, &[]);
            },
        ),
        Case(
            "a file that is not there",
            Step::Root,
            &["not there", "`/etc/other`"],
            |fixture, image| {
                edit(image, "manifest.json", |value| {
                    let files = value["files"].as_array_mut().unwrap();
                    let mut other = files[0].clone();
                    other["path"] = "/etc/other".into();
                    files.push(other);
                });
                fixture.tell(image, &[]);
            },
        ),
        Case(
            "a package less",
            Step::Root,
            &["libx1 2.0-1", "sbom.spdx.json does not"],
            |fixture, image| {
                unlisted(fixture, image, |name| name == "libx1");
            },
        ),
        Case(
            "a package less in one",
            Step::Root,
            &["libx1 2.0-1", "sbom.cdx.json"],
            |fixture, image| {
                edit(image, "sbom.spdx.json", |value| {
                    value["packages"]
                        .as_array_mut()
                        .unwrap()
                        .retain(|one| one["name"] != "libx1");
                });
                fixture.tell(image, &[]);
            },
        ),
        Case(
            "another Go module",
            Step::Root,
            &["example.org/a/b", "v9.9.9"],
            |fixture, image| {
                for name in ["sbom.spdx.json", "sbom.cdx.json"] {
                    let path = image.join(name);
                    let text = fs::read_to_string(&path).unwrap();
                    fs::write(path, text.replace("v1.2.3", "v9.9.9")).unwrap();
                }
                fixture.tell(image, &[]);
            },
        ),
        Case(
            "another container image",
            Step::Root,
            &["container image", "which"],
            |fixture, image| {
                edit(image, "manifest.json", |value| {
                    value["container_images"][0]["manifest"] =
                        Digest::sha256(b"other").to_string().into();
                });
                fixture.tell(image, &[]);
            },
        ),
        Case(
            "an artifact more",
            Step::Root,
            &["artifact", "other 1"],
            |fixture, image| {
                edit(image, "manifest.json", |value| {
                    let mut other = value["artifacts"][0].clone();
                    other["name"] = "other".into();
                    other["sha256"] = Digest::sha256(b"other").to_string().into();
                    value["artifacts"].as_array_mut().unwrap().push(other);
                });
                fixture.tell(image, &[]);
            },
        ),
    ]);
}
