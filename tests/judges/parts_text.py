"""User-data of several parts, as mail programs and scripts write MIME."""

import base64
import quopri

BOUNDARIES = ["B", "==B==", "===============123==", "a b", "x.y", "--", "B'(),-./:=?", "Bound", "BoundX"]
CONFIGS = ["hostname: a\n", "a: 1\nb: |\n  x\n\n  y\n", "k: 'é'\n", "k: v", "k: v\n\n\n", "k: a=b\nl: =3D\n"]
CONFIGS += ["k:   \n", 'x: "--B"\n', "runcmd:\n- echo --B--\n", "From: x\n", "a: b \t\n", "k: " + "x" * 80 + "\n"]
SCRIPTS = ["echo hi\n", "echo a=b\n", "x\r\ny\n", "true", ".\n..\n"]
OTHERS = ["", "\n", " \n", "plain text\n", "## template: jinja\n#cloud-config\na: {{ 1 }}\n"]

TYPES = ["text/plain", None, "text/x-not-multipart"]
OWN_TYPES = {"#c": ["text/cloud-config", "TEXT/Cloud-Config"], "#!": ["text/x-shellscript"]}
ODD_TYPES = ["text/cloud-config", "text/x-shellscript", "application/octet-stream", "text/html"]
PARAMETERS = ["", "", '; charset="us-ascii"', "; charset=utf-8", ';\n charset="utf-8"', '; name="a;b.sh"']
DISPOSITIONS = ['attachment; filename="part.sh"', 'attachment;\n filename="x y.txt"']
DISPOSITIONS.append("attachment; filename*=utf-8''a%20b")
WHOLE_HEADERS = ["Subject: x", "Number-Attachments: 2", "From: a@b", "To: x"]


class Writer:
    def __init__(self, rng):
        self.rng = rng

    def odds(self, share):
        return self.rng.random() < share

    def user_data(self):
        text = self.multipart(self.rng.choice([0, 0, 1, 2]), True)
        if self.odds(0.08):
            text = self.headers("text/cloud-config", None) + "MIME-Version: 1.0\n\n" + self.body()
        if self.odds(0.08):
            text = "From nobody Tue Jan 1 00:00:00 2020\n" + text
        return text.replace("\n", "\r\n") if self.odds(0.1) else text

    def multipart(self, depth, whole):
        boundary = self.rng.choice(BOUNDARIES)
        if not whole and self.odds(0.8):
            boundary += str(self.rng.randint(0, 9))
        forms = ['; boundary="%s"', ';\n boundary="%s"', "; boundary=%s", '; Boundary="%s"'] * 8 + [";boundary='%s'"]
        forms.append('; type="x"; boundary="%s"; foo=bar')
        kind = self.rng.choice(["multipart/mixed", "multipart/mixed", "Multipart/Mixed", "multipart/alternative"])
        lines = ["Content-Type: " + kind + self.rng.choice(forms) % boundary]
        if whole or self.odds(0.5):
            lines.append("MIME-Version: 1.0")
        if whole and self.odds(0.2):
            lines.append(self.rng.choice(WHOLE_HEADERS))
        if self.odds(0.3):
            lines.reverse()
        preambles = ["", "", "preamble\n", "\n", f"--{boundary}x\n", "#cloud-config\na: 1\n"]
        text = "".join(line + "\n" for line in lines) + "\n" + self.rng.choice(preambles)
        for _ in range(self.rng.randint(1, 3)):
            text += f"--{boundary}{self.rng.choice([''] * 40 + [' ', chr(9), 'x'])}\n"
            text += self.part(depth) + self.rng.choice(["\n"] * 20 + [""])
        ends = ["--\n"] * 30 + ["--"] * 4 + ["-- \n", "--\nepilogue\n", "\n"]
        return text + (f"--{boundary}{self.rng.choice(ends)}" if self.odds(0.95) else "")

    def part(self, depth):
        if depth > 0 and self.odds(0.25):
            return self.multipart(depth - 1, False)
        text = self.body()
        kind = self.rng.choice(ODD_TYPES if self.odds(0.1) else TYPES + OWN_TYPES.get(text[:2], []) * 2)
        encoding, body = self.encoded(text)
        gap = self.rng.choice(["\n"] * 60 + ["\n\n", "\n\n", ""])
        return self.headers(kind, encoding) + gap + body

    def body(self):
        chance = self.rng.random()
        if chance < 0.6:
            return "#cloud-config\n" + self.rng.choice(CONFIGS)
        if chance < 0.9:
            return "#!/bin/sh\n" + self.rng.choice(SCRIPTS)
        return self.rng.choice(OTHERS)

    def headers(self, kind, encoding):
        lines = []
        if kind:
            name = self.rng.choice(["Content-Type", "content-type", "CONTENT-TYPE"])
            lines.append(name + self.rng.choice([": ", ":", ":  ", ":\n "]) + kind + self.rng.choice(PARAMETERS))
        if encoding:
            lines.append("Content-Transfer-Encoding: " + encoding)
        if self.odds(0.3):
            lines.append("MIME-Version: 1.0")
        if self.odds(0.3):
            lines.append("Content-Disposition: " + self.rng.choice(DISPOSITIONS))
        if self.odds(0.1):
            lines.append("X-Foo: bar")
        self.rng.shuffle(lines)
        return "".join(line + "\n" for line in lines)

    def encoded(self, text):
        """The name of the encoding, and the text in it."""
        chance = self.rng.random()
        if chance < 0.45:
            return self.rng.choice([None, "7bit", "8bit", "binary", "7BIT"]), text
        if chance < 0.75:
            name = self.rng.choice(["base64", "BASE64"])
            return name, self.damaged_base64(base64.encodebytes(text.encode()).decode())
        code = quopri.encodestring(text.encode(), quotetabs=self.odds(0.5)).decode()
        return "quoted-printable", self.damaged_quotes(code)

    def damaged_base64(self, code):
        chance, half = self.rng.random() * 2, len(code) // 2
        if chance < 0.1:
            return code.replace("\n", "")
        if chance < 0.15:
            return code.replace("\n", "\r\n")
        if chance < 0.18:
            return code.rstrip("\n=") + "\n"
        if chance < 0.22:
            return code[:half] + self.rng.choice(["!", "-", "#", " ", "\n\n"]) + code[half:]
        return code

    def damaged_quotes(self, code):
        if self.odds(0.1):
            return code.replace("=3D", "=3d")
        return code + (self.rng.choice(["=", "=4", "=zz=\n x"]) if self.odds(0.05) else "")
