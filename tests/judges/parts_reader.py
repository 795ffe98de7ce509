"""nodeimg's reader of MIME beside cloud-init's own, which is Python's email package.

usage: parts_reader.py SHOW_READERS COUNT SEED
"""

import email
import logging
import re
import tempfile

from cloudinit import helpers, user_data, util
from judging import Class, Comparison, main
from parts_text import Writer

logging.disable()
FOLDER = tempfile.TemporaryDirectory()
PROCESSOR = user_data.UserDataProcessor(helpers.Paths({"cloud_dir": FOLDER.name, "run_dir": FOLDER.name}))

# How the email package reads `base64 `: as it does not know it, or as base64.
BLANK_HIDES_ENCODING = email.message_from_string("Content-Transfer-Encoding: base64 \n\nYQ==").get_payload(decode=True) != b"a"

KINDS = {"text/cloud-config": "cloud-config", "text/x-shellscript": "script", "text/jinja2": "template"}


HEAD = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n"


def multipart(part):
    return f"{HEAD}--B\n{part}\n--B--\n"


def has_eight_bits(_, ours, judged):
    def garbled(text):
        return text.encode("raw-unicode-escape").decode("utf-8", "surrogateescape")

    same = [theirs[1] in (one[1], garbled(one[1])) for one, theirs in zip(ours, judged)]
    return len(ours) == len(judged) and all(same)


def has_blank_behind_base64(text, ours, _):
    without = re.sub("base64\\s+\n", "base64\n", text, flags=re.I)
    return without != text and judge(without) == ("read", ours)


def has_blanks_at_ends(text, ours, judged):
    def without(parts):
        return [(kind, re.sub(r"[ \t\r]+(\n|\Z)", r"\1", one)) for kind, one in parts]

    return "quoted-printable" in text and ours != judged and has_eight_bits(text, without(ours), without(judged))


RFC = "https://www.rfc-editor.org/rfc/"
PAGE = "docs/reference/first-boot/user-data.md: "

CLASSES = [
    Class.refused(
        "multipart that does not end",
        RFC + "rfc2046#section-5.1: what was cut off is refused",
        HEAD + "--B\n\n#!/bin/sh\n",
    ),
    Class.refused(
        "does not begin with `#cloud-config`",
        "MIME begins with a header that mail has",
        "X: a\nMIME-Version: 1.0\n\n",
    ),
    Class.refused(
        "a script without `#!`",
        "the type of the part and its first line disagree",
        multipart("Content-Type: text/x-shellscript\n\n#cloud-config\n"),
    ),
    Class.refused(
        "not valid base64",
        RFC + "rfc4648#section-3.3: Python skips what is not base64",
        multipart("Content-Transfer-Encoding: base64\n\nI2Nsb3!VkLWNvbmZpZw==\n"),
    ),
    Class.refused(
        "is not UTF-8 text",
        PAGE + "user-data is UTF-8; an escape may stand for any byte",
        multipart("Content-Transfer-Encoding: quoted-printable\n\n#cloud-config\na: =BA\n"),
    ),
    Class.refused("holds no parts", "a multipart is there for its parts", HEAD + "--B--\n"),
    Class.refused(
        "a content type .* that is not supported",
        PAGE + "unknown forms are refused",
        multipart("Content-Type: text/html\n\n "),
    ),
    Class.read(
        "of the type application/octet-stream",
        PAGE + "the first line tells the form",
        multipart("Content-Type: application/octet-stream\n\n#!/bin/sh\n"),
    ),
    Class.differs(
        has_eight_bits,
        "cloud-init garbles text that is not ASCII in a part without an encoding",
        multipart("\n#cloud-config\na: é\n"),
    ),
    Class.differs(
        has_blanks_at_ends,
        RFC + "rfc2045#section-6.7: blanks at the end of a line are of the way, not of the text; Python keeps them",
        multipart("Content-Transfer-Encoding: quoted-printable\n\n#cloud-config\na: b \nc: d\n"),
    ),
]


# Of Python before 3.13.
OLDER_PYTHON = [
    Class.differs(
        has_blank_behind_base64,
        RFC + "rfc2045#section-6.1: Python takes the encoding with a blank behind it for an unknown one",
        multipart("Content-Type: text/cloud-config\nContent-Transfer-Encoding: base64 \n\nI2Nsb3VkLWNvbmZpZw==\n"),
    ),
]


def judge(text):
    """The parts that cloud-init acts on."""
    try:
        message = PROCESSOR.process(text.encode())
    except Exception as error:
        return ("refused", f"{type(error).__name__}: {error}")
    parts = []
    for part in message.walk():
        if part.is_multipart():
            continue
        kind, payload = part.get_content_type(), util.fully_decoded_payload(part)
        if kind not in KINDS:
            if not payload.strip():
                continue
            return ("refused", f"ignores a part of the type {kind}")
        parts.append([KINDS[kind], payload])
    return ("read", [normal_part(*part) for part in parts])


def normal_part(kind, text):
    if kind == "template":
        # Its first line stays as an empty one, for the numbers of lines in messages.
        text = text.replace("\r\n", "\n").replace("{{ 1 }}", "1")
        return ("cloud-config", text.replace("## template: jinja", "", 1))
    if kind == "script":
        return (kind, util.dos2unix(text.lstrip()))
    return (kind, text)


def normal(parts):
    return [tuple(part) for part in parts]


if BLANK_HIDES_ENCODING:
    CLASSES += OLDER_PYTHON

COMPARISON = Comparison("user_data", CLASSES, lambda rng: Writer(rng).user_data(), judge, normal=normal)

if __name__ == "__main__":
    main(COMPARISON)
