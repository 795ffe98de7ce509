# shellcheck shell=bash
# The steps of ci/release, which has sourced ci/lib/common.sh and static.sh and set OUT,
# VERSION, STATIC (the folder of ci/static) and, for what is not finished, WORK.

workspace_version() { sed -nE '/^\[workspace.package\]/,/^\[/s/^version = "(.*)"/\1/p' "$TOP/Cargo.toml"; }

# Of the commit that is checked out, in seconds since 1970.
commit_time() {
    git -C "$TOP" log -1 --format=%ct 2>/dev/null ||
        die "this is not a checkout by git: set SOURCE_DATE_EPOCH, the time that archives get"
}

# prepare_release_tools: sets TOOLS to the folder with the programs of release-tools.txt.
prepare_release_tools() {
    local list=$TOP/ci/lib/release-tools.txt crates
    TOOLS=$(ci_cache_dir)/release-tools-$(sha256_of "$list" | cut -c1-16)/bin
    [[ ! -e $TOOLS/../done ]] || return 0
    mapfile -t crates < <(awk '!/^#/ && NF { print $1 "@" $2 }' "$list")
    say "compiling ${crates[*]} (some minutes, once)"
    # Not for speed: they run for a second each.
    env -u CARGO_TARGET_DIR CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off \
        cargo install --quiet --locked --root "${TOOLS%/bin}" "${crates[@]}" >&2 ||
        die "${crates[*]} could not be installed; see cargo's message above"
    touch "$TOOLS/../done"
}

# make_shared: manual pages and completions, by the program for this machine.
make_shared() {
    local program
    program=$STATIC/$(host_arch)/nodeimg
    mkdir -p "$WORK/share/man" "$WORK/share/man.gz" "$WORK/share/completions"
    "$program" man "$WORK/share/man"
    # Packages have them compressed; cargo-deb leaves what it takes for built files as it is.
    cp "$WORK/share/man/"*.1 "$WORK/share/man.gz/"
    gzip -9 --no-name "$WORK/share/man.gz/"*.1
    "$program" completions bash >"$WORK/share/completions/nodeimg"
    "$program" completions zsh >"$WORK/share/completions/_nodeimg"
    "$program" completions fish >"$WORK/share/completions/nodeimg.fish"
}

# pack ARCH: the program, its archive, a .deb and an .rpm.
pack() {
    local name=nodeimg-$VERSION-linux-$1 triple folder
    triple=$(cpu_of "$1")-unknown-linux-musl
    install -m 0755 "$STATIC/$1/nodeimg" "$WORK/out/$name"
    pack_tar "$1" "$name"
    # What both packers take for cargo's folder.
    folder=$WORK/$1/$triple/release
    mkdir -p "$folder"
    install -m 0755 "$STATIC/$1/nodeimg" "$folder/nodeimg"
    cp -R "$WORK/share" "$folder/share"
    CARGO_TARGET_DIR=$WORK/$1 "$TOOLS/cargo-deb" --quiet --no-build --no-strip --package nodeimg \
        --target "$triple" --deb-revision '' --output "$WORK/out/nodeimg_${VERSION}_$1.deb" >&2
    "$TOOLS/cargo-generate-rpm" --package builder --target "$triple" --target-dir "$WORK/$1" \
        --auto-req disabled --source-date "$SOURCE_DATE_EPOCH" \
        --output "$WORK/out/nodeimg-$VERSION-1.$(cpu_of "$1").rpm" >&2
}

# pack_tar ARCH NAME
pack_tar() {
    local folder=$WORK/tar-$1/$2
    mkdir -p "$folder"
    install -m 0755 "$STATIC/$1/nodeimg" "$folder/nodeimg"
    install -m 0644 LICENSE README.md CHANGELOG.md SECURITY.md "$folder/"
    cp -R "$WORK/share/man" "$WORK/share/completions" "$folder/"
    chmod -R u=rwX,go=rX "$folder"
    tar --directory "${folder%/*}" --sort name --mtime "@$SOURCE_DATE_EPOCH" --owner 0 --group 0 \
        --numeric-owner --format gnu --create "$2" | gzip -9 --no-name >"$WORK/out/$2.tar.gz"
}

# make_container_image: of both architectures, by nodeimg's own writer.
make_container_image() {
    "$STATIC/$(host_arch)/nodeimg" container "$WORK/out/nodeimg-$VERSION-oci.tar" \
        "$STATIC/amd64/nodeimg" "$STATIC/arm64/nodeimg" >&2
}

# make_sboms: of nodeimg and of the programs inside it. The tool writes beside the manifests:
# in a copy.
make_sboms() {
    local name folder
    mkdir "$WORK/sources"
    tar --create --exclude ./target --exclude ./out --exclude ./.git . | tar --extract --directory "$WORK/sources"
    (
        cd "$WORK/sources" || exit
        # The same for both architectures, but for the assembler of one crate.
        "$TOOLS/cargo-cyclonedx" cyclonedx --quiet --format json --spec-version 1.5 \
            --target x86_64-unknown-linux-musl --override-filename sbom
    ) >&2
    for name in nodeimg:builder nodeimg-firstboot:firstboot/program nodeimg-update:firstboot/update; do
        folder=${name#*:} name=${name%%:*}
        without_chance "$WORK/sources/$folder/sbom.json" >"$WORK/out/$name-$VERSION.cdx.json"
    done
}

# without_chance FILE: a random serial number and this machine's paths do not belong in what
# anyone can make again.
without_chance() {
    python3 - "$1" "$WORK/sources" "$TOP" <<'END'
import json, sys
path, *folders = sys.argv[1:]
text = open(path).read()
for folder in folders:
    text = text.replace(f"path+file://{folder}", "nodeimg").replace(f"file://{folder}", "nodeimg")
bom = json.loads(text)
bom.pop("serialNumber", None)
print(json.dumps(bom, indent=2, sort_keys=True))
END
}
