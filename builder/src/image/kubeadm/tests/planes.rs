//! Programs of a control plane: their flags and the files that they see.

use super::{INIT, errors_of, problems_of, refused, seed_of};

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn flags_and_files_that_stop_a_control_plane() {
    let log = "name: audit-log-path\n    value: /var/log/kubernetes/audit.log";
    let plugins = "name: flex-volume-plugin-dir\n    value: /var/lib/kubelet/volume-plugins";
    refused(
        "init",
        INIT,
        &[
            (
                "name: audit-log-path",
                "name: audit-log-pth",
                "did you mean `audit-log-path`?",
            ),
            (
                plugins,
                "name: pod-eviction-timeout\n    value: 5m0s",
                "is not a flag of the kube-controller-manager of Kubernetes 1.37",
            ),
            (
                "clusterName: one",
                "scheduler: {extraArgs: [{name: algorithm-provider, value: x}]}",
                "is not a flag of the kube-scheduler",
            ),
            (
                "dataDir: /var/lib/etcd",
                "dataDir: /var/lib/etcd\n    extraArgs:\n    - {name: experimental-initial-corrupt-check, value: 'true'}",
                "is not a flag of etcd 3.7.0, which would not start; remove it: it is one of \
                 Kubernetes 1.34, 1.35 and 1.36",
            ),
            (
                log,
                "name: feature-gates\n    value: NoSuchGate=true",
                "is not a feature gate of Kubernetes 1.37",
            ),
            (
                log,
                "name: feature-gates\n    value: kube:NoSuchGate=true",
                "is not a feature gate of Kubernetes 1.37",
            ),
            (
                log,
                "name: enable-admission-plugins\n    value: NodeRestriction,PodSecurityPolicy",
                "names `PodSecurityPolicy`, which kube-apiserver of Kubernetes 1.37 does not know",
            ),
            (
                log,
                "name: enable-admission-plugins\n    value: NodeRestricton",
                "did you mean `NodeRestriction`?",
            ),
            (
                plugins,
                "name: controllers\n    value: '*,tokencleanr'",
                "did you mean `tokencleaner`?",
            ),
            (
                log,
                "name: audit-log-maxage\n    value: 7d",
                "`audit-log-maxage` takes a whole number",
            ),
            (
                log,
                "name: audit-policy-file\n    value: /etc/kubernetes/audit.yaml",
                "which the pod of kube-apiserver does not see",
            ),
            (
                log,
                "name: audit-policy-file\n    value: /var/log/kubernetes/policy.yaml",
                "neither the image nor the seed has",
            ),
            (
                "- name: audit\n",
                "- name: Audit.log\n",
                "is not the name of a volume",
            ),
            (
                "hostPath: /var/log/kubernetes",
                "hostPath: /var/log/../x",
                "has a `..`",
            ),
        ],
    );
}

/// As a mapping, which v1beta3 has.
#[test]
fn flags_of_mappings_are_judged() {
    let cluster = |arguments: &str| {
        format!(
            "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nkubernetesVersion: v1.36.3\napiServer:\n  extraArgs:\n{arguments}"
        )
    };
    let found = errors_of(
        "init",
        &cluster("    audit-log-pth: /var/log/a\n"),
        "1.36.3",
    );
    let expected = "user-data:10: nodeimg.kubeadm.init.apiServer.extraArgs.audit-log-pth: ";
    assert!(found.concat().contains(expected), "{found:#?}");
    let good =
        "    audit-log-path: /var/log/a\n    bind-address: 0.0.0.0\n    profiling: 'false'\n";
    assert_eq!(errors_of("init", &cluster(good), "1.36.3"), [""; 0]);
}

/// What kubespray, image-builder, Cluster API and their users write.
#[test]
fn what_people_have_is_taken() {
    let text = "apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration:
  criSocket: /var/run/containerd/containerd.sock
  kubeletExtraArgs:
  - {name: cloud-provider, value: external}
  - {name: node-labels, value: 'topology.kubernetes.io/zone=a'}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.37.2
controlPlaneEndpoint: lb.example:6443
certificatesDir: /etc/kubernetes/pki
imageRepository: registry.k8s.io
apiServer:
  certSANs: [kubernetes, kubernetes.default.svc.cluster.local, localhost, 127.0.0.1, '::1', '*.example.com']
  extraArgs:
  - {name: anonymous-auth, value: 'True'}
  - {name: authorization-mode, value: 'Node,RBAC'}
  - {name: bind-address, value: '::'}
  - {name: apiserver-count, value: '3'}
  - {name: enable-admission-plugins, value: 'NodeRestriction,AlwaysPullImages'}
  - {name: feature-gates, value: 'kube:InPlacePodVerticalScaling=true'}
  - {name: service-node-port-range, value: 30000-32767}
  - {name: oidc-ca-file, value: /etc/ssl/certs/ca-certificates.crt}
  - {name: etcd-compaction-interval, value: 5m0s}
  - {name: runtime-config, value: 'api/all=true'}
  - {name: tls-cipher-suites, value: 'TLS_AES_128_GCM_SHA256'}
  - {name: event-ttl, value: 1h0m0s}
  - {name: encryption-provider-config, value: /etc/kubernetes/enc/enc.yaml}
  extraVolumes:
  - {name: enc, hostPath: /etc/kubernetes/enc, mountPath: /etc/kubernetes/enc, readOnly: true, pathType: DirectoryOrCreate}
  - {name: audit-policy, hostPath: /etc/kubernetes/audit.yaml, mountPath: /etc/kubernetes/audit.yaml, readOnly: true, pathType: File}
controllerManager:
  extraArgs:
  - {name: controllers, value: '*,bootstrapsigner,tokencleaner,-ttl-controller'}
  - {name: node-cidr-mask-size, value: '24'}
  - {name: flex-volume-plugin-dir, value: /var/lib/kubelet/volume-plugins}
  - {name: authentication-kubeconfig, value: /etc/kubernetes/controller-manager.conf}
  - {name: concurrent_rc_syncs, value: '5'}
scheduler:
  extraArgs:
  - {name: config, value: /etc/kubernetes/kubescheduler-config.yaml}
  extraVolumes:
  - {name: kubescheduler-config, hostPath: /etc/kubernetes/kubescheduler-config.yaml, mountPath: /etc/kubernetes/kubescheduler-config.yaml, readOnly: true}
etcd:
  local:
    imageTag: 3.5.21-0
    extraArgs:
    - {name: experimental-initial-corrupt-check, value: 'true'}
    - {name: election-timeout, value: '5000'}
";
    let indented = seed_of("init", text);
    let files = "write_files:\n- {path: /etc/kubernetes/enc/enc.yaml, content: x}\n- {path: /etc/kubernetes/kubescheduler-config.yaml, content: x}\n- {path: /etc/kubernetes/audit.yaml, content: x}\n";
    let found = problems_of(&format!("{indented}{files}"), None, "1.37.2");
    assert!(found.is_empty(), "{found:#?}");
}

/// Flags that packages of the kubelet read from a file.
#[test]
fn flags_of_the_kubelets_defaults_are_judged() {
    let seed = |flags: &str| {
        format!(
            "#cloud-config\nwrite_files:\n- path: /etc/default/kubelet\n  content: |\n    KUBELET_EXTRA_ARGS=\"{flags}\"\n"
        )
    };
    let found = problems_of(
        &seed("--cloud-provider=external --node-ipp=1.2.3.4"),
        None,
        "1.37.2",
    );
    let said: Vec<String> = found.iter().map(ToString::to_string).collect();
    let is_told = |said: &String| said.starts_with("user-data:5: ") && said.contains("`node-ip`?");
    assert!(said.iter().any(is_told), "{said:#?}");
    let good = seed("--cloud-provider=external --node-ip=192.168.56.101 --v=2");
    let found = problems_of(&good, None, "1.37.2");
    assert!(
        !found.iter().any(|p| p.to_string().contains("flag")),
        "{found:#?}"
    );
}

/// Values that the kubelet's own validation refuses.
#[test]
fn values_of_the_kubelet_are_judged() {
    refused(
        "init",
        INIT,
        &[
            (
                "maxPods: 50",
                "imageGCLowThresholdPercent: 95",
                "must be less",
            ),
            (
                "maxPods: 50",
                "topologyManagerPolicy: best-efort",
                "`best-effort`",
            ),
            (
                "maxPods: 50",
                "volumePluginDir: /usr/libexec/x",
                "write `/var/lib/kubelet/volume-plugins`",
            ),
            (
                "maxPods: 50",
                "staticPodPath: /srv/pods",
                "is not where kubeadm puts the control plane",
            ),
        ],
    );
    for good in [
        "shutdownGracePeriod: 5s",
        // As `kubeadm config print` has it.
        "logging: {flushFrequency: 0, options: {json: {infoBufferSize: '0'}}, verbosity: 0}",
    ] {
        let text = INIT.replace("maxPods: 50", good);
        assert_eq!(errors_of("init", &text, "1.37.2"), [""; 0]);
    }
}
