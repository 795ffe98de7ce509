//! `kubeadm config validate`, the program itself, and the judge here: the same verdicts of
//! good documents, of bad ones, and of good ones with each of their values changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use nodeimg_seed::text::yaml::{Kind, documents};
use nodeimg_test_support::judge;
use nodeimg_values::parallel::{cores, in_parallel};

use super::{INIT, JOIN, errors_of};

/// What only the judge here looks at: kubeadm takes what the kubelet, another program or this
/// image refuses.
const OURS: [&str; 26] = [
    "is not a flag of",
    "which the pod of",
    "the kubelet refuses",
    ".value: ",
    ".taints",
    ".effect",
    "apiServerEndpoint: ",
    "caCertHashes: is not the hash",
    "is a second",
    "overlaps",
    "of a family that services have",
    "read-only in this image",
    "cannot be made there",
    "has no `hostPath`",
    "has no `mountPath`",
    "has no `name`",
    "extraVolumes.hostPath: is not an absolute path",
    "pathType",
    "keeps its groups by systemd",
    "is not a feature gate of Kubernetes",
    "is not a mode of kube-proxy",
    "clusterCIDR",
    "clusterDNS",
    "inside the",
    "extraArgs.name",
    "that neither the image nor the seed has",
];

/// Documents as people have them, of every version that the lab has.
const DOCUMENTS: &[(&str, &str)] = &[
    ("join", JOIN),
    ("init", INIT),
    (
        "init",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: VERSION\n",
    ),
    (
        "init",
        "---\n# first\nkind: InitConfiguration\napiVersion: kubeadm.k8s.io/v1beta4\n---\n",
    ),
    (
        "init",
        "kind: InitConfiguration\napiVersion: kubeadm.k8s.io/v1beta4\n---\n# nothing\n",
    ),
    (
        "init",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.30.0\n",
    ),
    (
        "init",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\napiServer: {extraArgs: {a: b}}\n",
    ),
    (
        "init",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\napiServer: {timeoutForControlPlane: 4m}\n",
    ),
    (
        "init",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nnetworking: {podSubnet: '10.0.0.0/8'}\n",
    ),
    (
        "init",
        "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nkubernetesVersion: VERSION\napiServer: {timeoutForControlPlane: 4m, extraArgs: {audit-log-path: /var/log/a}}\n",
    ),
    (
        "init",
        "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nkubernetesVersion: VERSION\nencryptionAlgorithm: RSA-2048\n",
    ),
    (
        "init",
        "apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\n",
    ),
    (
        "init",
        "apiVersion: kubeadm.k8s.io/v1\nkind: ClusterConfiguration\n",
    ),
    (
        "init",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfigurations\n",
    ),
    (
        "init",
        "apiVersion: v1\nkind: ConfigMap\n---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n",
    ),
    (
        "join",
        "apiVersion: kubeadm.k8s.io/v1beta3\nkind: JoinConfiguration\ndiscovery: {timeout: 5m, bootstrapToken: {token: abcdef.0123456789abcdef, apiServerEndpoint: 'a:1', unsafeSkipCAVerification: true}}\nnodeRegistration: {kubeletExtraArgs: {v: '2'}}\n",
    ),
    (
        "join",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery: {timeout: 5m, bootstrapToken: {token: abcdef.0123456789abcdef, apiServerEndpoint: 'a:1', unsafeSkipCAVerification: true}}\n",
    ),
    (
        "join",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery: {file: {kubeConfigPath: /nonexistent}}\n",
    ),
    (
        "join",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery: {}\n",
    ),
    (
        "join",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery: {bootstrapToken: {token: 123456.0123456789012345, apiServerEndpoint: 'a:1', unsafeSkipCAVerification: true}}\n",
    ),
];

#[test]
fn kubeadm_and_the_judge_agree() {
    let versions = judge::of_lab("kubeadm");
    let Some((newest, _)) = versions.last() else {
        return;
    };
    let mut cases: Vec<(&Path, &str, &str, String)> = Vec::new();
    for (version, folder) in &versions {
        let is = |text: &str| {
            let version = format!("v{version}");
            text.replace("v1.37.2", &version)
                .replace("VERSION", &version)
        };
        for (verb, text) in DOCUMENTS {
            cases.push((folder, version, verb, is(text)));
        }
        for (verb, text) in [("join", JOIN), ("init", INIT)] {
            for text in changed(&is(text)) {
                if version == newest {
                    cases.push((folder, version, verb, text));
                }
            }
        }
    }
    assert!(cases.len() > 300, "{}", cases.len());
    let differences = in_parallel(cores(), cases.len(), |at| {
        let (folder, version, verb, text) = &cases[at];
        difference(&folder.join("kubeadm"), version, verb, text)
    });
    let found: Vec<String> = differences.into_iter().flatten().collect();
    let count = found.len();
    assert!(
        count == 0,
        "{count} of {}:\n{}",
        cases.len(),
        found.join("\n")
    );
}

/// What kubeadm itself prints is good.
#[test]
fn kubeadms_own_defaults_are_taken() {
    for (version, folder) in judge::of_lab("kubeadm") {
        let mut print = Command::new(folder.join("kubeadm"));
        print.args(["config", "print", "init-defaults", "--component-configs"]);
        print.arg("KubeletConfiguration,KubeProxyConfiguration");
        let text = String::from_utf8(print.output().unwrap().stdout).unwrap();
        assert!(text.contains("flushFrequency"), "{text}");
        assert_eq!(errors_of("init", &text, &version), [""; 0], "{version}");
    }
}

/// How the verdicts of a text differ.
fn difference(kubeadm: &Path, version: &str, verb: &str, text: &str) -> Option<String> {
    let refused = refusal(kubeadm, text);
    let ours = errors_of(verb, text, version);
    let is_ours = |error: &String| OURS.iter().any(|part| error.contains(part));
    match (&refused, ours.is_empty()) {
        (Some(said), true) => Some(format!("only kubeadm {version}: {said}\n{text}")),
        (None, false) if !ours.iter().all(is_ours) => {
            Some(format!("only here, {version}: {ours:#?}\n{text}"))
        }
        _ => None,
    }
}

/// What kubeadm says, if it refuses a file.
fn refusal(kubeadm: &Path, text: &str) -> Option<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let ran = Command::new(kubeadm)
        .args(["config", "validate", "--config"])
        .arg(file.path())
        .output()
        .unwrap();
    (!ran.status.success()).then(|| String::from_utf8_lossy(&ran.stderr).into_owned())
}

/// The text with one line changed at a time: its key misspelt, or its value of another type.
fn changed(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut all = BTreeSet::new();
    for (at, line) in lines.iter().enumerate() {
        let Some((key, value)) = line.split_once(": ").or_else(|| line.split_once(':')) else {
            continue;
        };
        let with = |line: String| {
            let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            lines[at] = line;
            lines.join("\n") + "\n"
        };
        let misspelt = format!("{key}x:{}{value}", if value.is_empty() { "" } else { " " });
        let mut made = vec![misspelt];
        if !value.is_empty() && !key.contains("apiVersion") && !key.contains("kind") {
            let values = ["5", "1.5", "true", "word", "''", "~", "[]", "{}", "{a: b}"];
            made.extend(values.map(|value| format!("{key}: {value}")));
        }
        for line in made {
            let text = with(line);
            if is_whole(&text) {
                all.insert(text);
            }
        }
    }
    all.into_iter().collect()
}

/// Whether it is still YAML of mappings.
fn is_whole(text: &str) -> bool {
    documents(text, 1).is_ok_and(|documents| {
        documents.iter().all(|document| {
            let root = document.root.as_ref();
            root.is_some_and(|root| matches!(root.kind, Kind::Mapping(_)))
        })
    })
}
