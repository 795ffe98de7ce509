"""Paths that climb, links that lead away, and first boot's own files as targets: nothing outside of
the root is written, nothing of the sealed part changes, and what is accepted is there."""

import functools
import json
import os
import tempfile
from pathlib import Path

from attack_slips import KEY
from firstboot import Image, folder

EVIL = "EVIL\n"
LONG = "/".join(["d" * 100] * 12)
PATHS = [
    "/etc/../usr/lib/x", "/etc/./x", "/usr/lib/x", "/etc", "/etc/", "etc/x", "/proc/sys/kernel/core_pattern",
    "/sys/x", "/dev/sda", "/dev/shm/../sda", "/var/lib/nodeimg/instance.json", "/var/lib/nodeimg", "/etc/x\ny",
    "/etc/x\u0085y", "/etc/x\x7f", "/etc/" + "a" * 255, "/etc/" + "a" * 242, "/etc/" + LONG, "~/x", "", "/",
    "/etc//hostname", "/etc//passwd", "//etc/hostname", "/var//lib/nodeimg/instance.json",
    "/var//lib/nodeimg/pending.json", "/var//lib/nodeimg/commands.json", "/var/lib//nodeimg/scripts/900-runcmd",
    "/etc/x/../hostname", "/etc/hostname/",
]  # fmt: skip
# First boot's own: whatever is asked for, EVIL is not in them.
OWN = ["etc/hostname", "etc/hosts", "etc/passwd", "etc/group", "etc/shadow"]


def sealed(image):
    """What no seed may change."""
    return {str(path): path.read_bytes() for path in image.path("usr").rglob("*") if path.is_file()}


def asked(path, **more):
    entry = {"path": path, "content": EVIL, **more}
    return "#cloud-config\n" + json.dumps({"hostname": "n", "write_files": [entry], "runcmd": [["true"]]})


def one_path(program, path):
    with Image(program) as image:
        before = sealed(image)
        image.seed(asked(path))
        status = image.run()
        if sealed(image) != before:
            return "the sealed part has changed"
        if any(EVIL in (image.text(name) or "") for name in OWN):
            return "one of first boot's own files has the content of the seed"
        state = [one for one in image.path("var/lib/nodeimg").glob("*.json") if EVIL in one.read_text()]
        state += [name for name, text in image.scripts().items() if EVIL in text]
        if state:
            return f"first boot's state has the content of the seed: {state}"
        if status == 0 and image.text(os.path.normpath(path)) != EVIL:
            return "it is accepted and without effect"
        return None if status in (0, 1) else f"status {status}"


def link(name, target):
    def make(image):
        image.path(name).parent.mkdir(parents=True, exist_ok=True)
        image.path(name).symlink_to(target)

    return make


def pipe(image):
    os.mkfifo(image.path("etc/f"))


def passwd_is_a_link(image):
    image.path("etc/passwd").rename(image.path("etc/pw"))
    image.path("etc/passwd").symlink_to("pw")


ACCOUNT = f"#cloud-config\nhostname: n\nusers: [{{name: bob, ssh_authorized_keys: ['{KEY}']}}]\n"


def with_link(program, make, text):
    """Links in the root, also to this machine's own files."""
    with tempfile.TemporaryDirectory(dir=folder()) as outside, Image(program) as image:
        make(image, outside)
        passwd = image.text("etc/passwd")
        image.seed(text)
        image.run(limit=20)
        if list(Path(outside).iterdir()):
            return "something is written outside of the root"
        if EVIL in (image.text("etc/passwd") or "") or not (image.text("etc/passwd") or "").startswith(passwd[:20]):
            return "the accounts have changed"
        return None if image.status in (0, 1) else f"status {image.status}"


LINKS = {
    "relative, to this machine": (lambda image, out: link("etc/link", "../" * 20 + out)(image), asked("/etc/link/evil")),
    "absolute, to this machine": (lambda image, out: link("etc/link", out)(image), asked("/etc/link/evil")),
    "in the place of the file": (lambda image, out: link("etc/l", "/etc/passwd")(image), asked("/etc/l")),
    "appended to": (lambda image, out: link("etc/l", "/etc/passwd")(image), asked("/etc/l", append=True)),
    "in the place of /etc/ssh": (lambda image, out: link("etc/ssh", out)(image), ACCOUNT),
    "in the place of /etc/passwd": (lambda image, out: passwd_is_a_link(image), ACCOUNT),
    "a pipe": (lambda image, out: pipe(image), asked("/etc/f", append=True)),
}
MODES = ["'4755'", "0755", "755", "'7777'", "'0o644'", "'rw'", "99999", "'-1'", "'+644'", "' 644'", "u+x"]


def mode(program, text):
    """A mode is taken as it is written, or refused."""
    with Image(program) as image:
        image.seed(f"#cloud-config\nhostname: n\nwrite_files:\n- {{path: /etc/p, content: x, permissions: {text}}}\n")
        if image.run() != 0:
            return None
        wanted = int(text.strip("' ").removeprefix("0o"), 8)
        found = image.path("etc/p").stat().st_mode & 0o7777
        return None if found == wanted else f"the mode is {found:o}"


def attacks(program, rng, count):
    del rng, count
    for path in PATHS:
        yield repr(path)[:60], functools.partial(one_path, program, path)
    for name, (make, text) in LINKS.items():
        yield f"a link {name}", functools.partial(with_link, program, make, text)
    for text in MODES:
        yield f"permissions {text}", functools.partial(mode, program, text)
