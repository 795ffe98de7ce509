"""cloud-config in all the ways that YAML has to write it, applied by both: contents of files,
host names and commands.

usage: documents.py NODEIMG_FIRSTBOOT COUNT SEED
"""

from applied import judge, ours
from judging import Class, Comparison, main
from yaml_text import Writer

TEXTS = ["a", "foo bar", "x: y", "# no", "- a", "é 😀", "'q'", '"dq"', "\\n", "a\nb", "a\n\nb\n", "\na", "a\n", "a\n\n\n"]
TEXTS += ["  lead", "trail  ", "\ttab", "a\tb", "{{x}}", "[a]", "{a: b}", "*a", "&a", "!x", "|", ">", "%a", "@", "`"]
TEXTS += ["yes", "0644", "~", "", " ", "\n", "k: |\n  v\n", "a" * 300, "a b " * 60, "---\na\n...\n"]
TEXTS += ["#!/bin/sh\nset -e\n  echo 'a \"b\"'\n\n\n# end\n"]

HEADS = ["#cloud-config\n"] * 8 + ["#cloud-config\n---\n", "#cloud-config # c\n", "\n#cloud-config\n"]
ENDS = ["\n"] * 6 + ["", "\n\n", "\n...\n", "\n# end", "\n# end\n"]
HOSTS = [" n", " 'n'", ' "n"', "\n  n", " &h n", " n # c", " >-\n  n", " |\n  n", " !!str n"]

FILE = "#cloud-config\nhostname: n\nwrite_files:\n- path: /etc/t/a\n  "
COMMAND = "#cloud-config\nhostname: n\nruncmd:\n"

# Of values of other types scalars.py has more.
CLASSES = [
    Class.read(
        "empty cloud config",
        "PyYAML refuses the document, and cloud-init takes nothing of it: yaml_reader.py tells why nodeimg reads it",
        FILE + "content: |\n    a\n  permissions:\t'0600'\n",
    ),
    Class.read(
        "has no attribute 'encode'|surrogates not allowed",
        "contents are text as it is written; cloud-init writes no file and fails",
        FILE + "content: 12\n",
    ),
    Class.refused(
        "runcmd: (contains a NUL byte|is a list|is a mapping|has the YAML tag)",
        "no command has such a word; cloud-init writes Python's text for it",
        COMMAND + "- [echo, [a]]\n",
    ),
    Class.refused(
        "runcmd: (is a (number|time|boolean|special word) in YAML|has a word that is nothing)",
        "cloud-init writes `420` for 0644, `True` for yes and `None` for nothing; quotes make it text",
        COMMAND + "- [echo, 0644]\n",
    ),
]


class Document:
    def __init__(self, rng):
        self.rng = rng
        self.writer = Writer(rng)

    def quoted(self, text, indent):
        if self.rng.random() < 0.4:
            return "'" + text.replace("'", "''").replace("\n", "\n\n" + " " * indent) + "'"
        return '"' + "".join(self.writer.quoted(one, indent) for one in text) + '"'

    def text(self, indent, flow=False):
        text = self.rng.choice(TEXTS)
        if self.rng.random() < 0.2:
            text = "\n".join(self.rng.choice(TEXTS) for _ in range(self.rng.randint(1, 3)))
        chance = self.rng.random()
        if flow or chance < 0.5:
            return " " + self.quoted(text, indent + 1)
        if chance < 0.6:
            return " " + text.replace("\n", "\n" + " " * (indent + 1))
        return " " + self.block(text, indent)

    def block(self, text, indent):
        sign = self.rng.choice(["|", "|", ">"]) + self.rng.choice(["", "-", "+"])
        if text.startswith((" ", "\n", "\t")) or self.rng.random() < 0.2:
            sign = sign[0] + "2" + sign[1:]
        lines = [" " * (indent + 2) + line if line else "" for line in text.split("\n")]
        return sign + "\n" + "\n".join(lines).rstrip("\n")

    def file(self, number, indent):
        if self.rng.random() < 0.15:
            return " " * indent + f"- {{path: /etc/t/{number}, content:{self.text(indent + 4, flow=True)}}}"
        dash = "-" + " " * self.rng.choice([1, 1, 3])
        pad = " " * (indent + len(dash))
        lines = [f"path: /etc/t/{number}", "content:" + self.text(len(pad))]
        if self.rng.random() < 0.3:
            lines.append("permissions: " + self.rng.choice(["'0600'", "0640", '"0755"', "!!str 0600"]))
        if self.rng.random() < 0.2:
            lines.append("owner: root:root")
        if self.rng.random() < 0.1:
            lines.append("<<: {append: false}")
        self.rng.shuffle(lines)
        return " " * indent + dash + ("\n" + pad).join(lines)

    def command(self):
        forms = [
            "- " + self.quoted("echo hi", 2),
            "- echo a",
            "-" + self.text(0),
            "- [echo, 'a b', \"c\\td\"]",
            "-\n  - echo\n  -" + self.text(2),
            "- - echo\n  - x",
        ]
        return self.rng.choice(forms)

    def whole(self):
        indent = self.rng.choice([0, 2, 4])
        files = "\n".join(self.file(number, indent) for number in range(self.rng.randint(1, 3)))
        keys = ["hostname:" + self.rng.choice(HOSTS), "write_files:" + self.rng.choice(["", " # c", " "]) + "\n" + files]
        if self.rng.random() < 0.6:
            keys.append("runcmd:\n" + "\n".join(self.command() for _ in range(self.rng.randint(1, 3))))
        if self.rng.random() < 0.2:
            keys.append("x: &anchor {a: 1}\ny: {<<: *anchor, b: 2}")
        self.rng.shuffle(keys)
        text = self.rng.choice(HEADS) + "\n".join(keys) + self.rng.choice(ENDS)
        return text.replace("\n", "\r\n") if self.rng.random() < 0.06 else text


if __name__ == "__main__":
    main(Comparison("documents", CLASSES, lambda rng: Document(rng).whole(), judge, ours=ours))
