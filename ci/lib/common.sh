# shellcheck shell=bash
# Shared by the scripts in ci/: how they print messages, where
# they keep things, and how they report missing programs. Sourced, never run.

LC_ALL=C
export LC_ALL
umask 022

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}
usage_error() {
    say "error: $* (see: $0 --help)"
    exit 2
}

# The comment block at the head of a script is its --help.
print_header() { sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$1"; }

# need COMMAND PACKAGE...: the Debian package is named as the remedy.
need() {
    command -v "$1" >/dev/null 2>&1 && return 0
    die "the command '$1' is missing; install it with: apt-get install $2 (or run ci/setup)"
}

ci_cache_dir() {
    if [[ -n ${NODEIMG_CI_CACHE:-} ]]; then
        printf '%s\n' "$NODEIMG_CI_CACHE"
    else
        printf '%s/nodeimg-ci\n' "${XDG_CACHE_HOME:-${HOME:?HOME is not set; set NODEIMG_CI_CACHE}/.cache}"
    fi
}

# The digest of standard input, as bare hex.
sha256_of_stdin() { sha256sum | cut -d' ' -f1; }
sha256_of() { sha256sum <"$1" | cut -d' ' -f1; }

# The architecture of this machine in Debian's words.
host_arch() {
    case $(uname -m) in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        *) die "this machine is $(uname -m); only amd64 and arm64 are supported" ;;
    esac
}

# Where cargo and ci/firstboot build, whatever the current directory is.
target_dir() { realpath -m -- "${CARGO_TARGET_DIR:-$TOP/target}"; }

# The version of Rust that rust-toolchain.toml pins.
pinned_rust() { sed -nE 's/^channel = "(.*)"/\1/p' "$TOP/rust-toolchain.toml"; }

# find_cargo: puts a cargo on PATH that is new enough, if there is one: the pinned
# one, else rustup's default, else Debian's. rustup installs to a folder that is not
# on a fresh shell's PATH yet, and its cargo fails if the pinned toolchain is not
# installed.
find_cargo() {
    local bin=${CARGO_HOME:-${HOME:-/root}/.cargo}/bin default
    unset RUSTUP_TOOLCHAIN
    rust_fits cargo && return 0
    [[ ! -x $bin/cargo || :$PATH: == *:$bin:* ]] || PATH=$bin:$PATH
    rust_fits cargo && return 0
    default=$(rustup default 2>/dev/null) || default=''
    if [[ -n $default ]]; then
        export RUSTUP_TOOLCHAIN=${default%% *}
        rust_fits cargo && return 0
        unset RUSTUP_TOOLCHAIN
    fi
    ! rust_fits /usr/bin/cargo || PATH=/usr/bin:$PATH
}

# rust_version COMMAND: of the cargo or rustc that builds this checkout, or nothing.
rust_version() {
    # rustup reads the pin of the current folder, and must not install anything just to answer.
    (cd "$TOP" && RUSTUP_AUTO_INSTALL=0 "$1" --version 2>/dev/null) | sed -nE '1s/^[a-z]+ ([0-9]+\.[0-9]+\.[0-9]+).*/\1/p'
}

rust_is_pinned() { [[ $(rust_version cargo) == "$(pinned_rust)" && $(rust_version rustc) == "$(pinned_rust)" ]]; }

# rust_fits COMMAND: `COMMAND --version` is at least Cargo.toml's rust-version.
rust_fits() {
    local want got
    want=$(sed -nE 's/^rust-version = "([0-9.]+)"/\1/p' "$TOP/Cargo.toml")
    got=$(rust_version "$1") || return 1
    [[ -n $got && $(printf '%s\n%s\n' "$want" "$got" | sort -V | head -n1) == "$want" ]]
}

# The word that a Debian architecture has in GNU and Rust triples.
cpu_of() {
    case $1 in
        amd64) echo x86_64 ;;
        arm64) echo aarch64 ;;
        *) usage_error "unknown architecture '$1': use amd64 or arm64" ;;
    esac
}
