# shellcheck shell=bash
# Where the programs come from, and starting, watching and ending them. Sourced
# by ci/cluster.
#
# A running program is identified by a file with its pid and start time (field 22 of
# /proc/PID/stat), so that no other process that reuses the pid is killed.

readonly START_WAIT=180
readonly PROGRAM_NAMES='etcd kube-apiserver kube-controller-manager kube-scheduler'

# find_programs: puts all of them in STATE/bin, as links to what ci/lab compiled, and
# the release in STATE/version (such as 1.37.2).
find_programs() {
    local name
    mkdir -p "$PROGRAMS" "$DIR"/{run,log}
    [[ ! -e $DIR/version ]] || {
        [[ $(<"$DIR/version").0 == "${KUBERNETES}".* ]] ||
            die "cluster $CLUSTER runs Kubernetes $(<"$DIR/version"), not $KUBERNETES: stop it first with: ci/cluster down"
        return 0
    }
    for name in kube-apiserver kube-controller-manager kube-scheduler kubectl kubeadm; do
        link_program "$name" "$name@$KUBERNETES"
    done
    link_program etcd etcd
    # Last: that it is there says that all are.
    "$PROGRAMS/kube-apiserver" --version | sed 's/^Kubernetes v//' >"$DIR/version.new"
    mv "$DIR/version.new" "$DIR/version"
}

# link_program NAME WHAT-CI/LAB-KNOWS
link_program() {
    local made
    made=$("$TOP/ci/lab" program "$2" --arch "$(host_arch)") ||
        die "ci/lab has no $2: a Kubernetes version that it makes is in tests/lab"
    ln -sfn "$made" "$PROGRAMS/$1"
}

start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# runs NAME: is the recorded process there, and that same one?
runs() {
    local pid started
    [[ -f $DIR/run/$1 ]] && read -r pid started <"$DIR/run/$1" || return 1
    [[ -n $started && $(start_time "$pid") == "$started" ]]
}

# start NAME ARGS...: in the namespace and in its own session.
start() {
    local name=$1 pid
    shift
    ! runs "$name" || return 0
    setsid nsenter --net="/run/netns/$CLUSTER" -- "$PROGRAMS/$name" "$@" \
        </dev/null >>"$DIR/log/$name.log" 2>&1 9>&- &
    pid=$!
    printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$DIR/run/$name"
}

# tell NAME SIGNAL
tell() {
    local pid
    ! runs "$1" || { read -r pid _ <"$DIR/run/$1" && kill "-$2" "$pid" 2>/dev/null; } || true
}

stop_control_plane() {
    local name waited
    for name in $PROGRAM_NAMES; do tell "$name" TERM; done
    for name in $PROGRAM_NAMES; do
        for ((waited = 0; waited < 50; waited++)); do
            runs "$name" || break
            sleep 0.1
        done
        tell "$name" KILL
        rm -f "$DIR/run/$name"
    done
}

# Aggregator routing: no kube-proxy in this namespace answers for a Service's address,
# so webhooks and aggregated API servers are called at their pods' addresses (see
# `route`).
start_apiserver() {
    local pki=$DIR/pki
    start kube-apiserver --advertise-address="$LAN_ADDRESS" --secure-port=6443 \
        --bind-address="$BIND_ADDRESS" \
        --allow-privileged=true --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
        --enable-bootstrap-token-auth=true --client-ca-file="$pki/ca.crt" \
        --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
        --kubelet-certificate-authority="$pki/ca.crt" \
        --kubelet-client-certificate="$pki/apiserver-kubelet.crt" --kubelet-client-key="$pki/apiserver-kubelet.key" \
        --kubelet-preferred-address-types=InternalIP,Hostname \
        --requestheader-client-ca-file="$pki/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
        --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
        --requestheader-extra-headers-prefix=X-Remote-Extra- \
        --proxy-client-cert-file="$pki/front-proxy-client.crt" --proxy-client-key-file="$pki/front-proxy-client.key" \
        --enable-aggregator-routing=true --etcd-servers=http://127.0.0.1:2379 \
        --service-account-issuer=https://kubernetes.default.svc.cluster.local \
        --service-account-key-file="$pki/service-accounts.pub" \
        --service-account-signing-key-file="$pki/service-accounts.key" \
        --service-cluster-ip-range="$SERVICE_CIDR" --profiling=false
}

start_controllers() {
    local pki=$DIR/pki
    start kube-controller-manager --kubeconfig="$DIR/kube-controller-manager.kubeconfig" \
        --bind-address=127.0.0.1 --leader-elect=false --controllers='*,bootstrapsigner,tokencleaner' \
        --use-service-account-credentials=true --service-account-private-key-file="$pki/service-accounts.key" \
        --root-ca-file="$pki/ca.crt" --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
        --allocate-node-cidrs="$NODE_CIDRS" --cluster-cidr="$CLUSTER_CIDR" --service-cluster-ip-range="$SERVICE_CIDR" \
        --cluster-name="$CLUSTER" --profiling=false
    start kube-scheduler --kubeconfig="$DIR/kube-scheduler.kubeconfig" --bind-address=127.0.0.1 \
        --leader-elect=false --profiling=false
}

start_control_plane() {
    # A cluster of tests may lose its state with the machine: no fsync.
    start etcd --data-dir="$DIR/etcd" --unsafe-no-fsync --log-level=warn \
        --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
        --listen-peer-urls=http://127.0.0.1:2380
    start_apiserver
    await kube-apiserver ready
    start_controllers
}

ready() { [[ $(kubectl get --raw /readyz 2>/dev/null) == ok ]]; }

# await NAME CHECK: until the check holds, or the program has ended.
await() {
    local begun=$SECONDS
    until "$2"; do
        runs "$1" || die "$1 stopped; the end of $DIR/log/$1.log: $(tail -n3 "$DIR/log/$1.log")"
        ((SECONDS - begun < START_WAIT)) || die "$1 does not answer after $START_WAIT s; see $DIR/log/$1.log"
        sleep 0.2
    done
}

kubectl() { inside "$PROGRAMS/kubectl" --kubeconfig "$DIR/admin.kubeconfig" --cache-dir "$DIR/kubectl-cache" "$@"; }
kubeadm() { KUBECONFIG=$DIR/admin.kubeconfig inside "$PROGRAMS/kubeadm" "$@"; }

status() {
    local name wrong=0
    namespace_is_there || die "there is no cluster $CLUSTER"
    for name in $PROGRAM_NAMES; do
        if runs "$name"; then
            printf '%-24s runs, pid %s\n' "$name" "$(cut -d' ' -f1 "$DIR/run/$name")"
        else
            printf '%-24s does not run, see %s\n' "$name" "$DIR/log/$name.log"
            wrong=1
        fi
    done
    if ready; then
        printf '%-24s %s\n' 'API server ready' "$ENDPOINT (state in $DIR)"
    else
        printf '%-24s\n' 'API server NOT ready'
        wrong=1
    fi
    return "$wrong"
}
