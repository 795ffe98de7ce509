# shellcheck shell=bash
# The environment of the tests that boot machines. Sourced after
# ci/lib/common.sh, lab.sh and base.sh; CARGO_TARGET_DIR is set.

# Both programs for images, for both architectures; nodeimg looks for the updater itself
# where ci/firstboot puts it.
prepare_firstboot() {
    NODEIMG_FIRSTBOOT_AMD64=$("$TOP/ci/firstboot" amd64)
    NODEIMG_FIRSTBOOT_ARM64=$("$TOP/ci/firstboot" arm64)
    export NODEIMG_FIRSTBOOT_AMD64 NODEIMG_FIRSTBOOT_ARM64
    "$TOP/ci/firstboot" --program nodeimg-update amd64
    "$TOP/ci/firstboot" --program nodeimg-update arm64
}

# use_lab DIR: serves the mirror of the lab that ci/lab printed, until stop_lab.
use_lab() {
    serve_lab "$1/mirror"
    lab_recipes "$CARGO_TARGET_DIR/debug/nodeimg" "$1/mirror" amd64 arm64
    export NODEIMG_TEST_LAB=$1 NODEIMG_TEST_MIRROR=$LAB_URL NODEIMG_TEST_RECIPES=$RECIPES
    echo "serving $1/mirror at $LAB_URL, recipes $RECIPES"
}

prepare_base() {
    base_recipe "$CARGO_TARGET_DIR/debug/nodeimg"
    NODEIMG_TEST_STORE=$(base_store)
    export NODEIMG_TEST_STORE NODEIMG_TEST_BASE_RECIPE=$BASE_RECIPE
    echo "packages in $NODEIMG_TEST_STORE, recipe $BASE_RECIPE"
}

# prepare_machines WORD...: all of it, for a script that runs some of these tests. The
# words tell ci/lab what to make.
prepare_machines() {
    local lab
    find_cargo
    cargo build --locked --package nodeimg
    prepare_firstboot
    lab=$("$TOP/ci/lab" "$@")
    use_lab "$lab"
    prepare_base
}

# A control plane for the nodes that tests/cluster boots, until stop_cluster.
start_cluster() {
    export NODEIMG_TEST_CLUSTER=nodeimg-test-$$
    CLUSTER_NAME=$NODEIMG_TEST_CLUSTER "$TOP/ci/cluster" up
}

# For a trap, so that it may be called at any time.
stop_cluster() {
    local state
    [[ -n ${NODEIMG_TEST_CLUSTER:-} ]] || return 0
    # An interrupted test leaves its own cluster, whose name begins with this one's.
    for state in "$(ci_cache_dir)/cluster/$NODEIMG_TEST_CLUSTER"{,-*}; do
        [[ ! -d $state ]] || CLUSTER_NAME=${state##*/} "$TOP/ci/cluster" down || true
    done
    NODEIMG_TEST_CLUSTER=
}
