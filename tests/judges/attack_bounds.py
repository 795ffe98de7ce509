"""Seeds that are large or grow: each ends within two seconds of the processor's time and a quarter
of a GiB, taken or refused by a count."""

import base64
import functools
import gzip
import io
import json
import os
import subprocess
import threading

from firstboot import SEED, Image

SECONDS = 2.0
LONG = 1000
MEMORY = 256 << 10  # KiB
HEAD = "#cloud-config\nhostname: n\n"
META = "instance-id: i\nlocal-hostname: n\n"
MIME = "Content-Type: multipart/mixed; boundary=B\nMIME-Version: 1.0\n\n"


def packed(size):
    """base64 of gzip of that many zeros."""
    return base64.b64encode(gzip.compress(b"0" * size)).decode()


def zeros(mebibytes):
    """gzip of so much, made piece by piece."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as file:
        for _ in range(mebibytes):
            file.write(b"\0" * (1 << 20))
    return out.getvalue()


def lines(form, number):
    return "".join(form.format(one) for one in range(number))


def key(number):
    return f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{number:08}"


def users():
    yield "20,000 users", HEAD + "users:\n" + lines("- {{name: u{0}}}\n", 20000)
    yield "20,000 users in one text", HEAD + "users: '" + ",".join(f"u{one}" for one in range(20000)) + "'\n"
    yield "1000 users of 5 groups", HEAD + "users:\n" + lines("- {{name: u{0}, groups: [a, b, c, d, e]}}\n", 1000)
    yield "a group of 20,000 members", HEAD + "groups: {g: [" + ",".join(["root"] * 20000) + "]}\n"
    yield "20,000 groups", HEAD + "groups: [" + ",".join(f"g{one}" for one in range(20000)) + "]\n"
    yield "60,000 keys", HEAD + "ssh_authorized_keys:\n" + "".join(f"- {key(one)} x\n" for one in range(60000))


def files():
    entries = "".join(f"- {{path: /etc/z{one}, encoding: gz+b64, content: *z}}\n" for one in range(400))
    yield "100,000 files", HEAD + "write_files:\n" + lines("- {{path: /etc/m/{0}}}\n", 100000)
    more = f"- {{path: /etc/m, content: {'x' * 100}, append: true}}\n"
    yield "20,000 times more of one file", HEAD + "write_files:\n" + more * 20000
    yield "400 files of 8 MiB by an alias", HEAD + f"x: &z {packed(8 << 20)}\nwrite_files:\n{entries}"
    single = "".join(f"- {{path: /etc/z{one}, encoding: gz+b64, content: {packed(8 << 20)}}}\n" for one in range(100))
    yield "100 files of 8 MiB", HEAD + "write_files:\n" + single


def documents():
    yield "200,000 brackets", HEAD + "x: " + "[" * 200000
    yield "2000 levels", HEAD + "".join(" " * one + "a:\n" for one in range(2000))
    yield "300,000 unknown keys", HEAD + lines("k{0}: 1\n", 300000)
    yield "49,000 unknown keys", HEAD + lines("k{0}: 1\n", 49000)
    yield "49,000 keys of nodeimg", HEAD + "nodeimg:\n" + lines("  k{0}: 1\n", 49000)
    yield "30,000 anchors", HEAD + "x:\n" + lines("- &a{0} y\n", 30000) + lines("- *a{0}\n", 30000)
    yield "a chain of merges", HEAD + "a0: &a0 {k: 1}\n" + "".join(
        f"a{one}: &a{one} {{<<: *a{one - 1}, k{one}: 1}}\n" for one in range(1, 400)
    )
    yield "a million dashes", HEAD + "x: " + "- " * 1000000 + "\n"
    yield "4 MiB of comments", HEAD + "#\n" * 2000000
    yield "100,000 tags", HEAD + "x:\n" + "- !a b\n" * 100000


def templates():
    head = "## template: jinja\n#cloud-config\nhostname: n\n"
    yield "a text that doubles", head + "{% set x = 'aaaaaaaaaa' %}" + "{% set x = x ~ x %}" * 40
    grows = "{% set x = x|replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') %}"
    yield "a text that grows", head + "{% set x = 'aaaa' %}" + grows * 40
    yield "200 subtractions", head + "{{ " + "-".join(["1"] * 200) + " }}"
    yield "240 brackets", head + "{{ " + "(" * 240 + "1" + ")" * 240 + " }}"
    yield "a million open braces", head + "{{" * 1000000
    yield "200,000 ifs", head + "{% if true %}" * 200000


def messages():
    nested = "Content-Type: multipart/mixed; boundary=B{0}\nMIME-Version: 1.0\n\n--B{0}\n"
    yield "20,000 messages in each other", lines(nested, 20000) + "#cloud-config\na: 1\n"
    yield "100,000 parts", MIME + "--B\n\n#cloud-config\n" * 100000 + "--B--\n"
    yield "a header of 500,000 parameters", MIME.replace("=B\n", "=B" + "; a=b" * 500000 + "\n")
    part = "--B\nContent-Type: text/cloud-config\n\n#cloud-config\nmerge_how: dict(recurse_dict)\nx:\n"
    merged = "".join(part + lines(f"  k{number}_{{0}}: 1\n", 900) + "\n" for number in range(95))
    yield "95 parts of 900 keys that are merged", MIME + merged + "--B--\n"
    yield "1 GiB of gzip", zeros(1024)
    yield "gzip in gzip", gzip.compress(zeros(1024))
    yield "100,000 members of gzip", gzip.compress(b"") * 100000
    yield "15 MiB of a list in gzip", gzip.compress((HEAD + "x:\n" + "- y\n" * (4 << 20))[: 15 << 20].encode())


def beside():
    """Files beside user-data."""
    yield "49,000 keys of meta-data with a dash", {"meta-data": META + lines("k-{0}: 1\n", 49000)}
    own, vendor = lines("k{0}: 1\n", 30000), lines("v{0}: 1\n", 30000)
    yield "30,000 keys here and in vendor-data", {"user-data": HEAD + own, "vendor-data": "#cloud-config\n" + vendor}
    own, vendor = lines("  k{0}: 1\n", 40000), lines("  v{0}: 1\n", 40000)
    both = {"user-data": HEAD + "x:\n" + own, "vendor-data": "#cloud-config\nx:\n" + vendor}
    yield "40,000 keys of one mapping in both", both
    links = "version: 2\nethernets:\n" + lines("  e{0}: {{dhcp4: true}}\n", 20000)
    yield "20,000 links", {"network-config": links}
    routes = ", ".join(f"{{to: 11.{one // 256}.{one % 256}.0/24, via: 10.0.0.2}}" for one in range(500))
    addresses = ", ".join(f"10.{one // 256}.{one % 256}.1/24" for one in range(500))
    text = f"version: 2\nethernets:\n  e: {{addresses: [{addresses}], routes: [{routes}]}}\n"
    yield "500 addresses and routes", {"network-config": text}


def drives():
    """meta_data.json of config drives."""
    start = {"uuid": "u", "hostname": "n"}
    yield "200,000 keys of meta_data.json", json.dumps(start | {f"k-{one}": 0 for one in range(200000)})
    yield "100,000 levels of meta_data.json", json.dumps(start)[:-1] + ',"x":' + "[" * 100000 + "]" * 100000 + "}"
    yield "60,000 keys of meta_data.json", json.dumps(start | {"public_keys": {f"k{n}": key(n) for n in range(60000)}})


def measured(program, image):
    """Why the run is too costly."""
    command = [program, "--root", image.root]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    alarm = threading.Timer(60, child.kill)
    alarm.start()
    # By this call, since that of subprocess does not tell what one child has used.
    _, status, used = os.wait4(child.pid, 0)
    alarm.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        return f"it ended with {child.returncode} after {used.ru_utime:.1f} s"
    if used.ru_utime > SECONDS:
        return f"it took {used.ru_utime:.1f} s of the processor"
    return f"it took {used.ru_maxrss >> 10} MiB" if used.ru_maxrss > MEMORY else None


def nocloud(program, named):
    """A seed of these files, each instead of a small one."""
    with Image(program) as image:
        image.seed(HEAD, META)
        for name, content in named.items():
            image.write(f"{SEED}/{name}", content)
        return measured(program, image)


def drive(program, text):
    with Image(program) as image:
        image.write(f"{SEED}/openstack/latest/meta_data.json", text)
        image.write(f"{SEED}/openstack/latest/user_data", HEAD)
        return measured(program, image)


def attacks(program, rng, count):
    del rng
    # The costly kinds of the fault log; all of them in a long run.
    kinds = (users, files, documents, templates, messages) if count >= LONG else (users,)
    for kind in kinds:
        for name, text in kind():
            yield name, functools.partial(nocloud, program, {"user-data": text})
    for name, named in beside():
        yield name, functools.partial(nocloud, program, named)
    for name, text in drives():
        yield name, functools.partial(drive, program, text)
