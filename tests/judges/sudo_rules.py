"""Rules of sudo beside visudo: nodeimg takes none that `visudo -c` refuses, since one such rule
costs a node all of them.

usage: sudo_rules.py NODEIMG_FIRSTBOOT COUNT SEED
"""

import json
import subprocess
import tempfile

from firstboot import Image, folder
from judging import Class, Comparison, main, program

GOOD = [
    "ALL=(ALL) ALL",
    "ALL=(ALL:ALL) NOPASSWD: ALL",
    "ALL=(ALL) NOPASSWD:ALL",
    "ALL = ALL",
    "ALL=(root) /usr/bin/systemctl restart kubelet, /usr/bin/journalctl",
    "ALL=(root) NOPASSWD: /usr/bin/crictl ps *, !/usr/bin/su",
    "ALL=(:docker) /bin/ls",
    "ALL=(%wheel, #0) ALL",
    'ALL=NOPASSWD: /usr/bin/cat "", PASSWD: /bin/ls',
    "node-0, 10.0.0.0/8=(ALL) ALL",
    "ALL, !node-1=(ALL) ALL",
    "ALL=(ALL) SETENV: NOEXEC: /bin/less",
    "ALL=sudoedit /etc/hosts",
    "ALL=(ALL) /bin/echo a\\,b\\:c\\=d",
    "ALL=(ALL) CWD=/tmp /bin/ls",
    "ALL=(ALL) ALL : node-1=(root) /bin/ls",
    "ALL=(root) sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 /bin/ls",
    "ALL=/usr/bin/",
    "+netgroup=(ALL) ALL",
]
BAD = [
    "",
    "nonsense rule",
    "ALL",
    "ALL=",
    "=ALL",
    "ALL=(ALL",
    "ALL=(ALL) NOPASSWD",
    "ALL=(ALL) NOPASS: ALL",
    "ALL=(ALL) ls",
    "ALL=(ALL) ALL ALL",
    "ALL=(ALL) ALL,",
    "ALL=(ALL) ALL, ,ALL",
    "ALL=(ALL) ALL\\",
    "ALL=(ALL)) ALL",
    "ALL=(ALL) ALL :",
    "ALL=() ALL",
    "ALL=(ALL) nopasswd: ALL",
    "ALL ALL=(ALL) ALL",
    "ALL=(ALL) sha256:abc /bin/ls",
    "ALL=(ALL) CWD=tmp /bin/ls",
    'ALL=(ALL) "/bin/ls',
    "ALL=(ALL) ALL # every command",
    "# only a comment",
    "ALL=(ALL) ALL\nroot ALL=(ALL) ALL",
    "ALL=(ALL) !",
    "ALL=(ALL) \u00e9",
    "Defaults !authenticate",
]
PIECES = ["ALL", "=", "(", ")", ":", ",", " ", "!", "NOPASSWD: ", "/bin/ls", "\\", '"', "#", "%", "+", "*", "[", "a"]


def damaged(rng):
    """A good rule with one or two slips."""
    rule = rng.choice(GOOD)
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(rule) + 1)
        gone = rng.choice([0, 1, 1, 3])
        rule = rule[:at] + (rng.choice(PIECES) if gone < 3 else "") + rule[at + gone :]
    return rule


VISUDO = program("visudo")


def judge(rule):
    with tempfile.NamedTemporaryFile("w", dir=folder(), encoding="utf-8") as file:
        file.write(f"bob {rule}\n")
        file.flush()
        done = subprocess.run([VISUDO, "-c", "-f", file.name], capture_output=True, text=True, check=False)
    return ("refused", done.stdout + done.stderr) if done.returncode else ("read", " ".join(rule.split()))


def ours(tested, rule):
    with Image(tested) as image:
        image.seed("#cloud-config\n" + json.dumps({"hostname": "n", "users": [{"name": "bob", "sudo": [rule]}]}))
        status = image.run()
        written = image.text("etc/sudoers.d/90-nodeimg-users") or ""
        if status == 0 and "bob " + " ".join(rule.split()) in " ".join(written.split()):
            return ("read", " ".join(rule.split()))
        return ("refused", "\n".join(image.said()) or "it is left out without a word")


CLASSES = [
    Class.refused(
        "control characters or line breaks",
        "an entry is one rule of one user, who is not to add a line for another",
        "ALL=(ALL) ALL\nroot ALL=(ALL) ALL",
    ),
    Class.refused(
        "names a user or group in|has a `\\(` without its|which begins with hosts|behind the hosts",
        "names with `+`, `%`, `*`, `[` or a backslash inside, which no host, user or group has",
        "ALL=(A+LL) ALL",
    ),
    Class.refused(
        "a command is `ALL` or begins with `/`",
        "a word in capitals would be an alias, and first boot writes none: visudo only warns",
        "ALL=(ALL) NOPASSWD",
    ),
    Class.refused(
        "has a `\"` without another|has a `.` in front of|names a command that|has an option with a value"
        "|an argument with a",
        "quotes, signs and brackets that stand for themselves in a command are a slip",
        "ALL=sudoedit /etc/\"osts",
    ),
]

if __name__ == "__main__":
    main(Comparison("sudo", CLASSES, damaged, judge, ours=ours, always=(*GOOD, *BAD)))
