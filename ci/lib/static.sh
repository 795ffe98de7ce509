# shellcheck shell=bash
# What ci/firstboot and ci/static share: flags, the C compiler for musl, and the check of
# what was built. Sourced after ci/lib/common.sh; cargo was found.

# static_rustflags SYSROOT BUILD_DIR [FLAG...]: joined as cargo wants them. None of this
# machine's paths may reach the program.
static_rustflags() {
    local sysroot=$1 build_dir=$2
    shift 2
    local flags=(
        -Ctarget-feature=+crt-static
        "--remap-path-prefix=$sysroot=/rust"
        "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
        "--remap-path-prefix=$TOP=/nodeimg"
        "--remap-path-prefix=$build_dir=/target"
        "$@"
    )
    local IFS=$'\x1f'
    printf '%s' "${flags[*]}"
}

# prepare_zig: sets ZIG to the program of the package that ci/lib/zig.txt pins, kept in the
# CI cache under the list's digest.
prepare_zig() {
    local list=$TOP/ci/lib/zig.txt folder made
    folder=$(ci_cache_dir)/zig-$(sha256_of "$list" | cut -c1-16)
    ZIG=$folder/ziglang/zig
    [[ ! -x $ZIG ]] || return 0
    say "fetching a C compiler for musl, 100 MB (once)"
    mkdir -p "${folder%/*}"
    made=$(mktemp -d "$folder.XXXXXX")
    /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
        --no-deps --require-hashes --only-binary :all: --target "$made" --requirement "$list" ||
        die "ziglang could not be installed from PyPI (ci/lib/zig.txt); see pip's message above"
    chmod 0755 "$made"
    # Another run may have been faster.
    mv -T "$made" "$folder" 2>/dev/null || rm -rf "$made"
    [[ -x $ZIG ]] || die "$folder could not be made"
}

# use_c_compiler TRIPLE ZIG_TARGET BUILD_DIR: C of crates for Rust's TRIPLE is compiled by zig.
# Crates call it as clang: a script passes on what zig understands.
use_c_compiler() {
    local key=${1//-/_} target=$2 build_dir=$3
    prepare_zig
    mkdir -p "$build_dir/cc"
    cat >"$build_dir/cc/$1-cc" <<END
#!/bin/bash
# Made by ci/lib/static.sh. zig names targets in its own way, and knows the oldest macOS itself.
words=()
while ((\$#)); do
    case \$1 in
        --target=* | -mmacosx-version-min=*) ;;
        -arch) shift ;;
        *) words+=("\$1") ;;
    esac
    shift
done
exec $(printf %q "$ZIG") cc -target $target "\${words[@]}"
END
    cat >"$build_dir/cc/ar" <<END
#!/bin/sh
# Made by ci/lib/static.sh.
exec $(printf %q "$ZIG") ar "\$@"
END
    chmod 0755 "$build_dir/cc/$1-cc" "$build_dir/cc/ar"
    export ZIG_GLOBAL_CACHE_DIR=$build_dir/cc/cache ZIG_LOCAL_CACHE_DIR=$build_dir/cc/cache
    export "CC_$key=$build_dir/cc/$1-cc" "AR_$key=$build_dir/cc/ar"
    # What C knows of the place that it was compiled at.
    export "CFLAGS_$key=-ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}=/cargo -ffile-prefix-map=$build_dir=/target"
    # Settings for other compilers.
    unset CC CFLAGS AR TARGET_CC TARGET_CFLAGS TARGET_AR
}

# check_static FILE ARCH: an ELF file of this machine type that needs no loader.
check_static() {
    local machine
    machine=$(od -An -tx1 -j18 -N2 "$1" | tr -d ' ')
    case $2:$machine in
        amd64:3e00 | arm64:b700) ;;
        *) die "$1 is not an ELF file for $2 (machine field $machine); remove it and try again" ;;
    esac
    ! readelf -lW "$1" | grep -q INTERP ||
        die "$1 is dynamically linked: this toolchain did not link statically"
}

# put_program FILE TO: in one step.
put_program() {
    mkdir -p "${2%/*}"
    install -m 0755 "$1" "${2%/*}/.${2##*/}.$$"
    mv "${2%/*}/.${2##*/}.$$" "$2"
}

# programs_inside: lines "NAME NEEDS" of builder/programs.txt.
programs_inside() { grep -v -e '^#' -e '^$' "$TOP/builder/programs.txt"; }
