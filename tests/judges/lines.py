"""systemd's own programs, of each of Debian's versions, read the lines of a table: whether they
complain of one must be what the table says, by which nodeimg's tests judge its own reader.

usage: lines.py TABLE FOLDER_OF_A_DEBIAN...

A line of the table: the folder's name without its ".d", "good" or "bad", and the line.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAMS = {
    "tmpfiles": ["systemd-tmpfiles", "--create", "--boot"],
    "sysusers": ["systemd-sysusers"],
}
FILES = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
    "etc/group": "root:x:0:\nadm:x:4:\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/os-release": "ID=debian\nVERSION_ID=13\n",
}
# EX_DATAERR and EX_CANTCREAT.
REFUSED = (65, 73)


def loader(debian):
    """What starts a program of that Debian with that Debian's libraries."""
    libraries = [path for top in ("usr/lib", "lib") for path in (debian / top).glob("*-linux-gnu")]
    ours = next(found for path in libraries for found in path.glob("ld-linux-*.so.*"))
    paths = [str(path) for one in libraries for path in (one, one / "systemd")]
    return [str(ours), "--library-path", ":".join(paths)]


def is_bad(debian, kind, line):
    program, *words = PROGRAMS[kind]
    path = next(debian / top / program for top in ("usr/bin", "bin") if (debian / top / program).exists())
    with tempfile.TemporaryDirectory() as root:
        for folder in (f"usr/lib/{kind}.d", "etc", "run", "dev"):
            (Path(root) / folder).mkdir(parents=True)
        for name, text in FILES.items():
            (Path(root) / name).write_text(text)
        (Path(root) / f"usr/lib/{kind}.d/x.conf").write_text(f"{line}\n")
        ran = subprocess.run(
            [*loader(debian), str(path), *words, f"--root={root}"], capture_output=True, text=True, check=False,
        )
    return "x.conf:1:" in ran.stderr or ran.returncode in REFUSED, ran.stderr


def main(table, *folders):
    rows = [row.split(" ", 2) for row in Path(table).read_text().splitlines() if not row.startswith("#")]
    count = 0
    for folder in folders:
        for kind, verdict, line in rows:
            found, said = is_bad(Path(folder), kind, line)
            if found != (verdict == "bad"):
                print(f"{Path(folder).name}: {kind}: {line!r} is {verdict} in the table, but: {said.strip() or 'nothing'}")
                count += 1
    if count:
        sys.exit(1)
    print(f"{len(rows)} lines are judged alike by {' and '.join(Path(folder).name for folder in folders)}")


main(*sys.argv[1:])
