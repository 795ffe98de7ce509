#!/usr/bin/env python3
"""What makes a disk large: its root as stored, initrd and UKI, and what brought the
most of the root, as `nodeimg inspect` tells it.

usage: ci/bench.d/sizes.py NODEIMG DIR...    DIR as `nodeimg build` wrote it

Prints a Markdown table, a row for each DIR."""

import json
import subprocess
import sys

CAUSES = 5
HEADER = ["", "root", "UKI", "of it kernel", "of it initrd", "most of the root, MB"]


def megabytes(size):
    return f"{size / 1e6:.1f}"


def inspected(nodeimg, directory):
    said = subprocess.run([nodeimg, "inspect", "--json", str(directory)], check=True, capture_output=True, text=True)
    return json.loads(said.stdout)


def row(nodeimg, directory):
    """Of one disk: sizes in megabytes, and the CAUSES owners that most of the root is of."""
    image = inspected(nodeimg, directory)
    sizes = sorted(image["sizes"], key=lambda one: (-one["stored"], one["owner"]["name"]))
    uki = image["boot"]["uki"]
    sections = {one["name"]: one["size"] for one in uki["sections"]}
    owners = ", ".join(f"{one['owner']['name']} {megabytes(one['stored'])}" for one in sizes[:CAUSES])
    name = f"`{image['image']['id']}` {image['image']['architecture']}"
    parts = [sum(one["stored"] for one in sizes), image["boot"]["esp"][uki["path"]], sections[".linux"], sections[".initrd"]]
    return [name, *(f"{megabytes(part)} MB" for part in parts), owners]


def main():
    if len(sys.argv) < 3 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    nodeimg, *directories = sys.argv[1:]
    print("| " + " | ".join(HEADER) + " |")
    print("|---" * len(HEADER) + "|")
    for directory in directories:
        print("| " + " | ".join(row(nodeimg, directory)) + " |")


if __name__ == "__main__":
    main()
