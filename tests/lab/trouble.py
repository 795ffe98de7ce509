"""What a person who runs the lab is told, and how."""

import sys


class Trouble(Exception):
    """Ends the run: what is wrong, where, and what to do about it."""


def say(text):
    print(f"lab: {text}", file=sys.stderr, flush=True)
