//! Documents of kubeadm in seeds: the reasons that are told, at which line, and (in
//! `judged`) kubeadm's own verdicts of the same documents.
#![allow(clippy::unwrap_used)]

mod clusters;
mod joins;
mod judged;
mod planes;
mod printed;

use std::sync::LazyLock;

use nodeimg_seed::examine::{Elsewhere, outlook};
use nodeimg_seed::plan::UnknownImage;
use nodeimg_seed::read::seed::{Layout, Seed, SeedFile};
use nodeimg_seed::text::problem::{Problem, Problems, Severity};
use nodeimg_values::epoch::Epoch;

use super::Judge;
use crate::image::firstboot::settings::settings_of;
use crate::input::recipe::{self, Recipe, RecipeRef};
use crate::output::KINDS;

const NETWORK: &str = "version: 2\nethernets:\n  eth0:\n    addresses: [192.168.56.101/24]\n";

static RECIPE: LazyLock<Recipe> =
    LazyLock::new(|| recipe::load(&RecipeRef::BuiltIn("kubeadm".into()), &KINDS).unwrap());

/// What is said of a seed by the recipe `kubeadm`, with this version of Kubernetes.
fn problems_of(user_data: &str, network: Option<&str>, version: &str) -> Vec<Problem> {
    let recipe = &*RECIPE;
    let mut settings = settings_of(recipe, Epoch(0));
    settings.kubeadm = Some(version.to_owned());
    settings.kubelet = Some(version.to_owned());
    let meta_data = "instance-id: i-1\nlocal-hostname: node-1\n";
    let mut seed = Seed::new(Layout::NoCloud, SeedFile::new("meta-data", meta_data));
    seed.user_data = Some(SeedFile::new("user-data", user_data));
    seed.network = network.map(|text| SeedFile::new("network-config", text));
    let known = [];
    let judge = Judge::of(recipe, &known).unwrap();
    let elsewhere = Elsewhere {
        templates: &[],
        architecture: "x86_64",
        now: 1_790_000_000,
        image: &UnknownImage::default(),
        judge: Some(&judge),
    };
    let mut problems = Problems::new();
    outlook(&seed, &settings, &elsewhere, &mut problems);
    problems.into_vec()
}

/// The errors of a text as `nodeimg.kubeadm.join` or `init`.
fn errors_of(verb: &str, text: &str, version: &str) -> Vec<String> {
    let found = problems_of(&seed_of(verb, text), None, version);
    let errors = found
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    errors.map(ToString::to_string).collect()
}

/// The text begins in line 5.
fn seed_of(verb: &str, text: &str) -> String {
    let lines = text.lines().map(|line| format!("      {line}\n"));
    format!(
        "#cloud-config\nnodeimg:\n  kubeadm:\n    {verb}: |\n{}",
        lines.collect::<String>()
    )
}

const JOIN: &str = "apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken:
    apiServerEndpoint: 10.0.0.1:6443
    token: abcdef.0123456789abcdef
    caCertHashes: ['sha256:8cb2de97839780a412b93877f8507ad6c94f73add17d5d7058e91741c9d5ec78']
nodeRegistration:
  name: node-1
  criSocket: unix:///run/containerd/containerd.sock
  kubeletExtraArgs:
  - name: node-labels
    value: disk=ssd
  taints: []
";

const INIT: &str = "apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint:
  advertiseAddress: 192.168.56.101
  bindPort: 6443
nodeRegistration:
  imagePullPolicy: IfNotPresent
bootstrapTokens:
- token: abcdef.0123456789abcdef
  ttl: 24h0m0s
  usages: [signing, authentication]
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.37.2
clusterName: one
controlPlaneEndpoint: server.kubernetes.local:6443
certificatesDir: /etc/kubernetes/pki
encryptionAlgorithm: ECDSA-P256
networking:
  podSubnet: 10.200.0.0/16
  serviceSubnet: 10.32.0.0/24
  dnsDomain: cluster.local
apiServer:
  certSANs: [server.kubernetes.local, 10.0.0.1]
  extraArgs:
  - name: audit-log-path
    value: /var/log/kubernetes/audit.log
  extraVolumes:
  - name: audit
    hostPath: /var/log/kubernetes
    mountPath: /var/log/kubernetes
    pathType: DirectoryOrCreate
controllerManager:
  extraArgs:
  - name: flex-volume-plugin-dir
    value: /var/lib/kubelet/volume-plugins
etcd:
  local:
    dataDir: /var/lib/etcd
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
maxPods: 50
clusterDNS: [10.32.0.10]
featureGates: {InPlacePodVerticalScaling: true}
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: 10.200.0.0/16
";

const EXTERNAL: &str = "  external:
    endpoints: [https://10.0.0.9:2379]
    caFile: /etc/kubernetes/pki/etcd/ca.crt
    certFile: /etc/kubernetes/pki/etcd.crt
    keyFile: /etc/kubernetes/pki/etcd.key
";

#[test]
fn good_documents_are_good() {
    for (verb, text) in [("join", JOIN), ("init", INIT)] {
        let found = problems_of(&seed_of(verb, text), Some(NETWORK), "1.37.2");
        assert!(found.is_empty(), "{verb}: {found:#?}");
    }
    // What Cluster API writes: a socket without `unix://`, no verdict of the lists of types.
    let text = JOIN.replace("unix:///run", "/var/run");
    assert_eq!(errors_of("join", &text, "1.99.0"), [""; 0]);
}

/// What is changed in a good document, and what is then said of which line.
#[track_caller]
fn refused(verb: &str, good: &str, cases: &[(&str, &str, &str)]) {
    let mut missed = Vec::new();
    for (from, to, expected) in cases {
        assert!(good.contains(from), "{from}");
        let text = good.replacen(from, to, 1);
        let found = problems_of(&seed_of(verb, &text), Some(NETWORK), "1.37.2");
        let line = 5 + good[..good.find(from).unwrap()].matches('\n').count();
        let lines = line.saturating_sub(4)..=line + 1 + to.matches('\n').count();
        let is_hit = |problem: &Problem| {
            let is_near = problem.line.is_some_and(|at| lines.contains(&at));
            is_near && problem.to_string().contains(expected)
        };
        if !found.iter().any(is_hit) {
            let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
            missed.push(format!("{to}: {expected} near line {line}: {shown:#?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_secret_is_not_shown() {
    let token = "123456.0123456789012345";
    let text = JOIN.replace("abcdef.0123456789abcdef", token);
    let found = errors_of("join", &text, "1.37.2");
    assert!(
        !found.is_empty() && !found.concat().contains("123456"),
        "{found:#?}"
    );
}

/// As Cluster API has it: a file and a command.
#[test]
fn files_are_judged_at_their_lines() {
    let bad = JOIN.replace("bootstrapToken", "bootStrapToken");
    let lines = bad
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect::<String>();
    let seed = format!(
        "#cloud-config\nwrite_files:\n- path: /run/kubeadm/join.yaml\n  content: |\n{lines}runcmd: [kubeadm join --config /run/kubeadm/join.yaml]\n"
    );
    let found = problems_of(&seed, None, "1.37.2");
    let expected = "user-data:8: /run/kubeadm/join.yaml.discovery.bootStrapToken: ";
    assert!(
        found
            .iter()
            .any(|problem| problem.to_string().contains(expected)),
        "{found:#?}"
    );
    let json = serde_json::to_string(&bad).unwrap();
    let seed = format!(
        "#cloud-config\nwrite_files:\n- {{path: /run/join.yaml, content: {json}}}\nruncmd: [kubeadm join]\n"
    );
    let found = problems_of(&seed, None, "1.37.2");
    let expected = "user-data, /run/join.yaml:4: /run/join.yaml.discovery.bootStrapToken: ";
    assert!(
        found
            .iter()
            .any(|problem| problem.to_string().contains(expected)),
        "{found:#?}"
    );
    // A drop-in of the kubelet is judged alone.
    let drop_in = "#cloud-config\nwrite_files:\n- path: /etc/kubernetes/kubelet.conf.d/60-mine.conf\n  content: |\n    apiVersion: kubelet.config.k8s.io/v1beta1\n    kind: KubeletConfiguration\n    maxPod: 5\nruncmd: [kubeadm join]\n";
    let found = problems_of(drop_in, None, "1.37.2");
    assert!(found.len() == 1 && found[0].line == Some(7), "{found:#?}");
    // A script that writes one is not one.
    let script = "#cloud-config\nwrite_files:\n- path: /run/x.sh\n  content: |\n    cat >x <<END\n    apiVersion: kubeadm.k8s.io/v1beta4\n    END\nruncmd: [/run/x.sh]\n";
    assert_eq!(problems_of(script, None, "1.37.2"), []);
}

/// Mappings in the place of text: the lines are theirs.
#[test]
fn mappings_are_judged_at_their_lines() {
    let seed = "#cloud-config\nnodeimg:\n  kubeadm:\n    init:\n    - apiVersion: kubeadm.k8s.io/v1beta4\n      kind: ClusterConfiguration\n      clusterName: y\n      etcd:\n        local:\n          dataDirs: /var/lib/etcd\n";
    let found = problems_of(seed, None, "1.37.2");
    let errors: Vec<_> = found
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(|problem| (problem.line, problem.key.clone()))
        .collect();
    let key = "nodeimg.kubeadm.init.etcd.local.dataDirs".to_owned();
    assert_eq!(errors, [(Some(10), Some(key))], "{found:#?}");
}
