"""What an update must bring: two roots compared by blocks of dm-verity, as a node that has
the old one would. Prints a Markdown table.

usage: ci/bench.d/update.py OLD NEW

OLD and NEW are `root.squashfs` of two builds, or any other two files. Both are read whole.
"""

import argparse
import hashlib
from pathlib import Path

BLOCK = 4096


def blocks(path):
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield hashlib.sha256(block).digest()


def to_fetch(old, new):
    """Bytes of `new` whose blocks are nowhere in `old`, and in how many ranges they are."""
    known = set(blocks(old))
    count = ranges = 0
    was_new = False
    for block in blocks(new):
        is_new = block not in known
        count += is_new
        ranges += is_new and not was_new
        was_new = is_new
    return count * BLOCK, ranges


def row(what, old, new):
    fetched, ranges = to_fetch(old, new)
    size = new.stat().st_size
    return f"| {what} | {size / 1e6:.1f} MB | {fetched / 1e6:.2f} MB ({fetched / size:.1%}) | {ranges} |"


HEAD = "| an update | root | to be brought | ranges |\n|---|---|---|---|"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    args = parser.parse_args()
    print(HEAD)
    print(row(f"{args.old} to {args.new}", args.old, args.new))


if __name__ == "__main__":
    main()
