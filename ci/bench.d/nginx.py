"""nginx as an ordinary process on a free port of loopback, serving a folder."""

import os
import socket
import subprocess
import sys
import time

CONFIG = """
{user}
worker_processes 1;
daemon off;
pid {work}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    default_type application/octet-stream;
    client_body_temp_path {work}/nginx-body;
    proxy_temp_path {work}/nginx-proxy;
    fastcgi_temp_path {work}/nginx-fastcgi;
    uwsgi_temp_path {work}/nginx-uwsgi;
    scgi_temp_path {work}/nginx-scgi;
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


class Nginx:
    """In a `with`: gives the address, ends the process with the block."""

    def __init__(self, root, work):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        # Its workers would else become a user who cannot read root's cache.
        user = "user root;" if os.geteuid() == 0 else ""
        self.config = work / "nginx.conf"
        self.config.write_text(CONFIG.format(user=user, work=work, port=self.port, root=root))
        self.work = work

    def __enter__(self):
        self.process = subprocess.Popen(["nginx", "-e", "stderr", "-p", self.work, "-c", self.config])
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return f"http://127.0.0.1:{self.port}/"
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.__exit__()
        sys.exit("bench: error: nginx did not start; see its message above")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
