"""What cloud-init itself makes of user-data: what tests/cloud_init.rs compares with.

usage: cloud_init.py ROOT INSTANCE_JSON < user-data
Prints {"files": {path: [mode, text]}, "runcmd": text, "scripts": [text], "keys": {...}}.
"""

import json
import sys
from pathlib import Path

from cloudinit import handlers, helpers, user_data, util
from cloudinit.config import cc_write_files
from cloudinit.handlers import jinja_template
from cloudinit.handlers.cloud_config import CloudConfigPartHandler

root, instance = sys.argv[1], json.loads(sys.argv[2])
paths = helpers.Paths({"cloud_dir": f"{root}/cloud", "run_dir": f"{root}/run"})
message = user_data.UserDataProcessor(paths).process(sys.stdin.buffer.read())
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

merged = config.cloud_buf or {}
written = {}
for entry in merged.get("write_files", []):
    wanted = entry["path"]
    place = Path(root) / wanted.lstrip("/")
    cc_write_files.write_files("judge", [{**entry, "path": str(place)}], "root:root")
    mode = place.stat().st_mode & 0o7777
    written[wanted] = [oct(mode), place.read_bytes().decode()]
plain = ["hostname", "fqdn", "timezone", "ssh_authorized_keys"]
print(
    json.dumps(
        {
            "files": written,
            "runcmd": util.shellify(merged["runcmd"]) if "runcmd" in merged else None,
            "scripts": scripts,
            "keys": {key: merged[key] for key in plain if key in merged},
        }
    )
)
