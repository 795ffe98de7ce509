# shellcheck shell=bash
# Using what ci/mirror makes: serving it, and the recipe whose lock fits it.
# Sourced after ci/lib/common.sh.

# serve_mirror DIR: on a free port of loopback, until stop_mirror. Sets
# MIRROR_URL, and takes loopback from any proxy.
serve_mirror() {
    local said
    said=$(mktemp)
    python3 "$TOP/ci/mirror.d/serve.py" "$1" 0 >"$said" &
    MIRROR_PID=$!
    until grep -q '^listening ' "$said"; do
        kill -0 "$MIRROR_PID" 2>/dev/null || die "the server of the mirror did not start; see its message above"
        sleep 0.02
    done
    MIRROR_URL=$(sed -n 's/^listening //p' "$said")/
    rm -f "$said"
    export NO_PROXY="127.0.0.1,${NO_PROXY:-${no_proxy:-}}"
    export no_proxy=$NO_PROXY
}

# For a trap, so that it may be called at any time.
stop_mirror() {
    [[ -z ${MIRROR_PID:-} ]] || kill "$MIRROR_PID" 2>/dev/null || true
    MIRROR_PID=
}

# lock_entries LOCK ARCH: lines "name version url sha256".
lock_entries() {
    awk -v RS= -v arch="$2" -F'\n' '
        /^\[\[artifact\]\]/ {
            delete of
            for (i = 2; i <= NF; i++) { split($i, part, / = /); gsub(/"/, "", part[2]); of[part[1]] = part[2] }
            if (of["arch"] == arch) print of["name"], of["version"], of["url"], of["sha256"]
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

# lock_fits_mirror LOCK DIR ARCH...: the mirror has every file, byte for byte.
lock_fits_mirror() {
    local lock=$1 dir=$2 arch url want
    shift 2
    [[ -f $lock ]] || return 1
    for arch in "$@"; do
        while read -r _ _ url want; do
            [[ $(sha256_of "$dir/${url#https://}" 2>/dev/null) == "$want" ]] || return 1
        done < <(lock_entries "$lock" "$arch")
    done
    while read -r _ url want; do
        [[ sha256:$(sha256_of "$dir/$url" 2>/dev/null) == "$want" ]] || return 1
    done < <(lock_images "$lock")
}

# moved_versions LOCK DIR: "--update NAME=VERSION" for each artifact of which
# the mirror has another version than the lock. What is in the mirror stands in
# the stamp that ci/mirror leaves.
moved_versions() {
    local name version url path glob found
    while read -r name version url _; do
        path=${url#https://}
        ! grep -qxE "[0-9]+ ${path//./\\.}" "$2/.made-amd64" || continue
        glob=${path//"$version"/[^/]*}
        found=$(sed -n "s|^[0-9]* \($glob\)\$|\1|p" "$2/.made-amd64" | head -n1)
        [[ -n $found ]] || die "the mirror $2 has nothing like $path; remove the folder and try again"
        found=${found#"${path%%"$version"*}"}
        printf '%s\n' --update "$name=${found%%/*}"
    done < <(lock_entries "$1" amd64)
    # An image keeps its name and may be another one.
    while read -r name _; do
        printf '%s\n' --update "$name"
    done < <(lock_images "$1")
}

# mirror_recipe NODEIMG DIR ARCH...: sets RECIPE to recipes/debian.toml, or,
# where Debian no longer has a package that it pins, to a copy that was locked
# anew. The committed lock is for a person to renew.
mirror_recipe() {
    local nodeimg=$1 dir=$2 own
    shift 2
    RECIPE=$TOP/recipes/debian.toml
    ! lock_fits_mirror "$TOP/recipes/debian.lock" "$dir" "$@" || return 0
    own=$(ci_cache_dir)/relocked
    RECIPE=$own/debian.toml
    if lock_fits_mirror "$own/debian.lock" "$dir" "$@" &&
        "$nodeimg" --quiet lock --recipe "$RECIPE" --check 2>/dev/null; then
        say "using the lock made here before, $own/debian.lock: the committed one does not fit Debian's packages any more"
        return 0
    fi
    say "Debian has replaced a pinned package, so recipes/debian.lock does not fit: locking a copy in $own"
    # A lock is of both architectures.
    "$TOP/ci/mirror" >/dev/null
    rm -rf "$own"
    mkdir -p "$own"
    cp "$TOP/recipes/debian.toml" "$RECIPE"
    local moved updates
    moved=$(moved_versions "$TOP/recipes/debian.lock" "$dir")
    read -ra updates <<<"${moved//$'\n'/ }"
    # The same time as the committed lock has: the same image on every machine.
    SOURCE_DATE_EPOCH=$(sed -n 's/^epoch = //p' "$TOP/recipes/debian.lock") \
        "$nodeimg" --quiet --mirror "https://=$MIRROR_URL" lock --recipe "$RECIPE" "${updates[@]}"
}
