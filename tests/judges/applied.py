"""What the comparisons of whole user-data share: both programs apply it, and what is there
afterwards is compared: files, commands, scripts and the host name.

nodeimg's answer is that of nodeimg-firstboot on a scratch root, cloud-init's that of its own
code (cloud_init.py). A comparison is `Comparison(ours=ours, judge=judge, ...)`.
"""

import shutil
import tempfile

import cloud_init
import yaml
from cloudinit.util import shellify
from firstboot import Image, folder

META = {"instance-id": "i-1", "local-hostname": "node-0", "list": ["a", "b"], "name": "foo_bar"}
FACTS = {"local_hostname": "node-0", "instance_id": "i-1"}
INSTANCE = {"v1": FACTS, **FACTS, "ds": {"meta_data": META | FACTS}}


def judge(text):
    root = tempfile.mkdtemp(prefix="nodeimg-cloud-init-", dir=folder())
    try:
        made = cloud_init.judge(text.encode(), root, INSTANCE)
    except Exception as error:  # noqa: BLE001 - whatever its modules raise is its refusal
        return ("refused", f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(root, ignore_errors=True)
    host = made["keys"].get("hostname")
    if not (made["files"] or made["runcmd"] or made["scripts"] or host):
        # Its answer to what it cannot read: a warning in its log, from 23.1 on an error.
        return ("refused", "ValueError: empty cloud config")
    # A script without a command is none.
    runcmd = None if made["runcmd"] == "#!/bin/sh\n" else made["runcmd"]
    # Its host names are set as text, and it cuts blanks off when it reads the file.
    host = META["local-hostname"] if host is None else str(host).strip()
    return ("read", {"files": made["files"], "runcmd": runcmd, "scripts": made["scripts"], "host": host})


def ours(program, text):
    with Image(program) as image:
        image.seed(text, yaml.safe_dump(META))
        if image.run() != 0:
            return ("refused", "\n".join(image.said("error")) or image.printed)
        scripts = image.scripts()
        runcmd = scripts.pop("900-runcmd", None)
        host = image.text("etc/hostname").strip()
        read = {"files": image.below("etc/t"), "runcmd": runcmd, "scripts": list(scripts.values()), "host": host}
        return ("read", read)


def as_written(text, ours, judged):
    """Only commands differ: nodeimg's words are as the document has them, cloud-init's are those
    of Python's numbers, truth values, dates and nothing."""
    same = all(ours[key] == judged[key] for key in ("files", "scripts", "host"))
    return same and ours["runcmd"] == commands(yaml.compose(text))


def commands(root):
    """The script of `runcmd`, each word by its text in the document."""
    keys = {key.value: value for key, value in root.value}

    def word(node):
        # Two escapes may make one character.
        return node.value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def is_nothing(node):
        return isinstance(node, yaml.ScalarNode) and node.style is None and node.value in ("", "~", "null")

    def command(node):
        return word(node) if isinstance(node, yaml.ScalarNode) else [word(one) for one in node.value]

    items = keys["runcmd"].value if "runcmd" in keys else []
    made = [command(node) for node in items if not is_nothing(node)]
    return shellify(made) if made else None
