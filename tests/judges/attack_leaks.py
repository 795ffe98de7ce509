"""Secrets in mutated seeds: neither the console, nor the report, nor what first boot remembers has
them, and no file with them may be read by others, unless the seed asks for it or a warning says so."""

import functools
import random
import re

from firstboot import SEED, Image

SECRET = "SECRETBYTES9xQzVt7LmNpR2sT4uV6wX8yZ0aBcDeFgHiJkLmNoPqRsT"
NEEDLES = [SECRET[at : at + 12] for at in range(0, len(SECRET) - 12, 4)]
BODY = "\n".join(f"{SECRET}{line:02}AA" for line in range(6))
PEM = f"-----BEGIN PRIVATE KEY-----\n{BODY}\n-----END PRIVATE KEY-----\n"


def indented(text, by):
    return "".join(" " * by + line + "\n" for line in text.strip().split("\n"))


SEEDS = {
    "hard-way": "#cloud-config\nhostname: n\nnodeimg:\n  pod_subnet: 10.200.0.0/24\n  api_server: https://a.b:6443\n  ca: |\n"
    + indented(PEM, 4)
    + "  kubelet:\n    cert: |\n"
    + indented(PEM, 6)
    + "    key: |\n"
    + indented(PEM, 6)
    + "  kube_proxy:\n    kubeconfig: |\n      kind: Config\n      users:\n      - name: x\n        user: {token: "
    + SECRET
    + "}\n",
    "kubeadm": f"#cloud-config\nhostname: n\nnodeimg:\n  api_server: https://a.b:6443\n  bootstrap_token: abcdef.{SECRET[:16].lower()}\n"
    f"  certificate_key: {SECRET}\n  ca_cert_hashes: [sha256:{SECRET}]\nruncmd:\n- echo {SECRET}\n"
    f"- [kubeadm, join, --token, {SECRET}]\nbootcmd:\n- echo {SECRET}\n",
    "container-host": f"#cloud-config\nhostname: n\npassword: {SECRET}\nchpasswd: {{list: 'root:{SECRET}'}}\nusers:\n"
    f"- {{name: bob, passwd: {SECRET}, plain_text_passwd: {SECRET}}}\nwrite_files:\n- path: /etc/secret\n"
    "  permissions: '0600'\n  content: |\n"
    + indented(PEM, 4)
    + f"- {{path: /etc/s2, permissions: '0600', encoding: b64, content: {SECRET}}}\nruncmd: [[echo, {SECRET}]]\n",
    "jinja": "## template: jinja\n#cloud-config\nhostname: {{ v1.local_hostname }}\n{% set t = '"
    + SECRET
    + "' %}\nruncmd: ['echo {{ t }} {{ ds.meta_data.token }}']\n",
    "mime": 'Content-Type: multipart/mixed; boundary="B"\nMIME-Version: 1.0\n\n--B\nContent-Type: text/x-shellscript; '
    f'name="a.sh"\n\n#!/bin/sh\necho {SECRET}\n--B\nContent-Type: text/cloud-config\n\n#cloud-config\npassword: {SECRET}\n--B--\n',
}
META = f"instance-id: i\nlocal-hostname: n\ntoken: {SECRET}\nadmin_pass: {SECRET}\n"
PIECES = ["\n", "  ", " ", ":", "- ", "|", ">", "'", '"', "{", "}", "[", "]", "#", "&a ", "*a ", "!x ", "\t", "? ", ","]
PIECES += ["{{ ", " }}", "{% ", " %}", "--B\n", "\n\n", "\\", "%", "---\n", "<<: "]
# The seed itself, and scripts and keys that root alone reads.
STATE = ("var/lib/nodeimg/instance.json", "var/lib/nodeimg/pending.json", "run/nodeimg/result.json")


def damaged(rng, text, slips):
    for _ in range(slips):
        at, chance = rng.randrange(len(text)), rng.random()
        if chance < 0.5:
            text = text[:at] + rng.choice(PIECES) + text[at:]
        elif chance < 0.8:
            text = text[:at] + text[at + rng.choice([1, 1, 2, 4, 8]) :]
        else:
            text = text[:at] + text[max(0, at - 20) : at] + text[at:]
    return text


def found(text):
    return any(needle in text or needle.lower() in text for needle in NEEDLES)


def leak(program, kind, user, meta):
    profile = kind if kind in ("hard-way", "kubeadm") else "container-host"
    with Image(program, profile=profile) as image:
        image.seed(user, meta)
        image.run()
        # The frame of a report breaks lines.
        said = re.sub(r"\s*\|\n\|\s*", "", image.printed)
        if found(said + "".join(image.text(name) or "" for name in STATE)):
            return f"a secret is said: {[line for line in image.said() if found(line)] or said[:300]}"
        for path in image.root.rglob("*"):
            if path.is_symlink() or not path.is_file() or str(path.relative_to(image.root)).startswith(SEED):
                continue
            if any("others may read it" in line for line in image.said()):
                continue
            if path.stat().st_mode & 0o077 and found(path.read_text(errors="replace")):
                return f"{path.relative_to(image.root)} has a secret, and others may read it"
    return None


def attacks(program, rng, count):
    for number in range(count):
        # Each of its own, so that one does not depend on those before it.
        own = random.Random(rng.random())
        kind = own.choice(sorted(SEEDS))
        user = damaged(own, SEEDS[kind], own.choice([0, 1, 1, 2, 3, 5]))
        meta = damaged(own, META, 1) if own.random() < 0.15 else META
        yield f"{kind} {number}", functools.partial(leak, program, kind, user, meta)
