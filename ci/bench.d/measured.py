"""The goals of ci/bench, and the table of docs/reference/measured.md, whose rows they are by their names."""

from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/reference/measured.md"
BEGIN = "<!-- ci/bench -->\n"
END = "<!-- end of ci/bench -->\n"
HEAD = "| what | goal | measured |\n|---|---|---|\n"


@dataclass
class Goal:
    """`noise` is by how much of the limit a busy machine may miss it."""

    what: str
    value: float
    limit: float
    unit: str
    noise: float = 0.5
    at_least: bool = False

    def met(self, noise=0.0):
        if self.at_least:
            return self.value >= self.limit * (1 - noise)
        return self.value <= self.limit * (1 + noise)

    def row(self):
        sign = "at least" if self.at_least else "at most"
        verdict = "ok" if self.met() else "MISSED"
        return f"| {self.what} | {sign} {self.limit:g}{self.unit} | {self.value:.3g}{self.unit} | {verdict} |"


def cells(goal):
    """As the page has them: what, goal, measured."""
    sign = "at least" if goal.at_least else "at most"
    return goal.what, f"{sign} {goal.limit:g}{goal.unit}", f"{goal.value:.3g}{goal.unit}"


def renewed(text, goals):
    """The page with these goals' rows. A row of a part that did not run stays as it was."""
    before, rest = text.split(BEGIN)
    table, after = rest.split(END)
    rows = {}
    for line in table.removeprefix(HEAD).splitlines():
        what, goal, value = (cell.strip() for cell in line.strip("|").split("|"))
        rows[what] = (goal, value)
    for goal in goals:
        what, *others = cells(goal)
        rows[what] = tuple(others)
    lines = "".join(f"| {what} | {goal} | {value} |\n" for what, (goal, value) in rows.items())
    return f"{before}{BEGIN}{HEAD}{lines}{END}{after}"


def write(goals):
    PAGE.write_text(renewed(PAGE.read_text(), goals))
