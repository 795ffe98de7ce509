"""Container images as OCI layouts, made from folders, and a registry's answers
made from layouts. The same folders give the same bytes anywhere: one layer, not
compressed (how a compressor cuts its blocks differs from version to version),
members sorted by name, owned by root, of one time.

    LAYOUT/oci-layout
    LAYOUT/index.json            one entry per name, each of the image's index
    LAYOUT/blobs/sha256/HEX      index, manifests, configs, layers

usage: oci.py layout LAYOUT --name HOST/REPOSITORY:TAG... --rootfs ARCH=DIR...
                     [--entrypoint WORD...] [--user UID:GID] [--epoch SECONDS]
       oci.py tree LAYOUT DIR    as files below DIR/HOST/v2/REPOSITORY/, what a
                                 registry of that host answers to a GET
       oci.py push LAYOUT URL    into a registry; hosts are left out
       oci.py archive LAYOUT FILE.tar

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
"""

import argparse
import datetime
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import urllib.parse
import urllib.request

MEDIA = "application/vnd.oci.image."
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# As upstream's images say it; amd64 has none.
VARIANT = {"arm64": {"variant": "v8"}}


def add_blob(layout, media_type, data):
    """Stores `data` and returns its descriptor."""
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{layout}/blobs/sha256/{digest}", "wb") as file:
        file.write(data)
    return {"mediaType": MEDIA + media_type, "digest": "sha256:" + digest, "size": len(data)}


def as_json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def layer_of(rootfs, epoch):
    """An uncompressed tar of a folder's content. Hard links become files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        paths = []
        for folder, folders, files in os.walk(rootfs):
            paths += [os.path.relpath(os.path.join(folder, name), rootfs) for name in folders + files]
        for path in sorted(paths):
            tar.inodes = {}
            member = tar.gettarinfo(os.path.join(rootfs, path), arcname=path)
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = epoch
            if member.isreg():
                with open(os.path.join(rootfs, path), "rb") as file:
                    tar.addfile(member, file)
            else:
                tar.addfile(member)
    return out.getvalue()


def layout(args):
    shutil.rmtree(args.layout, ignore_errors=True)
    os.makedirs(args.layout + "/blobs/sha256")
    created = datetime.datetime.fromtimestamp(args.epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    process = {"Entrypoint": args.entrypoint, "Env": [PATH], "User": args.user}
    manifests = []
    for arch, rootfs in (one.split("=", 1) for one in args.rootfs):
        platform = {"architecture": arch, "os": "linux"} | VARIANT.get(arch, {})
        layer = add_blob(args.layout, "layer.v1.tar", layer_of(rootfs, args.epoch))
        config = platform | {
            "created": created,
            "config": {key: value for key, value in process.items() if value},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
            "history": [{"created": created, "created_by": "ci/images of nodeimg"}],
        }
        config = add_blob(args.layout, "config.v1+json", as_json(config))
        manifest = {"schemaVersion": 2, "mediaType": MEDIA + "manifest.v1+json", "config": config, "layers": [layer]}
        manifests.append(add_blob(args.layout, "manifest.v1+json", as_json(manifest)) | {"platform": platform})
    index = {"schemaVersion": 2, "mediaType": MEDIA + "index.v1+json", "manifests": manifests}
    index = add_blob(args.layout, "index.v1+json", as_json(index))
    names = [
        index | {"annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}}
        for name in args.name
    ]
    with open(args.layout + "/oci-layout", "wb") as file:
        file.write(as_json({"imageLayoutVersion": "1.0.0"}))
    with open(args.layout + "/index.json", "wb") as file:
        file.write(as_json({"schemaVersion": 2, "mediaType": MEDIA + "index.v1+json", "manifests": names}))


def blob_path(layout, digest):
    return f"{layout}/blobs/sha256/{digest.removeprefix('sha256:')}"


def parts_of(layout):
    """(name, index's descriptor, manifests' descriptors, other blobs' digests) of each name."""
    with open(layout + "/index.json", "rb") as file:
        names = json.load(file)["manifests"]
    for entry in names:
        with open(blob_path(layout, entry["digest"]), "rb") as file:
            manifests = json.load(file)["manifests"]
        blobs = []
        for manifest in manifests:
            with open(blob_path(layout, manifest["digest"]), "rb") as file:
                content = json.load(file)
            blobs += [content["config"]["digest"]] + [layer["digest"] for layer in content["layers"]]
        yield entry["annotations"]["io.containerd.image.name"], entry, manifests, blobs


def split_name(name):
    """docker.io's registry answers at another host than its images are named for."""
    host, rest = name.split("/", 1)
    repository, tag = rest.rsplit(":", 1)
    return {"docker.io": "registry-1.docker.io"}.get(host, host), repository, tag


def place(source, path):
    """Copies a file; it appears whole."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copyfile(source, path + ".new")
    os.replace(path + ".new", path)


def tree(args):
    made = {}
    for name, index, manifests, blobs in parts_of(args.layout):
        host, repository, tag = split_name(name)
        base = f"{host}/v2/{repository}"
        for blob in blobs:
            made[f"{base}/blobs/{blob}"] = blob
        for manifest in [*manifests, index]:
            made[f"{base}/manifests/{manifest['digest']}"] = manifest["digest"]
        made[f"{base}/manifests/{tag}"] = index["digest"]
    for path, digest in made.items():
        place(blob_path(args.layout, digest), f"{args.dir}/{path}")
        print(path)


def ask(method, url, **options):
    # The registry is on loopback: no proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(urllib.request.Request(url, method=method, **options))


def push_blob(url, path, digest):
    with ask("POST", f"{url}/blobs/uploads/", data=b"") as answer:
        upload = urllib.parse.urljoin(url, answer.headers["Location"])
    upload += ("&" if "?" in upload else "?") + urllib.parse.urlencode({"digest": digest})
    with open(path, "rb") as file:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(os.path.getsize(path))}
        ask("PUT", upload, data=file, headers=headers).close()


def push(args):
    for name, index, manifests, blobs in parts_of(args.layout):
        _, repository, tag = split_name(name)
        url = f"{args.url.rstrip('/')}/v2/{repository}"
        for blob in blobs:
            push_blob(url, blob_path(args.layout, blob), blob)
        for manifest in [*manifests, index]:
            with open(blob_path(args.layout, manifest["digest"]), "rb") as file:
                content = file.read()
            reference = tag if manifest is index else manifest["digest"]
            ask("PUT", f"{url}/manifests/{reference}", data=content, headers={"Content-Type": manifest["mediaType"]}).close()
        print(f"{repository}:{tag}@{index['digest']}")


def archive(args):
    paths = ["oci-layout", "index.json"] + ["blobs/sha256/" + name for name in os.listdir(args.layout + "/blobs/sha256")]
    new = args.file + ".new"
    with tarfile.open(new, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(paths):
            member = tarfile.TarInfo(path)
            member.size = os.path.getsize(f"{args.layout}/{path}")
            with open(f"{args.layout}/{path}", "rb") as file:
                tar.addfile(member, file)
    os.replace(new, args.file)


def main():
    parser = argparse.ArgumentParser(description="See the head of this file.")
    verbs = parser.add_subparsers(required=True)
    made = verbs.add_parser("layout")
    made.add_argument("layout")
    made.add_argument("--name", action="append", required=True)
    made.add_argument("--rootfs", action="append", required=True)
    made.add_argument("--entrypoint", action="append")
    made.add_argument("--user")
    made.add_argument("--epoch", type=int, default=0)
    for verb, last in (("tree", "dir"), ("push", "url"), ("archive", "file")):
        one = verbs.add_parser(verb)
        one.add_argument("layout")
        one.add_argument(last)
        one.set_defaults(run={"tree": tree, "push": push, "archive": archive}[verb])
    made.set_defaults(run=layout)
    args = parser.parse_args()
    try:
        args.run(args)
    except (OSError, KeyError, ValueError) as error:
        sys.exit(f"oci.py: error: {args.layout}: {error}")


main()
