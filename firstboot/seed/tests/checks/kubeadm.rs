//! Nodes that kubeadm makes: its configuration, given or made, and the script that
//! runs it.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nodeimg_seed::contract::paths::{self, BINARY_PATH};
use nodeimg_seed::contract::profile::kubeadm;
use nodeimg_seed::contract::runtime::crio;
use nodeimg_seed::plan;
use nodeimg_seed::text::problem::Problems;

use crate::identity::TOKEN;
use crate::{Case, GROUND};

const HASH: &str = "sha256:8cb2de97839780a412b93877f8507ad6c94f73add17d5d7058e91741c9d5ec78";

fn with_kubeadm(block: &str) -> Case {
    let mut case = Case::new(format!("#cloud-config\nhostname: n\nnodeimg:\n{block}"));
    case.settings.profile = &kubeadm::PROFILE;
    case
}

fn built() -> String {
    format!(
        "  api_server: https://10.0.0.1\n  bootstrap_token: {TOKEN}\n  ca_cert_hashes: ['{HASH}']\n"
    )
}

const INIT: &str = "  kubeadm:\n    init: |\n      apiVersion: kubeadm.k8s.io/v1beta4\n      kind: InitConfiguration\n      ---\n      apiVersion: kubeadm.k8s.io/v1beta4\n      kind: ClusterConfiguration\n";

/// The configuration and the script of a plan.
fn kubeadm_files(case: &Case) -> (String, String) {
    let plan = plan::plan(&case.good(), &GROUND, &mut Problems::new()).unwrap();
    let script = plan
        .text("/var/lib/nodeimg/scripts/000-kubeadm")
        .unwrap()
        .to_owned();
    (plan.text(paths::KUBEADM_CONFIG).unwrap().to_owned(), script)
}

#[test]
fn kubeadm_is_given_or_made_a_configuration() {
    let (config, script) = kubeadm_files(&with_kubeadm(&built()));
    assert_eq!(
        config,
        format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery:\n  bootstrapToken:\n    apiServerEndpoint: \"10.0.0.1:6443\"\n    token: \"{TOKEN}\"\n    caCertHashes: [\"{HASH}\"]\nnodeRegistration:\n  name: \"n\"\n  criSocket: unix:///run/containerd/containerd.sock\n"
        )
    );
    assert!(
        script.contains("until kubeadm join --config \"$config\"; do\n    status=$?\n"),
        "{script}"
    );
    let join = "apiVersion: kubeadm.k8s.io/v1beta4, kind: JoinConfiguration, discovery: {timeout: 5, file: {on: true, x: '5'}}";
    let (config, _) = kubeadm_files(&with_kubeadm(&format!("  kubeadm: {{join: {{{join}}}}}\n")));
    assert_eq!(
        config,
        "{\"apiVersion\": \"kubeadm.k8s.io/v1beta4\", \"kind\": \"JoinConfiguration\", \"discovery\": {\"timeout\": 5, \"file\": {\"on\": true, \"x\": \"5\"}}}\n"
    );
    let (config, script) = kubeadm_files(&with_kubeadm(INIT));
    assert!(
        config.contains("\n---\n")
            && script.contains("kubeadm init --config \"$config\" --skip-token-print "),
        "{config} {script}"
    );
}

/// Flags of `/etc/default/kubelet` come after those of kubeadm's configuration: an empty one
/// would take `provider-id` or `node-ip` of that away.
#[test]
fn only_what_the_seed_gives_is_a_flag_of_the_kubelet() {
    let template = plan::TemplateFile {
        path: "/etc/default/kubelet".to_owned(),
        text: "A={{ kubelet_args }}\n".to_owned(),
    };
    let ground = plan::Ground {
        templates: &[template],
        ..GROUND
    };
    for (more, expected) in [
        ("", "A=\n"),
        ("  provider_id: a://b\n", "A=--provider-id=a://b\n"),
        (
            "  labels: {x: y}\n  node_ip: 10.0.0.5\n",
            "A=--node-ip=10.0.0.5 --node-labels=x=y\n",
        ),
    ] {
        let case = with_kubeadm(&format!("{INIT}{more}"));
        let plan = plan::plan(&case.good(), &ground, &mut Problems::new()).unwrap();
        assert_eq!(plan.text("/etc/default/kubelet"), Some(expected));
    }
}

/// What no kubeadm takes is refused by the node, at its line.
#[test]
fn a_node_refuses_what_no_kubeadm_takes() {
    let join = |more: &str| {
        let text = format!("apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n{more}\n");
        let lines = text.lines().map(|line| format!("      {line}\n"));
        with_kubeadm(&format!(
            "  kubeadm:\n    join: |\n{}",
            lines.collect::<String>()
        ))
    };
    for (more, expected) in [
        (
            "nodeRegistration:\n  kubeletExtraArgs: {node-labels: a=b}",
            "user-data:9: nodeimg.kubeadm.join.nodeRegistration.kubeletExtraArgs: is a mapping, but \
             in `kubeadm.k8s.io/v1beta4` it is a list",
        ),
        (
            "nodeRegistration:\n  kubeletExtraArgs:\n  - name: node-labels\n    value: a=b,node-role.kubernetes.io/x=",
            "user-data:11: nodeimg.kubeadm.join.nodeRegistration.kubeletExtraArgs.value: \
             `node-role.kubernetes.io/x` is a label that a kubelet may not set on itself",
        ),
        (
            "discovery: {bootstrapToken: {token: x}}",
            "discovery.bootstrapToken.token: is not a bootstrap token",
        ),
        (
            "discovery: {bootstrapToken: {caCertHashes: ['sha256:<HASH>']}}",
            "caCertHashes: is not the hash of a CA",
        ),
        (
            "---\n# nothing",
            "user-data:9: nodeimg.kubeadm.join: is an empty document",
        ),
    ] {
        let (_, errors, _) = join(more).run();
        assert!(
            errors.len() == 1 && errors[0].contains(expected),
            "{expected}: {errors:#?}"
        );
    }
    let (_, errors, _) = join("nodeRegistration: {kubeletExtraArgs: [{name: a, value: b}]}").run();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn a_certificate_key_has_init_upload_the_certificates() {
    let key = format!(
        "      kind: InitConfiguration\n      certificateKey: {}\n",
        "c".repeat(64)
    );
    let seed = INIT.replace("      kind: InitConfiguration\n", &key);
    let (_, script) = kubeadm_files(&with_kubeadm(&seed));
    let run = "kubeadm init --config \"$config\" --upload-certs --skip-token-print --skip-certificate-key-print;";
    assert!(script.contains(run), "{script}");
    // The key of a joining control plane is another document's.
    let (_, script) = kubeadm_files(&with_kubeadm(INIT));
    assert!(!script.contains("upload"), "{script}");
}

#[test]
fn kubeadm_makes_control_planes() {
    let list = "  kubeadm: {init: [{apiVersion: kubeadm.k8s.io/v1beta4, kind: ClusterConfiguration}, {apiVersion: kubeproxy.config.k8s.io/v1alpha1, kind: KubeProxyConfiguration, mode: ipvs}]}\n";
    assert_eq!(
        kubeadm_files(&with_kubeadm(list)).0,
        "{\"apiVersion\": \"kubeadm.k8s.io/v1beta4\", \"kind\": \"ClusterConfiguration\"}\n---\n{\"apiVersion\": \"kubeproxy.config.k8s.io/v1alpha1\", \"kind\": \"KubeProxyConfiguration\", \"mode\": \"ipvs\"}\n"
    );
    let plane = format!(
        "{}  certificate_key: '{}'\n  node_ip: 192.168.10.101\n",
        built(),
        "c".repeat(64)
    );
    let config = kubeadm_files(&with_kubeadm(&plane)).0;
    assert!(
        config.starts_with("apiVersion: kubeadm.k8s.io/v1beta4\n"),
        "{config}"
    );
    assert!(
        config.ends_with(&format!("controlPlane:\n  certificateKey: \"{}\"\n  localAPIEndpoint:\n    advertiseAddress: \"192.168.10.101\"\n", "c".repeat(64))),
        "{config}"
    );
    let older = INIT.split("      ---\n").next().unwrap();
    let mut older = with_kubeadm(&older.replace("v1beta4", "v1beta3"));
    older.settings.kubeadm = Some("1.37.1".to_owned());
    older.fails(
        "user-data:6: nodeimg.kubeadm.init: uses `v1beta3`, which kubeadm reads only up \
        to 1.36; this image has 1.37.1",
    );
    let cluster = "  kubeadm: {init: {apiVersion: kubeadm.k8s.io/v1beta4, kind: ClusterConfiguration, kubernetesVersion: v1.36.4}}\n";
    let mut cluster = with_kubeadm(cluster);
    cluster.settings.kubelet = Some("1.37.1".to_owned());
    cluster.fails("asks for Kubernetes v1.36.4, which is older than this image's kubelet, 1.37.1");
}

#[test]
fn kubeadm_needs_the_whole_of_it() {
    for (block, expected) in [
        ("  labels: {a: b}\n", "nodeimg.kubeadm: is missing"),
        ("  kubeadm: {}\n", "holds neither `join` nor `init`"),
        ("  kubeadm: {joins: {}}\n", "did you mean `join`?"),
        (
            "  kubeadm: {join: {kind: JoinConfiguration}}\n",
            "holds no `kind: JoinConfiguration` of",
        ),
        ("  kubeadm: {join: 'a: [1'}\n", "is not valid YAML"),
        (
            "  kubeadm: {join: {a: b}, init: {a: b}}\n",
            "asks for both `init` and `join`",
        ),
    ] {
        let (_, errors, _) = with_kubeadm(block).run();
        assert!(
            errors.iter().any(|error| error.contains(expected)),
            "{expected}: {errors:#?}"
        );
    }
    for (from, to, expected) in [
        (
            HASH,
            "sha256:12",
            "nodeimg.ca_cert_hashes: is not the hash of a CA",
        ),
        (
            TOKEN,
            "nonsense",
            "nodeimg.bootstrap_token: is not a bootstrap token",
        ),
        (
            "https://",
            "http://",
            "nodeimg.api_server: is not encrypted",
        ),
        (
            "  bootstrap_token",
            "  certificate_key: abc\n  bootstrap_token",
            "nodeimg.certificate_key: is not a certificate key",
        ),
        (
            "  bootstrap_token",
            "  pod_subnet: 10.200.0.0/24\n  bootstrap_token",
            "nodeimg.pod_subnet: has no effect on a node that kubeadm",
        ),
    ] {
        with_kubeadm(&built().replacen(from, to, 1)).fails(expected);
    }
    // Cluster API's data runs kubeadm itself.
    let mut capi = with_kubeadm("  labels: {a: b}\nruncmd: [kubeadm join]\n");
    capi.user = capi.user.replace("nodeimg:\n  labels: {a: b}\n", "");
    assert!(capi.good().kubeadm.is_none());
}

/// The script of a plan with programs of the test: what was run, and its exit status.
fn run_script(directory: &Path, good_at: usize) -> (Vec<String>, Option<i32>) {
    let put = |name: &str, text: &str| {
        let path = directory.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    };
    let log = directory.join("log").display().to_string();
    let noted = format!("echo \"${{0##*/}} $*\" >>{log}\n");
    let joins = format!(
        "[ \"$1\" != join ] || [ \"$(grep -c ' join ' {log})\" -ge {good_at} ] || exit 7\n"
    );
    put("kubeadm", &format!("{noted}{joins}"));
    put("sleep", &noted);
    let firstboot = put("firstboot", &noted);
    let (config, script) = kubeadm_files(&with_kubeadm(&built()));
    let at = directory.join("kubeadm.yaml");
    fs::write(&at, config).unwrap();
    let script = script
        .replace(paths::KUBEADM_CONFIG, at.to_str().unwrap())
        .replace(BINARY_PATH, &firstboot);
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap());
    let script = put("script", &script);
    let status = Command::new(script).env("PATH", path).status().unwrap();
    let said = fs::read_to_string(&log).unwrap();
    (said.lines().map(str::to_owned).collect(), status.code())
}

/// An API server may be late; what an attempt has left behind is cleared before the next.
#[test]
fn kubeadm_is_tried_five_times_and_cleaned_up_after() {
    const RESET: &str = "kubeadm reset --force --cri-socket unix:///run/containerd/containerd.sock";
    for (good_at, joins, status) in [(1, 1, 0), (3, 3, 0), (5, 5, 0), (6, 5, 7)] {
        let directory = tempfile::tempdir().unwrap();
        let (said, code) = run_script(directory.path(), good_at);
        let config = directory.path().join("kubeadm.yaml");
        let join = format!("kubeadm join --config {}", config.display());
        let mut expected = vec![join.as_str()];
        for _ in 1..joins {
            expected.extend([RESET, "sleep 15", &join]);
        }
        // The configuration is no longer needed, or is kept for the next boot.
        expected.extend((status == 0).then_some("firstboot forget-token"));
        assert_eq!(said, expected);
        assert_eq!(code, Some(status), "{said:?}");
    }
}

/// With CRI-O in the image, what first boot makes for kubeadm says so; a seed that was
/// written for containerd is refused before anything starts.
#[test]
fn kubeadm_is_told_the_socket_of_the_image() {
    let on_crio = |block: &str| {
        let mut case = with_kubeadm(block);
        case.settings.runtime = &crio::RUNTIME;
        case
    };
    let (config, script) = kubeadm_files(&on_crio(&built()));
    let socket = "unix:///var/run/crio/crio.sock";
    assert!(
        config.ends_with(&format!("  criSocket: {socket}\n")),
        "{config}"
    );
    assert!(
        script.contains(&format!("--cri-socket {socket}\n")),
        "{script}"
    );
    assert!(!script.contains("containerd"), "{script}");

    let named = INIT.replace(
        "      kind: InitConfiguration\n",
        "      kind: InitConfiguration\n      nodeRegistration:\n        criSocket: unix:///run/containerd/containerd.sock\n",
    );
    kubeadm_files(&with_kubeadm(&named));
    let (_, errors, _) = on_crio(&named).run();
    let [error] = &errors[..] else {
        panic!("{errors:?}");
    };
    for part in [
        "user-data:9",
        "names the socket of containerd",
        "has crio",
        socket,
    ] {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
    let drop_in = "  kubeadm: {join: {apiVersion: kubeadm.k8s.io/v1beta4, kind: JoinConfiguration}}\nwrite_files:\n- path: /etc/kubernetes/kubelet.conf.d/60-mine.conf\n  content: |\n    maxPods: 5\n    containerRuntimeEndpoint: unix:///var/run/containerd/containerd.sock\n";
    let (_, errors, _) = on_crio(drop_in).run();
    let [error] = &errors[..] else {
        panic!("{errors:?}");
    };
    assert!(
        error.contains("line 2 of the file names the socket of containerd"),
        "{error}"
    );
    with_kubeadm(drop_in).good();
}
