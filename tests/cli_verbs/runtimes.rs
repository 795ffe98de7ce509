//! An image with CRI-O, of a bundle with the member names of CRI-O's own: what must be in
//! it, and that nothing of containerd is.

use nodeimg_test_support::archive::{MACHINES, file, gz, program, tar};
use nodeimg_test_support::image::Extracted;
use nodeimg_test_support::run::{Ran, listing};
use nodeimg_test_support::synthetic::World;

const VERSION: &str = "1.36.3";

/// Members of the release bundle; those that are not programs are texts here.
const PROGRAMS: [&str; 8] = [
    "cri-o/bin/conmon",
    "cri-o/bin/conmonrs",
    "cri-o/bin/crictl",
    "cri-o/bin/crio",
    "cri-o/bin/crun",
    "cri-o/bin/pinns",
    "cri-o/bin/runc",
    "cri-o/cni-plugins/bridge",
];
const TEXTS: [&str; 5] = [
    "cri-o/LICENSE",
    "cri-o/contrib/crio.service",
    "cri-o/contrib/policy.json",
    "cri-o/etc/10-crio.conf",
    "cri-o/install",
];

const ARTIFACT: &str = r#"
[[artifact]]
name = "cri-o"
runtime = "crio"
kind = "archive"
version = "1.36.3"
url = "https://up.test/cri-o/{version}/{arch}"
files = [
    { from = "cri-o/bin/crio", to = "/usr/local/bin/crio" },
    { from = "cri-o/bin/pinns", to = "/usr/local/bin/pinns" },
    { from = "cri-o/bin/conmon", to = "/usr/libexec/crio/conmon" },
    { from = "cri-o/bin/crun", to = "/usr/libexec/crio/crun" },
]
"#;

/// Without these CRI-O does not start on a root that it cannot write to, or pulls nothing.
const MUST_BE_THERE: [&str; 17] = [
    "/etc/cni/net.d",
    "/etc/containers/certs.d",
    "/etc/containers/policy.json",
    "/etc/containers/registries.conf.d",
    "/etc/crictl.yaml",
    "/etc/crio/auth",
    "/etc/crio/crio.conf.d/10-nodeimg.conf",
    "/etc/crio/policies",
    "/etc/systemd/system/crio.service",
    "/etc/systemd/system/multi-user.target.wants/crio.service",
    "/opt/cni/bin",
    "/usr/libexec/crio/conmon",
    "/usr/libexec/crio/crun",
    "/usr/local/bin/crio",
    "/usr/local/bin/pinns",
    "/var/lib/containers",
    "/var/lib/crio",
];

pub fn world() -> World {
    let mut world = World::new();
    for (arch, _) in MACHINES {
        let programs = PROGRAMS.iter().map(|name| file(name, program(arch, name)));
        let texts = TEXTS.iter().map(|name| file(name, b"text".to_vec()));
        let members: Vec<_> = programs.chain(texts).collect();
        world.serve("cri-o", VERSION, arch, &gz(&tar(&members)));
    }
    // containerd and runc are for images with containerd.
    let text = world
        .recipe
        .replace(
            "name = \"containerd\"",
            "name = \"containerd\"\nruntime = \"containerd\"",
        )
        .replace(
            "name = \"runc\"",
            "name = \"runc\"\nruntime = \"containerd\"",
        )
        .replace("\"containerd.service\", ", "")
        .replace(
            "version = \"1.0.0\"",
            "version = \"1.0.0\"\nruntime = \"crio\"",
        );
    world.write_recipe(&(text + ARTIFACT));
    world
}

#[test]
fn an_image_with_crio_has_all_that_it_needs_and_nothing_of_containerd() {
    let world = world();
    world.lock();
    assert!(!world.lock_text().contains("containerd"));
    Ran::of(&mut world.build()).good();
    let extracted = Extracted::of(&world.image("amd64"));
    let all = listing(extracted.root());
    for path in MUST_BE_THERE {
        assert!(all.iter().any(|one| one == &path[1..]), "no {path}");
    }
    let of_containerd: Vec<_> = all
        .iter()
        .filter(|path| path.contains("containerd") || path.ends_with("/runc"))
        .collect();
    assert!(of_containerd.is_empty(), "{of_containerd:?}");
    // Nothing is baked.
    assert!(!extracted.path("/usr/lib/containers").exists());

    for path in [
        "/etc/crictl.yaml",
        "/etc/crio/crio.conf.d/10-nodeimg.conf",
        "/etc/systemd/system/crio.service",
        "/etc/systemd/system/kubelet.service",
        "/etc/systemd/system/nodeimg-commands.service",
        "/usr/lib/nodeimg/firstboot.json",
        "/usr/lib/nodeimg/kubelet-config.yaml",
    ] {
        let text = extracted.text(path);
        assert!(!text.contains("containerd"), "{path}:\n{text}");
        assert!(!text.contains("@RUNTIME"), "{path}:\n{text}");
    }
    let socket = "unix:///var/run/crio/crio.sock";
    for (path, part) in [
        ("/etc/crictl.yaml", format!("runtime-endpoint: {socket}")),
        (
            "/usr/lib/nodeimg/kubelet-config.yaml",
            format!("containerRuntimeEndpoint: {socket}"),
        ),
        (
            "/etc/systemd/system/kubelet.service",
            "Wants=crio.service".to_owned(),
        ),
        (
            "/usr/lib/nodeimg/firstboot.json",
            "\"runtime\": \"crio\"".to_owned(),
        ),
        (
            "/etc/containers/policy.json",
            "insecureAcceptAnything".to_owned(),
        ),
    ] {
        let text = extracted.text(path);
        assert!(text.contains(&part), "{path} should say {part}:\n{text}");
    }
    let drop_in = extracted.text("/etc/crio/crio.conf.d/10-nodeimg.conf");
    assert!(!drop_in.contains("imagestore"), "{drop_in}");
}

#[test]
fn a_program_that_is_missing_is_named() {
    for (from, wants) in [
        ("conmon", "/usr/libexec/crio/conmon"),
        ("crun", "/usr/libexec/crio/crun"),
    ] {
        let mut world = world();
        let line = world
            .recipe
            .lines()
            .find(|line| line.contains(&format!("\"cri-o/bin/{from}\"")))
            .unwrap()
            .to_owned();
        world.edit(&format!("{line}\n"), "");
        let wants = format!("hard-way needs `{wants}`, which no artifact's `files` installs");
        Ran::of(&mut world.nodeimg("lock")).refused(1, &["recipe.toml:", &wants]);
    }
}
