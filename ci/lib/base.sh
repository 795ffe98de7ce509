# shellcheck shell=bash
# The base system from whatever mirror of Debian this system has: a store that
# outlives the build directory, and the recipe whose lock fits the mirror.
# Sourced after ci/lib/common.sh.

base_store() { printf '%s/store\n' "$(ci_cache_dir)"; }

# own_copy STEM FOLDER: FOLDER/recipe.toml and its lock are copies of STEM.toml and
# STEM.lock, for a lock that may be re-resolved; kept until one of the two changes.
own_copy() {
    local stem=$1 own=$2
    ! { cmp -s "$stem.toml" "$own/recipe.toml" && cmp -s "$stem.lock" "$own/committed.lock"; } || return 0
    rm -rf "$own"
    mkdir -p "$own"
    cp "$stem.lock" "$own/recipe.lock"
    cp "$stem.lock" "$own/committed.lock"
    cp "$stem.toml" "$own/recipe.toml"
}

# base_recipe NODEIMG: fetches the packages of recipes/container-host.toml into the
# store and sets BASE_RECIPE to it, or, if the mirror no longer has a pinned package,
# to a re-locked copy. Renewing the committed lock is up to a person. If no mirror
# answers, BASE_RECIPE is the committed one: the tests report that they skip, and fail
# in CI.
base_recipe() {
    local nodeimg=$1 committed=$TOP/recipes/container-host own epoch
    own=$(ci_cache_dir)/relocked-base
    BASE_RECIPE=$committed.toml
    own_copy "$committed" "$own"
    # The same time as the committed lock has: the same image on every machine.
    epoch=$(sed -n 's/^epoch = //p' "$committed.lock")
    if ! SOURCE_DATE_EPOCH=$epoch "$nodeimg" --quiet --store "$(base_store)" \
        fetch --relock-base --recipe "$own/recipe.toml" --arch amd64 --arch arm64; then
        say "the packages of recipes/container-host.lock could not be fetched (see above)"
    elif ! cmp -s "$committed.lock" "$own/recipe.lock"; then
        say "Debian's mirror has dropped a package that recipes/container-host.lock pins: using the lock made here, $own/recipe.lock"
        # Read by those who source this.
        # shellcheck disable=SC2034
        BASE_RECIPE=$own/recipe.toml
    fi
}

# The archive that this system's apt takes packages from.
debian_mirror() {
    local mirror=${NODEIMG_DEBIAN_MIRROR:-}
    # A placeholder of apt-get, not a variable.
    # shellcheck disable=SC2016
    [[ -n $mirror ]] || mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -m1 -E '/debian/?$' || true)
    [[ -n $mirror ]] || die "apt has no mirror of Debian: name one with NODEIMG_DEBIAN_MIRROR"
    printf '%s\n' "$mirror"
}
