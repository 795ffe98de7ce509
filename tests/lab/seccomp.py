"""libseccomp for runc: a static library of the lab's own C compiler.

Its source is Debian's copy of upstream's release, which holds the files that a
checkout would have to generate.
"""

import pathlib
import shutil
import subprocess
import tarfile

import catalog
import debian
import store
from trouble import Trouble, say

VERSION = "2.6.0"
SHA256 = "83b6085232d1588c379dc9b9cae47bb37407cf262e6e74993c61ba72d2a784dc"
PATH = f"pool/main/libs/libseccomp/libseccomp_{VERSION}.orig.tar.gz"
FLAGS = ["-O2", "-fPIC", "-fvisibility=hidden", "-DHAVE_LINUX_SECCOMP_H=1"]
# What libseccomp-golang asks pkg-config for.
PKG_CONFIG = """#!/bin/sh
case "$*" in
*--cflags*) echo "-I$LIBSECCOMP/include" ;;
*--libs*) echo "-L$LIBSECCOMP -lseccomp" ;;
esac
"""


def recipe():
    """All that decides which bytes the library has, but the compiler."""
    return [VERSION, SHA256, FLAGS, PKG_CONFIG]


def library(lab, tools, arch):
    """A folder with libseccomp.a, include/ and the script pkg-config."""
    key = store.key_of("libseccomp", recipe(), catalog.toolchain()["zig"], arch)
    return store.keep(lab, key, lambda folder: _make(lab, tools, arch, folder))


def _make(lab, tools, arch, folder):
    say(f"compiling libseccomp {VERSION} for {arch}")
    root = folder / "source"
    with tarfile.open(debian.source(lab, PATH, SHA256)) as archive:
        for member in archive:
            path = pathlib.PurePosixPath(*pathlib.PurePosixPath(member.name).parts[1:])
            if member.isfile() and path.parent.name in ("src", "include") and path.suffix in (".c", ".h"):
                (root / path.parent).mkdir(parents=True, exist_ok=True)
                (root / path).write_bytes(archive.extractfile(member).read())
    (root / "configure.h").write_text("")
    # The other C files are programs of its tests.
    sources = sorted(one.name for one in (root / "src").glob("*.c") if one.name != "arch-syscall-dump.c")
    _run([*tools.c_compiler(arch), *FLAGS, "-I..", "-I../include", "-c", *sources], root / "src", tools)
    objects = sorted(one.name for one in (root / "src").glob("*.o"))
    _run([tools.zig(), "ar", "rcsD", folder / "libseccomp.a", *objects], root / "src", tools)
    (root / "include").rename(folder / "include")
    (folder / "pkg-config").write_text(PKG_CONFIG)
    (folder / "pkg-config").chmod(0o755)
    shutil.rmtree(root)


def _run(command, folder, tools):
    if subprocess.run(command, cwd=folder, env=tools.environment).returncode:
        raise Trouble(f"libseccomp {VERSION} did not compile; see the message above")
