"""nodeimg's reader of YAML beside PyYAML's SafeLoader, which cloud-init uses.

usage: yaml_reader.py SHOW_READERS COUNT SEED

Trees are compared in which a scalar is its text and whether it says that it is nothing
or a boolean: what else a text means depends on its key.
"""

import sys

import yaml
from judging import Class, Comparison, main
from yaml_text import Writer

sys.setrecursionlimit(5000)

CLASSES = []


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
    return scalar(value["type"].removeprefix("!!").removeprefix("!<").removesuffix(">"), value["text"])


COMPARISON = Comparison("yaml", CLASSES, lambda rng: Writer(rng).document(), judge, normal=normal)

if __name__ == "__main__":
    main(COMPARISON)
