"""Every type of YAML's scalars where a cloud-config wants text: each value in each of five keys,
applied by both. COUNT and SEED change nothing: the table is tried as a whole.

usage: scalars.py NODEIMG_FIRSTBOOT COUNT SEED
"""

from applied import as_written, judge, ours
from judging import Class, Comparison, main, said

VALUES = (
    "123 0644 0o17 1.0 1e3 1.5e3 0x1F 0b11 1_000 190:20:30 1:30 2024-01-01 2024-01-01T00:00:00Z yes No on y n yEs"
    " tRUE true ~ null nUll '' = << .inf .nan [a] -1 +1 -0 0 00 08 0.1.2 1. .5 12345678901234567890 '#x' a#b %x @x `x`"
).split() + [
    "",
    "!!str 123",
    "!!str yes",
    "!!str ~",
    "!!binary aGk=",
    "!!int '5'",
    "!!float 1",
    "!!timestamp 2024-01-01",
    "!!null x",
    "! yes",
    "!foo x",
    "'a\\nb'",
    '"a\\nb\\x41\\u00e9\\U0001F600\\e\\0"',
    '"a\\\n    b"',
    "'a\n\n    b'",
    "a\n    b",
    ">\n    a\n    b\n\n    c\n     d\n",
    "|\n    a\n\n",
    "|+\n    a\n\n",
    "|-\n    a\n\n",
    "|2\n      a\n",
    ">-\n    a\n    b",
    "|\n    a",
    "{a: 1}",
    "&x foo",
    "a #b",
    '"\\ud83d\\ude00"',
    "|\n  \ta\n",
    "|\n    \ta",
    "'\ttab'",
]
# Keys whose line a value of several lines fits below.
OPEN = {
    "content": "hostname: h\nwrite_files:\n- path: /etc/t/a\n  content: {}\n",
    "item": "hostname: h\nruncmd:\n- {}\n- x\n",
}
PLAIN = {
    "permissions": "hostname: h\nwrite_files:\n- path: /etc/t/a\n  content: x\n  permissions: {}\n",
    "word": "hostname: h\nruncmd:\n-\n  - e\n  - {}\n",
    "hostname": "hostname: {}\n",
}

HEAD = "#cloud-config\n"
FILE = HEAD + "hostname: h\nwrite_files:\n- path: /etc/t/a\n  "


def is_a_name(text, ours, judged):
    """A number as it is written, up to its first dot, as of any host name."""
    del judged
    written = text.removeprefix(HEAD + "hostname:").split("#")[0].strip().strip("'\"")
    return text.startswith(HEAD + "hostname:") and ours["host"] == written.split(".")[0]


def has_capitals(text, ours, judged):
    """Refused by this reason, or lowered."""
    del text
    if ours[0] == judged[0] == "read":
        return ours[1]["host"] != judged[1]["host"] and ours[1]["host"] == judged[1]["host"].lower()
    return judged[0] == "read" and said(ours, "hostname: .* has uppercase letters")


CLASSES = [
    Class.refused(
        "permissions: (is not a file mode|is a decimal number|is a list|is a mapping|has the YAML tag)",
        "cloud-init warns in its log and takes the mode 0644, which may be too wide",
        FILE + "content: x\n  permissions: rw\n",
    ),
    Class.refused(
        "runcmd: (is a (number|time|boolean|special word) in YAML|has a word that is nothing)",
        "cloud-init writes `420` for 0644, `True` for yes and `None` for nothing; quotes make it text",
        HEAD + "hostname: h\nruncmd:\n- [echo, 0644]\n",
    ),
    Class.refused(
        "hostname: (is a number|is a time|is a special word|is a boolean|is a list|is a mapping|has the YAML tag)",
        "cloud-init names the node by Python's text for it, as `True`",
        HEAD + "hostname: on\n",
    ),
    Class.refused(
        "hostname: `.*` (holds|has a part)|hostname: a name of",
        "Kubernetes takes host names of DNS only",
        HEAD + "hostname: a_b\n",
    ),
    Class("Kubernetes allows only lowercase letters in the name of a node", HEAD + "hostname: Web\n", has_capitals),
    Class.differs(
        is_a_name,
        "a number is text as it is written, and a host name ends at its first dot",
        HEAD + "hostname: 1.0\n",
    ),
    Class.refused(
        "the tag `!` means text",
        "YAML 1.2 and cloud-init take it for opposites",
        HEAD + "hostname: ! yes\n",
    ),
    Class.refused(
        "runcmd: (contains a NUL byte|is a list|is a mapping|has the YAML tag)",
        "no command has such a word; cloud-init writes Python's text for it",
        HEAD + "runcmd:\n- [echo, [a]]\n",
    ),
    Class.read(
        "has no attribute 'encode'|surrogates not allowed",
        "contents are text as it is written; cloud-init writes no file and fails",
        FILE + "content: 12\n",
    ),
    Class.refused(
        "content: has the YAML tag",
        "contents are text; cloud-init from 23 on takes `!!null` for none",
        None,
    ),
    Class.read(
        "empty cloud config",
        "a host name of `0` or nothing is none to cloud-init",
        HEAD + "hostname: 0\n",
    ),
    Class.differs(
        as_written,
        "two escapes make one character, as in JSON; cloud-init cannot write its reading to a file",
        HEAD + "hostname: h\nruncmd:\n- \"\\ud83d\\ude00\"\n",
    ),
]


def documents():
    for value in VALUES:
        forms = OPEN if "\n" in value else OPEN | PLAIN
        for form in forms.values():
            yield "#cloud-config\n" + form.format(value)


if __name__ == "__main__":
    main(Comparison("scalars", CLASSES, None, judge, ours=ours, always=tuple(documents())))
