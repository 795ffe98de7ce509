use std::fs;

use super::{archive, manifest, members, pause, pinned, world};
use nodeimg_test_support::layout::Blobs;
use nodeimg_test_support::registry_server::{Auth, Registry};
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::World;

/// `user:secret`.
pub const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

/// A file of logins with that for `host`.
pub fn logins(world: &World, host: &str) -> std::path::PathBuf {
    let path = world.path("auth.json");
    let text = format!(r#"{{"auths":{{"{host}":{{"auth":"dXNlcjpzZWNyZXQ="}}}}}}"#);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn an_image_comes_from_a_registry_however_it_lets_us_in() {
    let mut first = None;
    for (auth, login) in [
        (Auth::Open, false),
        (Auth::Basic(BASIC.to_owned()), true),
        (Auth::Token(None), false),
        (Auth::Token(Some(BASIC.to_owned())), true),
    ] {
        let (blobs, top) = pause();
        let registry = Registry::start(auth.clone());
        registry.serve("team/pause", &blobs.0, "1", &top);
        let world = world(&format!("{}/team/pause:1", registry.address()), "");
        let file = match login {
            true => logins(&world, &registry.address().to_string()),
            false => world.path("none"),
        };
        let run = |verb: &str, words: &[&str]| {
            let mut command = world.nodeimg(verb);
            Ran::of(command.env("REGISTRY_AUTH_FILE", &file).args(words)).good()
        };
        run("lock", &[]);
        assert_eq!(pinned(&world), [top.clone(), top.clone()], "{auth:?}");
        run("fetch", &["--arch", "amd64", "--arch", "arm64"]);
        // By digest from here on: the registry may go.
        drop(registry);
        run("build", &["--arch", "amd64", "--offline"]);
        let image = &manifest(&world.image("amd64"))["container_images"][0];
        assert_eq!(image["digest"], top.as_str(), "{image}");
        assert_eq!(image["names"].as_array().unwrap().len(), 2, "{image}");
        let tar = archive(&world);
        assert_eq!(members(&tar).len(), 5);
        let digest = blobs.0.keys().find(|digest| **digest == image["manifest"]);
        assert!(digest.is_some(), "{image}");
        // The names have the port in them; the rest is the same from anywhere.
        let layers = members(&tar)[2..].to_vec();
        assert_eq!(*first.get_or_insert(layers.clone()), layers);
    }
}

#[test]
fn what_a_registry_gave_goes_to_no_other_host() {
    let (blobs, top) = pause();
    let elsewhere = Registry::start(Auth::Open);
    elsewhere.serve("pause", &blobs.0, "1", &top);
    let registry = Registry::start_with(
        Auth::Token(Some(BASIC.to_owned())),
        Some(format!("http://{}", elsewhere.address())),
    );
    registry.serve("pause", &blobs.0, "1", &top);
    let world = world(&format!("{}/pause:1", registry.address()), "");
    let file = logins(&world, &registry.address().to_string());
    // http is followed to a mirror only.
    let rule = format!("https://no.example/=http://{}/", elsewhere.address());
    for verb in ["lock", "fetch"] {
        let mut command = world.nodeimg(verb);
        command.env("REGISTRY_AUTH_FILE", &file);
        command.args(["--mirror", &rule, "--mirror", &world.mirror()]);
        if verb == "fetch" {
            command.args(["--arch", "amd64"]);
        }
        Ran::of(&mut command).good();
    }
    let seen = elsewhere.asked();
    assert_eq!(seen.len(), 2, "configuration and layer: {seen:?}");
    for asked in seen {
        assert_eq!(asked.authorization, None, "{asked:?}");
    }
    // The password went to the token service alone, the token to the rest.
    for asked in registry.asked() {
        let given = asked.authorization.as_deref();
        match asked.target.starts_with("/token?") {
            true => {
                assert_eq!(given, Some(BASIC));
                assert_eq!(
                    asked.target,
                    "/token?service=test&scope=repository%3Ax%3Apull"
                );
            }
            false => assert!(given.is_none_or(|g| g.starts_with("Bearer ")), "{asked:?}"),
        }
    }
}

/// How many requests had an answer, each of them at its first try, and how many
/// tokens were given for them.
fn answers_and_tokens(registry: &Registry) -> (usize, usize) {
    let mut targets: Vec<String> = registry.asked().into_iter().map(|a| a.target).collect();
    let all = targets.len();
    targets.retain(|target| !target.starts_with("/token?"));
    let tokens = all - targets.len();
    targets.sort_unstable();
    targets.dedup();
    (targets.len(), tokens)
}

#[test]
fn a_token_that_is_too_old_is_asked_for_again() {
    for uses in [1, 2, 3, u32::MAX] {
        let (blobs, top) = pause();
        let registry = Registry::start(Auth::Token(None));
        registry.serve("pause", &blobs.0, "1", &top);
        registry.tokens_for(uses);
        let world = world(&format!("{}/pause:1", registry.address()), "");
        world.lock();
        let locked = answers_and_tokens(&registry);
        let arguments = ["--arch", "amd64", "--arch", "arm64"];
        Ran::of(world.nodeimg("fetch").args(arguments)).good();
        let (answers, tokens) = answers_and_tokens(&registry);
        // Two manifests, two configurations, two layers, several at a time.
        let fetched = (answers - locked.0, tokens - locked.1);
        assert_eq!(locked, (1, 1), "{uses} uses: {:?}", registry.asked());
        let needed = 6_usize.div_ceil(uses as usize);
        assert_eq!(fetched, (6, needed), "{uses} uses: {:?}", registry.asked());
    }
}

#[test]
fn a_new_token_that_is_refused_is_the_end() {
    let (blobs, top) = pause();
    let registry = Registry::start(Auth::Token(None));
    registry.serve("pause", &blobs.0, "1", &top);
    let world = world(&format!("{}/pause:1", registry.address()), "");
    world.lock();
    registry.tokens_for(0);
    let before = registry.asked().len();
    Ran::of(world.nodeimg("fetch").args(["--arch", "amd64"])).refused(1, &["requires a login"]);
    // Without a token, for one, and with that.
    assert_eq!(registry.asked().len() - before, 3, "{:?}", registry.asked());
}

#[test]
fn documents_are_asked_for_as_both_makers_have_them() {
    let (blobs, top) = pause();
    let registry = Registry::start(Auth::Open);
    registry.serve("pause", &blobs.0, "1", &top);
    let world = world(&format!("{}/pause:1", registry.address()), "");
    world.lock();
    Ran::of(&mut world.build()).good();
    let asked = registry.asked();
    let documents = asked.iter().filter(|a| a.target.contains("/manifests/"));
    for asked in documents {
        let accept = asked.accept.as_deref().unwrap();
        for kind in [
            "oci.image.index.v1",
            "oci.image.manifest.v1",
            "manifest.list.v2",
            "distribution.manifest.v2",
        ] {
            assert!(accept.contains(kind), "{accept}");
        }
    }
    // By tag once for both architectures, and that is in the store already.
    let targets: Vec<&str> = asked.iter().map(|a| a.target.as_str()).collect();
    assert_eq!(targets[0], "/v2/pause/manifests/1");
    assert_eq!(targets.len(), 1 + 1 + 2, "{targets:?}");
    assert!(
        targets.iter().all(|target| !target.ends_with(&top)),
        "{targets:?}"
    );
}

#[test]
fn a_known_digest_needs_no_registry() {
    let (blobs, top) = pause();
    let registry = Registry::start(Auth::Open);
    let name = format!("{}/pause:1", registry.address());
    let world = world(&name, "");
    let hex = top.strip_prefix("sha256:").unwrap();
    fs::write(
        world.path("known.txt"),
        format!("# where it is stated\n{hex}  oci://{name}\n"),
    )
    .unwrap();
    Ran::of(world.nodeimg("lock").args(["--digests", "known.txt"])).good();
    assert_eq!(pinned(&world), [top.clone(), top.clone()]);
    assert_eq!(registry.asked(), [], "the lock asked nobody");
    // And by its own digest neither a list nor a registry.
    let mut other = super::world(&format!("{name}@{top}"), "");
    other.lock();
    assert_eq!(pinned(&other), [top.clone(), top.clone()]);
    assert_eq!(registry.asked(), []);
    registry.serve("pause", &blobs.0, "1", &top);
    Ran::of(&mut world.build()).good();
    Ran::of(&mut other.build()).good();
    let names = &manifest(&other.image("amd64"))["container_images"][0]["names"];
    assert_eq!(names.as_array().unwrap().len(), 2, "{names}");
    other.edit(&top, &format!("sha256:{}", "0".repeat(64)));
    Ran::of(&mut other.build()).refused(
        1,
        &["does not match the recipe", "artifact.pause.image (amd64)"],
    );
}

#[test]
fn a_mirror_stands_in_for_a_registry() {
    let (blobs, top) = pause();
    let registry = Registry::start(Auth::Open);
    registry.serve("team/pause", &blobs.0, "1", &top);
    // A static server with a folder for each host, and a directory.
    for (digest, bytes) in &blobs.0 {
        for part in ["manifests", "blobs"] {
            registry.put(
                &format!("/m/registry.example/v2/team/pause/{part}/{digest}"),
                bytes,
            );
        }
    }
    let directory = world("registry.example/team/pause:1", "");
    for part in ["manifests", "blobs"] {
        let to = directory.path(&format!("mirror/v2/team/pause/{part}"));
        fs::create_dir_all(&to).unwrap();
        for (digest, bytes) in &blobs.0 {
            fs::write(to.join(digest), bytes).unwrap();
        }
    }
    let address = registry.address();
    let at = directory.path("mirror");
    for rule in [
        format!("https://registry.example/=http://{address}/"),
        format!("https://=http://{address}/m/"),
        format!("https://registry.example/=file://{}/", at.display()),
    ] {
        let world = world("registry.example/team/pause:1", "");
        let hex = top.strip_prefix("sha256:").unwrap();
        let line = format!("{hex}  oci://registry.example/team/pause:1\n");
        fs::write(world.path("known.txt"), line).unwrap();
        let flags = ["--mirror", &world.mirror(), "--mirror", &rule].map(str::to_owned);
        Ran::of(
            world
                .nodeimg("lock")
                .args(["--digests", "known.txt"])
                .args(&flags),
        )
        .good();
        Ran::of(world.build().args(&flags)).good();
        assert_eq!(members(&archive(&world)).len(), 5, "{rule}");
    }
}

#[test]
fn a_bundle_and_gc_keep_what_only_an_index_names() {
    let (blobs, top) = pause();
    let registry = Registry::start(Auth::Open);
    registry.serve("pause", &blobs.0, "1", &top);
    let world = world(&format!("{}/pause:1", registry.address()), "");
    world.lock();
    let mut fetch = world.nodeimg("fetch");
    fetch.args(["--arch", "amd64", "--bundle", "b.bundle", "--json"]);
    let ran = Ran::of(&mut fetch).good();
    let of_image: Vec<&str> = ran
        .out
        .lines()
        .filter(|line| line.contains("\"image\""))
        .collect();
    assert!(
        of_image.len() == 1 && of_image[0].contains(&top),
        "{}",
        ran.out
    );
    drop(registry);
    let image = |world: &World| -> Vec<String> {
        let mut there = world.blobs();
        there.retain(|hex| blobs.0.contains_key(&format!("sha256:{hex}")));
        there
    };
    // Index, manifest, configuration and layer: arm64's were not fetched.
    assert_eq!(image(&world).len(), 4);
    // Old by its own time, but used by a build: all of the chain stays.
    for entry in walkdir::WalkDir::new(world.path("store")) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60 * 86_400);
            fs::File::open(entry.path())
                .unwrap()
                .set_modified(old)
                .unwrap();
        }
    }
    Ran::of(world.build().args(["--offline", "--force"])).good();
    Ran::of(world.nodeimg("store").arg("gc")).good();
    assert_eq!(image(&world).len(), 4);
    // On a machine that has nothing but the bundle.
    fs::remove_dir_all(world.path("store")).unwrap();
    let first = archive(&world);
    Ran::of(world.build().args(["--force", "--bundle", "b.bundle"])).good();
    assert_eq!(archive(&world), first);
}

#[test]
fn a_registry_that_changed_its_mind_is_asked_on_update_only() {
    let (blobs, top) = pause();
    let registry = Registry::start(Auth::Open);
    registry.serve("pause", &blobs.0, "1", &top);
    let world = world(&format!("{}/pause:1", registry.address()), "");
    world.lock();
    let mut newer = Blobs::default();
    let moved = newer.both("another pause");
    registry.serve("pause", &newer.0, "1", &moved);
    world.lock();
    assert_eq!(pinned(&world), [top.clone(), top]);
    Ran::of(world.nodeimg("lock").args(["--update", "pause"])).good();
    assert_eq!(pinned(&world), [moved.clone(), moved]);
    let mut lock = world.nodeimg("lock");
    Ran::of(lock.args(["--update", "pause=2"])).refused(1, &["artifact.pause.version", "`image`"]);
}
