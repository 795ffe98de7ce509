"""Compiling one program of the lab, and keeping it by what it is made from."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import catalog
import seccomp
import store
from toolchain import CPU, host_arch
from trouble import Trouble, say

STATIC = "-linkmode external -extldflags -static "


def program(lab, tools, one, arch):
    """The folder DIR/programs/ARCH/NAME/VERSION, made if need be."""
    key = _key(one, arch)
    kept = store.keep(lab, key, lambda folder: _build(lab, tools, one, arch, folder))
    path = lab / "programs" / arch / one.name / one.version
    store.link(path, kept)
    return path


def _flags(one):
    ldflags = "-s -w -buildid= " + (STATIC if one.cgo else "") + one.ldflags
    return ["-mod=readonly", "-trimpath", "-buildvcs=false", f"-tags={','.join(one.tags)}", f"-ldflags={ldflags}"]


def _key(one, arch):
    made_by = {
        "toolchain": catalog.toolchain() if one.cgo else catalog.toolchain()["go"],
        "triple": f"{CPU[arch]}-linux-musl" if one.cgo else "",
    }
    modules = [one.folder / name for name in ("go.mod", "go.sum", "tools.go")]
    extra = [seccomp.recipe()] if one.cgo == "seccomp" else []
    return store.key_of(one.name, one.files, one.test, _flags(one), arch, made_by, *extra, *modules)


def _build(lab, tools, one, arch, folder):
    say(f"compiling {one.label} for {arch}")
    started = time.monotonic()
    environment = {"GOARCH": arch} | (_cgo(lab, tools, one, arch) if one.cgo else {})
    for name, package in one.files.items():
        verb = ["test", "-c"] if one.test else ["build"]
        tools.go(one.folder, *verb, "-modcacherw", *_flags(one), "-o", str(folder / name), package, **environment)
    _check(tools, one, arch, folder)
    say(f"{one.label} for {arch}: {time.monotonic() - started:.0f} s")


def _cgo(lab, tools, one, arch):
    """The environment of a build with C in it."""
    environment = {"CGO_ENABLED": "1", "CC": " ".join(map(str, tools.c_compiler(arch)))}
    if one.cgo == "seccomp":
        root = seccomp.library(lab, tools, arch)
        environment |= {"PKG_CONFIG": str(root / "pkg-config"), "LIBSECCOMP": str(root)}
    return environment


def _check(tools, one, arch, folder):
    """Every file is of the pinned version, and says so where it can run here."""
    for name, package in one.files.items():
        information = tools.go(one.folder, "version", "-m", str(folder / name))
        if f"GOARCH={arch}" not in information or f"go{catalog.toolchain()['go']}\n" not in information:
            raise Trouble(f"{one.label}: {name} is not of the pinned Go, or not for {arch}: {information.splitlines()[0]}")
        if f"\tv{one.version}\t" not in information:
            raise Trouble(f"{one.label}: {name} was compiled from another version: look at `go version -m` of {package}")
    if arch != host_arch():
        return
    name = next(iter(one.files))
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [folder / name, *one.ask], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            cwd=empty, env={"PATH": os.defpath, "HOME": empty}, timeout=60, stdin=subprocess.DEVNULL,
        )
    if one.says not in done.stdout:
        raise Trouble(f"{name} {' '.join(one.ask)} says {done.stdout.strip()[:300]!r}; {one.says!r} is pinned")


def trim(lab):
    """Drops Go's caches, which reach 14 GB; a file DIR/.go/keep keeps them."""
    if (lab / ".go/keep").exists():
        return
    with store.lock(lab):
        for path in (lab / ".go").iterdir():
            if path.name in ("build", "zig-cache"):
                shutil.rmtree(path, ignore_errors=True)
        modules = lab / ".go/mod"
        for path in list(modules.iterdir()) if modules.is_dir() else []:
            _drop_modules(path)
    store.sweep(lab)


def _drop_modules(path):
    """All but the toolchain; modules may have been unpacked without write bits."""
    toolchain = pathlib.Path("golang.org/toolchain@")
    if path.name == toolchain.parts[0]:
        for inner in path.iterdir():
            if not inner.name.startswith(toolchain.parts[1]):
                _drop_modules(inner)
        return
    if path.is_file():
        return path.unlink()
    for folder, _, _ in os.walk(path):
        os.chmod(folder, 0o755)
    shutil.rmtree(path)
