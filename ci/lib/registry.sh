# shellcheck shell=bash
# A registry of one's own: Debian's docker-registry on loopback, filled from OCI
# layouts and thrown away. Sourced after ci/lib/common.sh.

# serve_registry LAYOUT...: starts it on a free port, pushes the images, and sets
# REGISTRY_ADDRESS to 127.0.0.1:PORT. Repositories are named as on their own host:
# registry.k8s.io/pause:3.8 is REGISTRY_ADDRESS/pause:3.8. Where REGISTRY_HTPASSWD
# names a file (users with bcrypt passwords), pulls ask for one of them; the
# pushes were before that.
serve_registry() {
    local layout
    need docker-registry docker-registry
    need python3 python3
    REGISTRY_DIR=$(mktemp -d)
    start_registry ''
    for layout in "$@"; do
        python3 "$TOP/ci/mirror.d/oci.py" push "$layout" "http://$REGISTRY_ADDRESS" >&2 || {
            stop_registry
            die "the registry did not take the images of $layout; see its message above"
        }
    done
    if [[ -n ${REGISTRY_HTPASSWD:-} ]]; then
        end_registry
        start_registry "auth: {htpasswd: {realm: nodeimg, path: '$REGISTRY_HTPASSWD'}}"
    fi
    export NO_PROXY="127.0.0.1,${NO_PROXY:-${no_proxy:-}}"
    export no_proxy=$NO_PROXY
}

# start_registry LINE: with one line more in its configuration. It says itself
# which port it got.
start_registry() {
    cat >"$REGISTRY_DIR/config.yml" <<EOF
version: 0.1
log: {level: info, formatter: json, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $REGISTRY_DIR/storage}, delete: {enabled: true}}
http: {addr: '127.0.0.1:0'}
$1
EOF
    : >"$REGISTRY_DIR/log"
    docker-registry serve "$REGISTRY_DIR/config.yml" >"$REGISTRY_DIR/log" 2>&1 &
    REGISTRY_PID=$!
    until REGISTRY_ADDRESS=$(sed -n 's/.*listening on \(127\.0\.0\.1:[0-9]*\).*/\1/p' "$REGISTRY_DIR/log") &&
        [[ -n $REGISTRY_ADDRESS ]]; do
        kill -0 "$REGISTRY_PID" 2>/dev/null || die "docker-registry did not start: $(tail -n1 "$REGISTRY_DIR/log")"
        sleep 0.02
    done
}

end_registry() {
    [[ -z ${REGISTRY_PID:-} ]] || { kill "$REGISTRY_PID" 2>/dev/null && wait "$REGISTRY_PID" 2>/dev/null; } || true
    REGISTRY_PID=
}

# For a trap, so that it may be called at any time.
stop_registry() {
    end_registry
    [[ -z ${REGISTRY_DIR:-} ]] || rm -rf "$REGISTRY_DIR"
    REGISTRY_DIR=
}
