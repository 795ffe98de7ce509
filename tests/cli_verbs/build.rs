use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{events, identity};
use nodeimg_test_support::faulty_server::{Fault, faulty};
use nodeimg_test_support::image::{Extracted, manifest, sums_hold};
use nodeimg_test_support::run::{Ran, listing};
use nodeimg_test_support::seeds;
use nodeimg_test_support::synthetic::{World, body, is_image};

#[test]
fn events_are_one_json_object_a_line_and_end_with_built() {
    let world = World::locked();
    let mut build = world.build();
    let ran = Ran::of(build.args(["--arch", "arm64", "--json"])).good();
    assert_eq!(ran.err, "", "--json leaves standard error empty");
    let all = events(&ran.out);
    assert!(
        all.iter().all(|event| event["event"].is_string()),
        "{}",
        ran.out
    );
    let of = |kind: &str| all.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((of("built"), of("note")), (2, 0), "{}", ran.out);
    let state = |state: &str| all.iter().filter(|event| event["state"] == state).count();
    assert_eq!(
        (state("started"), state("finished")),
        (10, 10),
        "{}",
        ran.out
    );
    let last = all.last().unwrap();
    assert_eq!(last["event"], "built", "{}", ran.out);
    assert_eq!(last["arch"], "arm64");
    assert_eq!(last["unchanged"], false);
    assert_eq!(last["directory"], "out/tiny-1.0.0-arm64");
    assert!(last["seconds"].as_f64().unwrap() > 0.0);

    let again = Ran::of(world.build().arg("--json")).good();
    let all = events(&again.out);
    assert_eq!(
        (all.len(), &all[0]["unchanged"]),
        (1, &true.into()),
        "{}",
        again.out
    );
}

#[test]
fn without_an_architecture_it_is_this_machines() {
    let world = World::locked();
    let own = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => panic!("no image is for {other}"),
    };
    let ran = Ran::of(world.nodeimg("fetch").arg("--json")).good();
    assert!(ran.out.contains(&format!("({own})")), "{}", ran.out);
    Ran::of(world.nodeimg("build").arg("--offline")).good();
    assert_eq!(
        fs::read_dir(world.path("out")).unwrap().count(),
        1,
        "one image"
    );
    assert!(is_image(&world.image(own)));
}

#[test]
fn quiet_prints_nothing_but_errors() {
    let world = World::locked();
    for verb in ["lock", "fetch", "build", "build"] {
        let mut command = world.nodeimg(verb);
        command.arg("--quiet");
        if verb != "lock" {
            command.args(["--arch", "amd64"]);
        }
        let ran = Ran::of(&mut command).good();
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""), "{verb}");
    }
    Ran::of(world.nodeimg("store").args(["verify", "--quiet"])).good();
    fs::write(world.path("recipe.lock"), "").unwrap();
    Ran::of(world.build().arg("--quiet")).refused(1, &["recipe.lock"]);
}

#[test]
fn plain_lines_say_what_was_done() {
    let world = World::locked();
    let ran = Ran::of(&mut world.build()).good();
    for line in [
        "fetched 5 files, ",
        "assembling tiny-1.0.0-amd64",
        "built out/tiny-1.0.0-amd64 in",
    ] {
        assert!(ran.err.contains(line), "no {line:?} in\n{}", ran.err);
    }
    assert_eq!(ran.out, "", "standard output is for what a verb prints");
    assert!(
        !ran.err.contains('\u{1b}') && !ran.err.contains('\r'),
        "no terminal, no bars"
    );
}

/// What all nodes need of registries is in the image; what the cluster needs of handlers is
/// beside it.
#[test]
fn registries_and_handlers_reach_the_image() {
    let mut world = World::locked();
    world.edit(
        "[cluster]\n",
        "handlers = [\"youki\"]\n[registries.\"docker.io\"]\nmirrors = [\"https://m.example/hub\"]\n\
         [registries.\"m.example\"]\nca = \"ca.crt\"\n[cluster]\n",
    );
    world.edit(
        "files = [{ to = \"/usr/local/bin/runc\" }]",
        "files = [{ to = \"/usr/local/bin/runc\" }, { to = \"/usr/local/bin/youki\" }]",
    );
    fs::write(world.path("ca.crt"), seeds::ca()).unwrap();
    let image = world.image("amd64");
    let overlay = built(&world);
    let hosts = overlay.text("/etc/containerd/certs.d/docker.io/hosts.toml");
    assert!(
        hosts.contains("ca = \"/etc/containerd/certs.d/m.example/ca.crt\""),
        "{hosts}"
    );
    let ca = overlay.text("/etc/containerd/certs.d/m.example/ca.crt");
    assert_eq!(ca, seeds::ca());
    let told = overlay.text("/usr/lib/nodeimg/firstboot.json");
    assert!(
        told.contains("https://m.example/hub") && told.contains("\"youki\""),
        "{told}"
    );
    let classes = fs::read_to_string(image.join("runtime-classes.yaml")).unwrap();
    assert!(
        classes.contains("handlers.nodeimg/youki: \"true\""),
        "{classes}"
    );
    sums_hold(&image);
    // Another CA in the file of the same name.
    fs::write(world.path("ca.crt"), seeds::cert()).unwrap();
    let ca = built(&world).text("/etc/containerd/certs.d/m.example/ca.crt");
    assert_eq!(ca, seeds::cert());
}

/// Builds, and says whether anything was written.
#[track_caller]
fn rebuilds(world: &World) -> bool {
    let sums = world.image("amd64").join("SHA256SUMS");
    let before = identity(&sums);
    let ran = Ran::of(&mut world.build()).good();
    let written = identity(&sums) != before;
    assert_eq!(ran.err.contains("is up to date"), !written, "{}", ran.err);
    assert!(is_image(&world.image("amd64")));
    sums_hold(&world.image("amd64"));
    written
}

/// What somebody does to a file of an image.
type Meddle = fn(&Path);

const MEDDLE: [(&str, Meddle); 4] = [
    ("touched", |file| {
        fs::File::options()
            .append(true)
            .open(file)
            .unwrap()
            .set_modified(std::time::SystemTime::now())
            .unwrap();
    }),
    ("changed", |file| fs::write(file, "mine").unwrap()),
    ("removed", |file| fs::remove_file(file).unwrap()),
    ("another file of the same bytes", |file| {
        let copy = file.with_extension("copy");
        fs::copy(file, &copy).unwrap();
        fs::rename(copy, file).unwrap();
    }),
];

#[test]
fn a_build_is_done_again_only_if_something_changed() {
    let mut world = World::warm();
    Ran::of(&mut world.build()).good();
    let requests = world.server.seen().len();
    assert!(!rebuilds(&world), "unchanged");
    let image = world.image("amd64");
    let overlay = image.join("overlay.tar.zst");

    for (name, meddle) in MEDDLE {
        for file in [
            "overlay.tar.zst",
            "sbom.spdx.json",
            "manifest.json",
            "SHA256SUMS",
        ] {
            if (name, file) == ("removed", "SHA256SUMS")
                || (name, file) == ("changed", "SHA256SUMS")
            {
                continue; // Without its list a directory is somebody's work: below.
            }
            meddle(&image.join(file));
            Ran::of(&mut world.build()).good();
            sums_hold(&image);
            assert!(is_image(&image), "{name} {file}");
            assert!(!rebuilds(&world), "{name} {file}: and then it is as before");
        }
    }
    let bytes = fs::read(&overlay).unwrap();

    world.edit("max_pods = 16", "max_pods = 32");
    assert!(rebuilds(&world), "another recipe");
    assert_ne!(fs::read(&overlay).unwrap(), bytes);
    fs::create_dir_all(world.path("overlay/root/etc")).unwrap();
    fs::write(world.path("overlay/root/etc/motd"), "hello\n").unwrap();
    assert!(rebuilds(&world), "another file in the overlay");
    fs::write(world.path("overlay/root/etc/motd"), "hallo\n").unwrap();
    assert!(rebuilds(&world), "a file of the same size in the overlay");
    assert_eq!(Extracted::of(&image).text("/etc/motd"), "hallo\n");
    let mut other = fs::read(world.firstboot("amd64")).unwrap();
    other.push(0);
    fs::write(world.firstboot("amd64"), other).unwrap();
    assert!(rebuilds(&world), "another first-boot binary");
    assert!(!rebuilds(&world), "unchanged");
    let before = identity(&overlay);
    Ran::of(world.build().arg("--force")).good();
    assert_ne!(identity(&overlay), before, "--force");
    assert_eq!(
        world.server.seen().len(),
        requests,
        "all of it from the store"
    );
}

#[test]
fn a_directory_without_its_list_is_not_replaced() {
    for meddle in ["removed", "changed"] {
        let world = World::warm();
        Ran::of(&mut world.build()).good();
        let sums = world.image("amd64").join("SHA256SUMS");
        match meddle {
            "removed" => fs::remove_file(sums).unwrap(),
            _ => fs::write(sums, "mine").unwrap(),
        }
        Ran::of(&mut world.build())
            .refused(1, &["not an output of an earlier build", "move it away"]);
        assert_eq!(
            listing(&world.path("out")).len(),
            if meddle == "removed" { 6 } else { 7 }
        );
    }
}

/// Another output directory gets the same bytes.
#[test]
fn an_image_is_of_its_recipe_and_lock() {
    let world = World::warm();
    Ran::of(world.build().args(["--out", "elsewhere/deep"])).good();
    Ran::of(&mut world.build()).good();
    let elsewhere = world.path("elsewhere/deep/tiny-1.0.0-amd64");
    assert!(is_image(&elsewhere));
    // Which lists the others by their digests.
    for file in ["overlay.tar.zst", "manifest.json", "SHA256SUMS"] {
        let here = fs::read(world.image("amd64").join(file)).unwrap();
        assert_eq!(fs::read(elsewhere.join(file)).unwrap(), here, "{file}");
    }
    let manifest = manifest(&elsewhere);
    assert_eq!(manifest["image"]["name"], "tiny");
    assert_eq!(manifest["image"]["arch"], "amd64");
    assert_eq!(manifest["artifacts"].as_array().unwrap().len(), 5);
    let text = manifest.to_string();
    assert!(
        !text.contains(&*world.path("").to_string_lossy()),
        "a path of this machine"
    );
}

#[test]
fn outputs_of_the_command_line_stand_in_for_those_of_the_recipe() {
    let world = World::warm();
    let files = |arguments: &[&str]| {
        let mut build = world.build();
        let ran = Ran::of(build.args(arguments).arg("--json")).good();
        let last = events(&ran.out).pop().unwrap();
        let listed = listing(&world.image("amd64"));
        (last["unchanged"].as_bool().unwrap(), listed.join(" "))
    };
    let about = "provenance.json sbom.cdx.json sbom.spdx.json";
    let usual = format!("SHA256SUMS manifest.json overlay.tar.zst {about}");
    assert_eq!(files(&[]), (false, usual.clone()));
    let extension = "tiny-1.0.0-amd64-sysext.raw tiny-1.0.0-amd64-sysext.roothash";
    let sysext = format!("SHA256SUMS manifest.json {about} {extension}");
    let twice = ["--output", "sysext", "--output", "sysext"];
    assert_eq!(files(&twice), (false, sysext.clone()));
    assert_eq!(files(&twice[..2]), (true, sysext));
    assert_eq!(files(&[]), (false, usual));
}

/// The text of a file of the image, where it is there.
fn built(world: &World) -> Extracted {
    world.lock();
    Ran::of(world.build().args(["--arch", "amd64"])).good();
    Extracted::of(&world.image("amd64"))
}

#[test]
fn profile_bootstrap_has_a_kubelet_that_asks_for_its_certificate() {
    let mut world = World::new();
    world.edit("profile = \"hard-way\"", "profile = \"bootstrap\"");
    let image = built(&world);
    let unit = image.text("/etc/systemd/system/kubelet.service.d/10-bootstrap.conf");
    assert!(unit.contains("--bootstrap-kubeconfig=/var/lib/kubelet/bootstrap-kubeconfig"));
    let config = image.text("/usr/lib/nodeimg/kubelet-config.yaml");
    assert!(
        config.contains("rotateCertificates: true") && !config.contains("tlsCertFile"),
        "{config}"
    );
    assert!(
        image
            .text("/usr/lib/nodeimg/firstboot.json")
            .contains("\"bootstrap\"")
    );
    assert!(
        image
            .path("/etc/systemd/system/nodeimg-token.path")
            .exists()
    );
}

#[test]
fn profile_kubeadm_leaves_the_cluster_to_kubeadm() {
    let mut world = World::new();
    world.edit("profile = \"hard-way\"", "profile = \"kubeadm\"");
    let recipe = fs::read_to_string(world.path("recipe.toml")).unwrap();
    let ran = Ran::of(&mut world.nodeimg("lock"));
    ran.refused(1, &["cluster: has no effect: with the profile kubeadm"]);
    let start = recipe.find("[cluster]").unwrap();
    let end = recipe.find("[units]").unwrap();
    let text = format!("{}{}", &recipe[..start], &recipe[end..])
        .replace(", \"kube-proxy.service\"", "")
        .replace("\"/etc/nodeimg\"", "\"/etc/default\"")
        .replace(
            "[{ from = \"kubernetes/node/bin/*\", to = \"/usr/local/bin/\" }]",
            "[{ from = \"kubernetes/node/bin/kubelet\", to = \"/usr/local/bin/kubelet\" }, { from = \"kubernetes/node/bin/kube-proxy\", to = \"/usr/local/bin/kubeadm\" }]",
        );
    world.write_recipe(&text);
    let image = built(&world);
    let unit = image.text("/etc/systemd/system/kubelet.service.d/10-kubeadm.conf");
    assert!(unit.contains("EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env"));
    assert!(!image.path("/var/lib/kubelet/kubelet-config.yaml").exists());
    assert!(!image.path("/usr/lib/nodeimg/templates/etc/cni").exists());
    assert!(
        image
            .text("/usr/lib/nodeimg/firstboot.json")
            .contains("\"kubeadm\"")
    );
}

/// The line of the build, and the manifest's entry of `/usr/bin/thing`.
fn again(world: &World) -> (String, serde_json::Value) {
    let ran = Ran::of(world.build().args(["--arch", "amd64"])).good();
    let manifest = manifest(&world.image("amd64"));
    let files = manifest["files"].as_array().unwrap();
    let thing = files.iter().find(|file| file["path"] == "/usr/bin/thing");
    (ran.err, thing.cloned().unwrap_or_default())
}

/// Whatever of an overlay changes, the image is built again.
#[test]
fn another_overlay_is_another_image() {
    let mut world = World::locked();
    world.edit("[\"overlay\"]", "[\"one\", \"two\"]");
    let bin = |overlay: &str| world.path(overlay).join("root/usr/bin");
    for overlay in ["one", "two"] {
        fs::create_dir_all(bin(overlay)).unwrap();
        fs::write(bin(overlay).join(overlay), "x").unwrap();
    }
    let thing = bin("one").join("thing");
    fs::create_dir(&thing).unwrap();
    let (_, first) = again(&world);
    assert_eq!(first["type"], "directory", "{first}");
    let steps: [(&str, &dyn Fn()); 4] = [
        ("an empty file", &|| {
            fs::remove_dir(&thing).unwrap();
            fs::write(&thing, "").unwrap();
        }),
        ("a link", &|| {
            fs::remove_file(&thing).unwrap();
            std::os::unix::fs::symlink("one", &thing).unwrap();
        }),
        ("another target", &|| {
            fs::remove_file(&thing).unwrap();
            std::os::unix::fs::symlink("two", &thing).unwrap();
        }),
        ("another overlay", &|| {
            fs::rename(&thing, bin("two").join("thing")).unwrap();
        }),
    ];
    let mut before = first;
    for (what, change) in steps {
        change();
        let (said, now) = again(&world);
        assert!(!said.contains("is up to date"), "{what}: {said}");
        assert_ne!(before, now, "{what}");
        before = now;
        assert!(again(&world).0.contains("is up to date"), "{what}");
    }
}

/// What changes while a build runs is in the next image, and not taken for this one's.
#[test]
fn an_image_is_of_what_its_key_is_of() {
    let mut world = World::locked();
    world.edit("[\"overlay\"]", "[\"one\"]");
    world.edit(
        "[cluster]\n",
        "[[file]]\npath = \"/usr/share/f\"\nsource = \"f\"\n[cluster]\n",
    );
    let thing = world.path("one/root/usr/bin/thing");
    fs::create_dir_all(thing.parent().unwrap()).unwrap();
    let write = |text: &str| {
        fs::write(&thing, text).unwrap();
        fs::write(world.path("f"), text).unwrap();
    };
    write("text A");
    // The key is made, and the build waits for the mirror.
    let slow = Fault::Slow(1 << 20, Duration::from_secs(2));
    world.script("runc", vec![faulty(&body("runc", "amd64"), slow)]);
    let mut build = world.build();
    let mut child = build.args(["--arch", "amd64"]).spawn().unwrap();
    while world.asked("runc").is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    write("text B");
    assert!(child.wait().unwrap().success());
    let is = |text: &str| {
        let image = Extracted::of(&world.image("amd64"));
        for path in ["/usr/bin/thing", "/usr/share/f"] {
            assert_eq!(image.text(path), text, "{path}");
        }
    };
    is("text A");
    let said = Ran::of(world.build().args(["--arch", "amd64"])).good().err;
    assert!(!said.contains("is up to date"), "{said}");
    is("text B");
}
