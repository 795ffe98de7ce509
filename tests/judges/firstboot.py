"""A small image root, seeds for it, and nodeimg-firstboot run on both, as `--root` has it."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

SETTINGS = {
    "version": 1,
    "profile": "container-host",
    "writable": ["/etc", "/var", "/opt/cni/bin"],
    "seed_wait": 1,
    "keep_seed": True,
    "epoch": 1700000000,
}
ACCOUNTS = {
    "passwd": ("root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n", 0o644),
    "group": ("root:x:0:\ndaemon:x:1:\nusers:x:100:\n", 0o644),
    "shadow": ("root:*:19000:0:99999:7:::\n", 0o640),
    "gshadow": ("root:*::\n", 0o640),
}
SEED = "var/lib/nodeimg/seed"
SCRIPTS = "var/lib/nodeimg/scripts"


def folder():
    """Where scratch roots go: memory if there is some, since first boot syncs every file."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Image:
    """`with Image(PROGRAM) as image:` has a root until the end of the block."""

    def __init__(self, program, **settings):
        self.program = program
        self.root = Path(tempfile.mkdtemp(prefix="nodeimg-judge-", dir=folder()))
        self.write("usr/lib/nodeimg/firstboot.json", json.dumps(SETTINGS | settings))
        for name, (text, mode) in ACCOUNTS.items():
            self.write("etc/" + name, text, mode)
        self.write("usr/share/zoneinfo/Europe/Berlin", "TZif")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root, ignore_errors=True)

    def path(self, name):
        return self.root / name.lstrip("/")

    def write(self, name, content, mode=0o644):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)

    def bytes(self, name):
        """`None` if it is not a file."""
        try:
            return self.path(name).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def text(self, name):
        content = self.bytes(name)
        return None if content is None else content.decode(errors="replace")

    def seed(self, user, meta="instance-id: i-1\nlocal-hostname: n\n", **files):
        """The only seed: `network_config=`, `vendor_data=` and the like are more files of it."""
        shutil.rmtree(self.path(SEED), ignore_errors=True)
        named = {"user-data": user, "meta-data": meta}
        named |= {name.replace("_", "-"): content for name, content in files.items()}
        for name, content in named.items():
            self.write(f"{SEED}/{name}", content)

    def run(self, *words, limit=120):
        """The exit status; `None`, if it took longer than `limit` seconds."""
        begun = time.monotonic()
        command = [self.program, "--root", self.root, *words]
        try:
            done = subprocess.run(command, capture_output=True, timeout=limit, check=False)
            self.status, self.printed = done.returncode, (done.stdout + done.stderr).decode(errors="replace")
        except subprocess.TimeoutExpired:
            self.status, self.printed = None, ""
        self.seconds = time.monotonic() - begun
        return self.status

    def result(self):
        content = self.bytes("run/nodeimg/result.json")
        return json.loads(content) if content else {}

    def said(self, severity=None):
        """The problems, as `KEY: REASON`."""
        problems = self.result().get("problems", [])
        chosen = [one for one in problems if severity in (None, one["severity"])]
        return [f"{one.get('key') or ''}: {one['reason']}".removeprefix(": ") for one in chosen]

    def scripts(self):
        """What is run at the end, by its name."""
        found = self.path(SCRIPTS).glob("*")
        return {path.name: path.read_bytes().decode(errors="replace") for path in sorted(found)}

    def below(self, name):
        """`{PATH: [MODE, TEXT]}` of the files below a folder."""
        found = {}
        for path in self.path(name).rglob("*"):
            if path.is_file() and not path.is_symlink():
                mode = oct(path.stat().st_mode & 0o7777)
                found["/" + str(path.relative_to(self.root))] = [mode, path.read_bytes().decode(errors="replace")]
        return found
