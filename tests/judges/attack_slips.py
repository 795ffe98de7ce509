"""A node that is set up stays set up, and one that is not recovers from a slip with the
corrected seed: seeds that ask for what cannot be, and a seed's place that answers wrongly."""

import functools
import json
import random
import shutil

from firstboot import SEED, Image

GOOD = "#cloud-config\nhostname: n\nwrite_files: [{path: /etc/ok, content: x}]\n"
DIRECTORIES = ["etc/containerd", "etc/ssh", "etc/ssl", "var/log"]


def files(*paths):
    """User-data with these files."""
    entries = [{"path": path, "content": "x"} for path in paths]
    return "#cloud-config\nhostname: n\nwrite_files: " + json.dumps(entries) + "\n"


SLIPS = {
    "a directory of the image": files("/etc/containerd"),
    "another directory": files("/etc/ssh"),
    "a directory of logs": files("/var/log"),
    "first boot's own directory": files("/var/lib/nodeimg"),
    "a directory in memory": files("/run/nodeimg"),
    "a name of 243 bytes": files("/etc/" + "n" * 243),
    "a name of 255 bytes": files("/etc/" + "n" * 255),
    "a name of 300 bytes": files("/etc/" + "n" * 300),
    "a long path": files("/etc/" + "/".join(["n" * 200] * 5)),
    "a file below a file": files("/etc/passwd/x"),
    "a file and one below it": files("/etc/q", "/etc/q/r"),
    "one below a file and the file": files("/etc/q/r", "/etc/q"),
    "two slashes": files("/etc/a//b"),
    "two slashes below a directory": files("/etc/ssl//b"),
    "two slashes in front": files("/etc//x"),
    "one file by two names": files("/etc/a//b", "/etc/a/b"),
    "a home that ends with a slash": "#cloud-config\nhostname: n\nusers: [{name: bob, homedir: /var/home/bob/}]\n",
    "a home with two slashes": "#cloud-config\nhostname: n\nusers: [{name: bob, homedir: /var//home//bob}]\n",
    "a home that is a file": "#cloud-config\nhostname: n\nusers: [{name: bob, homedir: /etc/passwd}]\n",
    "a host name that is none": "#cloud-config\nhostname: B_B\n",
    "no YAML": "#cloud-config\n[\n",
}


def image_of(program):
    image = Image(program)
    for name in DIRECTORIES:
        image.path(name).mkdir(parents=True, exist_ok=True)
    image.write("etc/containerd/config.toml", "x")
    return image


def slip_on_a_fresh_node(program, bad):
    """Whatever becomes of the slip: nothing is half written, and the corrected seed is taken."""
    with image_of(program) as image:
        passwd = image.text("etc/passwd")
        image.seed(bad, "instance-id: bad\n")
        first = image.run()
        if first is None or (first != 0 and image.text("etc/passwd") != passwd):
            return f"status {first}, and accounts are half written: {image.said('error')}"
        image.seed(GOOD, "instance-id: bad\n")
        if image.run() != 0:
            return f"the corrected seed is not taken: {image.said('error')}"
        if first != 0 and image.text("etc/ok") != "x":
            return "the corrected seed has no effect"
        image.seed(GOOD, "instance-id: another\n")
        return None if image.run() == 0 else f"a new instance fails: {image.said('error')}"


def slip_on_a_set_up_node(program, bad):
    """The old state is kept, with a warning, and the node starts; so it does after the correction."""
    with image_of(program) as image:
        image.seed(GOOD, "instance-id: good\n")
        if image.run() != 0:
            return f"the good seed is not taken: {image.said('error')}"
        image.seed(bad, "instance-id: bad\n")
        if image.run() != 0:
            return f"the node is lost: {image.said('error')}"
        if image.text("etc/ok") != "x" and image.path("etc/hostname").read_text() != "n\n":
            return "neither the old state is there nor the new one"
        for instance in ("bad", "another"):
            image.seed(GOOD, f"instance-id: {instance}\n")
            if image.run() != 0:
                return f"the corrected seed fails: {image.said('error')}"
    return None


def without(name):
    return lambda image: image.path(f"{SEED}/{name}").unlink()


def given(name, content):
    return lambda image: image.write(f"{SEED}/{name}", content)


def folder(name):
    return lambda image: image.path(f"{SEED}/{name}").mkdir()


def both(*changes):
    return lambda image: [change(image) for change in changes]


def no_seed(image):
    shutil.rmtree(image.path(SEED))


def file_gone(name):
    return lambda image: image.path(name).unlink(missing_ok=True)


NOISE = random.Random(1).randbytes(2000)

# What has become of the place of a seed, or of a file that the node needs.
LATER = {
    "nothing": lambda image: None,
    "the folder is gone": no_seed,
    "the folder is empty": both(without("user-data"), without("meta-data")),
    "user-data is gone": without("user-data"),
    "meta-data is gone": without("meta-data"),
    "user-data is empty": given("user-data", ""),
    "meta-data is empty": given("meta-data", ""),
    "meta-data is not YAML": given("meta-data", "a: [\n"),
    "meta-data is binary": given("meta-data", b"\xff\xfe\x00"),
    "user-data is noise": given("user-data", NOISE),
    "user-data is of 5 MiB": given("user-data", b"#" * (5 << 20)),
    "user-data is HTML": given("user-data", "<html><body>Log in</body></html>\n"),
    "another instance, noise": both(given("meta-data", "instance-id: other\n"), given("user-data", NOISE)),
    "network-config is a folder": folder("network-config"),
    "vendor-data is a folder": folder("vendor-data"),
    "network-config is not YAML": given("network-config", "[[[\n"),
    "another instance with a network that is none": both(
        given("meta-data", "instance-id: other\n"), given("network-config", "version: 9\n")
    ),
    "/etc/hosts is removed": file_gone("etc/hosts"),
    "/etc/hosts is removed, and the seed": both(file_gone("etc/hosts"), no_seed),
    "a key is removed, and the seed": both(file_gone("etc/ssh/authorized_keys.d/alice"), no_seed),
    "a file of write_files is removed, and the seed": both(file_gone("etc/x"), no_seed),
}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG7uQrhEhDRc8SW1AOEHOnvwEJ4ovutv4aJHgYGkyaRK"
FIRST = f"""#cloud-config
hostname: n
users: [{{name: alice, ssh_authorized_keys: ['{KEY}']}}]
write_files: [{{path: /etc/x, content: x}}]
"""


def later(program, change, keep):
    with Image(program, keep_seed=keep) as image:
        image.seed(FIRST, "instance-id: i-1\n")
        if image.run() != 0:
            return f"the good seed is not taken: {image.said('error')}"
        change(image)
        if image.run() != 0:
            return f"the node is lost: {image.said('error')}"
        if (image.text("etc/hostname") or "").strip() != "n":
            return "the node has lost its name"
        if "alice:" not in (image.text("etc/passwd") or ""):
            return "the node has lost its accounts"
    return None


def attacks(program, rng, count):
    del rng, count
    for name, bad in SLIPS.items():
        yield f"{name}, fresh node", functools.partial(slip_on_a_fresh_node, program, bad)
        yield f"{name}, node that is set up", functools.partial(slip_on_a_set_up_node, program, bad)
    for name, change in LATER.items():
        yield f"then {name}", functools.partial(later, program, change, True)
    for name in ("nothing", "/etc/hosts is removed", "a key is removed, and the seed"):
        yield f"after overwriting, then {name}", functools.partial(later, program, LATER[name], False)
