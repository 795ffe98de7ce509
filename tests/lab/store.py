"""Where the lab keeps things: DIR, shared by all checkouts of this machine.

    DIR/programs/ARCH/NAME/VERSION   links to what was kept last for them
    DIR/kept/KEY/                    results by content: KEY is the digest of all that
                                     they are made from, so that nothing is made twice
    DIR/images/NAME                  OCI layouts, links as well
    DIR/mirror/HOST/...              as upstream's servers have it
    DIR/.go/                         Go's and zig's downloads and caches: trimmed
    DIR/.lock                        held by whoever makes something

A result appears whole: it is made in DIR/kept/.new-* and renamed.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
import time

from trouble import say

UNUSED_AFTER = 14 * 24 * 3600


def directory():
    own = os.environ.get("NODEIMG_CI_CACHE")
    cache = pathlib.Path(own) if own else (
        pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "nodeimg-ci"
    )
    lab = cache.absolute() / "lab"
    for name in ("kept", "programs", "images", "mirror", ".go"):
        (lab / name).mkdir(parents=True, exist_ok=True)
    return lab


_held = []


@contextlib.contextmanager
def lock(lab):
    """One maker at a time; others wait, and look again what is left to do. What is
    made may need something else to be made first, under the same lock."""
    if _held:
        yield
        return
    with open(lab / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run is at work in {lab}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        _held.append(file)
        for left in (lab / "kept").glob(".new-*"):  # of a run that was cut
            shutil.rmtree(left, ignore_errors=True)
        try:
            yield
        finally:
            _held.pop()


def key_of(*parts):
    """One digest of values and of files' content."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, pathlib.Path) else json.dumps(part, sort_keys=True).encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:40]


def is_kept(lab, key):
    return (lab / "kept" / key).is_dir()


def keep(lab, key, make):
    """The folder kept under `key`; if there is none, `make(folder)` fills it."""
    kept = lab / "kept" / key
    if not kept.is_dir():
        with lock(lab):
            if not kept.is_dir():
                _fill(lab, kept, make)
    os.utime(kept)
    return kept


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fill(lab, kept, make):
    new = pathlib.Path(tempfile.mkdtemp(prefix=".new-", dir=lab / "kept"))
    try:
        new.chmod(0o755)
        make(new)
        new.rename(kept)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def link(path, kept):
    """`path` leads to `kept`, from one moment to the next."""
    target = os.path.relpath(kept, path.parent)
    if path.is_symlink() and os.readlink(path) == target:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.symlink_to(target)
    new.replace(path)


def sweep(lab):
    """Drops results that nobody has used for long."""
    for kept in (lab / "kept").iterdir():
        if time.time() - kept.stat().st_mtime > UNUSED_AFTER:
            shutil.rmtree(kept, ignore_errors=True)
