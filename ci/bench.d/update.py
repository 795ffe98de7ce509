"""What an update must bring: two roots compared by blocks of dm-verity, as a node that has
the old one would. Prints a Markdown table.

usage: ci/bench.d/update.py [--rivals] OLD NEW

OLD and NEW are `root.squashfs` of two builds, or any other two files. Both are read whole.
`--rivals` says what casync (Debian's package) and bita (`cargo install bita`) would fetch
for the same pair, with their own default chunks; one that is missing is left out.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import tempfile
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


def casync(old, new, work):
    """The compressed chunks of the new file that the old one has not, and the index."""
    store = {}
    for name, file in (("old", old), ("new", new)):
        index, chunks = work / f"{name}.caibx", work / f"{name}.castr"
        subprocess.run(["casync", "make", f"--store={chunks}", index, file], check=True, stdout=subprocess.DEVNULL)
        store[name] = {chunk.name: chunk.stat().st_size for chunk in chunks.rglob("*.cacnk")}
        store["index"] = index.stat().st_size
    fetched = sum(size for name, size in store["new"].items() if name not in store["old"])
    return fetched + store["index"]


def bita(old, new, work):
    """What its own program says that it has fetched, with the old file as its seed."""
    archive = work / "new.cba"
    subprocess.run(["bita", "compress", "--input", new, archive], check=True, capture_output=True)
    command = ["bita", "-v", "clone", "--seed", old, archive, work / "cloned"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    fetched = bita_fetched(done.stdout + done.stderr)
    # The dictionary of chunks is fetched as well.
    return fetched + dictionary(archive)


def bita_fetched(text):
    """Of `using 33.1 MiB (34707456 bytes) from archive`, or `using 99 bytes from archive`."""
    found = re.search(r"using [^\n]*?(\d+) bytes\)? from archive", text)
    if not found:
        raise ValueError(f"bita does not say what it has fetched:\n{text}")
    return int(found[1])


def dictionary(archive):
    """Of a bita archive: behind six bytes of magic its length as eight bytes, little-endian."""
    with archive.open("rb") as file:
        return int.from_bytes(file.read(14)[6:], "little")


def rivals(old, new):
    """{name: bytes that it would fetch}, of those that are installed."""
    found = {}
    for name, measure in (("casync", casync), ("bita", bita)):
        if shutil.which(name):
            with tempfile.TemporaryDirectory() as work:
                found[name] = measure(old, new, Path(work))
    return found


OURS = "nodeimg-update"


def compared(what, old, new):
    """{name: bytes}, with the index of each; printed beside the whole file."""
    print(HEAD)
    print(row(what, old, new))
    size = new.stat().st_size
    # The hash tree: 32 bytes a block, and a 127th of that above them.
    tree = 32 * size / BLOCK * 128 / 127
    found = {OURS: to_fetch(old, new)[0] + tree, **rivals(old, new)}
    print("\n| | fetched, with what says which parts |\n|---|---|")
    for name, fetched in {"the whole root": size, **found}.items():
        print(f"| {name} | {fetched / 1e6:.2f} MB ({fetched / size:.1%}) |")
    return found


HEAD = "| an update | root | to be brought | ranges |\n|---|---|---|---|"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--rivals", action="store_true")
    args = parser.parse_args()
    what = f"{args.old} to {args.new}"
    if args.rivals:
        compared(what, args.old, args.new)
    else:
        print(HEAD)
        print(row(what, args.old, args.new))


if __name__ == "__main__":
    main()
