"""Documents of YAML, most of them good, in all the ways that YAML has to write a thing."""

# Each may stand plain, quoted or in a block, alone or beside another.
WORDS = (
    "a b foo key é 😀 1 0644 0o17 yes No on OFF y n yEs tRUE ~ null Null nUll true 12e3 1_000 0x1F 190:20:30"
    " 2024-01-01 .inf - ? : = << # a#b a:b :a -a ?a *a &a !a | > %a @a `a ' \" \\ \\n [ ] { } , [] {} a,b --- ..."
).split() + ["", "x y", "# c", "a #b", "a: b", "- a", "a, b", "--- a", "a\tb", " a", "a ", "\n", "a\nb"]
WORDS += ["a\n\nb", "\na", "a\n", "a\n\n", " \n", "a\n b\n", "a\n  b\nc", "\u00a0"]
RARE = ["\t", "\u0085", "\u2028", "\ufeff"]

# Good as they stand.
PLAIN = (
    "a foo 1 0644 0o17 yes No on y n yEs tRUE ~ null nUll 12e3 1_000 0x1F 190:20:30 2024-01-01 .inf a#b a:b :a -a"
    " a,b é http://x/y?z#f = a\\b a'b a\"b"
).split() + ["x y", "a\n    b", "a\n\n      b"]

KEYS = ["k1", "k2", "k3", "k4", "path", "content", "'q'", '"dq"', "a b", "yes", "1", "é", "k5 "]
TAGS = ["!!str ", "! ", "!foo ", "!!binary ", "!!int ", "!!null ", "!<tag:yaml.org,2002:str> "]
ESCAPES = ["\\0", "\\a", "\\e", "\\f", "\\r", "\\N", "\\_", "\\L", "\\/", "\\q", "\\x4", "\\uD83D\\uDE00", "\\ud800"]

# What a good document is damaged with.
PIECES = ["a", ": ", ":", "- ", "-", "? ", "\n", "\n  ", "\n    ", " ", "\t", "# c", " #", "[", "]", "{", "}", ", "]
PIECES += ["'", '"', "|", ">", "|-", ">+", "|2", "&a ", "*a", "!!str ", "!", "<<: ", "%", "---\n", "...\n", "\\"]
PIECES += ["é", "1", "yes", "~", "\r\n", "\u0085", "\u2028"]


class Writer:
    def __init__(self, rng):
        self.rng = rng
        self.anchors = []

    def odds(self, share):
        return self.rng.random() < share

    def document(self):
        heads = ["#cloud-config\n"] * 9 + ["---\n", "%YAML 1.1\n---\n", "# c\n\n", "\ufeff#cloud-config\n"]
        text = self.rng.choice(heads) + self.mapping(self.rng.randint(1, 3), 0)
        if self.odds(0.05):
            text += self.rng.choice(["...\n", "---\n", "--- \nx: 1\n", "...\n# c\n", "\t\n", "  ", "# end"])
        if self.odds(0.05):
            text = text.rstrip("\n")
        if self.odds(0.05):
            text = text.replace("\n", self.rng.choice(["\r\n", "\r"]))
        return self.damaged(text) if self.odds(0.2) else text

    def damaged(self, text):
        for _ in range(self.rng.randint(1, 3)):
            at = self.rng.randrange(len(text) + 1)
            gone = self.rng.choice([0, 0, 1, 3])
            text = text[:at] + (self.rng.choice(PIECES) if gone < 3 else "") + text[at + gone :]
        return text

    def mapping(self, depth, indent):
        lines = ""
        for usual in self.rng.sample(KEYS, self.rng.randint(1, 4)):
            if self.odds(0.1):
                lines += self.rng.choice(["\n", "# c\n", "   # c\n"])
            if self.odds(0.05):
                bases = ["*a0", "[*a0, *a1]"] if len(self.anchors) > 1 else ["{x: 1, k1: 2}", "[{x: 1}, {x: 2, y: 3}]"]
                lines += " " * indent + "<<: " + self.rng.choice(bases) + "\n"
            key = self.scalar(indent, key=True) if self.odds(0.05) else usual
            lines += " " * indent + key + self.rng.choice([":"] * 9 + [" :"]) + self.value(depth, indent)
        return lines

    def sequence(self, depth, indent):
        lines = ""
        for _ in range(self.rng.randint(1, 4)):
            lines += " " * indent + "-"
            if depth > 0 and self.odds(0.4):
                step = self.rng.choice([1, 1, 1, 3])
                below = self.mapping(depth - 1, indent + 1 + step)
                inline = not below.lstrip(" ").startswith(("#", "\n"))
                lines += " " * step + below.lstrip(" ") if inline else "\n" + below
            else:
                lines += self.value(depth, indent)
        return lines

    def value(self, depth, indent):
        """What is behind `key:` or `-`, from the blank to the line break."""
        chance = self.rng.random()
        if depth <= 0 or chance < 0.45:
            if self.odds(0.25):
                return " " + self.properties() + self.block(indent)
            gap = self.rng.choice([" "] * 200 + ["  "] * 5 + ["\t"] + ["\n" + " " * (indent + 1)] * 10)
            return gap + self.scalar(indent + 1) + self.comment() + "\n"
        if chance < 0.6:
            return " " + self.properties() + self.flow(depth - 1, indent + 1) + self.comment() + "\n"
        if chance < 0.8:
            step = self.rng.choice([1, 2, 2, 4])
            return self.rng.choice(["", " " + self.properties()]) + "\n" + self.mapping(depth - 1, indent + step)
        return self.comment() + "\n" + self.sequence(depth - 1, indent + self.rng.choice([0, 1, 2, 2]))

    def comment(self):
        return self.rng.choice([""] * 300 + [" # c"] * 80 + [" #", " #", "\t# t"])

    def properties(self):
        chance = self.rng.random()
        if chance < 0.04:
            self.anchors.append(f"a{len(self.anchors)}")
            return "&" + self.anchors[-1] + " "
        if chance < 0.07:
            return self.rng.choice(TAGS)
        return ""

    def words(self):
        if self.odds(0.5):
            return self.rng.choice(RARE if self.odds(0.02) else WORDS)
        glue = self.rng.choice(["", " ", "\n", ": ", "\n\n"])
        return glue.join(self.rng.choice(WORDS) for _ in range(self.rng.randint(1, 4)))

    def scalar(self, indent, key=False):
        if self.odds(0.1) and self.anchors and not key:
            return "*" + self.rng.choice(self.anchors)
        chance, text = self.rng.random(), self.words()
        if key:
            text = text.replace("\n", " ")
        if chance < 0.35:
            shown = self.rng.choice(PLAIN)
        elif chance < 0.37:
            shown = text.replace("\n", "\n" + " " * max(0, indent + self.rng.choice([-1, 0, 1])))
        elif chance < 0.65:
            shown = "'" + text.replace("'", "''").replace("\n", "\n\n" + " " * indent) + "'"
        else:
            shown = '"' + "".join(self.quoted(one, indent) for one in text) + self.escape() + '"'
        return self.properties() + shown

    def quoted(self, character, indent):
        if character in '"\\':
            return "\\" + character
        if character == "\n":
            return self.rng.choice(["\\n", "\n\n" + " " * indent])
        if self.odds(0.85):
            return character
        forms = ["\\u%04x", "\\U%08x", "\\x%02x"][ord(character) > 0xFFFF : 2 + (ord(character) < 0x100)]
        return self.rng.choice(forms) % ord(character) if self.odds(0.7) else character + "\\\n" + " " * indent

    def escape(self):
        return self.rng.choice(ESCAPES) if self.odds(0.05) else ""

    def block(self, indent):
        step, signs = self.rng.choice([1, 2, 2, 2, 4]), []
        if self.odds(0.25):
            signs.append(str(step if self.odds(0.85) else self.rng.randint(0, 9)))
        if self.odds(0.6):
            signs.append(self.rng.choice("+-"))
        self.rng.shuffle(signs)
        text = self.rng.choice("||>") + "".join(signs) + self.comment() + "\n"
        for line in self.words().split("\n"):
            if line or self.odds(0.3):
                text += " " * (indent + step) + self.rng.choice([""] * 8 + [" ", "  ", "\t"]) + line + "\n"
            else:
                text += " " * self.rng.choice([0, 0, indent + step + 1]) + "\n"
        if self.odds(0.3):
            text += "\n" * self.rng.randint(1, 3)
        if self.odds(0.1):
            text += " " * self.rng.randint(0, indent + 1) + "# after\n"
        return text.rstrip("\n") if self.odds(0.03) else text

    def flow(self, depth, indent):
        chance = self.rng.random()
        if depth <= 0 or chance < 0.5:
            return self.scalar(indent)
        count = self.rng.randint(0, 3)
        if chance < 0.75:
            items = [self.flow(depth - 1, indent) for _ in range(count)]
            if items and self.odds(0.15):
                items[-1] = "k: v"
            return self.brackets("[]", items, indent)
        colons = [": ", ": ", ": ", ":", " : ", ":\n" + " " * (indent + 1), ""]
        items = []
        for _ in range(count):
            value = self.rng.choice([self.flow(depth - 1, indent), "", "x"])
            items.append(self.scalar(indent, key=True) + self.rng.choice(colons) + value)
        return self.brackets("{}", items, indent)

    def brackets(self, pair, items, indent):
        def gap():
            return self.rng.choice([" ", "", " ", "\n" + " " * indent, " # c\n" + " " * (indent + 1)])

        text = pair[0] + gap()
        for number, item in enumerate(items):
            text += item + ("," + gap() if number + 1 < len(items) or self.odds(0.3) else "")
        return text + gap() + pair[1]
