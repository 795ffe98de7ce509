# shellcheck shell=bash
# The base system from whatever mirror of Debian this system has: a store that
# outlives the build directory, and the recipe whose lock fits the mirror.
# Sourced after ci/lib/common.sh.

base_store() { printf '%s/store\n' "$(ci_cache_dir)"; }

# base_fetch NODEIMG RECIPE: brings its packages into the store.
base_fetch() {
    "$1" --quiet --store "$(base_store)" fetch --recipe "$2" --arch amd64 --arch arm64
}

# base_recipe NODEIMG: sets BASE_RECIPE to recipes/container-host.toml, or,
# where the mirror no longer has a package that it pins, to a copy that was
# locked anew. The committed lock is for a person to renew. Where no mirror
# answers, BASE_RECIPE is the committed one: the tests say that they skip, and
# fail in CI.
base_recipe() {
    local nodeimg=$1 own said committed=$TOP/recipes/container-host.toml
    BASE_RECIPE=$committed
    said=$(base_fetch "$nodeimg" "$committed" 2>&1) && return 0
    if [[ $said != *'nodeimg lock --update base'* ]]; then
        printf '%s\n' "$said" >&2
        die "fetching the packages of recipes/container-host.toml failed"
    fi
    own=$(ci_cache_dir)/relocked-base
    if [[ -f $own/recipe.lock ]] && cmp -s "$committed" "$own/recipe.toml" &&
        base_fetch "$nodeimg" "$own/recipe.toml" 2>/dev/null; then
        BASE_RECIPE=$own/recipe.toml
        say "using the lock made here before, $own/recipe.lock: Debian's mirror has dropped what the committed one pins"
        return 0
    fi
    rm -rf "$own"
    mkdir -p "$own"
    cp "$committed" "$own/recipe.toml"
    cp "${committed%.toml}.lock" "$own/recipe.lock"
    # The same time as the committed lock has: the same image on every machine.
    if ! SOURCE_DATE_EPOCH=$(sed -n 's/^epoch = //p' "$own/recipe.lock") \
        "$nodeimg" --quiet lock --recipe "$own/recipe.toml" --update base; then
        rm -rf "$own"
        say "no mirror of Debian has what recipes/container-host.lock pins, and a new lock could not be made (see above)"
        return 0
    fi
    say "Debian's mirror has dropped a package that recipes/container-host.lock pins: locked a copy in $own"
    base_fetch "$nodeimg" "$own/recipe.toml"
    # Read by those who source this.
    # shellcheck disable=SC2034
    BASE_RECIPE=$own/recipe.toml
}
