//! What engines run: one image a job, which does nothing twice; nodeimg's own container image;
//! signatures of what is published.

use std::fs;
use std::path::Path;
use std::process::Command;

use nodeimg_test_support::keys::Keys;
use nodeimg_test_support::push_registry::{Kind, Pushed};
use nodeimg_test_support::run::{Ran, clean, tool};
use nodeimg_test_support::synthetic::World;
use nodeimg_test_support::{archive, judge, layout, place};
use serde_json::{Value, json};

use super::publish::Images;

/// `nodeimg job` as an engine runs it.
fn job(world: &World, registry: &Pushed, words: &[&str]) -> Command {
    let place = format!("oci://{}/nodes/{{name}}", registry.address());
    let mut command = world.bare("job");
    command
        .arg(place)
        .args(words)
        .env("HOME", world.path("home"));
    command
}

const AMD64: [&str; 4] = ["--recipe", "./recipe.toml", "--arch", "amd64"];

fn writes(registry: &Pushed) -> usize {
    let asked = registry.asked();
    let looks = |method: &str| ["GET", "HEAD"].contains(&method);
    asked.iter().filter(|asked| !looks(&asked.method)).count()
}

#[test]
fn a_job_builds_and_publishes_once() {
    let registry = Pushed::start(Kind::default());
    let world = World::locked();
    Ran::of(&mut job(&world, &registry, &AMD64)).good();
    let tags = registry.tags("nodes/tiny");
    assert!(tags.contains(&"1.0.0".to_owned()), "{tags:?}");
    let keys = tags.iter().filter(|tag| tag.starts_with("key-")).count();
    assert_eq!(keys, 1, "{tags:?}");
    // Again, on a machine that has nothing: one question, and no build.
    fs::remove_dir_all(world.path("out")).unwrap();
    registry.forget();
    let ran = Ran::of(&mut job(&world, &registry, &AMD64)).good();
    assert!(ran.err.contains("is there already"), "{}", ran.err);
    assert_eq!(registry.asked().len(), 1, "{:?}", registry.asked());
    assert!(!world.path("out").exists());
    // The other architecture is another job.
    Ran::of(&mut job(
        &world,
        &registry,
        &["--recipe", "./recipe.toml", "--arch", "arm64"],
    ))
    .good();
    let index = registry.document("nodes/tiny", "1.0.0").unwrap();
    let all = index["manifests"].as_array().unwrap();
    let of = |arch: &str| {
        all.iter()
            .any(|one| one["platform"]["architecture"] == *arch)
    };
    assert!(of("amd64") && of("arm64"), "{index}");
    let words = ["--arch", "amd64", "--arch", "arm64"];
    Ran::of(&mut job(&world, &registry, &words)).refused(1, &["one --arch"]);
    Ran::of(&mut job(&world, &registry, &["--offline"])).refused(1, &["--offline"]);
}

#[test]
fn jobs_of_a_list_run_at_once() {
    let registry = Pushed::start(Kind::default());
    let world = World::locked();
    let lines = "# all\n./recipe.toml amd64\n\n./recipe.toml arm64\n";
    fs::write(world.path("images.txt"), lines).unwrap();
    let list = world.path("images.txt").display().to_string();
    let run = |line: &str| {
        Ran::of(&mut job(
            &world,
            &registry,
            &["--list", &list, "--line", line],
        ))
    };
    // Each twice, as engines may.
    std::thread::scope(|scope| {
        for line in ["0", "1", "0", "1"] {
            let run = &run;
            scope.spawn(move || run(line).good());
        }
    });
    let index = registry.document("nodes/tiny", "1.0.0").unwrap();
    let archs: Vec<&str> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["platform"]["architecture"].as_str().unwrap())
        .collect();
    assert!(
        archs.contains(&"amd64") && archs.contains(&"arm64"),
        "{index}"
    );
    registry.forget();
    run("0").good();
    assert_eq!(writes(&registry), 0);
    run("2").refused(1, &["images.txt", "there is no line 2: it has 2"]);
}

/// What `nodeimg container` takes for a static nodeimg of this version.
fn program(arch: &str) -> Vec<u8> {
    let mut bytes = archive::firstboot(arch);
    bytes.extend_from_slice(concat!("nodeimg-program-", env!("CARGO_PKG_VERSION")).as_bytes());
    bytes
}

fn programs(images: &Images) {
    for arch in ["amd64", "arm64"] {
        fs::write(images.path(&format!("nodeimg-{arch}")), program(arch)).unwrap();
    }
}

#[test]
fn nodeimgs_own_image_is_one_for_both_architectures() {
    let images = Images::new();
    programs(&images);
    let both = ["nodeimg-amd64", "nodeimg-arm64"];
    let make = |to: &str, programs: &[&str]| {
        let words = [&["container", to], programs].concat();
        let mut command = images.nodeimg(&words);
        Ran::of(command.env("SOURCE_DATE_EPOCH", "1790000000"))
    };
    make("one.tar", &both).good();
    make("two.tar", &[both[1], both[0]]).good();
    let bytes = fs::read(images.path("one.tar")).unwrap();
    assert_eq!(
        bytes,
        fs::read(images.path("two.tar")).unwrap(),
        "whatever their order"
    );
    expect_layout(&bytes);
    make("x.tar", &[both[0], both[0]]).refused(1, &["two programs are for amd64"]);
    make("x.tar", &["amd64/manifest.json"]).refused(1, &["is not an ELF program"]);
    fs::write(images.path("other"), archive::firstboot("amd64")).unwrap();
    make("x.tar", &["other"]).refused(1, &["is not nodeimg"]);
    fs::write(images.path("dynamic"), archive::program("amd64", "x")).unwrap();
    make("x.tar", &["dynamic"]).refused(1, &["dynamically linked"]);
    // In a registry, one after the other.
    let registry = Pushed::start(Kind::default());
    let to = format!("oci://{}/tools/nodeimg", registry.address());
    make(&to, &both[..1]).good();
    make(&to, &both[1..]).good();
    let version = env!("CARGO_PKG_VERSION");
    let index = registry.document("tools/nodeimg", version).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2, "{index}");
    registry.forget();
    let ran = make(&to, &both).good();
    assert!(ran.err.contains("already"), "{}", ran.err);
    assert_eq!(writes(&registry), 0);
    judged(&images);
}

/// The files of a tar, by name.
fn files(tar: &[u8]) -> std::collections::BTreeMap<String, (u32, u64, Vec<u8>)> {
    let mut archive = tar::Archive::new(tar);
    let mut found = std::collections::BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let head = (
            entry.header().mode().unwrap(),
            entry.header().uid().unwrap(),
        );
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        found.insert(name, (head.0, head.1, bytes));
    }
    found
}

fn expect_layout(tar: &[u8]) {
    let all = files(tar);
    let document = |digest: &Value| -> Vec<u8> {
        let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
        let bytes = &all[&format!("blobs/sha256/{hex}")].2;
        assert_eq!(layout::digest(bytes)[7..], *hex);
        bytes.clone()
    };
    let read = |digest: &Value| -> Value { serde_json::from_slice(&document(digest)).unwrap() };
    let top: Value = serde_json::from_slice(&all["index.json"].2).unwrap();
    let index = read(&top["manifests"][0]["digest"]);
    for (at, arch) in ["amd64", "arm64"].into_iter().enumerate() {
        let one = &index["manifests"][at];
        assert_eq!(
            one["platform"],
            json!({"os": "linux", "architecture": arch})
        );
        let manifest = read(&one["digest"]);
        let config = read(&manifest["config"]["digest"]);
        assert_eq!(config["architecture"], arch);
        assert_eq!(config["created"], "2026-09-21T14:13:20Z");
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(
            config["config"]["Labels"]["org.opencontainers.image.title"],
            "nodeimg"
        );
        let packed = document(&manifest["layers"][0]["digest"]);
        let mut layer = Vec::new();
        let mut gzip = flate2::read::GzDecoder::new(packed.as_slice());
        std::io::Read::read_to_end(&mut gzip, &mut layer).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], layout::digest(&layer));
        let inside = files(&layer);
        assert_eq!(inside["usr/bin/nodeimg"].0, 0o755);
        assert_eq!(inside["usr/bin/nodeimg"].2, program(arch));
        assert_eq!(inside["tmp/"].0, 0o1777);
        assert_eq!((inside["work/"].0, inside["work/"].1), (0o755, 65_532));
    }
}

/// skopeo takes the archive, as one image and as an index.
fn judged(images: &Images) {
    let run = |words: &[&str]| {
        let mut skopeo = clean(Command::new("skopeo"));
        skopeo
            .env("HOME", images.path("home"))
            .current_dir(images.path(""));
        tool(skopeo.arg("--insecure-policy").args(words))
    };
    let from = "oci-archive:one.tar";
    if let Some(ran) = run(&["copy", "--all", from, "dir:all"]) {
        ran.good();
        run(&[
            "--override-arch=arm64",
            "copy",
            from,
            "docker-archive:arm.tar:nodeimg:1",
        ])
        .unwrap()
        .good();
    }
}

#[test]
fn what_is_published_is_signed_as_cosign_does() {
    let images = Images::new();
    let Some(keys) = Keys::make(&images.path("keys"), &["rsa"]) else {
        return;
    };
    keys.openssl("ecparam -name prime256v1 -genkey -noout -out p256.key");
    keys.openssl("pkey -in p256.key -pubout -out p256.pub");
    keys.openssl("pkey -in rsa.key -pubout -out rsa.pub");
    let closed = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    fs::set_permissions(keys.path("p256.key"), closed).unwrap();
    for referrers in [false, true] {
        let registry = Pushed::start(Kind {
            referrers,
            ..Kind::default()
        });
        let name = format!("oci://{}/team/tiny", registry.address());
        let publish = |arch: &str, key: &str| {
            let text = format!("[checksums]\nkey = \"{key}.key\"\n");
            let file = keys.file("keys.toml", &text).display().to_string();
            Ran::of(&mut images.nodeimg(&["publish", arch, &name, "--keys", &file]))
        };
        images.publish("amd64", &name).good();
        let none = keys.file(
            "none.toml",
            "[[secure_boot]]\nkey = \"rsa.key\"\ncertificate = \"rsa.pem\"\n",
        );
        let none = none.display().to_string();
        Ran::of(&mut images.nodeimg(&["publish", "amd64", &name, "--keys", &none]))
            .refused(1, &["none.toml", "[checksums]"]);
        publish("amd64", "p256").good();
        publish("arm64", "p256").good();
        let again = publish("arm64", "p256").good();
        assert!(again.err.contains("already"), "{}", again.err);
        // Another signature takes no place of the first.
        publish("arm64", "rsa").good();
        publish("arm64", "release").good();
        expect_signed(&registry, "1.0.0", 3, referrers);
        expect_signed(&registry, "1.0.0-amd64", 1, referrers);
        expect_signed(&registry, "1.0.0-containerdisk", 3, referrers);
        cosign(&registry, &keys);
    }
}

fn expect_signed(registry: &Pushed, tag: &str, signatures: usize, referrers: bool) {
    let digest = registry.digest("team/tiny", tag).unwrap();
    let at = format!("{}.sig", digest.replace(':', "-"));
    let found = registry.document("team/tiny", &at).unwrap();
    let layers = found["layers"].as_array().unwrap();
    assert_eq!(layers.len(), signatures, "{tag}: {found}");
    assert_eq!(found["subject"]["digest"], digest);
    if !referrers {
        let list = registry
            .document("team/tiny", &digest.replace(':', "-"))
            .unwrap();
        assert!(
            list.to_string().contains("dev.cosign.artifact.sig"),
            "{list}"
        );
    }
}

/// The judge, with each of the public keys and with none of ours.
fn cosign(registry: &Pushed, keys: &Keys) {
    let Some(program) = judge::cosign() else {
        return;
    };
    let verify = |tag: &str, key: &Path| {
        let mut command = clean(Command::new(&program));
        command
            .env("HOME", &keys.folder)
            .arg("verify")
            .arg("--key")
            .arg(key);
        command.args(["--insecure-ignore-tlog=true", "--allow-http-registry"]);
        command.arg(format!("{}/team/tiny:{tag}", registry.address()));
        Ran::of(&mut command)
    };
    for key in ["p256.pub", "rsa.pub", "release.pub"] {
        for tag in ["1.0.0", "1.0.0-containerdisk"] {
            verify(tag, &keys.path(key)).good();
        }
    }
    keys.openssl("ecparam -name prime256v1 -genkey -noout -out other.key");
    keys.openssl("pkey -in other.key -pubout -out other.pub");
    assert_ne!(verify("1.0.0", &keys.path("other.pub")).code, Some(0));
}

/// The documents of an example.
fn example(name: &str) -> Vec<Value> {
    let path = place::top().join("docs/examples").join(name);
    let text = fs::read_to_string(path).unwrap();
    let parts = text.split("\n---\n");
    parts
        .map(|part| serde_saphyr::from_str(part).unwrap())
        .collect()
}

/// Text of a list, with what an engine puts in the place of its variables.
fn filled(args: &Value) -> Vec<String> {
    let filled = |text: &str| {
        [
            ("$(JOB_COMPLETION_INDEX)", "0"),
            ("{{inputs.parameters.line}}", "0"),
            ("$(params.repository)", "oci://127.0.0.1:1/nodes/{name}"),
            ("$(params.recipe)", "./nowhere.toml"),
            ("$(params.arch)", "amd64"),
            ("$(params.store)", "oci://127.0.0.1:1/store"),
        ]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let all = args.as_array().unwrap().iter();
    all.map(|arg| filled(arg.as_str().unwrap())).collect()
}

/// What the examples run is a command line of this nodeimg: it fails at the recipes only.
#[test]
fn examples_run_what_there_is() {
    let images = Images::new();
    let [job] = example("kubernetes-job.yaml").try_into().unwrap();
    let [argo] = example("argo.yaml").try_into().unwrap();
    let [tekton] = example("tekton.yaml").try_into().unwrap();
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    let template = &argo["spec"]["templates"][1]["container"];
    let step = &tekton["spec"]["steps"][0];
    for (args, wanted) in [
        (&container["args"], "/recipes/images.txt"),
        (&template["args"], "/recipes/images.txt"),
        (&step["args"], "nowhere.toml"),
    ] {
        let words = filled(args);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Ran::of(&mut images.nodeimg(&words)).refused(1, &[wanted]);
    }
    let lines = fs::read_to_string(place::top().join("docs/examples/images.txt")).unwrap();
    let lines = lines.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(job["spec"]["completions"], lines);
    // The image's own command is what a plan runs.
    let plans = example("upgrade-plans.yaml");
    assert_eq!(plans.len(), 2);
    for plan in plans {
        let upgrade = plan["spec"]["upgrade"].as_object().unwrap();
        assert_eq!(upgrade.keys().collect::<Vec<_>>(), ["image"]);
        assert!(
            plan["spec"]["version"]
                .as_str()
                .unwrap()
                .ends_with("-update")
        );
    }
}
