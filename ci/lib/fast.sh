# shellcheck shell=bash
# ci/test fast: what a change to one room most likely breaks, below half a minute for one room
# if everything is compiled. Sourced after ci/lib/common.sh; part() is ci/test's.

# Test programs that need neither the lab nor a mirror, and end within a second or two.
readonly QUICK=(floors words pages consoles)
# Those that drive the program: half a minute for all of them on two cores.
readonly DRIVING=(cli_verbs cli_bad_input)

# room_tests ROOM: what the names of its unit tests begin with, `input::lock` for
# builder/src/input/lock; nothing for all of a package. Fails if there is no such room.
room_tests() {
    local module=${1#./}
    module=${module%/}
    [[ $module =~ ^(builder|firstboot)(/[a-z]+)?/src(/|$) && -e $TOP/$module ]] || return 1
    module=${module#*/src}
    module=${module#/} module=${module%.rs} module=${module%/mod}
    [[ $module != main && $module != lib ]] || module=''
    printf '%s\n' "${module//\//::}"
}

# test_fast TESTS: of the unit tests those whose names begin with TESTS, and of the tests that
# drive the program those whose names have its last part in them; all if it is empty. Each
# part builds the whole workspace, so that cargo chooses the same features of dependencies
# as in ci/test, and compiles nothing twice.
test_fast() {
    local filter=$1 name quick=() driving=()
    for name in "${QUICK[@]}"; do quick+=(--test "$name"); done
    for name in "${DRIVING[@]}"; do driving+=(--test "$name"); done
    # What has no judge here is skipped, even in CI: ci/test has them all.
    unset CI
    part format cargo fmt --all --check
    part clippy cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
    # In one call, so that the program and its unit tests are compiled side by side.
    part build cargo test --quiet --locked --workspace --no-run --lib --bins "${quick[@]}" "${driving[@]}"
    part unit-tests cargo test --quiet --locked --workspace --lib --bins -- ${filter:+"$filter"::}
    part quick-tests cargo test --quiet --locked --workspace "${quick[@]}"
    part program-tests cargo test --quiet --locked --workspace "${driving[@]}" -- ${filter:+"${filter##*::}"}
    printf '\nci/test fast passed in %d s: %s\n' "$SECONDS" "${TIMES%, }"
}

# fast_is_right: rooms are found by their paths and no others, and every quick test exists.
fast_is_right() {
    local path expected name
    while read -r path expected; do
        [[ $(room_tests "$path" || echo none) == "$expected" ]] || die "ci/lib/fast.sh: $path is not '$expected'"
    done <<'END'
builder/src/input/lock input::lock
builder/src/input/lock/mod.rs input::lock
./builder/src/store/ store
builder/values/src/date.rs date
firstboot/seed/src/lib.rs
firstboot/program/src
builder/src/none none
builder/machine none
tests/support/src/run.rs none
/etc none
END
    for name in "${QUICK[@]}" "${DRIVING[@]}"; do
        grep -q "^name = \"$name\"$" builder/Cargo.toml || die "ci/lib/fast.sh: builder/Cargo.toml has no test '$name'"
    done
}
