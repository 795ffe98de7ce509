use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use nodeimg_test_support::archive::{file, gz, program, sha256, sha512, tar};
use nodeimg_test_support::image::{Extracted, manifest};
use nodeimg_test_support::layout::{self, Blobs};
use nodeimg_test_support::place::top;
use nodeimg_test_support::run::{Ran, listing};
use nodeimg_test_support::synthetic::World;

/// Serves a tiny program for everything that a recipe's artifacts install,
/// with the checksum files that its publishers have.
fn serve_all(world: &World, shown: &Value, lock: &toml::Table) {
    let artifacts = shown["artifact"].as_array().unwrap();
    let mut checksums: BTreeMap<String, String> = BTreeMap::new();
    for entry in lock["artifact"].as_array().unwrap() {
        let word = |key: &str| entry[key].as_str().unwrap();
        let artifact = artifacts
            .iter()
            .find(|a| a["name"] == word("name"))
            .unwrap();
        let program = |name: &str| program(word("arch"), name);
        let body = if artifact["kind"] == "binary" {
            program(word("name"))
        } else {
            let rules = artifact["files"].as_array().unwrap().iter();
            let members = rules.map(|rule| {
                let from = rule["from"].as_str().unwrap();
                file(from, program(from))
            });
            gz(&tar(&members.collect::<Vec<_>>()))
        };
        let url = word("url").strip_prefix("https://").unwrap();
        world.server.serve(&format!("/{url}"), &body);
        let checksum = word("checksum").strip_prefix("https://").unwrap();
        let digest = if checksum.ends_with("sha512") {
            sha512(&body)
        } else {
            sha256(&body)
        };
        let line = format!("{digest}  {}\n", url.rsplit('/').next().unwrap());
        checksums
            .entry(format!("/{checksum}"))
            .or_default()
            .push_str(&line);
    }
    for (path, text) in checksums {
        world.server.serve(&path, text.as_bytes());
    }
}

/// `nodeimg` with recipes of this test's own.
fn own(world: &World, words: &[&str]) -> Command {
    let mut command = world.nodeimg(words[0]);
    // Drops the recipe that World gives to every verb: this test has its own.
    command = rebuilt(&command, words);
    command
}

fn rebuilt(command: &Command, words: &[&str]) -> Command {
    let mut own = nodeimg_test_support::run::nodeimg();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            own.env(name, value);
        }
    }
    own.current_dir(command.get_current_dir().unwrap())
        .args(words);
    own
}

#[test]
fn init_gives_a_recipe_to_build_and_to_change() {
    let world = World::new();
    let ran = Ran::of(&mut own(&world, &["init", "mine"])).good();
    assert!(
        ran.err
            .contains("nodeimg build --recipe mine/hard-way.toml"),
        "{}",
        ran.err
    );
    let files = [
        "hard-way.lock",
        "hard-way.toml",
        "overlay",
        "overlay/README.md",
        "overlay/root",
        "overlay/templates",
    ];
    assert_eq!(listing(&world.path("mine")), files);
    let text = fs::read_to_string(world.path("mine/hard-way.toml")).unwrap();
    assert!(
        text.contains("# Certificates and kubeconfigs come with the node's seed"),
        "comments are kept"
    );
    let outputs = text.find("\noutputs = ").unwrap();
    let before = text[..outputs].lines().last().unwrap();
    assert!(before.contains("docs/reference/recipe.md"), "{before}");
    // Its lock fits as it is.
    let recipe = ["--recipe", "mine/hard-way.toml"];
    Ran::of(own(&world, &["recipe", "check"]).args(recipe)).good();

    // An overlay is for a base of one's own: no mirror of Debian is asked.
    let overlay = text.replace("[\"overlay\", \"disk\"]", "[\"overlay\"]");
    assert_ne!(overlay, text);
    // A digest that is published leaves no other bytes: this test has its own image.
    let mut pause = Blobs::default();
    let top = pause.both("pause");
    let index = json!({ "mediaType": layout::INDEX, "digest": top, "size": pause.0[&top].len() });
    pause.layout(&world.path("mine/pause"), &[index]);
    let own_image = "\n[[artifact]]\nname = \"pause\"\nsource = \"pause\"\n";
    fs::write(world.path("mine/hard-way.toml"), overlay + own_image).unwrap();

    let everywhere = format!("https://={}", world.server.url("/"));
    let mirror = ["--mirror", &everywhere];
    pin_what_is_served(&world, &recipe, &mirror);
    let mut build = own(&world, &["build", "--arch", "arm64"]);
    build.args(recipe).args(mirror);
    Ran::of(&mut build).good();
    let image = world.path("out/hard-way-1.37.1-arm64");
    let before = Extracted::of(&image);
    assert!(!before.path("/etc/motd").exists() && before.path("/usr/bin/ctr").exists());

    assert!(!before.path("/README.md").exists(), "the note stays out");
    overlay_is_laid_in(&world, &mut build, &image);
}

/// The publishers of this test have other bytes than the shipped lock pins.
fn pin_what_is_served(world: &World, recipe: &[&str], mirror: &[&str]) {
    let shown = Ran::of(own(world, &["recipe", "show", "--json"]).args(recipe))
        .good()
        .out;
    let lock = fs::read_to_string(world.path("mine/hard-way.lock")).unwrap();
    serve_all(
        world,
        &serde_json::from_str(&shown).unwrap(),
        &lock.parse().unwrap(),
    );
    let mut lock = own(world, &["lock"]);
    for name in [
        "cni-plugins",
        "containerd",
        "crictl",
        "kubernetes",
        "pause",
        "runc",
    ] {
        lock.args(["--update", name]);
    }
    Ran::of(lock.args(recipe).args(mirror)).good();
}

/// A file of one's own, one over nodeimg's, and a template.
fn overlay_is_laid_in(world: &World, build: &mut Command, image: &Path) {
    let overlay = world.path("mine/overlay");
    for (path, text) in [
        ("root/etc/motd", "my node\n"),
        (
            "root/etc/cni/net.d/99-loopback.conf",
            "{\"cniVersion\": \"1.0.0\", \"name\": \"lo\", \"type\": \"loopback\"}\n",
        ),
        ("root/usr/local/bin/hello", "#!/bin/sh\necho hello\n"),
        ("templates/etc/nodeimg/extra.conf", "ip={{ node_ip }}\n"),
    ] {
        let path = overlay.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let ran = Ran::of(build).good();
    assert!(!ran.err.contains("is up to date"), "{}", ran.err);
    let after = Extracted::of(image);
    assert_eq!(after.text("/etc/motd"), "my node\n");
    assert!(
        after
            .text("/etc/cni/net.d/99-loopback.conf")
            .contains("1.0.0")
    );
    let template = after.text("/usr/lib/nodeimg/templates/etc/nodeimg/extra.conf");
    assert_eq!(template, "ip={{ node_ip }}\n");
    let manifest = manifest(image);
    let of = |path: &str| {
        let all = manifest["files"].as_array().unwrap();
        all.iter()
            .find(|file| file["path"] == path)
            .unwrap()
            .clone()
    };
    assert_eq!(
        of("/etc/motd")["origin"],
        serde_json::json!({"kind": "overlay", "name": "overlay"})
    );
    assert_eq!(of("/etc/motd")["mode"], "0644");
    assert_eq!(
        of("/usr/local/bin/hello")["mode"],
        "0755",
        "{}",
        of("/usr/local/bin/hello")
    );
    assert_eq!(
        of("/etc/cni/net.d/99-loopback.conf")["origin"]["name"],
        "overlay"
    );
}

#[test]
fn init_takes_nobodys_directory() {
    let world = World::new();
    fs::create_dir(world.path("mine")).unwrap();
    fs::write(world.path("mine/thesis.tex"), "x").unwrap();
    Ran::of(&mut own(&world, &["init", "mine"]))
        .refused(1, &["mine is not empty", "name a new directory"]);
    assert_eq!(listing(&world.path("mine")), ["thesis.tex"]);
    Ran::of(&mut own(&world, &["init", "new", "--from", "hard"]))
        .refused(1, &["`hard`", "hard-way"]);
    assert!(!world.path("new").exists());
    // An empty one is as good as a new one; the other recipes work too.
    fs::create_dir(world.path("empty")).unwrap();
    Ran::of(&mut own(
        &world,
        &["init", "empty", "--from", "hard-way-1.36"],
    ))
    .good();
    Ran::of(&mut own(
        &world,
        &["recipe", "check", "--recipe", "empty/hard-way-1.36.toml"],
    ))
    .good();
}

/// The one key moves all of Kubernetes; the base system stays as it is pinned.
#[test]
fn a_recipe_of_ones_own_moves_to_another_kubernetes() {
    let world = World::new();
    Ran::of(&mut own(&world, &["init", "mine"])).good();
    let recipes = top().join("recipes").display().to_string();
    let digests = format!("{recipes}/known-digests.txt");
    let file = ["--recipe", "mine/hard-way.toml"];
    let update = [
        "lock",
        "--update",
        "kubernetes=1.36.4",
        "--digests",
        &digests,
    ];
    Ran::of(own(&world, &update).args(file)).good();
    let text = fs::read_to_string(world.path("mine/hard-way.toml")).unwrap();
    assert!(text.contains("\nkubernetes = \"1.36.4\"\n"), "{text}");
    let lock = fs::read_to_string(world.path("mine/hard-way.lock")).unwrap();
    for program in ["kubelet", "kube-proxy"] {
        let url = format!("https://dl.k8s.io/release/v1.36.4/bin/linux/arm64/{program}");
        assert!(lock.contains(&url), "{url}");
    }
    assert!(!lock.contains("v1.37.1"));
    // The lock of the version before is told in one line.
    let shipped = format!("{recipes}/hard-way.lock");
    let check = ["lock", "--check", "--lock", &shipped];
    let ran = Ran::of(own(&world, &check).args(file)).refused(
        1,
        &["kubernetes: the recipe says `1.36.4`, the lock has `1.37.1`"],
    );
    assert!(!ran.err.contains("artifact."), "{}", ran.err);
}

/// Choices instead of questions: a recipe of its own, which is checked with or without a lock.
#[test]
fn choices_become_a_recipe() {
    for (number, (choice, says)) in [
        (&["--profile", "kubeadm"][..], "its lock matches"),
        (
            &[
                "--profile",
                "hard-way",
                "--kubernetes",
                "1.36",
                "--pods",
                "10.9.0.0/16",
            ],
            "its lock matches",
        ),
        (
            &["--profile", "kubeadm", "--runtime", "crio"],
            "its lock matches",
        ),
        (
            &["--profile", "bootstrap", "--platform", "metal"],
            "it has no lock yet",
        ),
        (
            &["--kubernetes", "v1.36.2", "--name", "mine"],
            "it has no lock yet",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let world = World::new();
        let name = format!("node-{number}");
        Ran::of(&mut own(
            &world,
            &[&["init", name.as_str()][..], choice].concat(),
        ))
        .good();
        let ran = Ran::of(&mut own(&world, &["recipe", "check", &name])).good();
        assert!(ran.err.contains(says), "{choice:?}: {}", ran.err);
    }
    for (choice, code, says) in [
        (&["--profile", "hardway"][..], 2, "hard-way"),
        (&["--kubernetes", "1.12"], 1, "1.12.N"),
        (
            &["--profile", "container-host", "--runtime", "crio"],
            1,
            "no Kubernetes",
        ),
        (
            &["--profile", "kubeadm", "--pods", "10.9.0.0/16"],
            1,
            "leave --pods and --services out",
        ),
        (&["--pods", "10.32.0.0/16"], 1, "do not fit together"),
        (&["--from", "hard-way", "--runtime", "crio"], 2, "--from"),
    ] {
        let world = World::new();
        Ran::of(&mut own(&world, &[&["init", "node"][..], choice].concat())).refused(code, &[says]);
        assert!(!world.path("node/node.toml").exists(), "{choice:?}");
    }
}
