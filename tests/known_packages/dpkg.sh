#!/bin/sh
# dpkg.sh PACKAGE,PACKAGE...: installs them in a chroot as dpkg does, with their maintainer
# scripts, and prints what came of it beside the packages' own files:
#
#     user NAME HOME SHELL GROUP
#     group NAME
#     enabled PATH
#     path PATH TYPE MODE USER GROUP SHA256-OR-TARGET
#
# Needs root and mmdebstrap; takes a minute or more. NODEIMG_TEST_CHROOT=DIR is such a chroot
# that is there already.
set -eu

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
root=${NODEIMG_TEST_CHROOT:-}
if [ -z "$root" ]; then
    root=$place/root
    mirror=${NODEIMG_DEBIAN_MIRROR:-}
    # The archive that this system's apt takes packages from; a placeholder of apt-get.
    # shellcheck disable=SC2016
    [ -n "$mirror" ] || mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -m1 -E '/debian/?$')
    mmdebstrap --quiet --mode=root --variant=apt --include="$1" \
        --aptopt='APT::Install-Recommends "false"' --skip=cleanup/apt \
        trixie "$root" "deb $mirror trixie main" >&2
fi
cd "$root"
sort -u var/lib/dpkg/info/*.list >"$place/owned"
awk -F: 'NR == FNR { group[$3] = $1; next } { print "user", $1, $6, $7, group[$4] }' etc/group etc/passwd
awk -F: '{ print "group", $1 }' etc/group
find etc/systemd/system -type l -printf 'enabled /%p\n' | sort
# By numbers of the chroot, which this system has other names for.
find etc usr -xdev -printf '/%p\n' | sort | comm -13 "$place/owned" - | while read -r path; do
    case $path in
    /etc/ssl/certs/* | *__pycache__* | /usr/share/man/* | /etc/systemd/*) continue ;;
    esac
    set -- "$(find ".$path" -maxdepth 0 -printf '%y %m %U %G')"
    if [ -L ".$path" ]; then
        what=$(readlink ".$path")
    elif [ -f ".$path" ]; then
        what=$(sha256sum ".$path" | cut -d' ' -f1)
    else
        what=-
    fi
    echo "path $path $1 $what"
done | awk '
    FILENAME == "etc/passwd" { split($0, f, ":"); user[f[3]] = f[1]; next }
    FILENAME == "etc/group" { split($0, f, ":"); group[f[3]] = f[1]; next }
    { print $1, $2, $3, $4, user[$5], group[$6], $7 }
' etc/passwd etc/group -
