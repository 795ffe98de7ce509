"""`nodeimg publish` and `nodeimg pull` of a disk, beside skopeo with the same files, to and
from Debian's docker-registry on loopback."""

import os
import shutil
import socket
import subprocess
import sys
import time

from measure import alternating, once

CONFIG = """version: 0.1
log: {{level: error}}
http: {{addr: "{host}"}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
"""


class Registry:
    """In a `with`: gives its address, ends the process with the block."""

    def __init__(self, work):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.host = f"127.0.0.1:{free.getsockname()[1]}"
        self.root = work / "registry"
        self.config = work / "registry.yml"
        self.config.write_text(CONFIG.format(host=self.host, root=self.root))

    def __enter__(self):
        silent = subprocess.DEVNULL
        self.process = subprocess.Popen(["docker-registry", "serve", str(self.config)], stdout=silent, stderr=silent)
        address, port = self.host.split(":")
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex((address, int(port))) == 0:
                    return self
            time.sleep(0.1)
        sys.exit("bench: error: docker-registry does not answer")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def empty(self):
        shutil.rmtree(self.root, ignore_errors=True)


def measure_publish(images, runs):
    """{"push": ours and skopeo's, "pull": likewise}, and the bytes of the files."""
    folder = images.work / "publish"
    folder.mkdir()
    once(images.build("amd64", "disk-zst", "--force"))
    built = images.of("amd64", "disk-zst", "disk.raw.zst").parent
    os.environ["HOME"] = str(folder)
    with Registry(folder) as registry:
        ours, theirs = f"oci://{registry.host}/bench/ours:1", f"docker://{registry.host}/bench/theirs:1"
        copied, pulled = folder / "copied", folder / "pulled"
        skopeo = ["skopeo", "--insecure-policy", "copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false"]
        publish = [images.nodeimg, "--quiet", "publish", str(built), ours]
        once(publish)
        once([*skopeo, ours.replace("oci://", "docker://"), f"dir:{copied}"])
        back = [*skopeo, f"dir:{copied}", theirs]
        push = alternating(runs, {"ours": (registry.empty, publish), "skopeo": (registry.empty, back)})
        once(publish)
        once(back)

        def nothing_pulled():
            for place in (pulled, folder / "theirs"):
                shutil.rmtree(place, ignore_errors=True)

        pull = alternating(
            runs,
            {
                "ours": (nothing_pulled, [images.nodeimg, "--quiet", "pull", ours, str(pulled)]),
                "skopeo": (nothing_pulled, [*skopeo, theirs, f"dir:{folder / 'theirs'}"]),
            },
        )
    return {"push": push, "pull": pull}, sum(file.stat().st_size for file in built.iterdir())
