"""Slips, lies and foreign answers against first boot: what the rules of
docs/reference/first-boot-rules.md promise has to hold after each.

usage: attacks.py NODEIMG_FIRSTBOOT COUNT SEED

An attack is a function without arguments that returns what is wrong, or nothing. Prints a line
for each kind of attack. COUNT is the number of generated ones. Needs root, for namespaces.
"""

import os
import random
import sys
from concurrent.futures import ThreadPoolExecutor

import attack_answers
import attack_bounds
import attack_leaks
import attack_paths
import attack_slips
import attack_stamps

KINDS = {
    "slips in a seed": attack_slips.attacks,
    "stamps that are lost, damaged or foreign": attack_stamps.attacks,
    "paths and links": attack_paths.attacks,
    "answers of a server": attack_answers.attacks,
    "seeds that grow": attack_bounds.attacks,
    "secrets in what is said": attack_leaks.attacks,
}


def tried(attack):
    """What is wrong after an attack, as text."""
    try:
        return attack()
    except Exception as error:  # noqa: BLE001 - an attack that breaks its script is a finding too
        return f"{type(error).__name__}: {error}"


def main():
    program, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    wrong = 0
    for kind, attacks in KINDS.items():
        named = list(attacks(program, random.Random(seed), count))
        # Most of the time goes into waiting.
        with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
            answers = list(pool.map(tried, [attack for _, attack in named]))
        found = [(name, answer) for (name, _), answer in zip(named, answers, strict=True) if answer]
        wrong += len(found)
        print(f"attacks: {kind}: {len(named)} tried, {len(found)} problems")
        for name, answer in found:
            print(f"  {name}: {answer[:600]}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
