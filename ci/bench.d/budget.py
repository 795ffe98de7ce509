"""A store that many images are built from, and that `store gc` holds at a size."""

import random
import shutil
import subprocess

from image import extended
from measure import Runs, once

# Images that are built in turn from one store, and what each brings that none before it had.
IN_TURN = 50
BROUGHT = 8 << 20


class Budget:
    """Many images built in turn from a store of their own, which `store gc` holds at a size."""

    def __init__(self, images):
        self.images = images
        self.store = images.work / "budget"
        self.store.mkdir()
        subprocess.run(["cp", "-al", images.store / "blobs", self.store], check=True)
        self.collect = Runs()
        self.built = Runs()

    def size(self):
        said = subprocess.run(["du", "-s", "-B", "1", self.store], capture_output=True, text=True, check=True)
        return int(said.stdout.split()[0])

    def build(self, number):
        (self.images.work / "brought").write_bytes(random.Random(number).randbytes(BROUGHT))
        recipe = extended(self.images, "in-turn", '[[file]]\npath = "/usr/brought"\nsource = "brought"\nmode = "0644"\n')
        store = ["--store", str(self.store)]
        command = self.images.build("amd64", "root", "--force", recipe=recipe)
        once([*command[:2], *store, *command[command.index("build") :]], self.built)

    def gc(self, budget):
        lock = str(self.images.recipe.with_suffix(".lock"))
        gc = ["store", "gc", "--keep", f"{budget >> 20}MiB", "--lock", lock]
        once([self.images.nodeimg, "--quiet", "--store", str(self.store), *gc], self.collect)


def measure_budget(images):
    """The largest size of the store after `store gc`, and the budget, in bytes; the runs of both."""
    at_work = Budget(images)
    # Only what locks name, and one image.
    at_work.gc(1 << 20)
    at_work.build(0)
    # Room for four more; the rest has to go.
    budget = at_work.size() + 4 * BROUGHT
    largest = 0
    for number in range(1, IN_TURN):
        at_work.build(number)
        at_work.gc(budget)
        largest = max(largest, at_work.size())
    # Offline: what the lock names must still be there.
    at_work.build(0)
    shutil.rmtree(at_work.store)
    return largest, budget, at_work.built, at_work.collect
