"""The programs of a node laid out as upstream's servers have them: the same paths,
member names and shapes of checksum files, a folder for each host. A file of the mirror
is a hard link of what is kept, so that one that is lost is linked again.

How it differs from upstream: everything is compiled here, so the bytes are not
upstream's; runc's list of digests is not signed; there are no .asc, .sig and .cert.
"""

import gzip
import hashlib
import os
import shutil
import tarfile

import build
import catalog
import debian
import images
import oci
import store
from trouble import Trouble

NODE = ("kubelet", "kube-proxy", "kubeadm", "kubectl")
# Of what is not the newest: kubectl is for control planes.
OLDER = ("kubelet", "kube-proxy", "kubeadm")
IMAGES = ("pause", "busybox")
GITHUB = "github.com"
# Nothing of Go, so Debian's: linked with libyajl2, which upstream's is not.
CRUN = "1.21"
CRUNS = {
    "amd64": ("pool/main/c/crun/crun_1.21-1_amd64.deb", "f94f8d4acf08a304884666d67d9faa797ab8401b46c311827783a432cb15b652"),
    "arm64": ("pool/main/c/crun/crun_1.21-1_arm64.deb", "f1f102167176d0ae3a68370cb016e1793c40c69b8966da74abe39fa8655929a3"),
}


def programs(arches, wanted, containerds=(None,)):
    """What `publish` lays out: pairs (program, architecture)."""
    for arch in arches:
        for version in wanted:
            yield from ((one, arch) for one in _of_kubernetes(version))
        yield from ((catalog.find("containerd", version), arch) for version in containerds)
        yield from ((catalog.find(name), arch) for name in ("runc", "cni-plugins", "crictl"))


def _of_kubernetes(version):
    newest = catalog.find("kubelet", version) == catalog.find("kubelet")
    return [catalog.find(name, version) for name in (NODE if newest else OLDER)]


def publish(lab, tools, arches, wanted, containerds=(None,)):
    """Makes what recipes of these Kubernetes versions need, and lays it out: with the
    default containerd, or with those that are named."""
    build.programs(lab, tools, programs(arches, wanted, containerds))
    for arch in arches:
        for version in wanted:
            for one in _of_kubernetes(version):
                _kubernetes(lab, tools, one, arch)
        for version in containerds:
            _containerd(lab, tools, catalog.find("containerd", version), arch)
        _runc(lab, tools, arch)
        _cni(lab, tools, arch)
        _crictl(lab, tools, arch)
    for arch in catalog.ARCHES:
        _crun(lab, arch)
    _sums_of_runc(lab)
    for name in IMAGES:
        for path, file in oci.tree(images.image(lab, tools, name)).items():
            _link(lab, path, file)


def _kubernetes(lab, tools, one, arch):
    file = build.program(lab, tools, one, arch) / one.name
    # dl.k8s.io has each release at two addresses.
    for base in (f"dl.k8s.io/release/v{one.version}", f"dl.k8s.io/v{one.version}"):
        path = f"{base}/bin/linux/{arch}/{one.name}"
        _link(lab, path, file)
        for kind in ("sha256", "sha512"):
            _write(lab, f"{path}.{kind}", _hex(file, kind))


def _containerd(lab, tools, one, arch):
    name = f"containerd-{one.version}-linux-{arch}.tar.gz"
    path = f"{GITHUB}/containerd/containerd/releases/download/v{one.version}/{name}"
    file = _archive(lab, tools, one, arch, "bin/")
    _link(lab, path, file)
    _write(lab, f"{path}.sha256sum", f"{_hex(file, 'sha256')}  {name}\n")


def _runc(lab, tools, arch):
    one = catalog.find("runc")
    _link(lab, f"{_runc_folder(one)}/runc.{arch}", build.program(lab, tools, one, arch) / "runc")


def _runc_folder(one):
    return f"{GITHUB}/opencontainers/runc/releases/download/v{one.version}"


def _sums_of_runc(lab):
    folder = _runc_folder(catalog.find("runc"))
    files = [lab / "mirror" / folder / f"runc.{arch}" for arch in catalog.ARCHES]
    lines = [f"{_hex(one, 'sha256')}  {one.name}\n" for one in files if one.exists()]
    _write(lab, f"{folder}/runc.sha256sum", "".join(lines))


def _cni(lab, tools, arch):
    one = catalog.find("cni-plugins")
    name = f"cni-plugins-linux-{arch}-v{one.version}.tgz"
    path = f"{GITHUB}/containernetworking/plugins/releases/download/v{one.version}/{name}"
    file = _archive(lab, tools, one, arch, "./")
    _link(lab, path, file)
    for kind in ("sha256", "sha512"):
        _write(lab, f"{path}.{kind}", f"{_hex(file, kind)}  {name}\n")


def _crictl(lab, tools, arch):
    one = catalog.find("crictl")
    path = f"{GITHUB}/kubernetes-sigs/cri-tools/releases/download/v{one.version}/crictl-v{one.version}-linux-{arch}.tar.gz"
    file = _archive(lab, tools, one, arch, "")
    _link(lab, path, file)
    for kind in ("sha256", "sha512"):
        _write(lab, f"{path}.{kind}", f"{_hex(file, kind)}\n")


def _crun(lab, arch):
    path = f"{GITHUB}/containers/crun/releases/download/{CRUN}/crun-{CRUN}-linux-{arch}"
    _link(lab, path, debian.program(lab, *CRUNS[arch], "./usr/bin/crun"))


def _archive(lab, tools, one, arch, prefix):
    """The files of a program as a .tar.gz, the same bytes every time."""
    program = build.program(lab, tools, one, arch)
    key = store.key_of("archive", str(program.resolve().name), prefix)

    def pack(folder):
        with open(folder / "file", "wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
            with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
                for path in sorted(program.iterdir()):
                    member = tarfile.TarInfo(prefix + path.name)
                    member.size, member.mode = path.stat().st_size, 0o755
                    with open(path, "rb") as content:
                        tar.addfile(member, content)

    return store.keep(lab, key, pack) / "file"


def _hex(file, kind):
    with open(file, "rb") as content:
        return hashlib.file_digest(content, kind).hexdigest()


def _link(lab, path, file):
    to = lab / "mirror" / path
    if to.exists() and os.path.samefile(to, file):
        return
    new = _new(to)
    try:
        os.link(file, new)
    except OSError:
        shutil.copyfile(file, new)
    new.replace(to)


def _write(lab, path, text):
    to = lab / "mirror" / path
    if to.exists() and to.read_text() == text:
        return
    new = _new(to)
    new.write_text(text)
    new.replace(to)


def _new(to):
    to.parent.mkdir(parents=True, exist_ok=True)
    new = to.with_name(f".{to.name}.new")
    new.unlink(missing_ok=True)
    return new


def wanted(words):
    """The versions that `--kubernetes` names, each known to the lab."""
    known = catalog.versions("kubelet")
    if not words:
        return known[:1]
    for word in words:
        if not any(f"{one}.".startswith(f"{word.removeprefix('v')}.") for one in known):
            raise Trouble(f"the lab has no Kubernetes {word}; it has {', '.join(known)}")
    return words
