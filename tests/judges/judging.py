"""What the comparisons of readers share: asking nodeimg's reader, sorting the answers
into classes, and the report.

A comparison makes inputs from a seed, so that the same number makes the same inputs
everywhere. For each input there are two answers, `("read", VALUE)` or
`("refused", WHY)`: nodeimg's, and that of the judge, the program that cloud-init uses.
Answers that differ have to be of exactly one of the classes that are listed. A class
has an example, which is compared before all other inputs: if its answers no longer
differ in this way, the comparison fails, so that the list can only shrink.
"""

import dataclasses
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

SHOWN = 10


@dataclasses.dataclass(frozen=True)
class Class:
    """Inputs that nodeimg and the judge read differently, and why that is right."""

    why: str
    # None if only some versions of the judge have the difference.
    example: object
    # Of the input and both answers.
    holds: Callable

    @classmethod
    def refused(cls, message, why, example):
        """nodeimg refuses, with this message, what the judge reads."""

        def holds(_, ours, judged):
            return judged[0] == "read" and said(ours, message)

        return cls(why, example, holds)

    @classmethod
    def read(cls, message, why, example):
        """nodeimg reads what the judge refuses with this message."""

        def holds(_, ours, judged):
            return ours[0] == "read" and said(judged, message)

        return cls(why, example, holds)

    @classmethod
    def differs(cls, same, why, example):
        """Both read, and `same(input, ours, judged)` tells why the values differ."""

        def holds(text, ours, judged):
            return ours[0] == judged[0] == "read" and same(text, ours[1], judged[1])

        return cls(why, example, holds)


def said(answer, message):
    return answer[0] == "refused" and re.search(message, answer[1]) is not None


@dataclasses.dataclass(frozen=True)
class Comparison:
    reader: str
    classes: list
    # From a random.Random to an input.
    make: Callable | None
    # From an input to the judge's answer.
    judge: Callable
    # From an input to what the reader is given, a value of JSON.
    given: Callable = lambda text: text
    # From what nodeimg has read to the judge's form of it.
    normal: Callable = lambda value: value
    # From a program and an input to nodeimg's answer; without it, show-readers is asked.
    ours: Callable | None = None
    # Inputs that are tried whatever the seed.
    always: tuple = ()


def ask(program, reader, inputs):
    """nodeimg's answers."""
    lines = "".join(json.dumps(one) + "\n" for one in inputs)
    done = subprocess.run([program, reader], input=lines.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode or len(answers) != len(inputs):
        said = done.stderr.decode(errors="replace").strip()
        sys.exit(f"{program} {reader}: exit {done.returncode} at input {inputs[len(answers)]!r}\n{said}")
    return [next(iter(answer.items())) for answer in answers]


def answers_of(comparison, program, inputs):
    if comparison.ours is None:
        return ask(program, comparison.reader, [comparison.given(one) for one in inputs])
    # First boot waits for disks more than it computes.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda one: comparison.ours(program, one), inputs))


def agree(ours, judged):
    return ours[0] == judged[0] == "refused" or ours == judged


def compare(comparison, program, count, seed):
    """The problems found, as text."""
    rng = random.Random(seed)
    shown = [one for one in comparison.classes if one.example is not None]
    inputs = [*(one.example for one in shown), *comparison.always]
    if comparison.make is not None:
        inputs += [comparison.make(rng) for _ in range(count)]
    answers = answers_of(comparison, program, inputs)
    problems, counts = [], {"same": 0, "both refuse": 0, "explained": 0}
    for number, (text, ours) in enumerate(zip(inputs, answers)):
        if ours[0] == "read":
            ours = ("read", comparison.normal(ours[1]))
        judged = comparison.judge(text)
        found = []
        if not agree(ours, judged):
            found = [one.why for one in comparison.classes if one.holds(text, ours, judged)]
        wanted = [shown[number].why] if number < len(shown) else None
        told = f"{text!r}\n  nodeimg: {ours}\n  judge:   {judged}\n"
        if wanted is not None and found != wanted:
            problems.append(f"the example of {wanted} is of {found or 'no class: remove it'}: {told}")
        elif found or agree(ours, judged):
            counts["explained" if found else "both refuse" if ours[0] == "refused" else "same"] += 1
        else:
            problems.append(f"a difference of no class: {told}")
    said = ", ".join(f"{number} {name}" for name, number in counts.items())
    print(f"{comparison.reader}: {len(inputs)} inputs of seed {seed}: {said}, {len(problems)} problems")
    return problems


def program(name):
    """Its path. Without it the comparison is left out, and fails in CI."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None and os.environ.get("CI", "false") in ("", "false"):
        print(f"SKIPPED: the command `{name}` is missing")
        sys.exit(0)
    return found or sys.exit(f"in CI nothing is skipped, but the command `{name}` is missing")


def main(comparison):
    """usage: COMPARISON PROGRAM COUNT SEED"""
    tested, count, seed = sys.argv[1:]
    problems = compare(comparison, tested, int(count), int(seed))
    problems.sort(key=len)
    for problem in problems[:SHOWN]:
        print(problem)
    sys.exit(1 if problems else 0)
