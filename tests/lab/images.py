"""The container images of images.toml, kept by what they are made from."""

import subprocess
import tomllib

import build
import catalog
import debian
import oci
import store
from toolchain import host_arch
from trouble import Trouble, say

SOURCES = catalog.HERE / "images"
BUSYBOX = "usr/bin/busybox"


def table():
    with open(catalog.HERE / "images.toml", "rb") as file:
        return tomllib.load(file)


def names():
    return list(table()["image"])


def image(lab, tools, name):
    """The folder DIR/images/NAME, an OCI layout, made if need be."""
    spec = table()["image"].get(name)
    if spec is None:
        raise Trouble(f"the lab has no image '{name}'; it has {', '.join(names())}")
    arches = spec.get("arches", [host_arch()])
    programs = {arch: _programs(lab, tools, spec, arch) for arch in arches}
    bases = {arch: _base(lab, spec, arch) for arch in arches}
    key = store.key_of(
        "image", spec, table()["users"], catalog.toolchain(), [str(one) for one in bases.values()],
        {arch: {path: str(file.resolve()) for path, file in files.items()} for arch, files in programs.items()},
        catalog.HERE / "oci.py", *[SOURCES / f"{source}.c" for source in spec.get("c", {}).values()],
    )
    kept = store.keep(lab, key, lambda folder: _make(lab, tools, name, spec, programs, bases, folder))
    store.link(lab / "images" / name, kept)
    return kept


def _programs(lab, tools, spec, arch):
    """path -> file of each program; "etcd/etcdctl" is a file of the program etcd."""
    found = {}
    for path, wanted in spec.get("programs", {}).items():
        name, _, file = wanted.partition("/")
        found[path] = build.program(lab, tools, catalog.find(name), arch) / (file or name)
    return found


def _base(lab, spec, arch):
    debian_table = table()["debian"]
    if spec.get("base") == "debian":
        return debian.root(lab, debian_table["suite"], debian_table["packages"], arch)
    if spec.get("base") == "busybox":
        packages = ["busybox-static", *spec.get("packages", [])]
        return debian.root(lab, debian_table["suite"], packages, arch)
    return None


def _make(lab, tools, name, spec, programs, bases, folder):
    say(f"making the image {name}")
    layers = {}
    for arch, files in programs.items():
        own = folder / f"{arch}.tar"
        entries = [*_own(lab, tools, spec, arch), *[(path, "file", file, 0o755) for path, file in files.items()]]
        below = []
        if spec.get("base") == "busybox":
            entries += _busybox(bases, arch, spec.get("packaged", {}))
        elif spec.get("base"):
            entries += [(path, "link", to, 0o777) for path, to in table()["debian"]["links"].items()]
            below = [bases[arch]]
        oci.layer(entries, own)
        layers[arch] = [*below, own]
    process = {"Entrypoint": spec.get("entrypoint"), "Cmd": spec.get("cmd"), "User": spec.get("user")}
    oci.layout(folder, _name(spec), process, layers)
    for arch in programs:
        (folder / f"{arch}.tar").unlink()


def _name(spec):
    first = next(iter(spec.get("programs", {}).values()), None)
    return spec["name"].format(version=catalog.find(first.partition("/")[0]).version if first else "")


def _own(lab, tools, spec, arch):
    """The entries that the table gives an image, but for its programs."""
    yield "tmp", "folder", None, 0o1777
    yield "etc/passwd", "file", table()["users"]["passwd"].lstrip().encode(), 0o644
    yield "etc/group", "file", table()["users"]["group"].lstrip().encode(), 0o644
    for path, source in spec.get("c", {}).items():
        yield path, "file", _compiled(lab, tools, source, arch), int(spec.get("modes", {}).get(path, "755"), 8)
    for path, to in spec.get("links", {}).items():
        yield path, "link", to, 0o777
    for path, mode in spec.get("folders", {}).items():
        yield path, "folder", None, int(mode, 8)
    for path, file in spec.get("module", {}).items():
        yield path, "file", _of_module(tools, spec, file), 0o644


def _of_module(tools, spec, file):
    """A file of the module that the image's first program is compiled from."""
    one = catalog.find(next(iter(spec["programs"].values())))
    return (tools.module(one.folder, one.module) / file).read_bytes()


def _compiled(lab, tools, source, arch):
    path = SOURCES / f"{source}.c"
    key = store.key_of("c", path, catalog.toolchain(), arch)

    def compile_it(folder):
        command = [*tools.c_compiler(arch), "-O2", "-s", "-static", "-o", folder / source, path]
        if subprocess.run(command, env=tools.environment).returncode:
            raise Trouble(f"{path} did not compile; see the message above")

    return store.keep(lab, key, compile_it) / source


def _busybox(bases, arch, packaged):
    """Its one program and a link for every applet, as this machine's build lists them,
    but for the programs of other packages."""
    for path, file in {"bin/busybox": BUSYBOX, **packaged}.items():
        yield path, "file", debian.member(bases[arch], file), 0o755
    for applet in debian.says(bases.get(host_arch(), bases[arch]), BUSYBOX, "--list").split():
        if applet != "busybox" and f"bin/{applet}" not in packaged:
            yield f"bin/{applet}", "link", "busybox", 0o777
    yield "root", "folder", None, 0o700
    yield "var", "folder", None, 0o755
