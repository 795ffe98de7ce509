//! Documents and flags of Kubernetes in overlays.

use super::{refused, taken};

const CLUSTER: &str = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n";
/// Without it a warning says that the default is in a read-only directory.
const PLUGINS: &str =
    "controllerManager: {extraArgs: [{name: flex-volume-plugin-dir, value: /var/lib/x}]}\n";
const KUBELET: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
const DROP_IN: &str = "/etc/kubernetes/kubelet.conf.d/60-mine.conf";

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn documents_are_judged_at_their_lines() {
    let refuse = |path: &str, head: &str, rest: &str, parts: &[&str]| {
        let place = format!("`{path}:3` (from overlay `ov`)");
        let parts = [parts, &[place.as_str()]].concat();
        refused(&[(path, 0o644, format!("{head}{rest}").as_bytes())], &parts);
    };
    let file = "/etc/kubernetes/kubeadm.yaml";
    refuse(
        file,
        CLUSTER,
        "clusterNam: x\n",
        &["clusterNam", "`clusterName`"],
    );
    refuse(
        file,
        CLUSTER,
        "kubernetesVersion: 1.36\n",
        &["kubernetesVersion"],
    );
    refuse(
        file,
        CLUSTER,
        "apiServer: {extraArgs: [{name: audit-log-pth, value: x}]}\n",
        &["Kubernetes 1.36", "did you mean `audit-log-path`?"],
    );
    refuse(
        file,
        CLUSTER,
        "etcd: {local: {dataDir: /opt/etcd}}\n",
        &["read-only in this image"],
    );
    refuse(
        file,
        CLUSTER,
        "apiServer: {certSANs: ['https://a.example']}\n",
        &["neither an IP address nor a name"],
    );
    refuse(DROP_IN, KUBELET, "maxPod: 5\n", &["`maxPods`"]);
    refuse(
        DROP_IN,
        KUBELET,
        "featureGates: {NoSuch: true}\n",
        &["Kubernetes 1.36"],
    );
    refuse(
        DROP_IN,
        KUBELET,
        "volumePluginDir: /opt/x\n",
        &["read-only"],
    );
    refuse(
        DROP_IN,
        KUBELET,
        "staticPodPath: /opt/pods\n",
        &["read-only"],
    );
    refuse(
        DROP_IN,
        KUBELET,
        "evictionHard: {memory.free: 5%}\n",
        &["eviction"],
    );
    refuse(
        "/etc/kube-proxy.yaml",
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n",
        "mode: ipvss\n",
        &["`ipvs`"],
    );
    let nothing = "maxPods: 5\n";
    refused(
        &[(DROP_IN, 0o644, nothing.as_bytes())],
        &["is not a KubeletConfiguration"],
    );
    let text = format!("{KUBELET}maxPods: 5\n");
    refused(
        &[(
            "/etc/kubernetes/kubelet.conf.d/60-mine.yaml",
            0o644,
            text.as_bytes(),
        )],
        &["has no effect", "`.conf`"],
    );
}

#[test]
fn flags_are_judged_wherever_they_are_named() {
    let unit = "[Service]\nExecStart=/usr/bin/env\nExecStartPost=/usr/local/bin/kube-scheduler --no-such=1 --v=2\n";
    refused(
        &[("/etc/systemd/system/a.service", 0o644, unit.as_bytes())],
        &[
            "a.service:3`",
            "--no-such: `no-such` is not a flag of the kube-scheduler of Kubernetes 1.36",
        ],
    );
    // The image's tag says the version.
    let pod = |flag: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: a\n    image: registry.k8s.io/kube-apiserver:v1.34.4\n    command:\n    - kube-apiserver\n    - --{flag}\n"
        )
    };
    let path = "/etc/kubernetes/manifests/kube-apiserver.yaml";
    refused(
        &[(path, 0o644, pod("audit-log-pth=/x").as_bytes())],
        &[
            "kube-apiserver.yaml:9`",
            "Kubernetes 1.34",
            "did you mean `audit-log-path`?",
        ],
    );
    taken(&[(path, 0o644, pod("audit-log-path=/x").as_bytes())]);
    refused(
        &[(
            "/etc/default/kubelet",
            0o644,
            b"# mine\nKUBELET_EXTRA_ARGS=--max-podz=5\n",
        )],
        &["kubelet:2`", "`max-pods`?"],
    );
    taken(&[(
        "/etc/default/kubelet",
        0o644,
        b"KUBELET_EXTRA_ARGS=--max-pods=5 --node-ip=$NODE_IP\n",
    )]);
}

#[test]
fn what_is_not_a_document_or_has_no_values_yet_is_taken() {
    for text in [
        format!(
            "{CLUSTER}kubernetesVersion: ${{KUBERNETES_VERSION}}\nclusterName: $NAME\n{PLUGINS}"
        ),
        format!("{CLUSTER}kubernetesVersion: '@VERSION@'\n{PLUGINS}"),
        format!("{CLUSTER}kubernetesVersion: <version>\n{PLUGINS}"),
        format!("cat >x <<END\n{CLUSTER}clusterNam: x\nEND\n"),
        "apiVersion: v1\nkind: ConfigMap\n".to_owned(),
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: CredentialProviderConfig\nproviders: []\n"
            .to_owned(),
    ] {
        taken(&[("/etc/kubernetes/kubeadm.yaml", 0o644, text.as_bytes())]);
    }
    let kubelet = format!(
        "{KUBELET}systemReserved: {{cpu: 100m, memory: 512Mi}}\nevictionHard: {{memory.available: 100Mi, nodefs.available: 10%}}\nserializeImagePulls: false\nmaxParallelImagePulls: 5\nprotectKernelDefaults: true\nstaticPodPath: /etc/kubernetes/manifests\nshutdownGracePeriod: 60s\n"
    );
    taken(&[(DROP_IN, 0o644, kubelet.as_bytes())]);
}
