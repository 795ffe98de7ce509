"""What cloud-init itself makes of user-data: the judge of merging.py, scalars.py, documents.py
and of firstboot/program/tests/cloud_init.rs.

usage: cloud_init.py ROOT INSTANCE_JSON < user-data
Prints {"files": {path: [mode, text]}, "runcmd": text, "scripts": [text], "keys": {...}}.
"""

import json
import logging
import sys
from pathlib import Path

from cloudinit import handlers, helpers, user_data, util, version
from cloudinit.config import cc_write_files
from cloudinit.handlers import jinja_template
from cloudinit.handlers.cloud_config import CloudConfigPartHandler

VERSION = version.version_string()
KEYS = ["hostname", "fqdn", "timezone", "ssh_authorized_keys"]


def read(data, root, instance):
    """The parts of user-data as cloud-init's handlers see them: one configuration and scripts."""
    paths = helpers.Paths({"cloud_dir": f"{root}/cloud", "run_dir": f"{root}/run"})
    message = user_data.UserDataProcessor(paths).process(data)
    config, scripts = CloudConfigPartHandler(paths), []
    config.cloud_buf = {}
    for part in message.walk():
        if part.is_multipart():
            continue
        kind, payload = part.get_content_type(), util.fully_decoded_payload(part)
        if kind == "text/jinja2":
            payload = jinja_template.render_jinja_payload(payload, "part", instance)
            kind = handlers.type_from_starts_with(payload)
        if kind == "text/cloud-config":
            config._merge_part(payload, dict(part))
        elif kind == "text/x-shellscript":
            scripts.append(util.dos2unix(payload))
    return config.cloud_buf or {}, scripts


def write(merged, root):
    """Its write_files below `root`: those that are deferred come last, as in its final stage."""
    written = {}
    entries = merged.get("write_files") or []
    for entry in sorted(entries, key=lambda entry: bool(entry.get("defer"))):
        wanted = entry["path"]
        place = Path(root) / wanted.lstrip("/")
        cc_write_files.write_files("judge", [{**entry, "path": str(place)}], "root:root")
        written[wanted] = [oct(place.stat().st_mode & 0o7777), place.read_bytes().decode(errors="replace")]
    return written


def judge(data, root, instance):
    merged, scripts = read(data, root, instance)
    return {
        "files": write(merged, root),
        "runcmd": util.shellify(merged["runcmd"]) if "runcmd" in merged else None,
        "scripts": scripts,
        "keys": {key: merged[key] for key in KEYS if key in merged},
    }


if __name__ == "__main__":
    print(json.dumps(judge(sys.stdin.buffer.read(), sys.argv[1], json.loads(sys.argv[2]))))
else:
    # What it warns of is not what is compared.
    logging.disable(logging.CRITICAL)
