# shellcheck shell=bash
# Fetching pinned files of the Debian archive (rows of debs.txt). Sourced by
# ci/mirror; uses $CACHE, $PINS (the table) and ci/lib/common.sh.
#
# Words: an archive root is the address under which dists/ and pool/ stand.
# Every byte is either of the pinned digest, or, when a pinned version has left
# all archives, of a digest that a signed Packages or Sources file states.

readonly SNAPSHOT_ROOT=https://snapshot.debian.org/archive/debian/20261115T000000Z
readonly DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# pin PACKAGE ARCH: sets PIN_* from the table; an "all" row serves every arch.
# Where the pinned file has left all archives, what was taken instead stands in
# $CACHE/unpinned.txt, so that every digest computed from PIN_* is of the bytes
# in use.
pin() {
    local row
    row=$(awk -v p="$1" -v a="$2" '$1 == p && ($2 == a || $2 == "all")' "$PINS")
    [[ -n $row ]] || die "$PINS has no row for $1 on $2"
    read -r _ PIN_ARCH PIN_SUITE PIN_VERSION PIN_SIZE PIN_SHA256 PIN_PATH <<<"$row"
    [[ -f $CACHE/unpinned.txt ]] || return 0
    row=$(awk -v pinned="$PIN_SHA256" '$1 == pinned' "$CACHE/unpinned.txt" | tail -n1)
    [[ -z $row ]] || read -r _ PIN_VERSION PIN_SIZE PIN_SHA256 PIN_PATH <<<"$row"
}

# The part of a Debian version that upstream gave it: no epoch, no revision, no
# +ds/~ds repack mark.
upstream_version() { sed -E 's/^[0-9]+://; s/-[^-]*$//; s/[+~](ds|dfsg)[0-9.]*$//' <<<"$1"; }

# The archive roots of apt's own sources, both forms of file, in order.
apt_roots() {
    local dir=${APT_SOURCES_DIR:-/etc/apt} file
    for file in "$dir"/sources.list "$dir"/sources.list.d/*.list; do
        [[ -r $file ]] || continue
        sed -nE 's/^deb(-src)?[[:space:]]+(\[[^]]*\][[:space:]]+)?([^[:space:]]+)[[:space:]].*/\3/p' "$file"
    done
    for file in "$dir"/sources.list.d/*.sources; do
        [[ -r $file ]] || continue
        awk -v RS= -F'\n' '
            { off = 0; uris = ""; within = 0
              for (i = 1; i <= NF; i++) {
                if ($i ~ /^#/) continue
                if ($i ~ /^[Ee]nabled:[ \t]*(no|false)/) off = 1
                if ($i ~ /^[Uu][Rr][Ii]s:/) { within = 1; uris = substr($i, 6) }
                else if ($i ~ /^[ \t]/) { if (within) uris = uris " " $i }
                else within = 0
              }
              if (!off) { n = split(uris, u, /[ \t]+/); for (i = 1; i <= n; i++) if (u[i] != "") print u[i] } }
        ' "$file"
    done | while read -r uri; do
        case $uri in
            # Debian's cloud images name a file that lists the mirrors.
            mirror+file:*) awk '!/^#/ && NF { print $1 }' "${uri#mirror+file:}" 2>/dev/null || true ;;
            *) echo "$uri" ;;
        esac
    done
}

# All archive roots to try, best first, each once.
archive_roots() {
    {
        [[ -z ${NODEIMG_DEBIAN_MIRROR:-} ]] || echo "$NODEIMG_DEBIAN_MIRROR"
        apt_roots | grep -E '^https?://' | grep -E '/debian/?$' || true
        echo "$SNAPSHOT_ROOT"
    } | sed 's,/*$,,' | awk '!seen[$0]++'
}

# apt may know a proxy that curl does not.
use_apt_proxy() {
    [[ -z ${http_proxy:-} ]] || return 0
    command -v apt-config >/dev/null 2>&1 || return 0
    local Proxy=
    eval "$(apt-config shell Proxy Acquire::http::Proxy)"
    case $Proxy in http://* | https://*) export http_proxy=$Proxy https_proxy=${https_proxy:-$Proxy} ;; esac
}

download() {
    curl --fail --silent --show-error --location --retry 3 --retry-delay 1 \
        --connect-timeout 15 --speed-limit 1000 --speed-time 60 --output "$2" "$1"
}

# fetch_path PATH SHA256: prints the verified file in the cache, or fails.
fetch_path() {
    local path=$1 want=$2 root part got
    local file=$CACHE/downloads/$want/${path##*/}
    if [[ -f $file ]]; then
        echo "$file"
        return 0
    fi
    mkdir -p "${file%/*}"
    part=$file.part
    while read -r root; do
        download "$root/$path" "$part" 2>"$part.err" || {
            say "not from $root: $(tail -n1 "$part.err")"
            continue
        }
        got=$(sha256_of "$part")
        if [[ $got == "$want" ]]; then
            mv "$part" "$file"
            rm -f "$part.err"
            echo "$file"
            return 0
        fi
        say "$root/$path has sha256 $got, expected $want; dropped"
    done < <(archive_roots)
    rm -f "$part" "$part.err"
    rmdir "${file%/*}" 2>/dev/null || true
    return 1
}

# private_apt ROOT SUITE ARCH: makes an apt configuration that touches nothing
# of the system, updates it (apt checks the signatures) and prints its file.
private_apt() {
    local root=$1 suite=$2 arch=$3 dir=$WORK/apt-$2-$3
    mkdir -p "$dir"/{etc/parts,state/lists/partial,cache/archives/partial}
    : >"$dir/status"
    printf 'deb [signed-by=%s] %s %s main\n' "$DEBIAN_KEYRING" "$root" "$suite" >"$dir/etc/sources.list"
    printf 'deb-src [signed-by=%s] %s %s main\n' "$DEBIAN_KEYRING" "$root" "$suite" >>"$dir/etc/sources.list"
    cat >"$dir/apt.conf" <<EOF
Dir::Etc "$dir/etc";
Dir::Etc::sourcelist "$dir/etc/sources.list";
Dir::Etc::sourceparts "$dir/etc/parts";
Dir::Etc::parts "$dir/etc/parts";
Dir::Etc::preferencesparts "$dir/etc/parts";
Dir::State "$dir/state";
Dir::State::status "$dir/status";
Dir::Cache "$dir/cache";
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
EOF
    APT_CONFIG=$dir/apt.conf apt-get update -qq >&2 </dev/null || return 1
    echo "$dir/apt.conf"
}

# newest_in_suite: PIN_* of the row in hand become those of the newest version
# that a signed index of the suite knows.
newest_in_suite() {
    local package=$1 arch=$2 root conf found=
    [[ -r $DEBIAN_KEYRING ]] || die "no $DEBIAN_KEYRING; install it with: apt-get install debian-archive-keyring"
    need apt-get apt
    while read -r root; do
        conf=$(private_apt "$root" "$PIN_SUITE" "$([[ $arch == source || $arch == all ]] && host_arch || echo "$arch")") || continue
        found=$(APT_CONFIG=$conf newest_row "$package" "$arch")
        [[ -z $found ]] || break
    done < <(archive_roots)
    [[ -n $found ]] || return 1
    read -r PIN_VERSION PIN_SIZE PIN_SHA256 PIN_PATH <<<"$found"
}

newest_row() {
    if [[ $2 == source ]]; then
        apt-cache showsrc --only-source "$1" | awk '
            /^Version:/ { v = $2 } /^Directory:/ { d = $2 }
            /^[A-Z]/ { sums = /^Checksums-Sha256:/ }
            sums && /orig\.tar\./ && !/\.asc$/ { h = $1; s = $2; f = $3 }
            END { if (h) print v, s, h, d "/" f }'
    else
        apt-cache show --no-all-versions "$1" | awk '
            /^Version:/ { v = $2 } /^Size:/ { s = $2 } /^SHA256:/ { h = $2 } /^Filename:/ { f = $2 }
            END { if (h) print v, s, h, f }'
    fi
}

# shellcheck disable=SC2034 # FILE is what the callers read
# debian_file PACKAGE ARCH: sets FILE (and PIN_*) to the verified file.
debian_file() {
    pin "$1" "$2"
    if FILE=$(fetch_path "$PIN_PATH" "$PIN_SHA256"); then
        return 0
    fi
    local pinned=$PIN_SHA256 version=$PIN_VERSION
    if newest_in_suite "$1" "$PIN_ARCH" && FILE=$(fetch_path "$PIN_PATH" "$PIN_SHA256"); then
        echo "$pinned $PIN_VERSION $PIN_SIZE $PIN_SHA256 $PIN_PATH" >>"$CACHE/unpinned.txt"
    else
        die "cannot get $1 ($2), neither the pinned $version nor a newer one of $PIN_SUITE; set NODEIMG_DEBIAN_MIRROR to a reachable archive root (the address above dists/ and pool/)"
    fi
}

# Said on every run for as long as it is so.
warn_unpinned() {
    [[ -f $CACHE/unpinned.txt ]] || return 0
    local pinned version path
    while read -r pinned version _ _ path; do
        grep -q -- "$pinned" "$PINS" || continue
        say "WARNING: ${path##*/} ($version) stands in for the file pinned in ${PINS#"$TOP"/}, which was in no reachable archive; it was verified by a signed index."
        say "WARNING: digests in the mirror differ from the committed lock: run 'nodeimg lock' for the recipe again. To try the pin again: rm $CACHE/unpinned.txt"
    done <"$CACHE/unpinned.txt"
}
