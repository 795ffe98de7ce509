# shellcheck shell=bash
# Other people's programs that ci/judges and tests of the builder compare with, kept in the CI
# cache under the digest of the lists that pin them. Sourced after ci/lib/common.sh and base.sh.

readonly JUDGES=tests/judges

judges_lists() {
    grep -v '^#' --no-filename "$TOP/$JUDGES"/{requirements,sbom-requirements,sigstore-requirements,packages}.txt
}

# prepare_judges: sets PREPARED to the folder that has all of them.
prepare_judges() {
    local key made
    key=$(judges_lists | sha256_of_stdin)
    PREPARED=$(ci_cache_dir)/judges-${key:0:16}
    [[ ! -d $PREPARED ]] || return 0
    say "fetching the judges (a minute, once)"
    mkdir -p "${PREPARED%/*}"
    made=$(mktemp -d "$PREPARED.XXXXXX")
    fetch_python requirements.txt "$made/python"
    fetch_python sbom-requirements.txt "$made/sbom"
    fetch_python sigstore-requirements.txt "$made/sigstore"
    fetch_packages "$made"
    chmod 0755 "$made"
    # Another run may have been faster.
    mv -T "$made" "$PREPARED" 2>/dev/null || rm -rf "$made"
    [[ -d $PREPARED ]] || die "$PREPARED could not be made"
}

# fetch_python LIST FOLDER: for Debian's Python, whose own packages it takes the place of.
fetch_python() {
    /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
        --no-deps --require-hashes --only-binary :all: \
        --target "$2" --requirement "$TOP/$JUDGES/$1" ||
        die "the Python packages of $JUDGES/$1 could not be installed; see pip's message above"
}

# fetch_packages FOLDER
fetch_packages() {
    local folder suite package version how apt mirror
    mirror=$(debian_mirror)
    while read -r folder suite package version how; do
        apt=$1/apt-$suite
        [[ -d $apt ]] || own_apt "$apt" "$suite" "$mirror"
        fetch_package "$apt" "$package" "$version" "$how"
        unpack "$apt/archives" "$1/$folder"
    done < <(grep -v -e '^#' -e '^$' "$TOP/$JUDGES/packages.txt")
    rm -rf "$1"/apt-*
}

# own_apt FOLDER SUITE MIRROR: an apt of its own, which knows this suite only and believes
# that nothing is installed. It trusts what Debian's keyring has signed, however old: a mirror
# may be a snapshot.
own_apt() {
    mkdir -p "$1/lists/partial" "$1/archives/partial"
    cat >"$1/sources.sources" <<END
Types: deb
URIs: $3
Suites: $2
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
    cat >"$1/apt.conf" <<END
Dir::State "$1";
Dir::State::status "/dev/null";
Dir::Cache "$1";
Dir::Etc::SourceList "$1/sources.sources";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Main "/dev/null";
Dir::Etc::Parts "/dev/null";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
APT::Architecture "$(host_arch)";
APT::Sandbox::User "root";
END
    APT_CONFIG=$1/apt.conf apt-get -qq update >&2 || die "apt could not read $2 of $3; see its message above"
}

# fetch_package APT PACKAGE VERSION alone|whole
fetch_package() {
    local words=(install --download-only -y --no-install-recommends)
    rm -f "$1"/archives/*.deb
    [[ $4 == whole ]] || words=(download)
    (
        cd "$1/archives"
        export APT_CONFIG=$1/apt.conf
        apt-get -qq "${words[@]}" "$2=$3" >&2 2>/dev/null && exit
        say "warning: the mirror no longer has $2 $3, which $JUDGES/packages.txt pins: taking today's"
        apt-get -qq "${words[@]}" "$2" >&2
    ) || die "the package $2 could not be fetched; see apt's message above"
}

# unpack ARCHIVES FOLDER: the links of a Debian whose /usr is merged, then every package.
unpack() {
    local archive name
    mkdir -p "$2"/usr/{bin,sbin,lib,lib64}
    for name in bin sbin lib lib64; do ln -s "usr/$name" "$2/$name"; done
    # Mount points.
    mkdir -p "$2"/{dev,etc,proc,run,sys,tmp}
    for archive in "$1"/*.deb; do
        dpkg-deb --fsys-tarfile "$archive" | tar -x --keep-directory-symlink --no-same-owner -C "$2" ||
            die "$archive could not be unpacked"
    done
}
