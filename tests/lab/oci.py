"""Container images as OCI layouts, and a registry's answers made from layouts. The
same layers give the same bytes anywhere: nothing is compressed (how a compressor cuts
its blocks differs from version to version).

    LAYOUT/oci-layout
    LAYOUT/index.json            one entry: the image's index, with its name
    LAYOUT/blobs/sha256/HEX      index, manifests, configs, layers

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
"""

import io
import json
import os
import shutil
import tarfile

import store

MEDIA = "application/vnd.oci.image."
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CREATED = "1970-01-01T00:00:00Z"
# As upstream's images say it; amd64 has none.
VARIANT = {"arm64": {"variant": "v8"}}


def layer(entries, to):
    """Writes a tar of (path, kind, content, mode) as root's, the folders above first.

    The kind is "file" (content: bytes, or a path to read), "link" or "folder".
    """
    kinds = {"file": tarfile.REGTYPE, "link": tarfile.SYMTYPE, "folder": tarfile.DIRTYPE}
    seen = set()
    with tarfile.open(to, "w", format=tarfile.GNU_FORMAT) as tar:
        for path, kind, content, mode in sorted(entries, key=lambda one: one[0]):
            for above in reversed(list(_above(path))):
                if above not in seen:
                    tar.addfile(_member(above, tarfile.DIRTYPE, 0o755))
                    seen.add(above)
            member = _member(path, kinds[kind], mode)
            seen.add(path)
            if kind == "link":
                member.linkname = content
            if kind == "file":
                data = content if isinstance(content, bytes) else content.read_bytes()
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
            else:
                tar.addfile(member)


def _above(path):
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _member(path, kind, mode):
    member = tarfile.TarInfo(path)
    member.type, member.mode = kind, mode
    return member


def layout(folder, name, process, layers):
    """Writes an image: `layers` has for each architecture the tars, lowest first;
    `process` is the configuration's Entrypoint, Cmd, User."""
    (folder / "blobs/sha256").mkdir(parents=True)
    manifests = []
    for arch, tars in layers.items():
        platform = {"architecture": arch, "os": "linux"} | VARIANT.get(arch, {})
        blobs = [_add_file(folder, one) for one in tars]
        config = platform | {
            "created": CREATED,
            "config": {"Env": [PATH]} | {key: value for key, value in process.items() if value},
            "rootfs": {"type": "layers", "diff_ids": [one["digest"] for one in blobs]},
            "history": [{"created": CREATED, "created_by": "nodeimg's lab"} for _ in blobs],
        }
        config = _add(folder, "config.v1+json", config)
        manifest = {"schemaVersion": 2, "mediaType": MEDIA + "manifest.v1+json", "config": config, "layers": blobs}
        manifests.append(_add(folder, "manifest.v1+json", manifest) | {"platform": platform})
    index = _add(folder, "index.v1+json", _index(manifests))
    named = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}
    (folder / "index.json").write_bytes(_json(_index([index | {"annotations": named}])))
    (folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))


def _index(manifests):
    return {"schemaVersion": 2, "mediaType": MEDIA + "index.v1+json", "manifests": manifests}


def _json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _add(folder, media_type, value):
    data = _json(value)
    path = folder / "blobs/sha256/new"
    path.write_bytes(data)
    return _name(path, media_type, len(data))


def _add_file(folder, tar):
    path = folder / "blobs/sha256/new"
    try:
        os.link(tar, path)
    except OSError:
        shutil.copyfile(tar, path)
    return _name(path, "layer.v1.tar", tar.stat().st_size)


def _name(path, media_type, size):
    digest = store.sha256_of(path)
    if path.with_name(digest).exists():
        # Renaming onto another name of the same file would leave both.
        path.unlink()
    else:
        path.rename(path.with_name(digest))
    return {"mediaType": MEDIA + media_type, "digest": "sha256:" + digest, "size": size}


def tree(folder):
    """What a registry answers for a layout's image: path -> the blob's file."""
    def read(entry):
        return json.loads(blob(entry["digest"]).read_bytes())

    def blob(digest):
        return folder / "blobs/sha256" / digest.removeprefix("sha256:")

    [entry] = json.loads((folder / "index.json").read_bytes())["manifests"]
    host, _, rest = entry["annotations"]["io.containerd.image.name"].partition("/")
    repository, _, tag = rest.rpartition(":")
    # Its registry answers at another host than its images are named for.
    base = f"{ {'docker.io': 'registry-1.docker.io'}.get(host, host) }/v2/{repository}"
    made = {f"{base}/manifests/{tag}": blob(entry["digest"]), f"{base}/manifests/{entry['digest']}": blob(entry["digest"])}
    for manifest in read(entry)["manifests"]:
        made[f"{base}/manifests/{manifest['digest']}"] = blob(manifest["digest"])
        content = read(manifest)
        for one in [content["config"], *content["layers"]]:
            made[f"{base}/blobs/{one['digest']}"] = blob(one["digest"])
    return made


def archive(folder, to):
    """A layout as one file, for `ctr images import`."""
    files = sorted(one for one in folder.rglob("*") if one.is_file())
    with tarfile.open(to, "w", format=tarfile.GNU_FORMAT) as tar:
        for one in files:
            member = _member(str(one.relative_to(folder)), tarfile.REGTYPE, 0o644)
            member.size = one.stat().st_size
            with open(one, "rb") as file:
                tar.addfile(member, file)
