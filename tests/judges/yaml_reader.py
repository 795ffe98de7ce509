"""nodeimg's reader of YAML beside PyYAML's SafeLoader, which cloud-init uses.

usage: yaml_reader.py SHOW_READERS COUNT SEED

Trees are compared in which a scalar is its text and whether it says that it is nothing
or a boolean: what else a text means depends on its key.
"""

import re
import sys

import yaml
from judging import Class, Comparison, main, said
from yaml_text import Writer

sys.setrecursionlimit(5000)

# https://yaml.org/spec/1.2.2/#rule-ns-anchor-char: all but blanks and brackets, where YAML
# 1.1 had letters and digits. In brackets, YAML 1.1 takes a colon behind any of them for a key.
ODD_NAMES = re.compile(r"[&*][^\s,\[\]{}]*[^\w\s,\[\]{}-]|[&!]\S* :\S|!\S*[,\[\]{}#]|!!\S*!")
# What either reader says where such a name is not one to it.
NO_NAME = "not allowed here|expected ' '|tag URI|scanning a tag|unknown anchor|cannot start any token"
NO_NAME += "|expected <document start>|expected '-' indicator|expected key|simple key expected"


def joined(value):
    """With two halves of a character as that character."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {joined(key): joined(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(joined(one) for one in value)
    return value


def is_in_halves(_, ours, judged):
    return ours == joined(judged)


def has_odd_names(text, ours, judged):
    understood = "refused" not in (ours[0], judged[0])
    return ODD_NAMES.search(text) is not None and (understood or said(ours, NO_NAME) or said(judged, NO_NAME))


def begins_with_a_mark(text, ours, _):
    return ours[0] == "read" and re.match(r"(\s|#.*[\r\n])+\ufeff", text) is not None


def keeps_blanks_at_the_end(text, *_):
    return re.search(r">\d*\+.*\n(.*\n)* +\Z", text) is not None


CLASSES = [
    Class.refused(
        "appears twice",
        "docs/reference/first-boot/user-data.md: duplicate keys are refused",
        "a: 1\na: 2\n",
    ),
    Class.refused(
        "U\\+2029 are line breaks to YAML 1.1 only",
        "what is a line break to cloud-init is a character to everything newer",
        "a: 'b\u2028c'\n",
    ),
    Class.refused("the tag `!` means text", "YAML 1.2 and cloud-init take it for opposites", "a: ! yes\n"),
    Class.refused("begins with `\\?` may be a key", "in brackets it is a key to cloud-init", "a: [?b]\n"),
    Class.refused("surrogate", "cloud-init reads it, and cannot write it to a file", 'a: "\\ud800"\n'),
    Class.refused(
        "invalid indentation in multiline quoted scalar|tab cannot be used as indentation",
        "https://yaml.org/spec/1.2.2/#rule-s-flow-line-prefix: the lines of quoted text are indented",
        "a: 'b\nc'\n",
    ),
    Class.refused(
        "wrongly indented line in block scalar",
        "https://yaml.org/spec/1.2.2/#8111-block-indentation-indicator: no blank line before the text may be longer",
        "a: >+\n  \n # after\n",
    ),
    Class.refused(
        "simple key expected ':'",
        "https://yaml.org/spec/1.2.2/#rule-block-indented: a `|` or `>` is indented as its text is",
        "a:\n> # b\n  c\n",
    ),
    Class.refused(
        "BOM must not appear inside",
        "https://yaml.org/spec/1.2.2/#52-character-encodings: only in quotes",
        "a: \ufeff\n",
    ),
    Class.refused(
        "':' may not precede any of",
        "https://yaml.org/spec/1.2.2/#rule-ns-plain-char: `a:{b}` has no blank behind its colon",
        "a: {b:{c}}\n",
    ),
    Class.refused(
        "comments must be separated",
        "https://yaml.org/spec/1.2.2/#66-comments: a blank stands before a comment",
        "a: 'b'# c\n",
    ),
    Class.refused(
        "plain scalar cannot start with '-'",
        "https://yaml.org/spec/1.2.2/#rule-ns-plain-first",
        "a: [-, b]\n",
    ),
    Class.read(
        "'\\\\t' that cannot start any token|indentation indicators, but found '\\\\t'|' ', but found '\\\\t'",
        "https://yaml.org/spec/1.2.2/#62-separation-spaces: tabs may stand between words",
        "a:\tb\n",
    ),
    Class.read(
        "expected ',' or '[}\\]]', but got|expected the node content, but found ':'",
        "https://yaml.org/spec/1.2.2/#742-flow-mappings: text in brackets may have `:` and `?`, and keys several lines",
        'a: {\n "b\\\n c": d}\n',
    ),
    Class.read(
        "expected the node content, but found '<document end>'",
        "https://yaml.org/spec/1.2.2/#rule-l-yaml-stream: an end without a document",
        "...\n---\na: b\n",
    ),
    Class.read(
        "expected <block end>, but found ':'",
        "https://yaml.org/spec/1.2.2/#example-completely-empty-flow-nodes: an empty key is unknown later",
        ": b\n",
    ),
    Class.read(
        "expected alphabetic or numeric character|expected URI",
        "https://yaml.org/spec/1.2.2/#rule-ns-directive-name: unknown directives are skipped, whatever their names",
        "%A.1\n---\na: b\n",
    ),
    Class.read(
        "expected '<document start>', but found '<(block mapping start|scalar)>'",
        "https://yaml.org/spec/1.2.2/#rule-s-l+block-scalar: a block at the top needs no indentation",
        "> # c\na: b\n",
    ),
    Class.read(
        "second occurrence",
        "https://yaml.org/spec/1.2.2/#71-alias-nodes: the latest anchor of a name counts",
        "a: &a 1\nb: &a 2\n",
    ),
    Class.differs(
        is_in_halves,
        "two escapes make one character, as in JSON; cloud-init cannot write its reading to a file",
        'a: "\\ud83d\\ude00"\n',
    ),
    Class(
        "the name of an anchor or a tag ends at other characters in YAML 1.1",
        "a: &b:c d\n",
        has_odd_names,
    ),
    Class(
        "https://yaml.org/spec/1.2.2/#91-documents: a byte order mark may stand before the document, behind comments",
        "# a\n\ufeffb: c\n",
        begins_with_a_mark,
    ),
    Class.differs(
        keeps_blanks_at_the_end,
        "the parser adds a line break to a folded block that ends with blanks instead of one",
        "a: >2+\n  b\n  c\n   ",
    ),
]


class Unreadable(Exception):
    pass


def judge(text):
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        return ("read", None if root is None else tree(root, ()))
    except yaml.YAMLError as error:
        return ("refused", getattr(error, "problem", None) or str(error))
    except (Unreadable, ValueError, OverflowError, IndexError, AttributeError) as error:
        return ("refused", f"{type(error).__name__}: {error}")


def tree(node, above):
    if node in above:
        raise Unreadable("an alias inside of its own value")
    above = (*above, node)
    if isinstance(node, yaml.ScalarNode):
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        return scalar(kind, node.value)
    if isinstance(node, yaml.SequenceNode):
        return [tree(one, above) for one in node.value]
    pairs, merged = {}, {}
    for key, value in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            bases = value.value if isinstance(value, yaml.SequenceNode) else [value]
            if not all(isinstance(one, yaml.MappingNode) for one in bases):
                raise Unreadable("expected a mapping for merging")
            for one in reversed(bases):
                merged |= tree(one, above)
        elif not isinstance(key, yaml.ScalarNode):
            raise Unreadable("a key that is not a scalar")
        else:
            pairs[key.value] = tree(value, above)
    return merged | pairs


def scalar(kind, text):
    if kind == "null":
        return None
    if kind in ("int", "float", "timestamp", "value", "merge"):
        kind = "str"
    return (kind, text)


def normal(value):
    """What nodeimg has read, as the judge shows it."""
    if value is None:
        return None
    if isinstance(value, list):
        return [normal(one) for one in value]
    if "mapping" in value:
        return {key: normal(one) for key, one in value["mapping"]}
    kind = value["type"].removeprefix("!!")
    if kind.startswith("!<"):
        kind = kind[2:-1].removeprefix("tag:yaml.org,2002:")
    return scalar(kind, value["text"])


COMPARISON = Comparison("yaml", CLASSES, lambda rng: Writer(rng).document(), judge, normal=normal)

if __name__ == "__main__":
    main(COMPARISON)
