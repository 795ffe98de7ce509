"""nodeimg's reader of templates beside jinja2, set up as cloud-init does.

usage: jinja_reader.py SHOW_READERS COUNT SEED

An undefined variable is an error to this judge as it is to nodeimg: what cloud-init
renders instead is in docs/reference/first-boot/user-data.md.
"""

import jinja2
from jinja_text import DATA, Writer
from judging import Class, Comparison, main

ENVIRONMENT = jinja2.Environment(
    trim_blocks=True,
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
    extensions=["jinja2.ext.do"],
)

# What this page lists is read; the rest of jinja2 is refused by name.
PAGE = "docs/reference/first-boot/user-data.md, Templates of user-data: "

CLASSES = [
    Class.refused("has an unknown filter", PAGE + "filters", "{{ [1]|sort }}"),
    Class.refused("has an unknown method", PAGE + "methods", "{{ 'a'.rsplit('-') }}"),
    Class.refused("has an unknown test", PAGE + "tests", "{{ 1 is boolean }}"),
    Class.refused(
        "to `.*`, which is not supported",
        PAGE + "arguments of filters and methods",
        "{{ 'f'|int(0, 16) }}",
    ),
    Class.refused(
        "with a limit, which is not supported",
        PAGE + "limits of `split`",
        "{{ 'a b'.split(none, 1) }}",
    ),
    Class.refused("in a tag that jinja does not allow", PAGE + "`%` does not calculate", "{{ 3 % 2 }}"),
    Class.refused("with extra text after", PAGE + "`/`, `**` and conditions of `for`", "{{ 4 / 2 }}"),
    Class.refused(
        "in which .* is missing",
        PAGE + "`/` and `**` in brackets, and two signs in a row",
        "{{ --3 }}",
    ),
    Class.refused("not a whole one with digits only", PAGE + "fractions", "{{ 1.5 }}"),
    Class.refused(
        "an escape that is not supported",
        PAGE + "escapes other than for line breaks and quotes",
        "{{ '\\x41' }}",
    ),
    Class.refused("has two comparisons in a row", PAGE + "chains of comparisons", "{{ 3 > 2 > 1 }}"),
    Class.refused(
        "`replace` of an empty text",
        "nobody means a text between all letters",
        "{{ 'ab'|replace('', '-') }}",
    ),
    Class.refused("passes .*, which does not accept it", PAGE + "filters of other types", "{{ [1]|lower }}"),
    Class.refused(
        "uses `.*` with .*, which does not support it",
        PAGE + "operators of other types",
        "{{ 2 * 'a' }}",
    ),
    Class.refused(
        "asks for `.*`, which is not defined",
        "undefined values are refused even where they are only stored, or in an `if` without `else`",
        "{{ 'a' if false }}",
    ),
    Class.read(
        "No filter named 'split'",
        PAGE + "`split`, as the method of that name",
        "{{ 'a,b'|split(',') }}",
    ),
    Class.read(
        "UndefinedError: '\\w+' is undefined",
        "jinja2 hides a variable in all of a template that sets its name, even later",
        "{% for i in [1] %}{{ v1.n }}{% endfor %}{% set v1 = 1 %}",
    ),
    Class.read(
        "UndefinedError: No (first|last) item",
        "jinja2 calculates what is constant, even where it is not used",
        "{% for i in [] %}{{ 'a' ~ ''|last }}{% endfor %}",
    ),
    Class.read(
        "expected token 'end of (print statement|statement block)', got",
        "jinja2 takes an `if` behind a test for an argument of the test",
        "{{ 1 is defined if true else 2 }}",
    ),
]


def judge(template):
    try:
        return ("read", ENVIRONMENT.from_string(template).render(**DATA))
    except Exception as error:  # whatever the expressions do
        return ("refused", f"{type(error).__name__}: {error}")


COMPARISON = Comparison(
    "jinja",
    CLASSES,
    lambda rng: Writer(rng).template(),
    judge,
    given=lambda template: {"template": template, "data": DATA},
)

if __name__ == "__main__":
    main(COMPARISON)
