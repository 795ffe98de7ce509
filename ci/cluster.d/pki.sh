# shellcheck shell=bash
# Keys, certificates and kubeconfigs as in "Kubernetes the Hard Way", by openssl;
# P-256 keys, which an emulated node checks sooner than RSA's. Sourced by
# ci/cluster.
#
#   pki/ca           signs all of these and, in the controller manager, nodes
#   pki/apiserver    serves; apiserver-kubelet: what the API server shows kubelets
#   pki/front-proxy-ca, front-proxy-client  what the API server shows aggregated
#                    API servers when it passes a user's request on
#   pki/service-accounts.{key,pub}
#   *.kubeconfig     admin, kube-controller-manager, kube-scheduler

readonly LIFETIME='30 days'
# Which CA `certificate` signs with.
CA=ca

# certificate PATH-WITHOUT-EXTENSION SUBJECT UNTIL EXTENSION...: signed by pki/CA, from
# an hour ago until UNTIL (such as "30 days"), or, if that is "expired", for a day in
# the past.
certificate() {
    local path=$1 subject=$2 from='1 hour ago' until=$3 work
    [[ $3 != expired ]] || from='2 days ago' until='1 day ago'
    work=$(mktemp -d "$DIR/pki/work.XXXXXX")
    : >"$work/index"
    cat >"$work/config" <<EOF
[ca]
default_ca = own
[own]
database = $work/index
new_certs_dir = $work
default_md = sha256
unique_subject = no
rand_serial = yes
policy = any
[any]
organizationName = optional
commonName = supplied
EOF
    printf '%s\n' basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature \
        authorityKeyIdentifier=keyid "${@:4}" >"$work/extensions"
    {
        openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$subject" \
            -keyout "$work/key" -out "$work/request"
        openssl ca -batch -config "$work/config" -cert "$DIR/pki/$CA.crt" -keyfile "$DIR/pki/$CA.key" \
            -in "$work/request" -out "$work/certificate" -notext -extfile "$work/extensions" \
            -startdate "$(openssl_time "$from")" -enddate "$(openssl_time "$until")"
    } >"$work/log" 2>&1 || die "openssl could not make the certificate $path.crt: $(tail -n1 "$work/log")"
    chmod 0600 "$work/key"
    mv "$work/key" "$path.key"
    mv "$work/certificate" "$path.crt"
    rm -rf "$work"
}

openssl_time() { date -u -d "$1" +%Y%m%d%H%M%SZ; }

# client NAME USER [GROUP]: a certificate and the kubeconfig that holds it.
client() {
    certificate "$DIR/pki/$1" "${3:+/O=$3}/CN=$2" "$LIFETIME" extendedKeyUsage=clientAuth
    kubeconfig "$1"
}

# kubeconfig NAME: everything is in the file.
kubeconfig() {
    (
        umask 077
        cat >"$DIR/$1.kubeconfig.new" <<EOF
apiVersion: v1
kind: Config
clusters:
- name: $CLUSTER
  cluster:
    server: $ENDPOINT
    certificate-authority-data: $(base64 -w0 "$DIR/pki/ca.crt")
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w0 "$DIR/pki/$1.crt")
    client-key-data: $(base64 -w0 "$DIR/pki/$1.key")
contexts:
- name: default
  context: {cluster: $CLUSTER, user: $1}
current-context: default
EOF
    )
    mv "$DIR/$1.kubeconfig.new" "$DIR/$1.kubeconfig"
}

# authority NAME: a CA of its own.
authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "${LIFETIME% days}" \
        -subj "/CN=$CLUSTER $1" -addext keyUsage=critical,keyCertSign,cRLSign \
        -keyout "$DIR/pki/$1.key" -out "$DIR/pki/$1.crt" 2>/dev/null ||
        die "openssl could not make the CA $1"
    chmod 0600 "$DIR/pki/$1.key"
}

make_pki() {
    [[ ! -e $DIR/pki/made ]] || return 0
    mkdir -p "$DIR/pki" "$DIR/nodes"
    chmod 0700 "$DIR"
    authority ca
    authority front-proxy-ca
    certificate "$DIR/pki/apiserver" /CN=kube-apiserver "$LIFETIME" extendedKeyUsage=serverAuth \
        "subjectAltName=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:server.kubernetes.local$(printf ',IP:%s' "${API_ADDRESSES[@]}" 127.0.0.1)"
    CA=front-proxy-ca certificate "$DIR/pki/front-proxy-client" /CN=front-proxy-client "$LIFETIME" extendedKeyUsage=clientAuth
    # A user of its own, with a role that ends at the kubelets (objects.sh).
    certificate "$DIR/pki/apiserver-kubelet" /CN=kube-apiserver-kubelet-client "$LIFETIME" extendedKeyUsage=clientAuth
    client admin admin system:masters
    client kube-controller-manager system:kube-controller-manager
    client kube-scheduler system:kube-scheduler
    openssl ecparam -name prime256v1 -genkey -noout -out "$DIR/pki/service-accounts.key"
    openssl ec -in "$DIR/pki/service-accounts.key" -pubout -out "$DIR/pki/service-accounts.pub" 2>/dev/null
    : >"$DIR/pki/made"
}

ca_hash() {
    printf 'sha256:%s\n' "$(openssl x509 -in "$DIR/pki/ca.crt" -noout -pubkey |
        openssl pkey -pubin -outform der | sha256_of_stdin)"
}

# node_certs [--days N|--minutes N|--expired] NAME IP...: the certificates of a
# hard-way seed. One certificate for both directions, as the tutorial has it.
node_certs() {
    local until=$LIFETIME names node address
    while [[ ${1:-} == --* ]]; do
        case $1 in
            --days | --minutes)
                [[ ${2:-} =~ ^[1-9][0-9]{0,3}$ ]] || usage_error "$1 needs a number"
                until="$2 ${1#--}" && shift 2
                ;;
            --expired) until=expired && shift ;;
            *) usage_error "unknown option '$1'" ;;
        esac
    done
    (($# >= 2)) || usage_error "node-certs needs a name and at least one address"
    node=$DIR/nodes/$1 names=subjectAltName=DNS:$1
    [[ $1 =~ ^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$ ]] || usage_error "'$1' is not a node name: use a-z, 0-9, '.' and '-'"
    for address in "${@:2}"; do names+=,IP:$address; done
    mkdir -p "$node"
    cp "$DIR/pki/ca.crt" "$node/ca.crt"
    certificate "$node/kubelet" "/O=system:nodes/CN=system:node:$1" "$until" extendedKeyUsage=serverAuth,clientAuth "$names"
    certificate "$node/kube-proxy" /O=system:node-proxier/CN=system:kube-proxy "$until" extendedKeyUsage=clientAuth
    printf '%s\n' "$node"
}
