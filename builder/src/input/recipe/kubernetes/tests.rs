#![allow(clippy::unwrap_used)]
use crate::input::recipe::request::Asked;
use crate::input::recipe::tests::{recipe, refusal};

fn version(artifact: &str, version: &str) -> String {
    format!("[[artifact]]\nname = \"{artifact}\"\nversion = \"{version}\"\n")
}

#[test]
fn one_key_says_the_version_of_all_of_it() {
    let mine = recipe("kubernetes = \"1.36.4\"\n");
    assert_eq!(mine.version.as_str(), "1.36.4");
    for name in ["kubelet", "kube-proxy"] {
        let own = |a: &&crate::input::recipe::Artifact| a.name.as_str() == name;
        let artifact = mine.artifacts.iter().find(own).unwrap();
        assert_eq!(artifact.version.as_str(), "1.36.4");
        assert!(mine.follows_kubernetes(&artifact.name));
        let request = artifact.request(nodeimg_values::arch::Arch::Arm64).unwrap();
        assert!(
            request
                .url
                .ends_with(&format!("/v1.36.4/bin/linux/arm64/{name}"))
        );
    }
    // One that has a version of its own does not follow.
    let own = recipe(&version("kube-proxy", "1.36.4"));
    assert!(!own.follows_kubernetes(&"kube-proxy".parse().unwrap()));
}

/// Each at the line that says it.
#[test]
fn versions_that_do_not_go_together_are_refused() {
    for (more, wants) in [
        (
            "kubernetes = \"1.37\"\n".to_owned(),
            ["mine.toml:2:14", "three numbers"],
        ),
        (
            "kubernetes = \"1.33.5\"\n".to_owned(),
            ["mine.toml:2:14", "kubelet 1.33.5 is too old"],
        ),
        (
            version("kubelet", "1.30.2"),
            ["mine.toml:4:11", "1.34 and later"],
        ),
        (
            version("kube-proxy", "1.33.0"),
            ["mine.toml:4:11", "does not work with kubelet 1.37.1"],
        ),
        (
            version("containerd", "1.7.24"),
            ["mine.toml:4:11", "too old for kubelet 1.37.1: use 2.0"],
        ),
        (
            version("containerd", "3.0.0"),
            ["mine.toml:4:11", "too new"],
        ),
        (
            version("kubelet", "{kubernets}"),
            ["mine.toml:4:11", "`{kubernetes}`"],
        ),
        (
            "[cluster]\napi_server_version = \"1.36.4\"\n".to_owned(),
            [
                "kubernetes: kubelet 1.37.1",
                "newer than the API server, 1.36.4",
            ],
        ),
        (
            "kubernetes = \"1.34.4\"\n[cluster]\napi_server_version = \"1.38.0\"\n".to_owned(),
            ["mine.toml:2:14", "too much older than the API server"],
        ),
    ] {
        let text = refusal(&more);
        for want in wants {
            assert!(text.contains(want), "{more:?} should say {want:?}:\n{text}");
        }
    }
    recipe("kubernetes = \"1.34.4\"\n[cluster]\napi_server_version = \"1.37.2\"\n");
}

/// At its line, and only with a kube-proxy that warns of it.
#[test]
fn ipvs_works_but_is_warned_of() {
    let mode = |mode: &str| {
        let modules = "modules = [\"ip_vs\", \"ip_vs_rr\", \"ip_vs_wrr\", \"ip_vs_sh\"]\n";
        format!("{modules}[kube_proxy]\nmode = \"{mode}\"\n")
    };
    let warned = recipe(&mode("ipvs")).warnings;
    let [warning] = &warned[..] else {
        panic!("{warned:?}");
    };
    for want in [
        "mine.toml:4:8: kube_proxy.mode: ",
        "kube-proxy 1.37.1",
        "`nftables`",
    ] {
        assert!(warning.contains(want), "no {want:?} in\n{warning}");
    }
    for quiet in [
        mode("nftables"),
        mode("iptables"),
        format!("kubernetes = \"1.34.4\"\n{}", mode("ipvs")),
    ] {
        assert_eq!(recipe(&quiet).warnings, [""; 0], "{quiet}");
    }
}

/// The version of an archive with a whole node's programs is not containerd's.
#[test]
fn a_bundle_of_programs_says_no_version_of_the_runtime() {
    let own = recipe("");
    let of = |name: &str| {
        let mut all = own.artifacts.iter();
        all.find(|artifact| artifact.name.as_str() == name)
            .unwrap()
            .clone()
    };
    let containerd = of("containerd");
    let mut bundle = of("kubelet");
    bundle.rules.extend(containerd.rules.clone());
    assert!(bundle.provides(&"/usr/bin/containerd".parse().unwrap()));
    assert_eq!(own.runtime.version_in(&bundle).as_str(), "2.0.0");
    assert_eq!(own.runtime.version_in(&containerd), containerd.version);
}

#[test]
fn kube_proxy_has_its_module() {
    let recipe = crate::input::recipe::tests::without_modules();
    assert_eq!(recipe.modules, ["nf_conntrack".parse().unwrap()]);
}

/// What a lock of another version is told by, rather than a line for each program.
#[test]
fn a_lock_of_another_kubernetes_is_one_difference() {
    let text = crate::input::recipe::built_in("hard-way")
        .unwrap()
        .lock
        .unwrap();
    let lock = crate::input::lock::Lock::parse(text, "hard-way.lock").unwrap();
    let found = crate::input::lock::differences(&lock, &recipe("kubernetes = \"1.37.9\"\n"));
    assert_eq!(
        found[0],
        "kubernetes: the recipe says `1.37.9`, the lock has `1.37.1`"
    );
    let others = found[1..].iter().filter(|line| line.contains("kube"));
    assert_eq!(others.count(), 0, "{found:?}");
}
