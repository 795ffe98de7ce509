"""What the lab can compile: programs.toml and the module folders beside it."""

import dataclasses
import pathlib
import re
import tomllib

from trouble import Trouble

HERE = pathlib.Path(__file__).resolve().parent
ARCHES = ("amd64", "arm64")


@dataclasses.dataclass(frozen=True)
class Program:
    """One unit of work: what is compiled, kept and found together."""

    name: str
    version: str
    folder: pathlib.Path  # its go.mod, go.sum and tools.go
    module: str  # the module that has the version
    files: dict  # file name -> Go package
    tags: tuple
    ldflags: str
    cgo: str  # "": none, "plain", or "seccomp": with libseccomp
    test: bool
    ask: tuple
    says: str

    @property
    def label(self):
        return f"{self.name} {self.version}"


def toolchain():
    return _table()["toolchain"]


def sets():
    return _table()["set"]


def _table():
    with open(HERE / "programs.toml", "rb") as file:
        return tomllib.load(file)


def version_of(folder, module):
    """The version that a folder's go.mod requires of a module, without its v."""
    try:
        text = (HERE / folder / "go.mod").read_text()
    except OSError as error:
        raise Trouble(f"cannot read {error.filename}: {error.strerror}") from error
    found = re.search(rf"^(?:require )?\s*{re.escape(module)} v(\S+)", text, re.MULTILINE)
    if not found:
        raise Trouble(f"tests/lab/{folder}/go.mod does not require {module}")
    return found[1]


def _program(name, spec, of, folder):
    version = version_of(folder, of["module"])
    words = dict(zip(("major", "minor"), version.split("."))) | {"version": version}
    return Program(
        name=name,
        version=version,
        folder=HERE / folder,
        module=of["module"],
        files=spec.get("files") or {name: spec["package"]},
        tags=tuple(of.get("tags", ())),
        ldflags=" ".join(of.get("ldflags", "").split()).format(**words),
        cgo=of.get("cgo", ""),
        test=spec.get("test", False),
        ask=tuple(spec.get("ask", ["--version"])),
        says=spec["says"].format(**words),
    )


def all_programs():
    """Every program in every version, a set's default version first."""
    return [
        _program(name, spec, of, folder)
        for of in sets().values()
        for folder in of["folders"]
        for name, spec in of["programs"].items()
    ]


def names():
    return list(dict.fromkeys(one.name for one in all_programs()))


def versions(name):
    """All that the lab has of a program, the default first."""
    return [one.version for one in all_programs() if one.name == name]


def find(name, wanted=None):
    """The program of that name; `wanted` is a version, or its beginning (1.37)."""
    named = [one for one in all_programs() if one.name == name]
    if not named:
        known = ", ".join(sorted({one.name for one in all_programs()}))
        raise Trouble(f"the lab has no program '{name}'; it has {known}")
    if not wanted:
        return named[0]
    wanted = wanted.removeprefix("v")
    for one in named:
        if f"{one.version}.".startswith(f"{wanted}."):
            return one
    raise Trouble(f"the lab has no {name} {wanted}; it has {', '.join(one.version for one in named)}")
