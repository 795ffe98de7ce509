"""A server of seeds that lies in one way, at 169.254.169.254: what attack_answers.py starts.

usage: lying_server.py LIE
"""

import gzip
import socket
import sys
import threading
import time

USER = b"#cloud-config\nhostname: web\n"
META = b"instance-id: i-1\nlocal-hostname: web\n"
META_JSON = b'{"uuid": "i-1", "hostname": "web"}'
GOOD = {
    "meta_data.json": META_JSON,
    "latest/api/token": b"TOKEN",
    "meta-data/instance-id": b"i-1",
    "meta-data/local-hostname": b"web",
    "/meta-data": META,
    "user-data": USER,
    "user_data": USER,
}
# For as long as first boot could ever wait.
FOREVER = 200


def good(path):
    return next((body for end, body in GOOD.items() if path.split("?")[0].endswith(end)), None)


class Answer:
    """One connection."""

    def __init__(self, connection):
        self.connection = connection
        request = b""
        while b"\r\n\r\n" not in request:
            piece = connection.recv(4096)
            if not piece:
                raise OSError("closed")
            request += piece
        self.path = request.split(b" ")[1].decode()
        self.body = good(self.path)
        self.is_user = self.path.endswith(("user-data", "user_data"))

    def send(self, text):
        self.connection.sendall(text)

    def reply(self, status, body=b"", head=b"", length=True):
        size = b"Content-Length: %d\r\n" % len(body) if length else b""
        self.send(b"HTTP/1.1 " + status + b"\r\n" + size + head + b"\r\n" + body)

    def truth(self):
        if self.body is None:
            self.reply(b"404 Not Found")
        else:
            self.reply(b"200 OK", self.body)

    def endless(self, head, piece, pause=0):
        self.send(b"HTTP/1.1 200 OK\r\n" + head)
        while True:
            self.send(piece)
            time.sleep(pause)


def status(number):
    return lambda answer: answer.reply(number.encode() + b" X", b"no")


def of_user(lie):
    """A lie about user-data only."""
    return lambda answer: lie(answer) if answer.is_user else answer.truth()


def other_instance(answer):
    body = answer.body
    answer.body = body and body.replace(b"i-1", b"i-EVIL")
    answer.truth()


def chunked(answer):
    """All of it, and the connection stays open."""
    if answer.body is None:
        answer.reply(b"404 No")
    else:
        body = b"%x\r\n" % len(answer.body) + answer.body + b"\r\n0\r\n\r\n"
        answer.reply(b"200 OK", body, b"Transfer-Encoding: chunked\r\n", length=False)
    time.sleep(FOREVER)


def kept_open(answer):
    answer.truth()
    time.sleep(FOREVER)


CHUNKED = b"Transfer-Encoding: chunked\r\n"
LIES = {
    "good": Answer.truth,
    **{f"status {number}": status(number) for number in ("204", "400", "401", "403", "404", "410", "418", "500", "503")},
    **{f"user-data {number}": of_user(status(number)) for number in ("204", "401", "403", "404", "500")},
    "redirect": lambda answer: answer.reply(b"302 Found", b"", b"Location: http://127.0.0.1/secret\r\n"),
    "html": lambda answer: answer.reply(b"200 OK", b"<html><body>captive portal</body></html>"),
    "empty": lambda answer: answer.reply(b"200 OK"),
    "garbage": lambda answer: answer.send(b"\x00\xff" * 3000 + b"\r\n\r\n"),
    "huge length": lambda answer: answer.reply(b"200 OK", b"x", b"Content-Length: 99999999999\r\n", False),
    "unreadable length": lambda answer: answer.reply(
        b"200 OK", answer.body or b"", b"Content-Length: 99999999999999999999999999\r\n", False
    ),
    "negative length": lambda answer: answer.reply(b"200 OK", answer.body or b"", b"Content-Length: -5\r\n", False),
    "two lengths": lambda answer: answer.reply(
        b"200 OK", answer.body or b"", b"Content-Length: 5\r\nContent-Length: 7\r\n", False
    ),
    "cut short": of_user(lambda answer: answer.reply(b"200 OK", USER[:15], b"Content-Length: 28\r\n", False)),
    "chunk of all bits": lambda answer: answer.reply(b"200 OK", b"ffffffffffffffff\r\na\r\n0\r\n\r\n", CHUNKED, False),
    "negative chunk": lambda answer: answer.reply(b"200 OK", b"-5\r\nabcde\r\n0\r\n\r\n", CHUNKED, False),
    "endless body": lambda answer: answer.endless(b"\r\n", b"#" * 65536),
    "endless chunks": lambda answer: answer.endless(CHUNKED + b"\r\n", b"10000\r\n" + b"#" * 65536 + b"\r\n"),
    "endless head": lambda answer: answer.endless(b"", b"X-A: " + b"a" * 1000 + b"\r\n"),
    "dripping head": lambda answer: answer.endless(b"", b"X", 1),
    "dripping body": lambda answer: answer.endless(b"Content-Length: 1000\r\n\r\n", b"#", 1),
    "silent": lambda answer: time.sleep(FOREVER),
    "no HTTP": lambda answer: answer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "line feeds": lambda answer: answer.send(b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc"),
    "another instance": other_instance,
    "another encoding": of_user(
        lambda answer: answer.reply(b"200 OK", gzip.compress(USER), b"Content-Encoding: gzip\r\n")
    ),
    "chunked, kept open": chunked,
    "kept open": kept_open,
}


def serve(connection, lie):
    try:
        connection.settimeout(FOREVER)
        lie(Answer(connection))
    except OSError:
        pass
    finally:
        connection.close()


def main():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", 80))
    listener.listen(50)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, LIES[sys.argv[1]]), daemon=True).start()


if __name__ == "__main__":
    main()
