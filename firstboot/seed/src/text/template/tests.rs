//! The template syntax, by example.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::{PLACEHOLDERS, Template, TemplateErrorKind, Values};

fn render(text: &str) -> Result<String, String> {
    Template::parse(text)
        .and_then(|template| template.render(&Values::examples()))
        .map_err(|error| error.to_string())
}

#[test]
fn renders() {
    for (text, expected) in [
        ("", ""),
        ("plain } {x} }} text", "plain } {x} }} text"),
        ("{{host_name}}", "node-0"),
        (
            "a {{ host_name }} b {{\thost_name\t}}\n",
            "a node-0 b node-0\n",
        ),
        ("{{{{ host_name }}", "{{ host_name }}"),
        ("{{{{{{ host_name }}}}", "{{node-0}}"),
        (
            "{\"r\":{{ cni_routes }}}",
            "{\"r\":[{\"dst\":\"0.0.0.0/0\"}]}",
        ),
    ] {
        assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn refuses() {
    for (text, expected) in [
        ("a\n b {{ host_name", "line 2, column 4: `{{` is not closed"),
        ("{{ host_name\n}}", "line 1, column 1: `{{` is not closed"),
        ("{{}}", "line 1, column 1: `` is not a placeholder name"),
        (
            "{{ Host }}",
            "line 1, column 1: `Host` is not a placeholder name",
        ),
        ("{{{ host_name }}", "line 1, column 1: `{ host_name` is no"),
        (
            "é {{ 1a }}",
            "line 1, column 3: `1a` is not a placeholder name",
        ),
        ("{{ nothing_such }}", "there is no value for `nothing_such`"),
    ] {
        let error = render(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn unknown_names_are_found_with_a_suggestion() {
    let template = Template::parse("ok {{ host_name }}\n{{ hostname }}").unwrap();
    let error = template.check_supplied().unwrap_err();
    assert_eq!(
        error.kind,
        TemplateErrorKind::NotSupplied("hostname".to_owned())
    );
    assert_eq!(
        error.to_string(),
        "line 2, column 1: first boot supplies no value named `hostname`; did you mean `host_name`?"
    );
}

#[test]
fn a_value_is_not_rendered_again() {
    let mut values = Values::new();
    values.set("host_name", "{{ node_ip }}");
    let text = Template::parse("{{ host_name }}")
        .unwrap()
        .render(&values)
        .unwrap();
    assert_eq!(text, "{{ node_ip }}");
}

#[test]
fn the_list_is_sorted_and_unique() {
    assert!(
        PLACEHOLDERS
            .windows(2)
            .all(|pair| pair[0].name < pair[1].name)
    );
    let template = Template::parse("{{ host_name }}{{ node_ip }}{{ host_name }}").unwrap();
    let names: Vec<_> = template.placeholders().collect();
    assert_eq!(names, ["host_name", "node_ip", "host_name"]);
}
