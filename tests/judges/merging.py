"""Several parts of one user-data, merged in every way that cloud-init knows: MIME messages with
`Merge-Type` headers, archives, `merge_how` and `merge_type` in the parts; applied by both.

usage: merging.py NODEIMG_FIRSTBOOT COUNT SEED
"""

import base64
import re

import yaml
from applied import judge, ours
from judging import Class, Comparison, main

HOW = [
    "dict(replace)+list()+str()",
    "list(append)+dict(recurse_array)+str()",
    "list(append)+dict(recurse_list)+str()",
    "list(prepend)+dict(recurse_array)+str()",
    "dict(recurse_array,no_replace)+list(append)",
    "dict(no_replace,recurse_list)+list(append)+str()",
    "list(replace)+dict(recurse_array)",
    "dict(recurse_dict)+list()+str(append)",
    "dict(recurse_str)+str(append)",
    "list()+dict()+str()",
    "dict(recurse_array,recurse_dict,recurse_str)+list(append,recurse_dict)+str(append)",
    "list(append)",
    "dict(recurse_array)",
    "list(append, no_replace)+dict(recurse_array)",
    "bogus(x)",
]
AS_LISTS = [
    [{"name": "list", "settings": ["append"]}, {"name": "dict", "settings": ["no_replace", "recurse_list"]}],
    [{"name": "dict", "settings": ["recurse_array"]}, {"name": "list", "settings": ["prepend"]}],
]

# A way to merge that names lists only: cloud-init then knows none for the mapping that every
# part is, and drops the part; `dict()` is the way that it names no other for.
LONE = re.compile(r"(?<![+\w])list\(append\)(?!\+)")


def names_lists_only(text, ours, judged):
    """What the part adds is taken, as if it said that nothing is replaced."""
    whole = judge(LONE.sub("list(append)+dict()", text))
    return LONE.search(text) is not None and ours != judged and ("read", ours) == whole


def has_a_longer_list(text, ours, judged):
    return "list(replace)" in text and ours["scripts"] == judged["scripts"]


def one(*parts):
    """A message of these parts, each a header and text."""
    text = 'Content-Type: multipart/mixed; boundary="==B=="\nMIME-Version: 1.0\n\n'
    for header, body in parts:
        text += f"--==B==\nContent-Type: text/cloud-config\n{header}\n#cloud-config\n{body}\n"
    return text + "--==B==--\n"


PAGE = "docs/reference/first-boot/user-data.md, Formats: "

CLASSES = [
    Class.refused(
        "is not a supported way to merge",
        PAGE + "settings that cloud-init passes over (`list(recurse_dict)`) are refused by name",
        "#cloud-config\nhostname: n\nmerge_how: dict()+list(append,recurse_dict)\n",
    ),
    Class.read(
        "empty cloud config",
        "a part without a key asks for nothing, which is not an error",
        "#cloud-config\n{}\n",
    ),
    Class.differs(
        names_lists_only,
        "`list(append)` alone: cloud-init drops the part without a word",
        one(("", "hostname: a"), ("Merge-Type: list(append)\n", "runcmd: [b]")),
    ),
    Class.differs(
        has_a_longer_list,
        "`list(replace)`: cloud-init drops what is beyond the end of the earlier list without a word",
        one(("", "runcmd: [one]"), ("Merge-Type: list(replace)+dict(recurse_list)\n", "runcmd: [two, three]")),
    ),
]


def file(rng, number):
    made = {"path": f"/etc/t/{rng.choice('abcdef')}", "content": f"part {number}\n"}
    if rng.random() < 0.15:
        made["append"] = True
    if rng.random() < 0.15:
        made["defer"] = True
    if rng.random() < 0.3:
        made["permissions"] = rng.choice(["0600", "0755", "0640"])
    return made


def part(rng, number):
    """Its keys, and the value of a header that says how it is merged."""
    keys = {}
    if rng.random() < 0.5:
        keys["hostname"] = rng.choice(["alpha", "beta", "gamma"])
    if rng.random() < 0.8:
        keys["write_files"] = [file(rng, number) for _ in range(rng.randint(1, 2))]
    if rng.random() < 0.6:
        commands = [f"echo {number}", ["echo", str(number), "a'b"], "true"]
        keys["runcmd"] = [rng.choice(commands) for _ in range(rng.randint(1, 2))]
    if rng.random() < 0.5:
        return keys, None
    place, how = rng.choice(["merge_how", "merge_type", "header", "list"]), rng.choice(HOW)
    if place == "header":
        return keys, how
    return keys | {"merge_how": rng.choice(AS_LISTS)} if place == "list" else keys | {place: how}, None


def text_of(keys):
    return "#cloud-config\n" + yaml.safe_dump(keys, sort_keys=False)


def message(rng, parts):
    text = 'Content-Type: multipart/mixed; boundary="==B=="\nMIME-Version: 1.0\n\n'
    for keys, how in parts:
        head, body = "Content-Type: text/cloud-config\n", text_of(keys)
        if how:
            head += rng.choice(["Merge-Type: ", "X-Merge-Type: "]) + how + "\n"
        # The classes look for ways to merge in the text.
        if rng.random() < 0.2 and not {"merge_how", "merge_type"} & set(keys):
            head += "Content-Transfer-Encoding: base64\n"
            body = base64.encodebytes(body.encode()).decode()
        text += f"--==B==\n{head}\n{body}\n"
        if rng.random() < 0.2:
            text += "--==B==\nContent-Type: text/x-shellscript\n\n#!/bin/sh\necho script\n"
    return text + "--==B==--\n"


def user_data(rng):
    parts = [part(rng, number) for number in range(rng.randint(1, 4))]
    kind = rng.random()
    if len(parts) == 1 and kind < 0.6:
        return text_of(parts[0][0])
    if kind < 0.8:
        return message(rng, parts)
    items = [{"type": "text/cloud-config", "content": text_of(keys)} for keys, _ in parts]
    return "#cloud-config-archive\n" + yaml.safe_dump(items)


if __name__ == "__main__":
    main(Comparison("merging", CLASSES, user_data, judge, ours=ours))
