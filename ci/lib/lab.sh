# shellcheck shell=bash
# Using what ci/lab makes: serving its mirror, and the recipes whose locks fit it.
# Sourced after ci/lib/common.sh.

# serve_lab DIR: on a free port of loopback, until stop_lab. Sets LAB_URL, and takes
# loopback from any proxy.
serve_lab() {
    local said
    said=$(mktemp)
    "$TOP/ci/lab" serve "$1" >"$said" &
    LAB_PID=$!
    until grep -q '^listening ' "$said"; do
        kill -0 "$LAB_PID" 2>/dev/null || die "the server of the lab's mirror did not start; see its message above"
        sleep 0.02
    done
    LAB_URL=$(sed -n 's/^listening //p' "$said")/
    rm -f "$said"
    export NO_PROXY="127.0.0.1,${NO_PROXY:-${no_proxy:-}}"
    export no_proxy=$NO_PROXY
}

# For a trap, so that it may be called at any time.
stop_lab() {
    [[ -z ${LAB_PID:-} ]] || kill "$LAB_PID" 2>/dev/null || true
    LAB_PID=
}

# lock_entries LOCK ARCH: lines "name url sha256".
lock_entries() {
    awk -v RS= -v arch="$2" -F'\n' '
        /^\[\[artifact\]\]/ {
            delete of
            for (i = 2; i <= NF; i++) { split($i, part, / = /); gsub(/"/, "", part[2]); of[part[1]] = part[2] }
            if (of["arch"] == arch) print of["name"], of["url"], of["sha256"]
        }' "$1"
}

# lock_images LOCK: lines "name path digest", the path below a mirror's folder of
# what the image's digest names.
lock_images() {
    awk -v RS= -F'\n' '
        /^\[\[image\]\]/ {
            delete of
            for (i = 2; i <= NF; i++) { split($i, part, / = /); gsub(/"/, "", part[2]); of[part[1]] = part[2] }
            path = of["image"]; sub(/[@:][^\/]*$/, "", path); sub(/\//, "/v2/", path)
            print of["name"], path "/manifests/" of["digest"], of["digest"]
        }' "$1" | sort -u
}

# lock_fits LOCK DIR ARCH...: the mirror has every file, byte for byte.
lock_fits() {
    local lock=$1 dir=$2 arch url want
    shift 2
    [[ -f $lock ]] || return 1
    for arch in "$@"; do
        while read -r _ url want; do
            [[ $(sha256_of "$dir/${url#https://}" 2>/dev/null) == "$want" ]] || return 1
        done < <(lock_entries "$lock" "$arch")
    done
    while read -r _ url want; do
        [[ sha256:$(sha256_of "$dir/$url" 2>/dev/null) == "$want" ]] || return 1
    done < <(lock_images "$lock")
}

# recipes_of FOLDER DIR ARCH...: the recipes, without .toml, whose versions of Kubernetes
# and of containerd are in the mirror: ci/lab makes some only on request.
recipes_of() {
    local folder=$1 dir=$2 recipe arch kubernetes containerd
    shift 2
    for recipe in "$folder"/*.toml; do
        kubernetes=$(sed -n 's/^kubernetes = "\(.*\)"/\1/p' "$recipe")
        containerd=$(sed -n '/^name = "containerd"/{n;s/^version = "\(.*\)"/\1/p}' "$recipe")
        for arch in "$@"; do
            [[ -e $dir/dl.k8s.io/v$kubernetes/bin/linux/$arch/kubelet ]] || continue 2
            [[ -z $containerd || -e $dir/github.com/containerd/containerd/releases/download/v$containerd/containerd-$containerd-linux-$arch.tar.gz ]] || continue 2
        done
        echo "${recipe%.toml}"
    done
}

# all_fit FOLDER DIR ARCH...: the locks do of all recipes that are for the mirror.
all_fit() {
    local recipe
    while read -r recipe; do
        lock_fits "$recipe.lock" "${@:2}" || return 1
    done < <(recipes_of "$@")
}

# lab_recipes NODEIMG DIR ARCH...: sets RECIPES to tests/lab/recipes, or, if the
# mirror's bytes are not those that the locks pin, to a re-locked copy. One compiler
# makes one sequence of bytes, so this is for a kind of machine that was never tried,
# or for recipes that have no lock yet; renewing the committed locks is up to a person.
# DIR is served.
lab_recipes() {
    local nodeimg=$1 own recipe name updates
    own=$(ci_cache_dir)/lab-recipes
    RECIPES=$TOP/tests/lab/recipes
    ! all_fit "$RECIPES" "${@:2}" || return 0
    if ! { [[ -d $own ]] && all_fit "$own" "${@:2}" && diff -rq --exclude='*.lock' "$RECIPES" "$own" >/dev/null; }; then
        say "the lab's files are not those that tests/lab/recipes/*.lock pin: locking copies in $own"
        # A lock is of both architectures.
        "$TOP/ci/lab" mirror --arch all --kubernetes 1.37 --kubernetes 1.36 >/dev/null
        rm -rf "$own"
        cp -r "$RECIPES" "$own"
        while read -r recipe; do
            # One that nobody has locked yet has the base system of the others.
            [[ -f $recipe.lock ]] || cp "$own/hard-way.lock" "$recipe.lock"
            updates=()
            while read -r name _; do updates+=(--update "$name"); done < <(
                { lock_entries "$recipe.lock" amd64 && lock_images "$recipe.lock"; } | cut -d' ' -f1 | sort -u
            )
            # The same time as the committed lock has: the same image on every machine.
            SOURCE_DATE_EPOCH=$(sed -n 's/^epoch = //p' "$recipe.lock") \
                "$nodeimg" --quiet --mirror "https://=$LAB_URL" lock --recipe "$recipe.toml" "${updates[@]}"
        done < <(recipes_of "$own" "$2" amd64 arm64)
    fi
    RECIPES=$own
}
