"""Lines of authorized_keys beside ssh-keygen: nodeimg takes a line if ssh-keygen finds a key in
it, and never one in which it finds none.

usage: ssh_keys.py NODEIMG_FIRSTBOOT COUNT SEED

Keys of a security key are put together here; the others have been made by ssh-keygen.
"""

import base64
import json
import re
import struct
import subprocess
import tempfile
from pathlib import Path

from firstboot import Image, folder
from judging import Class, Comparison, main, program

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG7uQrhEhDRc8SW1AOEHOnvwEJ4ovutv4aJHgYGkyaRK"
MADE = {
    "ed25519": ED25519,
    "rsa": "ssh-rsa "
    "AAAAB3NzaC1yc2EAAAADAQABAAABAQClhcft0fGgUR/jwt7iMv4uuCZaeReTmQOwV7v4fB8vV+ZlIZlbKp8uODP08H+zv6Iicixx"
    "rVvBRotj9d58eJqm/jorDC8vdc1U6PXvs9CvR63tjpg3tWS1b7tMMyWiNeUgwzjz7uWezK/Z1+NY/aK6ngD3aBSloJDpAdlZ1qhQ"
    "aMOs299iVE+3yGE7pEUCZL5oTXw5PLNVHF/8YUf+CNjOgm/PYGNojO+kSJOByLFTXYrKF4JAkJauaGDbDsgmso/VMLzxZh4BrsE8"
    "bq+LURS8Hoko1Q+sKmTHNCoa9nNJ/1B4wsQ/sRYN+W8cUXJGtYilqvXrq04GQ9q63U8FdzFr",
    "nistp256": "ecdsa-sha2-nistp256 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBDrQ1loxQyMNzFI1ojq0IZDvjiGoV/CgJ816Haaq+4x1h4EK"
    "y93P0VLe5n0TJ8Ms4wGpGoCOUclTTqAXOvA6a8w=",
    "nistp384": "ecdsa-sha2-nistp384 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBNY0ztBZRZ89gYA8PNQhcj7mC0v8FDP4Lnmgu/UvfYLzmwe8"
    "gJRSBXIV/eQrwTgZfQzhL6AWlGuyS4ZR4IQ36MKSCgDU877BmuLc74iHKKXJYR7O2UNuBbwlHT7FjQmzWQ==",
    "nistp521": "ecdsa-sha2-nistp521 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAFQpl0uNeZueF8WAJw6gO1b1qkuPsK/3bC9i/i9DTLWBR5u"
    "bJgjj2p2kC2bdCfjyqsuxKwyjj+15OTH9XpyeIKeRwEOqIz6ZZ24drFGiQP+A6CehtQ8WD3dDwN4FvGWiYTGnVmiVyST2JNlrR9c"
    "g6mF486X0ow4ZuvgN9z85PIq25kqsw==",
    "certificate": "ssh-ed25519-cert-v01@openssh.com "
    "AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIBfcEAyKZIzQi414pJlrlIVF1m+j0CPFfWrBSzeyQZEjAAAA"
    "IG7uQrhEhDRc8SW1AOEHOnvwEJ4ovutv4aJHgYGkyaRKAAAAAAAAAAAAAAABAAAAAmlkAAAABwAAAANib2IAAAAAAAAAAP//////"
    "////AAAAAAAAAIIAAAAVcGVybWl0LVgxMS1mb3J3YXJkaW5nAAAAAAAAABdwZXJtaXQtYWdlbnQtZm9yd2FyZGluZwAAAAAAAAAW"
    "cGVybWl0LXBvcnQtZm9yd2FyZGluZwAAAAAAAAAKcGVybWl0LXB0eQAAAAAAAAAOcGVybWl0LXVzZXItcmMAAAAAAAAAAAAAADMA"
    "AAALc3NoLWVkMjU1MTkAAAAg9RtSIaBCPsk5awROAv3APpYwv+8uID1w27A6MxTBcYAAAABTAAAAC3NzaC1lZDI1NTE5AAAAQEKX"
    "T//7grndW5B0qFNriQ1J3D/dWzISnbDAvpbhk18N+cbj22SLPmPRemjFZHtObX+E7YdvhBUumlPLtyyulQ4=",
}


def wire(*parts):
    return base64.b64encode(b"".join(struct.pack(">I", len(part)) + part for part in parts)).decode()


def parts_of(line):
    """The parts inside a key."""
    rest, found = base64.b64decode(line.split()[1]), []
    while rest:
        length = struct.unpack(">I", rest[:4])[0]
        found.append(rest[4 : 4 + length])
        rest = rest[4 + length :]
    return found


def other(kind, *parts):
    return f"{kind} {wire(kind.encode(), *parts)}"


ED = parts_of(ED25519)[1]
CURVE, POINT = parts_of(MADE["nistp256"])[1:]
EXPONENT, MODULUS = parts_of(MADE["rsa"])[1:]

GOOD = [
    *MADE.values(),
    other("sk-ssh-ed25519@openssh.com", ED, b"ssh:"),
    other("sk-ecdsa-sha2-nistp256@openssh.com", CURVE, POINT, b"ssh:"),
]
OPTIONS = [
    "no-pty",
    "restrict,pty",
    'command="/bin/echo \\"a b\\"",no-port-forwarding',
    'from="10.0.0.0/8,!10.1.0.0/16"',
    'environment="A=b c"',
    "cert-authority",
    'cert-authority,principals="a,b"',
    'permitopen="10.0.0.1:80"',
    'expiry-time="20300101"',
    "verify-required",
    "No-PTY",
]
ODD = [
    "",
    "nonsense",
    "ssh-ed25519",
    "ssh-ed25519 notbase64!!!!!!!!!!!!",
    "ssh-ed25519 AAAA",
    "x " + ED25519,
    "no-such-option " + ED25519,
    'command="open ' + ED25519,
    "no-pty, " + ED25519,
    "# " + ED25519,
    "  " + ED25519 + " a comment of words",
    ED25519.replace(" ", "\t"),
    ED25519 + "\n" + ED25519,
    ED25519.replace("ssh-ed25519", "ssh-rsa"),
    ED25519.replace("ssh-ed25519", "SSH-ED25519"),
    MADE["nistp256"].replace("nistp256", "nistp384"),
    other("ssh-ed25519", ED[:31]),
    other("ssh-ed25519", ED + b"x"),
    other("ssh-ed25519", ED, b"x"),
    other("ssh-ed25519", b""),
    other("ecdsa-sha2-nistp256", b"nistp384", POINT),
    other("ecdsa-sha2-nistp256", CURVE, POINT[:-1]),
    other("ecdsa-sha2-nistp256", CURVE),
    other("ssh-rsa", EXPONENT, MODULUS[:65]),
    other("ssh-rsa", EXPONENT, b"\x80" + MODULUS[1:]),
    other("ssh-rsa", MODULUS),
    other("ssh-rsa", b"", MODULUS),
    other("ssh-none", ED),
    other("sk-ssh-ed25519@openssh.com", ED),
    other("sk-ssh-ed25519@openssh.com", ED, b""),
    ED25519[:-1],
    ED25519[:-4],
    ED25519 + "=",
    ED25519 + "AAAA",
    "ssh-ed25519 " + ED25519.split()[1].rstrip("K") + "\u00e9",
]
TABLE = [*GOOD, *(f"{option} {ED25519}" for option in OPTIONS), *ODD]


def damaged(rng):
    """A good line with one to three slips."""
    line = rng.choice(GOOD)
    if rng.random() < 0.3:
        line = f"{rng.choice(OPTIONS)} {line}"
    if rng.random() < 0.3:
        line += rng.choice([" name", " a b", "  ", " é"])
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(line) + 1)
        gone = rng.choice([0, 1, 1, 4])
        line = line[:at] + rng.choice(["", "", "A", "=", " ", '"', ",", "\\", "/", "#"]) + line[at + gone :]
    return line


SSH_KEYGEN = program("ssh-keygen")


def judge(line):
    """Whether ssh-keygen finds a key."""
    with tempfile.NamedTemporaryFile("w", dir=folder(), encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        done = subprocess.run([SSH_KEYGEN, "-l", "-f", file.name], capture_output=True, text=True, check=False)
    lines = done.stdout.count("\n")
    return ("read", line.strip()) if lines == 1 else ("refused", f"{lines} keys: {done.stderr}{done.stdout}")


def ours(tested, line):
    with Image(tested) as image:
        user = {"name": "bob", "ssh_authorized_keys": [line]}
        image.seed("#cloud-config\n" + json.dumps({"hostname": "n", "users": [user]}))
        status = image.run()
        written = (image.text("etc/ssh/authorized_keys.d/bob") or "").strip()
        skipped = any("sshd skips it" in said for said in image.said())
        if status == 0 and line.strip() and line.strip() in written and not skipped:
            return ("read", line.strip())
        return ("refused", "\n".join(image.said()) or "it is left out without a word")


def has_options_of_its_own(line, mine, judged):
    """sshd passes over a line with an option that it does not know; ssh-keygen looks for a key behind."""
    return judged[0] == "read" and mine[0] == "refused" and not re.match(r"\s*(ssh-|ecdsa-|sk-)", line)


def is_wrong_deep_inside(line, mine, judged):
    return mine[0] == "read" and judged[0] == "refused" and re.search("ecdsa-|sk-|-cert-v01@", line) is not None


CLASSES = [
    Class(
        "whether a point is on its curve and who has signed a certificate is left to sshd",
        other("sk-ssh-ed25519@openssh.com", ED, b"s\0h:"),
        is_wrong_deep_inside,
    ),
    Class.refused(
        "damaged, or of a length that sshd refuses",
        "a key with an exponent of nothing, or of a token of no application, lets nobody in",
        other("ssh-rsa", b"", MODULUS),
    ),
    Class(
        "sshd passes over a line with an option that it does not know, ssh-keygen over the option",
        "no-such-option " + ED25519,
        has_options_of_its_own,
    ),
]

if __name__ == "__main__":
    main(Comparison("keys", CLASSES, damaged, judge, ours=ours, always=tuple(TABLE)))
