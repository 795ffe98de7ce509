//! Templates of one question each, with what jinja2 3.1 renders (`trim_blocks`,
//! `StrictUndefined`): here they render the same, or are refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::{Value, render};

const DATA: &str = "{\"v1\": {\"local_hostname\": \"Node-0\", \"region\": null, \"n\": 3, \"instance_id\": \"i-1\"}, \"ds\": {\"meta_data\": {\"list\": [\"a\", \"b\", \"it's\"], \"empty\": \"\", \"num\": 7, \"neg\": -7, \"flag\": true, \"off\": false, \"name\": \"foo_bar-baz qux 3abc\", \"ver\": \"12.7\", \"map\": {\"x\": \"1\", \"y\": \"2\"}, \"rows\": [[\"k\", \"v\"], [\"l\", \"w\"]], \"csv\": \"a,b,c,d\", \"sp\": \"  pad  \", \"quote\": \"say \\\"hi\\\"\", \"nl\": \"a\\nb\"}}, \"instance_id\": \"i-1\", \"local_hostname\": \"Node-0\"}";

/// The template, and jinja2's text; `None` if jinja2 refuses it as well.
const CASES: &[(&str, Option<&str>)] = &[
    ("{{ 'a,b,c'.split(',', 1)[1] }}", Some("b,c")),
    ("{{ 'a-b-c'.replace('-', '_', 1) }}", Some("a_b-c")),
    ("{{ '--a--'|trim('-') }}", Some("a")),
    ("{{ 'ff'|int(0, 16) }}", Some("255")),
    ("{{ 'aaa'|replace(new='b', old='a') }}", Some("bbb")),
    (
        "{{ ''|default(boolean=true, default_value='d') }}",
        Some("d"),
    ),
    (
        "{{ nope|default(boolean=true, default_value='d') }}",
        Some("d"),
    ),
    ("{{ [{'a':1}]|join(attribute='a') }}", Some("1")),
    ("{{ ds.meta_data.rows|join(attribute=0) }}", Some("kl")),
    ("{{ '12.7'|int }}", Some("12")),
    ("{{ '1_000'|int }}", Some("1000")),
    ("{{ 'foo_bar'|title }}", Some("Foo_bar")),
    ("{{ '3abc'|title }}", Some("3abc")),
    ("{{ '3abc'.title() }}", Some("3Abc")),
    (
        "{% if 1 == 1 is defined %}y{% else %}n{% endif %}",
        Some("y"),
    ),
    (
        "{% if v1.n == ds.meta_data.nope is defined %}y{% else %}n{% endif %}",
        Some("n"),
    ),
    ("{{ 1 < 2 }}", Some("True")),
    ("{{ 3 > 2 > 1 }}", Some("True")),
    ("{{ 3 == 3 == 3 }}", Some("True")),
    ("{{ 'a' == 'a' == true }}", Some("False")),
    ("{{ '\\x41\\u0042' }}", Some("AB")),
    ("{% raw %}\n{{x}}\n{% endraw %}", Some("\n{{x}}\n")),
    ("{{ 7 // -2 }}", Some("-4")),
    ("{{ -7 // 2 }}", Some("-4")),
    ("{{ 1 == true }}", Some("True")),
    ("{{ 'x' if false }}", Some("")),
    ("{% if false %}a{% else if true %}b{% endif %}", None),
    ("{% if true %}a{% else if false %}b{% endif %}", None),
    ("{% if false %}a{% else if false %}b{% endif %}", None),
    ("{% if true %}a{% endif foo %}", None),
    (
        "{% for i in ds.meta_data.list if i != 'a' %}{{ i }}{% endfor %}",
        Some("bit's"),
    ),
    (
        "{% set i = 'a' %}{% for i in ds.meta_data.list if i != 'a' %}{{ i }}{% endfor %}",
        Some("bit's"),
    ),
    (
        "{% set i = 'q' %}{% for i in ds.meta_data.list if i != 'a' %}{{ i }}{% endfor %}",
        Some("bit's"),
    ),
    (
        "{{ 1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1 }}",
        Some("-20"),
    ),
    ("{{ 'it\\'s' }}", Some("it's")),
    ("{{ [1,'b'] }}", Some("[1, 'b']")),
    ("{{ ds.meta_data.map }}", Some("{'x': '1', 'y': '2'}")),
    ("{{ 1 + 2 ~ 3 }}", None),
    ("{{ true|int }}", Some("1")),
    ("{{ v1.region }}", Some("None")),
    ("{{ v1.region|default('x') }}", Some("None")),
    ("{{ 'a' 'b' }}", Some("ab")),
    ("{{ 'abc'|first }}", Some("a")),
    ("{{ 'A'|lower|upper }}", Some("A")),
    ("{{ not 1 == 2 }}", Some("True")),
    ("{{ -1|string|length }}", Some("2")),
    ("{{ 1 if 1 else 2 if 0 else 3 }}", Some("1")),
    ("{{ 5 }}%", Some("5%")),
    ("{{ '%s-%s'|format('a','b') }}", Some("a-b")),
    ("{{ 10 % 3 }}", Some("1")),
    ("{{ range(3)|list }}", Some("[0, 1, 2]")),
    ("{{ loop }}", None),
    ("{{ self }}", Some("<TemplateReference None>")),
    ("{# x #}\n{{ 1 }}", Some("1")),
    ("{{ ds.meta_data.flag }}", Some("True")),
    ("{{ 2 is number }}", Some("True")),
    ("{{ true is number }}", Some("True")),
    ("{%- set x = 1 -%}\n{{ x }}", Some("1")),
    (
        "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}",
        Some("2"),
    ),
    (
        "{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}",
        Some("1"),
    ),
    ("{{ ds.meta_data.csv.split(',')[-1] }}", Some("d")),
    ("{{ v1.local_hostname.split('-')[0]|lower }}", Some("node")),
    (
        "{{ 'a' in ds.meta_data.list and 'c' not in ds.meta_data.list }}",
        Some("True"),
    ),
    ("{{ ds.meta_data['list'][1] }}", Some("b")),
    ("{{ ds.meta_data.get('zz', 'no') }}", Some("no")),
    ("a{% if true -%}\n  b\n{%- endif %}c", Some("abc")),
    ("{{ '{{ x }}' }}", Some("{{ x }}")),
    ("{{ \"}}\" }}", Some("}}")),
    ("{{ {'a': 1}.a }}", Some("1")),
    ("{{ 'x' * 3 }}", Some("xxx")),
    ("{{ ['a'] + ['b'] }}", Some("['a', 'b']")),
    ("{{ 1.5 }}", Some("1.5")),
    ("{{ 0x10 }}", Some("16")),
    ("{{ 1_000 }}", Some("1000")),
    ("{{ none }}", Some("None")),
    ("{{ 'A'.lower().upper() }}", Some("A")),
    ("{{ 'a\nb' }}", Some("a\nb")),
    ("{{ 'abc'.startswith('b', 1) }}", Some("True")),
    ("{{ 'aXbXc'.split('X', maxsplit=1) }}", Some("['a', 'bXc']")),
    ("{{ '10'|int(base=2) }}", Some("2")),
    ("{{ 'a,b'.split(',', -1) }}", Some("['a', 'b']")),
    ("{{ 'aaa'|replace('a','b',count=2) }}", Some("bba")),
    ("{{ ['a','b']|join('-', 0) }}", Some("a-b")),
    ("{% for i in [] %}{% else %}e{% endfor x %}", None),
    ("{% for i in [] %}{% else x %}e{% endfor %}", None),
    ("{{ 'a' is string is defined }}", None),
    ("{{ x|default('y', true) }}", Some("y")),
    ("{{ 'ß'|capitalize }}", Some("Ss")),
    ("{{ '٣'|int }}", Some("3")),
    ("{{ 7 // 0 }}", None),
    ("{{ 'a'.upper(1) }}", None),
    ("{{ ['\\\\', 'it\\'s'] }}", Some("['\\\\', \"it's\"]")),
];

/// Those that jinja2 renders and first boot refuses.
const REFUSED: &[&str] = &[
    "{{ 'ß'|capitalize }}",
    "{{ '٣'|int }}",
    "{{ 'ff'|int(0, 16) }}",
    "{{ [{'a':1}]|join(attribute='a') }}",
    "{{ ds.meta_data.rows|join(attribute=0) }}",
    "{{ 3 > 2 > 1 }}",
    "{{ 3 == 3 == 3 }}",
    "{{ 'a' == 'a' == true }}",
    "{{ '\\x41\\u0042' }}",
    "{{ 'x' if false }}",
    "{% for i in ds.meta_data.list if i != 'a' %}{{ i }}{% endfor %}",
    "{% set i = 'a' %}{% for i in ds.meta_data.list if i != 'a' %}{{ i }}{% endfor %}",
    "{% set i = 'q' %}{% for i in ds.meta_data.list if i != 'a' %}{{ i }}{% endfor %}",
    "{{ 'a' 'b' }}",
    "{{ '%s-%s'|format('a','b') }}",
    "{{ 10 % 3 }}",
    "{{ range(3)|list }}",
    "{{ self }}",
    "{{ {'a': 1}.a }}",
    "{{ 'x' * 3 }}",
    "{{ ['a'] + ['b'] }}",
    "{{ 1.5 }}",
    "{{ 0x10 }}",
    "{{ 1_000 }}",
    "{{ 'abc'.startswith('b', 1) }}",
    "{{ '10'|int(base=2) }}",
    "{{ ['a','b']|join('-', 0) }}",
];

#[test]
fn as_jinja2_or_refused() {
    let data: serde_json::Value = serde_json::from_str(DATA).unwrap();
    let data = Value::of_json(&data);
    for (template, expected) in CASES {
        let rendered = render(template, &data).map(|text| text.to_string());
        let wanted = expected.filter(|_| !REFUSED.contains(template));
        assert_eq!(rendered.ok().as_deref(), wanted, "{template}");
    }
}
