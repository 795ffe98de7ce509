#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::{Value, render};
use crate::text::yaml;

fn data() -> Value {
    let text = "local_hostname: n1\nds:\n  meta_data:\n    local-hostname: n1\n    instance-id: i-7\n    count: 3\n    keys: [a, b]\n    name: 'N1.example.org'\n";
    Value::of_yaml(&yaml::parse(text).unwrap().unwrap())
}

#[test]
fn renders() {
    for (text, expected) in [
        ("a {{ local_hostname }}\n", "a n1\n"),
        ("{{ds.meta_data.local_hostname}}", "n1"),
        ("{{ ds['meta_data']['local-hostname'] }}", "n1"),
        (
            "{{ ds.meta_data.name | lower | replace('.', '-') }}",
            "n1-example-org",
        ),
        ("{{ ds.meta_data.name.split('.')[0] | upper }}", "N1"),
        ("{{ nope | default('x') }}{{ ds.nope|d(1) }}", "x1"),
        ("{{ '7' | int + 1 }} {{ 'x' | int(5) }}", "8 5"),
        (
            "{{ ds.meta_data.keys | join(',') }} {{ ds.meta_data.keys[-1] }}",
            "a,b b",
        ),
        (
            "{% if local_hostname == 'n1' %}\nyes\n{% else %}\nno\n{% endif %}\nend",
            "yes\nend",
        ),
        (
            "{% if nope is defined %}a{% elif 1 > 2 %}b{% else %}c{% endif %}",
            "c",
        ),
        (
            "{% for k in ds.meta_data.keys %}\n- {{ k }} {{ loop.index }}\n{% endfor %}\n",
            "- a 1\n- b 2\n",
        ),
        ("{%- set x = 'a' ~ 1 -%}\n  {{ x }}", "a1"),
        ("{# a {{ comment }} #}\nb", "b"),
        ("{% raw %}{{ x }}{% endraw %}\n!", "{{ x }}!"),
        ("a  {{- 1 -}}  b", "a1b"),
        ("{{ 'a' if local_hostname in ['n1'] else 'b' }}", "a"),
        ("{{ '}}' }}", "}}"),
        ("{{ not nope is defined and 'k' not in ds }}", "True"),
        ("{ {{ 1 }} } {\"a\": {}} #}", "{ 1 } {\"a\": {}} #}"),
        ("{{ ds.meta_data.get('nope', 'x') }}", "x"),
        (
            "{{ 'a-b-c'.split('-', 1)[1] }} {{ 'a,b'|split(sep=',') }}",
            "b-c ['a', 'b']",
        ),
        (
            "{{ 'aaa'|replace(new='b', old='a') }}{{ 'aaa'.replace('a', 'b', 1) }}",
            "bbbbaa",
        ),
        ("{{ ''|default(boolean=true, default_value='d') }}", "d"),
        ("{{ '--a-'|trim('-') }}{{ '--a-'.strip('-') }}", "aa"),
        (
            "{{ '7.9'|int }} {{ ' -1_000 '|int }} {{ '1__0'|int }} {{ '1e3'|int }}",
            "7 -1000 0 1000",
        ),
        ("{{ 7 // -2 }} {{ -7 // 2 }} {{ -7 // -2 }}", "-4 -4 3"),
        (
            "{{ 1 == true }} {{ [0] == [false] }} {{ 1 == 1 is defined }}",
            "True True True",
        ),
        (
            "{{ -1|string|length }} {{ 'abc'[0] }}{{ 'abc'[-1] }}",
            "2 ac",
        ),
        (
            "{{ 'foo_bar 3a-b'|title }} {{ 'foo_bar 3a-b'.title() }}",
            "Foo_bar 3a-B Foo_Bar 3A-B",
        ),
        ("{{ [\"it's\", 'a\\n\"'] }}", "[\"it's\", 'a\\n\"']"),
        ("{% raw %}\n{{ x }}\n{% endraw %}\n!", "\n{{ x }}\n!"),
        ("a\r\n{% if 1 %}\r\nb\rc{% endif %}", "a\nb\nc"),
        ("{# c +#}\na", "\na"),
    ] {
        let rendered = render(text, &data()).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(*rendered, expected, "{text}");
    }
}

/// As cloud-init's templates get them.
#[test]
fn numbers_of_yaml() {
    let text = "a: 0x10\nb: 0644\nc: '0644'\nd: 1:30\ne: 08\nf: -1_0\n";
    let data = Value::of_yaml(&yaml::parse(text).unwrap().unwrap());
    let rendered = render("{{ [a, b, c, d, e, f] }}", &data).unwrap();
    assert_eq!(*rendered, "[16, 420, '0644', 90, '08', -10]");
}

#[test]
fn refuses() {
    for (text, line, expected) in [
        (
            "\n{{ local_hostnam }}",
            2,
            "asks for `local_hostnam`, which is not defined; did you mean `local_hostname`?",
        ),
        (
            "{{ ds.meta_data.local-hostname }}",
            1,
            "asks for `ds.meta_data.local-hostname`, which jinja reads as a subtraction; write `ds.meta_data.local_hostname`",
        ),
        (
            "{{ ds.metadata.x }}",
            1,
            "`ds.metadata`, which is not defined; did you mean `meta_data`?",
        ),
        (
            "{{ ds.meta_data.keys[5] }}",
            1,
            "asks for `ds.meta_data.keys[5]`",
        ),
        ("{{ a", 1, "not closed by `}}`"),
        ("{{ 'a }}", 1, "a quote"),
        ("{{ }}", 1, "a value is missing"),
        ("{{ 1 2 }}", 1, "extra text after"),
        ("{% if 1 %}", 1, "does not end"),
        ("{% endif %}", 1, "closes nothing"),
        ("{% for x in [1] %}{% endif %}", 1, "inside `{% for %}`"),
        (
            "{% include 'x' %}",
            1,
            "`{% include %}`, which is not supported",
        ),
        ("{{ 1 | lowr }}", 1, "did you mean `lower`?"),
        ("{{ ds | lower }}", 1, "passes a mapping to `lower`"),
        ("{{ 1 - 'a' }}", 1, "uses `-` with text"),
        ("{{ 1 ? }}", 1, "jinja does not allow"),
        (
            "{{ 'a'|trim('-', 1) }}",
            1,
            "passes another argument to `trim`",
        ),
        (
            "{{ ['a']|join(attribute='a') }}",
            1,
            "passes `attribute` to `join`",
        ),
        (
            "{{ 'a'.startswith('a', 1) }}",
            1,
            "another argument to `startswith`",
        ),
        ("{{ 'a'.strip(chars='a') }}", 1, "passes `chars` to `strip`"),
        (
            "{{ 'a'|replace('', 'b') }}",
            1,
            "`replace` of an empty text",
        ),
        ("{{ 3 > 2 > 1 }}", 1, "two comparisons in a row"),
        ("{{ a is defined is none }}", 1, "two tests in a row"),
        ("{{ '\\x41' }}", 1, "an escape that is not supported"),
        ("{{ 1.5 }}", 1, "a number that is not a whole one"),
        ("{{ 9223372036854775807 + 1 }}", 1, "too large"),
        ("{{ '9e99'|int }}", 1, "too large"),
        ("{{ ds.meta_data.keys['0'] }}", 1, "not defined"),
        ("{{ 'a' if 1 > 2 }}", 1, "asks for `if without else`"),
        (
            "{% if 1 %}{% else if 2 %}{% endif %}",
            1,
            "extra text after `else`",
        ),
        ("{% if 1 %}{% endif x %}", 1, "extra text after `endif`"),
        (
            "{% for k in ds.meta_data.keys if k %}{% endfor %}",
            1,
            "extra text after its list",
        ),
    ] {
        let error = render(text, &data()).unwrap_err();
        let said = format!("{}; {}", error.reason, error.remedy);
        assert!(said.contains(expected), "{text}: {said}");
        assert_eq!(error.line, line, "{text}");
    }
}

#[test]
fn bombs_end_soon() {
    let doubling = format!(
        "{{% set x = 'aaaaaaaa' %}}{}",
        "{% set x = x ~ x %}".repeat(60)
    );
    let loops = "{% for a in l %}".repeat(20) + "x" + &"{% endfor %}".repeat(20);
    let loops = format!("{{% set l = [1,2,3,4,5,6,7,8,9] %}}{loops}");
    for text in [
        doubling,
        loops,
        format!("{{{{ {}1 }}}}", "(".repeat(100_000)),
        format!("{{{{ {}1 }}}}", "not ".repeat(100_000)),
        format!("{{{{ {}1 }}}}", "-".repeat(400)),
        format!("{{{{ nope{} }}}}", " - 1".repeat(200)),
        "{% if 1 %}".repeat(100_000),
        "{{ 'a'|replace('a','aaaaaaaaaaaaaaaa')".to_owned()
            + &"|replace('a','aaaaaaaaaaaaaaaa')".repeat(40)
            + " }}",
    ] {
        let begun = std::time::Instant::now();
        assert!(render(&text, &data()).is_err());
        assert!(begun.elapsed().as_secs() < 60);
    }
}
