"""Who vouches for what an image is made of: the proofs of a whole lock, verified again, and
the bills of materials of a build."""

import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from measure import Runs, alternating

TOP = Path(__file__).parents[2]
VECTORS = TOP / "builder/trust/tests/vectors/conformance"
SIGNER = (
    "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/"
    ".github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
)
# Each for two architectures: those that a node has, and more.
PLACES = ["/usr/local/bin/kubelet", "/usr/local/bin/kube-proxy", "/usr/local/bin/crictl", "/usr/bin/containerd"]
PLACES += ["/usr/bin/containerd-shim-runc-v2", "/usr/local/bin/runc"]
PLACES += [f"/usr/local/bin/more-{number}" for number in range(6)]
VERSIONS = {0: "1.36.0", 1: "1.36.0", 2: "1.36.0", 3: "2.3.4", 4: "2.3.4", 5: "1.4.3"}
RECIPE = """
name = "signed"
version = "1.0.0"
profile = "hard-way"

[cluster]
cluster_cidr = "10.200.0.0/16"
service_cidr = "10.32.0.0/24"
cluster_dns = ["10.32.0.10"]
cluster_domain = "cluster.local"
"""
LISTING, WRITING = "listing what", "writing"


def artifact(number):
    return f"""
[[artifact]]
name = "signed-{number}"
kind = "binary"
version = "{VERSIONS.get(number, "1")}"
url = "https://up.test/{number}/{{arch}}"
files = [{{ to = "{PLACES[number]}" }}]

[artifact.verify.sigstore]
identity = "{SIGNER}"
issuer = "https://token.actions.githubusercontent.com"
bundle = "{{url}}.sigstore.json"
"""


def measure_proofs(nodeimg, work, count):
    """`nodeimg lock --check`, which verifies all proofs, and what it says that they took."""
    folder, digests = work / "proofs", []
    digest = hashlib.sha256((VECTORS / "a.txt").read_bytes()).hexdigest()
    for number in range(len(PLACES)):
        place = folder / f"mirror/up.test/{number}"
        place.mkdir(parents=True)
        for arch in ("amd64", "arm64"):
            # Pinned by what is known of it: it is not a program.
            digests.append(f"{digest}  https://up.test/{number}/{arch}\n")
            shutil.copy(VECTORS / "happy-path-v0.3/bundle.sigstore.json", place / f"{arch}.sigstore.json")
    recipe = folder / "signed.toml"
    recipe.write_text(RECIPE + "".join(artifact(number) for number in range(len(PLACES))))
    (folder / "digests").write_text("".join(digests))
    words = [nodeimg, "--store", str(folder / "store"), "lock", "--recipe", str(recipe)]
    mirror = ["--mirror", f"https://=file://{folder}/mirror/"]
    for more in (["--digests", str(folder / "digests")], ["--proofs"]):
        subprocess.run([*words, "--quiet", *mirror, *more], check=True)
    checked = [*words, "--check"]
    runs = alternating(count, {"lock": (lambda: None, checked)})["lock"]
    said = subprocess.run([*checked, "--json"], capture_output=True, text=True, check=True).stdout
    proofs = json.loads(said.splitlines()[-1])["proofs"]
    if proofs["verified"] != 2 * len(PLACES):
        sys.exit(f"bench: error: {proofs} were verified, not {2 * len(PLACES)}")
    return runs, proofs


def measure_bills(build, count):
    """From one step of a build to the next, as the build announces them."""
    runs = Runs()
    for turn in range(count + 1):
        child = subprocess.Popen([*build, "--json"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        begun = None
        for line in child.stdout:
            event = json.loads(line) if line.startswith("{") else {}
            name = event.get("name", "") if event.get("event") == "step" else ""
            if name.startswith(LISTING):
                begun = time.perf_counter()
            elif name.startswith(WRITING) and begun is not None:
                if turn:
                    runs.wall.append(time.perf_counter() - begun)
                begun = None
        if child.wait() != 0:
            sys.exit("bench: error: the build failed whose bills of materials are measured")
    if len(runs.wall) != count:
        sys.exit("bench: error: the build does not say when it lists what the image is made of")
    return runs
