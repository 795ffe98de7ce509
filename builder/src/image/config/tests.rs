#![allow(clippy::unwrap_used)]
mod runtime_classes;
mod schema;

use super::*;
use crate::input::recipe::tests::recipe;
use crate::input::recipe::{Recipe, RecipeRef, load};
use crate::output::KINDS;

fn kubelet(more: &str) -> (String, String) {
    let mut files = kubelet::generate(&recipe(more), false)
        .unwrap()
        .into_iter()
        .map(|file| file.text);
    (files.next().unwrap(), files.next().unwrap())
}

/// Everything that a recipe can say of a credential provider.
pub const FULL_PROVIDER: &str = "\
[[file]]
path = \"/usr/libexec/kubernetes/credential-providers/mine\"
content = \"#!/bin/sh\\n\"
mode = \"0755\"
[[credential_provider]]
name = \"mine\"
match_images = [\"*.registry.example:5000/team\"]
cache = \"1h30m\"
api_version = \"v1\"
args = [\"get\"]
env = { A = \"b\" }
[credential_provider.service_account]
audience = \"a\"
cache_by = \"ServiceAccount\"
required = true
required_annotations = [\"a.example/b\"]
optional_annotations = [\"a.example/c\"]
";

const PROVIDERS: &str = "\
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: mine
  matchImages:
  - \"*.registry.example:5000/team\"
  defaultCacheDuration: 1h30m
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  args:
  - get
  env:
  - name: A
    value: b
  tokenAttributes:
    serviceAccountTokenAudience: a
    cacheType: ServiceAccount
    requireServiceAccount: true
    requiredServiceAccountAnnotationKeys:
    - a.example/b
    optionalServiceAccountAnnotationKeys:
    - a.example/c
";

#[test]
fn the_kubelet_is_told_of_credential_providers() {
    let recipe = recipe(FULL_PROVIDER);
    let files = credential_providers::generate(&recipe).unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].text, PROVIDERS);
    let (_, flags) = kubelet(FULL_PROVIDER);
    let last = "KUBELET_ARGS=--image-credential-provider-config=/usr/lib/nodeimg/credential-providers.yaml \
                --image-credential-provider-bin-dir=/usr/libexec/kubernetes/credential-providers";
    assert_eq!(flags.lines().last(), Some(last));
}

#[test]
fn kubelet_configuration_is_the_tutorials() {
    let (config, flags) = kubelet("");
    for line in [
        "apiVersion: kubelet.config.k8s.io/v1beta1",
        "kind: KubeletConfiguration",
        "address: \"0.0.0.0\"",
        "cgroupDriver: systemd",
        "clusterDomain: cluster.local",
        "enableServer: true",
        "failSwapOn: false",
        "port: 10250",
        "registerNode: true",
        "resolvConf: /etc/resolv.conf",
        "runtimeRequestTimeout: 15m",
        "volumePluginDir: /var/lib/kubelet/volume-plugins",
        "tlsCertFile: /var/lib/kubelet/kubelet.crt",
        "tlsPrivateKeyFile: /var/lib/kubelet/kubelet.key",
        "    clientCAFile: /var/lib/kubelet/ca.crt",
        "  swapBehavior: NoSwap",
        "  mode: Webhook",
    ] {
        assert!(
            config.lines().any(|l| l == line),
            "{line:?} is not in:\n{config}"
        );
    }
    assert!(config.contains("containerRuntimeEndpoint: "), "{config}");
    assert!(!config.contains("maxPods"), "{config}");
    assert!(config.contains("10.32.0.10"), "{config}");
    assert_eq!(flags.lines().last(), Some("KUBELET_ARGS="));
}

/// A DNS server in a pod that asks systemd-resolved's stub would ask itself.
#[test]
fn pods_are_given_the_name_servers_behind_systemd_resolved() {
    let shipped = load(&RecipeRef::BuiltIn("hard-way".into()), &KINDS).unwrap();
    let config = &kubelet::generate(&shipped, false).unwrap()[0].text;
    let line = "resolvConf: /run/systemd/resolve/resolv.conf";
    assert!(config.lines().any(|l| l == line), "{config}");
}

/// libnss-resolve brings it along, too; without its unit there is no such file.
#[test]
fn what_pods_are_given_follows_what_runs() {
    let line = |recipe: &Recipe, has_resolved| {
        let config = kubelet::generate(recipe, has_resolved)
            .unwrap()
            .swap_remove(0)
            .text;
        let line = config.lines().find(|line| line.starts_with("resolvConf: "));
        line.unwrap().to_owned()
    };
    let behind = "resolvConf: /run/systemd/resolve/resolv.conf";
    assert_eq!(line(&recipe(""), true), behind);
    let masked = recipe("[units]\nmask = [\"systemd-resolved.service\"]\n");
    assert_eq!(line(&masked, true), "resolvConf: /etc/resolv.conf");
}

#[test]
fn labels_of_the_recipe_are_a_flag() {
    let (_, flags) = kubelet("[kubelet]\nlabels = { tier = \"edge\", \"a.example/b\" = \"c\" }\n");
    assert!(
        flags.contains("--node-labels=a.example/b=c,tier=edge\n"),
        "{flags}"
    );
}

#[test]
fn any_other_field_is_passed_through_and_may_change_ours() {
    let (config, _) = kubelet(
        "[kubelet.config]\nresolvConf = \"/etc/my-resolv.conf\"\nevictionHard = { \"memory.available\" = \"100Mi\" }\n",
    );
    assert!(
        config.contains("resolvConf: /etc/my-resolv.conf\n"),
        "{config}"
    );
    assert!(!config.contains("/etc/resolv.conf\n"), "{config}");
    assert!(config.contains("memory.available: 100Mi"), "{config}");
}

#[test]
fn kube_proxy_configuration() {
    let files = kube_proxy::generate(&recipe(
        "[kube_proxy.config]\nmetricsBindAddress = \"0.0.0.0:10249\"\n",
    ))
    .unwrap();
    for line in [
        "clusterCIDR: 10.200.0.0/16",
        "mode: nftables",
        "nodePortAddresses:",
        "  kubeconfig: /var/lib/kube-proxy/kubeconfig",
    ] {
        assert!(
            files[0].text.lines().any(|l| l == line),
            "{line:?} is not in:\n{}",
            files[0].text
        );
    }
    assert!(files[0].text.contains("metricsBindAddress"));
}

#[test]
fn dual_stack_reaches_every_file() {
    let more = "[cluster]\ncluster_cidr = [\"10.200.0.0/16\", \"fd00:200::/48\"]\nservice_cidr = [\"10.32.0.0/24\", \"fd00:32::/108\"]\n";
    let recipe = recipe(more);
    let proxy = &kube_proxy::generate(&recipe).unwrap()[0].text;
    assert!(
        proxy.contains("clusterCIDR: 10.200.0.0/16,fd00:200::/48\n"),
        "{proxy}"
    );
    let sysctl = &host::generate(&recipe)[0].text;
    assert!(
        sysctl.contains("\nnet.ipv6.conf.all.forwarding = 1\n"),
        "{sysctl}"
    );
}

#[test]
fn host_settings() {
    let files = host::generate(&recipe(
        "modules = [\"vxlan\"]\n[sysctl]\n\"vm.overcommit_memory\" = 1\n[units]\nmask = [\"x.service\"]\n",
    ));
    let text = |path: &str| {
        files
            .iter()
            .find(|file| file.path == path)
            .unwrap()
            .text
            .clone()
    };
    let sysctl = text("/etc/sysctl.d/99-kubernetes.conf");
    for line in [
        "net.ipv4.ip_forward = 1",
        "net.bridge.bridge-nf-call-iptables = 1",
        "vm.overcommit_memory = 1",
    ] {
        assert!(sysctl.lines().any(|l| l == line), "{sysctl}");
    }
    assert_eq!(
        text("/etc/modules-load.d/kubernetes.conf"),
        "# From the recipe.\noverlay\nbr_netfilter\nnf_conntrack\nvxlan\n"
    );
    assert!(
        text("/usr/lib/tmpfiles.d/nodeimg-writable.conf")
            .contains("\nd /opt/cni/bin 0755 root root -\n")
    );
    let preset = text("/usr/lib/systemd/system-preset/10-nodeimg.preset");
    assert!(
        preset.contains("\nenable kubelet.service\n") && preset.contains("\ndisable x.service\n"),
        "{preset}"
    );
}
