"""Templates of jinja, many of them good, and the variables that they name."""

DATA = {
    "v1": {"local_hostname": "Node-0", "region": None, "n": 3, "instance_id": "i-1"},
    "ds": {
        "meta_data": {
            "list": ["a", "b", "it's"],
            "empty": "",
            "num": 7,
            "neg": -7,
            "flag": True,
            "off": False,
            "name": "foo_bar-baz qux 3abc",
            "ver": "12.7",
            "map": {"x": "1", "y": "2"},
            "rows": [["k", "v"], ["l", "w"]],
            "csv": "a,b,c,d",
            "padded": "  pad  ",
            "quote": 'say "hi"',
            "lines": "a\nb",
        }
    },
    "local_hostname": "Node-0",
}

TEXTS = ["v1.local_hostname", "local_hostname", "ds.meta_data.name", "ds.meta_data['name']", "ds.meta_data.csv"]
TEXTS += ["ds.meta_data.ver", "ds.meta_data.empty", "ds.meta_data.padded", "ds.meta_data.quote", "ds.meta_data.lines"]
TEXTS += ["'a'", '"b"', "'x y'", "''", "'a,b'", "'3'", "'1_0'", "'7.9'", "'it\\'s'", "'\\n'", "'abc'[0]", "'A' ~ 1"]
TEXTS += ["ds.meta_data.list[0]", "ds.meta_data.list[-1]", "ds.meta_data.list.1", "'\\x41'", "'c\\d'"]
NUMBERS = ["v1.n", "ds.meta_data.num", "ds.meta_data.neg", "ds['meta_data']['num']", "1", "0", "2", "-3", "10"]
OTHERS = ["ds.meta_data.list", "ds.meta_data.rows", "ds.meta_data.map", "[1, 2]", "['a']", "[]"]
OTHERS += ["true", "False", "none", "ds.meta_data.flag", "ds.meta_data.off", "v1.region"]
OTHERS += ["loop.index", "i", "1.5", "ds.meta_data.list['0']"]
MISSING = ["nope", "ds.meta_data.nope", "ds.meta_data.list[9]"]

TEXT_FILTERS = ["lower", "upper", "title", "capitalize", "trim", "string", "int", "first", "last", "length", "count"]
TEXT_FILTERS += ["replace('a', 'z')", "replace('a','z',1)", "replace(new='z', old='a')", "trim('-')", "trim(chars='a')"]
TEXT_FILTERS += ["int(5)", "int(default=9)", "split(',')", "replace('', '-')", "int(0, 16)"]
LIST_FILTERS = ["join(',')", "join", "join(d='-')", "first", "last", "length", "string"]
LIST_FILTERS += ["join(', ', attribute=0)", "sort"]
ANY_FILTERS = ["default('d')", "d('d')", "default('d', true)", "default(boolean=true, default_value='d')", "string"]
ANY_FILTERS += ["default", "tojson", "abs"]
METHODS = ["lower()", "upper()", "title()", "strip()", "strip('-')", "strip('ab ')", "split(',')", "split()"]
METHODS += ["split(',', 1)", "split(sep=',')", "split('-')[0]", "split(',', 1)[-1]", "replace('a','z')"]
METHODS += ["replace('a','z',1)", "startswith('a')", "endswith('b')", "startswith('b', 1)", "rsplit('-',1)"]
MAP_METHODS = ["get('x')", "get('zz', 'no')", "get('zz')", "items()"]
TESTS = ["defined", "undefined", "none", "string", "number", "mapping", "not defined", "not none", "eq 1", "boolean"]


class Writer:
    def __init__(self, rng):
        self.rng = rng
        self.depth = rng.choice([1, 1, 2, 2, 3])

    def odds(self, share):
        return self.rng.random() < share

    def template(self):
        text = self.body(self.rng.choice([0, 0, 1, 2]))
        return text.replace("\n", self.rng.choice(["\r\n", "\r"])) if self.odds(0.03) else text

    def body(self, depth):
        gaps = ["", "", "", "", " ", "\n", "\n\n", "  \n", "x", "y\n", "\t", "- "]
        text = ""
        for _ in range(self.rng.randint(1, 2)):
            chance = self.rng.random()
            text += self.rng.choice(gaps)
            if depth <= 0 or chance < 0.55:
                text += self.rng.choice(["{{", "{{", "{{-"]) + f" {self.any(2)} " + self.rng.choice(["}}", "}}", "-}}"])
            elif chance < 0.75:
                text += self.condition(depth)
            elif chance < 0.87:
                text += self.loop(depth)
            elif chance < 0.93:
                name = self.rng.choice(["i", "z", "v1"])
                text += self.tag(f"set {name} = {self.any(2)}") + self.rng.choice(["", "{{ i }}", "{{ z }}"])
            elif chance < 0.96:
                text += self.rng.choice(["{# c #}", "{#- c -#}", "{# c\nd #}\n", "{# c +#}\n", "{# {{ x }} #}"])
            else:
                inside = self.rng.choice(["{{ x }}", "\n{{ x }}\n", " {% if %} ", "", "\n"])
                text += self.tag("raw") + inside + self.tag("endraw")
        return text + self.rng.choice(gaps)

    def tag(self, inside):
        begin = self.rng.choice(["{%"] * 6 + ["{%-", "{%+"])
        return f"{begin} {inside} " + self.rng.choice(["%}"] * 6 + ["-%}"])

    def condition(self, depth):
        text = self.tag(f"if {self.truth(2)}") + self.body(depth - 1)
        if self.odds(0.3):
            text += self.tag(f"elif {self.truth(1)}") + self.body(depth - 1)
        if self.odds(0.5):
            word = "else" if self.odds(0.95) else f"else if {self.truth(1)}"
            text += self.tag(word) + self.body(depth - 1)
        return text + self.tag("endif" if self.odds(0.98) else "endif x")

    def loop(self, depth):
        lists = ["ds.meta_data.list", "ds.meta_data.map", "[1,2,3]", "ds.meta_data.csv.split(',')", "[]", "nope"]
        head = f"for i in {self.rng.choice(lists)}"
        if self.odds(0.2):
            head = "for k, v in ds.meta_data.rows"
        head += self.rng.choice([""] * 12 + [" if i != 'a'", " recursive"])
        otherwise = "{% else %}" + self.body(0) if self.odds(0.2) else ""
        return self.tag(head) + self.body(depth - 1) + otherwise + self.tag("endfor")

    def any(self, depth):
        chance = self.rng.random()
        if chance < 0.45:
            return self.text(depth)
        if chance < 0.6:
            return self.number(depth)
        if chance < 0.75:
            return self.truth(depth)
        if chance < 0.8:
            return f"{self.any(depth - 1) if depth > 0 else 'nope'}|{self.rng.choice(ANY_FILTERS)}"
        if chance < 0.9:
            return f"{self.any(depth - 1)} if {self.truth(1)} else {self.any(depth - 1)}" if depth > 0 else "1"
        if chance < 0.92:
            return self.rng.choice([f"{self.text(0)} if {self.truth(1)}", f"[{self.any(0)}, {self.text(0)}]"])
        return self.rng.choice(OTHERS + MISSING)

    def text(self, depth):
        chance = self.rng.random()
        if depth <= 0 or chance < 0.3:
            return self.rng.choice(TEXTS)
        bar = self.rng.choice(["|", " | "])
        if chance < 0.55:
            return self.text(depth - 1) + bar + self.rng.choice(TEXT_FILTERS)
        if chance < 0.75:
            return f"{self.rng.choice(TEXTS)}.{self.rng.choice(METHODS)}"
        if chance < 0.8:
            return f"ds.meta_data.map.{self.rng.choice(MAP_METHODS)}"
        if chance < 0.9:
            return self.rng.choice(OTHERS[:6]) + bar + self.rng.choice(LIST_FILTERS)
        return f"{self.text(depth - 1)} {self.rng.choice('~~+')} {self.text(depth - 1)}"

    def number(self, depth):
        chance = self.rng.random()
        if depth <= 0 or chance < 0.3:
            return self.rng.choice(NUMBERS)
        if chance < 0.4:
            return f"({self.number(depth - 1)})"
        if chance < 0.5:
            return f"-{self.number(depth - 1)}"
        if chance < 0.6:
            return f"{self.text(depth - 1)}|{self.rng.choice(['int', 'length'])}"
        sign = self.rng.choice(["+", "-", "*", "//", "//", "~", "%", "**", "/"])
        return f"{self.number(depth - 1)} {sign} {self.number(depth - 1)}"

    def truth(self, depth):
        chance = self.rng.random()
        if depth <= 0 or chance < 0.2:
            return self.rng.choice(["true", "false", "ds.meta_data.flag", "v1.n == 3", "nope is defined"])
        if chance < 0.4:
            sign = self.rng.choice(["==", "!=", "<", ">", "<=", ">="])
            return f"{self.number(depth - 1)} {sign} {self.number(depth - 1)}"
        if chance < 0.6:
            sign = self.rng.choice(["==", "!=", "in", "not in", "<"])
            return f"{self.text(depth - 1)} {sign} {self.rng.choice([self.text(depth - 1), self.rng.choice(OTHERS)])}"
        if chance < 0.75:
            return f"{self.any(depth - 1)} is {self.rng.choice(TESTS)}"
        if chance < 0.85:
            return f"not {self.truth(depth - 1)}"
        return f"{self.truth(depth - 1)} {self.rng.choice(['and', 'or', '==', 'in'])} {self.truth(depth - 1)}"
