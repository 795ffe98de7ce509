use std::collections::BTreeMap;
use std::fs;

use super::{events, identity};
use nodeimg_test_support::archive::{program, sha256, sha512};
use nodeimg_test_support::run::{Ran, nodeimg};
use nodeimg_test_support::synthetic::{ARTIFACTS, World, body};

/// The entries by artifact and architecture, and the epoch.
fn entries(text: &str) -> (BTreeMap<String, toml::Table>, i64) {
    let table: toml::Table = text.parse().unwrap();
    let list = table["artifact"].as_array().unwrap().iter();
    let entries = list.map(|entry| {
        let entry = entry.as_table().unwrap().clone();
        let word = |key: &str| entry[key].as_str().unwrap().to_owned();
        (format!("{} {}", word("name"), word("arch")), entry)
    });
    (entries.collect(), table["epoch"].as_integer().unwrap())
}

/// Other bytes at the same URLs.
fn publish_anew(world: &World, name: &str, version: &str) {
    for arch in ["amd64", "arm64"] {
        world.serve(
            name,
            version,
            arch,
            &program(arch, &format!("{name} again")),
        );
    }
}

#[test]
fn a_lock_pins_every_artifact_for_both_architectures() {
    let world = World::new();
    world.lock();
    let (entries, epoch) = entries(&world.lock_text());
    assert_eq!((entries.len(), epoch), (2 * ARTIFACTS.len(), 1_790_000_000));
    for (name, version) in ARTIFACTS {
        for arch in ["amd64", "arm64"] {
            let entry = &entries[&format!("{name} {arch}")];
            let bytes = body(name, arch);
            assert_eq!(
                entry["sha256"].as_str(),
                Some(sha256(&bytes).as_str()),
                "{name}"
            );
            assert_eq!(
                entry["size"].as_integer(),
                Some(i64::try_from(bytes.len()).unwrap())
            );
            assert_eq!(entry["version"].as_str(), Some(version));
            let published = (name == "kubernetes").then(|| sha512(&bytes));
            let pinned = entry.get("sha512").map(|v| v.as_str().unwrap().to_owned());
            assert_eq!(pinned, published, "{name}");
        }
    }
}

#[test]
fn a_lock_is_written_only_if_its_text_changes() {
    let mut world = World::new();
    world.lock();
    let path = world.path("recipe.lock");
    let (before, requests) = (identity(&path), world.server.seen().len());
    // Another time of day is not a reason.
    let mut again = world.nodeimg("lock");
    let ran = Ran::of(again.env("SOURCE_DATE_EPOCH", "1800000000")).good();
    assert!(ran.err.contains("nothing to change in"), "{}", ran.err);
    assert_eq!(identity(&path), before);
    assert_eq!(
        world.server.seen().len(),
        requests,
        "a lock that fits asks nobody"
    );

    // Nor is what no artifact depends on.
    world.edit("max_pods = 16", "max_pods = 32");
    world.lock();
    assert_eq!(identity(&path), before);

    // Pinned again, but to the same.
    let ran = Ran::of(world.nodeimg("lock").args(["--json", "--update"])).good();
    let event = &events(&ran.out)[..].last().unwrap().clone();
    assert_eq!(event["changed"], false, "{event}");
    assert_eq!(identity(&path), before);

    // A new version is.
    publish_anew(&world, "runc", "1.5.0");
    world.edit("\"1.4.3\"", "\"1.5.0\"");
    let ran = Ran::of(&mut world.nodeimg("lock")).good();
    assert!(
        ran.err.contains("wrote ./recipe.lock (10 entries)"),
        "{}",
        ran.err
    );
    assert_ne!(identity(&path), before);
}

#[test]
fn update_of_one_artifact_touches_no_other() {
    let world = World::new();
    world.lock();
    let (before, _) = entries(&world.lock_text());
    publish_anew(&world, "runc", "1.4.3");
    publish_anew(&world, "crictl", "1.36.0");
    // Who does not ask gets the old pins.
    world.lock();
    assert_eq!(entries(&world.lock_text()).0, before);

    let requests = world.server.seen().len();
    let mut update = world.nodeimg("lock");
    update
        .args(["--update", "runc"])
        .env("SOURCE_DATE_EPOCH", "1800000000");
    Ran::of(&mut update).good();
    let (after, epoch) = entries(&world.lock_text());
    let changed: Vec<_> = before
        .keys()
        .filter(|key| before[*key] != after[*key])
        .collect();
    assert_eq!(changed, ["runc amd64", "runc arm64"]);
    assert_eq!(
        epoch, 1_800_000_000,
        "the image's time moves with what is in it"
    );
    assert_eq!(
        after["runc arm64"]["sha256"].as_str().unwrap(),
        sha256(&program("arm64", "runc again"))
    );
    let asked: Vec<_> = world.server.seen()[requests..]
        .iter()
        .map(|s| s.target.clone())
        .collect();
    assert!(
        asked
            .iter()
            .all(|target| target.starts_with("/up.test/runc/")),
        "{asked:?}"
    );
}

#[test]
fn update_to_a_version_edits_the_recipe_and_keeps_its_comments() {
    let world = World::new();
    world.lock();
    publish_anew(&world, "runc", "1.5.0");
    let before = world.recipe.clone();
    Ran::of(world.nodeimg("lock").args(["--update", "runc=1.5.0"])).good();
    let after = fs::read_to_string(world.path("recipe.toml")).unwrap();
    let want = before.replace("\"1.4.3\" # the newest one", "\"1.5.0\" # the newest one");
    assert_eq!(after, want);
    assert_eq!(
        entries(&world.lock_text()).0["runc amd64"]["version"].as_str(),
        Some("1.5.0")
    );
    Ran::of(world.nodeimg("lock").arg("--check")).good();
}

/// An artifact of the recipe that this one extends gets an entry of its own.
#[test]
fn update_to_a_version_in_a_recipe_that_extends() {
    let mut world = World::new();
    fs::write(world.path("base.toml"), &world.recipe).unwrap();
    world.write_recipe("# mine\nextends = \"base.toml\"\nname = \"mine\"\n");
    world.lock();
    publish_anew(&world, "runc", "1.5.0");
    Ran::of(world.nodeimg("lock").args(["--update", "runc=1.5.0"])).good();
    let after = fs::read_to_string(world.path("recipe.toml")).unwrap();
    assert!(after.starts_with(&world.recipe), "{after}");
    assert!(
        after.contains("[[artifact]]\nname = \"runc\"\nversion = \"1.5.0\"\n"),
        "{after}"
    );
    Ran::of(world.nodeimg("lock").arg("--check")).good();
    Ran::of(&mut world.build()).good();
}

#[test]
fn check_says_whether_the_lock_fits_and_touches_nothing() {
    let mut world = World::locked();
    let path = world.path("recipe.lock");
    let before = identity(&path);
    let ran = Ran::of(world.nodeimg("lock").arg("--check")).good();
    assert!(ran.err.contains("matches the recipe"), "{}", ran.err);
    world.edit("\"1.4.3\"", "\"1.5.0\"");
    Ran::of(world.nodeimg("lock").arg("--check")).refused(1, &["artifact.runc.version", "1.5.0"]);
    assert_eq!(identity(&path), before);
    assert!(world.server.seen().is_empty());
}

/// Digests from elsewhere pin what this machine cannot reach.
#[test]
fn digests_that_are_known_need_no_server() {
    let world = World::new();
    let lines: Vec<String> = ARTIFACTS
        .iter()
        .flat_map(|(name, version)| {
            ["amd64", "arm64"].map(|arch| {
                let digest = match *name {
                    "crictl" => sha512(&body(name, arch)),
                    _ => sha256(&body(name, arch)),
                };
                format!("{digest}  https://up.test/{name}/{version}/{arch}")
            })
        })
        .collect();
    let file = world.path("digests.txt");
    fs::write(&file, format!("# from a friend\n\n{}\n", lines.join("\n"))).unwrap();
    let mut lock = world.nodeimg("lock");
    Ran::of(lock.arg("--digests").arg(&file)).good();
    assert!(world.server.seen().is_empty());
    let (entries, _) = entries(&world.lock_text());
    assert!(entries["crictl amd64"].get("sha256").is_none());
    Ran::of(&mut world.build()).good();

    // A wrong line is refused with its number.
    for (line, says) in [
        ("abc  https://up.test/x", "neither a SHA-256 nor a SHA-512"),
        ("nonsense", "expected `HEX  URL`"),
    ] {
        fs::write(&file, format!("# one\n{line}\n")).unwrap();
        let mut lock = world.nodeimg("lock");
        Ran::of(lock.arg("--digests").arg(&file)).refused(1, &["digests.txt:2", says]);
    }
}

#[test]
fn a_built_in_lock_is_not_written() {
    Ran::of(nodeimg().args(["lock", "--recipe", "hard-way"])).refused(
        1,
        &[
            "`hard-way` is built in",
            "`nodeimg init DIR`",
            "--lock FILE",
        ],
    );
}

/// A checkout with `core.autocrlf`.
#[test]
fn a_lock_with_other_line_ends_is_the_same_lock() {
    let world = World::locked();
    let path = world.path("recipe.lock");
    let text = world.lock_text().replace('\n', "\r\n");
    fs::write(&path, &text).unwrap();
    Ran::of(world.nodeimg("lock").arg("--check")).good();
    let ran = Ran::of(&mut world.nodeimg("lock")).good();
    assert!(ran.err.contains("nothing to change in"), "{}", ran.err);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

/// Played indexes of every kind of source but Debian's; all are asked through the mirror.
#[test]
fn newer_versions_are_listed_with_who_was_asked() {
    let mut world = World::locked();
    world.edit(
        "https://up.test/runc/{version}/{arch}",
        "https://github.com/opencontainers/runc/releases/download/v{version}/runc.{arch}",
    );
    world.edit(
        "url = \"https://up.test/kubernetes/{version}/{arch}\"",
        "url = \"https://dl.k8s.io/v{version}/{arch}.tar.gz\"",
    );
    world.edit(
        "[[artifact]]\nname = \"crictl\"",
        "[[artifact]]\nname = \"pause\"\nkind = \"oci_image\"\nimage = \"registry.k8s.io/pause:3.10\"\n\n[[artifact]]\nname = \"crictl\"",
    );
    let feed = "<feed><link href=\"https://github.com/opencontainers/runc/releases/tag/v1.5.0-rc.1\"/>\
                <link href=\"https://github.com/opencontainers/runc/releases/tag/v1.4.12\"/></feed>";
    world.server.serve(
        "/github.com/opencontainers/runc/releases.atom",
        feed.as_bytes(),
    );
    world
        .server
        .serve("/dl.k8s.io/release/stable.txt", b"v1.37.2\n");
    world
        .server
        .serve("/dl.k8s.io/release/stable-1.36.txt", b"v1.36.5\n");
    let tags = br#"{"name":"pause","tags":["3.9","3.10","3.11","latest"]}"#;
    world
        .server
        .serve("/registry.k8s.io/v2/pause/tags/list", tags);
    let outdated = |world: &World, more: &[&str]| {
        let mut lock = world.nodeimg("lock");
        lock.env(
            "NODEIMG_MIRROR",
            format!("https://={}", world.server.url("/")),
        );
        Ran::of(lock.arg("--outdated").args(more))
    };
    let before = world.lock_text();
    let told = outdated(&world, &["--json"]).good();
    let newest: Vec<String> = super::events(&told.out)
        .iter()
        .filter(|event| event["event"] == "outdated")
        .map(|event| {
            assert!(
                event["asked"]
                    .as_str()
                    .unwrap()
                    .starts_with("http://127.0.0.1"),
                "{event}"
            );
            format!("{} {} {}", event["name"], event["pinned"], event["newest"]).replace('"', "")
        })
        .collect();
    assert_eq!(
        newest,
        [
            "kubernetes 1.36.0 1.36.5",
            "kubernetes 1.36.0 1.37.2",
            "runc 1.4.3 1.4.12",
            "pause 3.10 3.11"
        ]
    );
    assert_eq!(world.lock_text(), before);
    let text = outdated(&world, &[]).good().err;
    assert!(
        text.contains("crictl: https://up.test/crictl/")
            && text.contains("has no list of versions"),
        "{text}"
    );
    // Who does not answer is named.
    let mut lock = world.nodeimg("lock");
    lock.env("NODEIMG_MIRROR", "https://=http://127.0.0.1:9/")
        .args(["--outdated", "--retries", "0"]);
    Ran::of(&mut lock).refused(
        1,
        &[
            "not everybody answered",
            "stable.txt",
            "stable-1.36.txt",
            "releases.atom",
            "tags/list",
            "127.0.0.1:9",
        ],
    );
}

/// A registry that sends its tags in pages of 50: the newest one is on the second.
#[test]
fn a_list_of_tags_in_pages_is_read_to_its_end() {
    let mut world = World::locked();
    world.edit(
        "[[artifact]]\nname = \"crictl\"",
        "[[artifact]]\nname = \"pause\"\nkind = \"oci_image\"\nimage = \"registry.k8s.io/pause:3.10\"\n\n[[artifact]]\nname = \"crictl\"",
    );
    let list = |from: u32, to: u32| {
        let tags: Vec<_> = (from..to).map(|minor| format!("\"3.{minor}\"")).collect();
        format!("{{\"name\":\"pause\",\"tags\":[{}]}}", tags.join(","))
    };
    let place = "/registry.k8s.io/v2/pause/tags/list";
    world.server.serve(place, list(0, 50).as_bytes());
    let second = format!("{place}?n=1000&last=3.49");
    world.server.serve(&second, list(50, 53).as_bytes());
    let mut lock = world.nodeimg("lock");
    lock.env(
        "NODEIMG_MIRROR",
        format!("https://={}", world.server.url("/")),
    );
    let told = Ran::of(lock.args(["--outdated", "--json"])).good();
    let events = super::events(&told.out);
    let outdated = |event: &&serde_json::Value| event["event"] == "outdated";
    let pause = events.iter().find(outdated).unwrap();
    assert_eq!(pause["newest"], "3.52", "{pause}");
}
