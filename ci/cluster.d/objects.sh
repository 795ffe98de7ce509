# shellcheck shell=bash
# What the API server holds before the first node comes, tokens, and approving
# certificates. Sourced by ci/cluster.
#
# The rights of bootstrap tokens and cluster-info are kubeadm's own work: its `init`
# phase runs against this cluster as it would against its own.

readonly SERVING_SIGNER=kubernetes.io/kubelet-serving

cluster_configuration() {
    cat <<EOF
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v$(<"$DIR/version")
clusterName: $CLUSTER
controlPlaneEndpoint: ${ENDPOINT#https://}
networking:
  serviceSubnet: $SERVICE_CIDR
  podSubnet: $CLUSTER_CIDR
  dnsDomain: cluster.local
EOF
}

# What kubeadm's phase bootstrap-token leaves out: the phases that upload the
# configurations need a Node of the control plane, which does not exist here.
# serverTLSBootstrap: a kubelet of kubeadm's shows a certificate of the cluster's CA
# (see approve-serving), or `kubectl logs` fails.
objects() {
    cat <<EOF
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: kube-apiserver-to-kubelet}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:kubelet-api-admin'}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: kube-apiserver-kubelet-client}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kubeadm-config, namespace: kube-system}
data:
  ClusterConfiguration: |
$(cluster_configuration | sed 's/^/    /')
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kubelet-config, namespace: kube-system}
data:
  kubelet: |
    apiVersion: kubelet.config.k8s.io/v1beta1
    kind: KubeletConfiguration
    authentication:
      anonymous: {enabled: false}
      webhook: {enabled: true}
      x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}
    authorization: {mode: Webhook}
    cgroupDriver: systemd
    clusterDNS: [10.32.0.10]
    clusterDomain: cluster.local
    rotateCertificates: true
    serverTLSBootstrap: true
    staticPodPath: /etc/kubernetes/manifests
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: 'kubeadm:configurations', namespace: kube-system}
rules:
- {apiGroups: [''], resources: [configmaps], resourceNames: [kubeadm-config, kubelet-config], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: 'kubeadm:configurations', namespace: kube-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: 'kubeadm:configurations'}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:nodes'}
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:bootstrappers:kubeadm:default-node-token'}
EOF
}

make_objects() {
    cat >"$DIR/kubeadm.yaml" <<EOF
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: $LAN_ADDRESS}
nodeRegistration: {name: control-plane, criSocket: unix:///run/containerd/containerd.sock}
---
$(cluster_configuration)
EOF
    {
        objects | kubectl apply --validate=false -f -
        kubeadm init phase bootstrap-token --config "$DIR/kubeadm.yaml" --kubeconfig "$DIR/admin.kubeconfig" --skip-token-print
    } >"$DIR/log/objects.log" 2>&1 || die "the cluster's first objects could not be made: $(tail -n3 "$DIR/log/objects.log")"
}

# token [HOURS]: printed when cluster-info is signed with it, which is what
# `kubeadm join` by discovery looks at.
token() {
    local hours=${1:-2} made tries
    [[ $# -le 1 && $hours =~ ^[1-9][0-9]{0,3}$ ]] || usage_error "token takes a number of hours"
    made=$(kubeadm token create --ttl "${hours}h" 2>"$DIR/log/token.log") ||
        die "kubeadm made no token: $(tail -n1 "$DIR/log/token.log")"
    for ((tries = 0; tries < 150; tries++)); do
        [[ -z $(kubectl -n kube-public get configmap cluster-info -o "jsonpath={.data.jws-kubeconfig-${made%%.*}}") ]] || {
            printf '%s\n' "$made"
            return 0
        }
        sleep 0.2
    done
    die "the controller manager has not signed cluster-info with the token ${made%%.*} in 30 s; see $DIR/log/kube-controller-manager.log"
}

waiting_serving_requests() {
    kubectl get csr -o go-template="{{range .items}}{{if and (eq .spec.signerName \"$SERVING_SIGNER\") (not .status.conditions)}}{{.metadata.name}} {{end}}{{end}}"
}

# approve_serving [SECONDS]: a person's task, as no controller approves these.
approve_serving() {
    local seconds=${1:-60} end names
    [[ $# -le 1 && $seconds =~ ^[0-9]{1,4}$ ]] || usage_error "approve-serving takes a number of seconds"
    end=$((SECONDS + seconds))
    while :; do
        names=$(waiting_serving_requests)
        if [[ -n $names ]]; then
            # Words: names of requests have no blanks.
            # shellcheck disable=SC2086
            kubectl certificate approve $names
            return 0
        fi
        ((SECONDS < end)) || die "no kubelet has asked for a serving certificate in $seconds s"
        sleep 0.5
    done
}
