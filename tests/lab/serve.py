"""Serves one folder on 127.0.0.1: GET and HEAD, keep-alive, one byte range per
request (RFC 9110 section 14) with a strong ETag and If-Range, so that a cut
download can be resumed. No listings, nothing outside the folder. The manifests
of container images (oci.tree) have their own media type.
"""

import json
import os
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from trouble import Trouble


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    root = ""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(body=True)

    def do_HEAD(self):
        self.answer(body=False)

    def answer(self, body):
        try:
            path = os.path.realpath(self.root + "/" + unquote(urlsplit(self.path).path))
            if not path.startswith(self.root + os.sep) or not os.path.isfile(path):
                return self.nothing(404)
            file = open(path, "rb")
        except (OSError, ValueError):
            return self.nothing(404)
        with file:
            stat = os.fstat(file.fileno())
            etag = f'"{stat.st_size:x}-{stat.st_mtime_ns:x}"'
            if self.headers.get("If-None-Match") == etag:
                return self.nothing(304, ETag=etag)
            wanted = None
            if self.headers.get("If-Range", etag) == etag:
                try:
                    wanted = byte_range(self.headers.get("Range"), stat.st_size)
                except LookupError:
                    return self.nothing(416, **{"Content-Range": f"bytes */{stat.st_size}"})
            start, end = wanted or (0, stat.st_size)
            kind = media_type(path, file)
            self.send_response(206 if wanted else 200)
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{stat.st_size}")
            self.send_header("Content-Length", str(end - start))
            self.send_header("Content-Type", kind)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", etag)
            self.end_headers()
            if body and end > start:
                try:
                    self.connection.sendfile(file, start, end - start)
                except OSError:
                    self.close_connection = True  # the client has gone

    def nothing(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", "0")
        self.end_headers()


def media_type(path, file):
    """Of a registry's manifest (HOST/v2/REPOSITORY/manifests/...) what it says
    itself that it is; clients choose by that."""
    if not re.search(r"/v2/.+/manifests/[^/]+$", path):
        return "application/octet-stream"
    text = file.read()
    file.seek(0)
    return json.loads(text)["mediaType"]


def byte_range(header, size):
    """(start, end) of a single satisfiable range; None to send the whole;
    LookupError when nothing of the file is asked for."""
    found = re.fullmatch(r"\s*bytes\s*=\s*(\d*)-(\d*)\s*", header or "")
    if not found or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first == "":
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise LookupError
    return start, end


def folder(path, port):
    """Serves until it is killed."""
    if not os.path.isdir(path):
        raise Trouble(f"{path} is not a folder")
    Handler.root = os.path.realpath(path)
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except (OSError, OverflowError) as error:
        raise Trouble(f"cannot listen on 127.0.0.1 port {port}: {error}; choose another port, or 0 for any") from error
    server.daemon_threads = True
    print(f"listening http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
