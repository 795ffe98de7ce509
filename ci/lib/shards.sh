# shellcheck shell=bash
# The shards of ci/shards.txt: which tests they have, and which of these have passed.
# Sourced after ci/lib/common.sh and machines.sh; CARGO_TARGET_DIR is set.

readonly SHARD_MINUTES=60

# Lines "NAME FILTERS LAB WHAT...".
shards() { grep -v -e '^#' -e '^$' "$TOP/ci/shards.txt"; }

# shard_filters NAME: a line each.
shard_filters() { shards | awk -v name="$1" '$1 == name { print $2 }' | tr , '\n'; }

# shard_lab NAME: the words that tell ci/lab what to make for it.
shard_lab() {
    case $(shards | awk -v name="$1" '$1 == name { print $3 }') in
        usual) echo all ;;
        full) echo all --full ;;
        *) die "ci/shards.txt: the shard $1 has neither usual nor full for the lab" ;;
    esac
}

# Every test that asks for NODEIMG_TEST_FULL is in a shard: the module that it is in.
shards_are_complete() {
    local file module filters
    filters=$(shards | awk '{ print $2 }' | tr , '\n')
    while read -r file; do
        module=${file#tests/} module=${module%.rs}
        grep -q "^${module//\//::}" <<<"$filters" || die "$file has a test that only NODEIMG_TEST_FULL=1 runs: add it to ci/shards.txt"
    # cluster/mod.rs has Scene::of_full itself.
    done < <(grep -rlE '::(is|of)_full\(' tests --include='*.rs' | grep -vx tests/cluster/mod.rs)
}

# Of every file that these tests depend on.
tree_key() {
    (cd "$TOP" && find . \( -name .git -o -path ./target -o -path ./out \) -prune -o -type f ! -name '*.md' -print0 |
        sort -z | xargs -0 sha256sum) | sha256_of_stdin
}

readonly MACHINES=(cargo test --locked --package nodeimg --test machines -- --ignored)

# shard_tests NAME: the names of its tests.
shard_tests() {
    local filter found
    while read -r filter; do
        found=$("${MACHINES[@]}" --list "$filter" | sed -n 's/: test$//p')
        [[ -n $found ]] || die "ci/shards.txt: no test has a name that begins with $filter"
        printf '%s\n' "$found"
    done < <(shard_filters "$1")
}

# note_passed FILE: passes on what the tests print, and notes which have passed. Exit
# status 1: one has failed.
note_passed() {
    local line failed=0
    while IFS= read -r line; do
        printf '%s\n' "$line"
        case $line in
            test*' ... ok') line=${line#test } && printf '%s\n' "${line% ... ok}" >>"$1" ;;
            test*' ... FAILED') failed=1 ;;
        esac
    done
    return "$failed"
}

# run_shard NAME: those of its tests that have not passed yet in this very tree. Exit
# status 3: all is well so far, and tests are left.
run_shard() {
    local passed tests left status=0
    case $1 in
        crio) [[ -n ${NODEIMG_TEST_CRIO:-} ]] || die "this shard needs a CRI-O: set NODEIMG_TEST_CRIO (tests/README.md)" ;;
        handlers) [[ -n ${NODEIMG_TEST_HANDLERS:-} ]] || die "this shard needs youki and gVisor: set NODEIMG_TEST_HANDLERS (tests/README.md)" ;;
    esac
    passed=$CARGO_TARGET_DIR/tmp/shards/$(tree_key)/$1
    mkdir -p "${passed%/*}"
    touch "$passed"
    tests=$(shard_tests "$1")
    mapfile -t left < <(grep -vxFf "$passed" <<<"$tests")
    if ((${#left[@]})); then
        printf 'to run: %s\n' "${left[@]}"
        NODEIMG_TEST_FULL=1 timeout "${SHARD_MINUTES}m" "${MACHINES[@]}" --exact --test-threads 32 "${left[@]}" |
            note_passed "$passed" || status=$((PIPESTATUS[1] ? 1 : PIPESTATUS[0]))
    fi
    printf 'shard %s: %d of %d tests have passed\n' "$1" "$(wc -l <"$passed")" "$(wc -l <<<"$tests")"
    ((status != 124)) || return 3
    return "$status"
}
