"""What earlier runs left: stamps that are lost, damaged, of another version or a lie, and state
that is too large to be read again."""

import functools
import json

from attack_slips import KEY
from firstboot import Image

STAMP = "var/lib/nodeimg/instance.json"
COPY = "var/lib/nodeimg/instance-copy.json"
NOTE = "var/lib/nodeimg/reprovision"
A = f"""#cloud-config
hostname: a
users: [{{name: alice, ssh_authorized_keys: ['{KEY}'], sudo: 'ALL=(ALL) NOPASSWD:ALL'}}]
write_files: [{{path: /etc/motd, content: A}}, {{path: /etc/a-only, content: A}}]
runcmd: [[touch, /tmp/x]]
"""
B = "#cloud-config\nhostname: b\nwrite_files: [{path: /etc/b-only, content: B}]\n"


def of_alice(image):
    """What is there of the account of A."""
    found = ["alice's keys"] if image.path("etc/ssh/authorized_keys.d/alice").exists() else []
    for name in ("passwd", "shadow", "group", "sudoers.d/90-nodeimg-users"):
        if "alice" in (image.text("etc/" + name) or ""):
            found.append("/etc/" + name)
    return found


def changed(change):
    """A stamp with other keys."""

    def content(stamp):
        return json.dumps(change(json.loads(stamp)))

    return content


STAMPS = {
    "removed": None,
    "empty": lambda stamp: "",
    "noise": lambda stamp: "\0" * 300,
    "an object without keys": lambda stamp: "{}",
    "half": lambda stamp: stamp[: len(stamp) // 2],
    "of a later version": changed(lambda stamp: stamp | {"version": 2}),
    "with a key of a later version": changed(lambda stamp: stamp | {"later": {"x": [1]}}),
    "over 1 MiB": changed(lambda stamp: stamp | {"files": stamp["files"] + ["/etc/" + "x" * 200] * 6000}),
}


def damage(image, content):
    if content is None:
        image.path(STAMP).unlink()
    else:
        image.write(STAMP, content(image.text(STAMP)))


def set_up(program, **settings):
    image = Image(program, **settings)
    image.write("etc/motd", "IMAGE")
    image.seed(A, "instance-id: a\n")
    if image.run() != 0:
        raise RuntimeError(f"A is not taken: {image.said('error')}")
    return image


def same_instance_after(program, content, keep):
    """Repaired or reported, not fatal."""
    with set_up(program, keep_seed=keep) as image:
        damage(image, content)
        if image.run() != 0:
            return f"the node is lost: {image.said('error')}"
        return None if len(of_alice(image)) >= 3 else f"of alice there is only {of_alice(image)}"


def new_instance_after(program, content):
    """An instance that gives way takes its accounts, keys and rules along; one that stays, stays."""
    with set_up(program) as image:
        damage(image, content)
        image.seed(B, "instance-id: b\n")
        if image.run() != 0:
            return f"the node is lost: {image.said('error')}"
        taken = image.text("etc/b-only") == "B"
        if taken and of_alice(image):
            return f"B is taken, and A's are still there: {of_alice(image)}"
        if not taken and not of_alice(image):
            return "A is gone, and B is not taken"
    return None


GRANTING = ("etc/ssh/authorized_keys.d/alice", "etc/sudoers.d/90-nodeimg-users")


def revoked_and(program, lost):
    """What somebody has taken away stays away, whatever else is lost, until the operator says so."""
    with set_up(program, keep_seed=True) as image:
        for name in GRANTING + (lost,):
            image.path(name).unlink()
        if image.run() != 0:
            return f"the node is lost: {image.said('error')}"
        if not image.path(lost).exists():
            return f"{lost} is not repaired"
        back = [name for name in GRANTING if image.path(name).exists()]
        if back:
            return f"{back} came back"
        image.write(NOTE, "a\n")
        image.run()
        gone = [name for name in GRANTING if not image.path(name).exists()]
        return f"the operator's word does not bring back {gone}" if gone else None


def without_records(program, seed, instance):
    """No seed is taken from anywhere, until the operator says so."""
    with set_up(program) as image:
        image.path(STAMP).unlink()
        image.path(COPY).unlink()
        image.seed(seed, f"instance-id: {instance}\n")
        if image.run() != 0:
            return f"the node is lost: {image.said('error')}"
        if image.result().get("outcome") != "unchanged" or len(of_alice(image)) < 3:
            return f"the seed is taken: {image.result()}"
        image.write(NOTE, "unknown\n")
        if image.run() != 0 or image.result().get("outcome") != "applied":
            return f"the operator's word does not count: {image.said('warning')}"
        return f"A's are still there: {of_alice(image)}" if of_alice(image) and seed == B else None


FAILING = {
    "host name": "#cloud-config\nhostname: B_B\n",
    "a command without words": B + "bootcmd: [[]]\n",
    "a path below a file": "#cloud-config\nhostname: b\nwrite_files: [{path: /etc/passwd/x, content: x}]\n",
    "a long name": f"#cloud-config\nhostname: b\nwrite_files: [{{path: /etc/{'n' * 250}, content: x}}]\n",
}


def failing_instance(program, bad):
    """Nothing of A is retired before the whole of B has passed; and A's seed counts again."""
    with set_up(program) as image:
        image.seed(bad, "instance-id: b\n")
        if image.run() != 0:
            return f"the node is lost: {image.said('error')}"
        if image.text("etc/a-only") != "A" or len(of_alice(image)) < 3:
            return f"A is not whole any more: {of_alice(image)}"
        image.seed(A, "instance-id: a\n")
        return None if image.run() == 0 else f"A's own seed fails: {image.said('error')}"


def many_files(program, number, length):
    """Either refused by name before anything is written, or known again in whole."""
    entries = [{"path": f"/etc/many/{'d' * length}{one:06}", "content": "x"} for one in range(number)]
    text = "#cloud-config\n" + json.dumps({"hostname": "n", "runcmd": [["true"]], "write_files": entries})
    with Image(program) as image:
        image.seed(text, "instance-id: i\n")
        if image.run() != 0:
            return "half is written" if image.path("etc/many").exists() else None
        if image.result().get("commands") is None:
            return "the commands are lost"
        if image.run() != 0 or image.result().get("outcome") != "unchanged":
            return f"the next boot does it all again: {image.result().get('outcome')}"
        image.seed(B, "instance-id: b\n")
        status = image.run()
        left = list(image.path("etc/many").glob("*"))
        taken = image.text("etc/b-only") == "B"
        return f"{len(left)} files of the old instance are left" if status or (taken and left) else None


LIES = [
    "/etc/../usr/lib/nodeimg/firstboot.json",
    "etc/x",
    "/",
    "/etc",
    "/usr/lib/nodeimg",
    "",
]


def lie(program, path):
    """A stamp that names what no instance can have written removes nothing of it."""
    with Image(program) as image:
        image.seed(B, "instance-id: b\n")
        stamp = {"version": 1, "instance_id": "old", "host_name": "n", "plan_digest": "", "files": [path]}
        image.write(STAMP, json.dumps(stamp))
        image.run()
        kept = ["usr/lib/nodeimg/firstboot.json", "etc/passwd", "var/lib/nodeimg/seed/user-data"]
        gone = [name for name in kept if not image.path(name).exists()]
        return f"it has removed {gone}" if gone else None


def attacks(program, rng, count):
    del rng, count
    for name, content in STAMPS.items():
        yield f"stamp {name}, same instance", functools.partial(same_instance_after, program, content, True)
        # Without a stamp and without a seed it is a fresh machine.
        if content is not None:
            yield f"stamp {name}, seed overwritten", functools.partial(same_instance_after, program, content, False)
        yield f"stamp {name}, new instance", functools.partial(new_instance_after, program, content)
    for lost in ("etc/hosts", "etc/hostname", "etc/ssh/sshd_config.d/50-nodeimg-keys.conf"):
        yield f"revoked, and {lost} is lost", functools.partial(revoked_and, program, lost)
    for seed, instance in ((A, "a"), (B, "b"), (B, "a")):
        yield f"no records, seed of {instance}", functools.partial(without_records, program, seed, instance)
    for name, bad in FAILING.items():
        yield f"a new instance that fails: {name}", functools.partial(failing_instance, program, bad)
    for number, length in ((5000, 100), (9000, 110)):
        yield f"{number} files", functools.partial(many_files, program, number, length)
    for path in LIES:
        yield f"a stamp that names {path}", functools.partial(lie, program, path)
