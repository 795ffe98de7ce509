//! show-readers - prints what the readers of seeds read, for tests that compare it
//! with what other programs read. No image has this program.
//!
//! usage: show-readers yaml|jinja|user_data < INPUTS
//!
//! An input is a line of JSON: a text, and for `jinja` an object of `template` and
//! `data`. Each is answered by a line of JSON: `{"read": ...}`, or `{"refused": WHY}`.
//! A panic of a reader ends the program, so the lines before it tell the input.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::io::{Write, stdin, stdout};

use nodeimg_seed::read::user_data::{self, Content};
use nodeimg_seed::text::jinja::{self, Value as Variable};
use nodeimg_seed::text::problem::Problems;
use nodeimg_seed::text::yaml::{self, Kind, Node, Scalar};
use serde_json::{Value, json};

fn main() {
    let reader = match std::env::args().nth(1).as_deref() {
        Some("yaml") => yaml,
        Some("jinja") => jinja,
        Some("user_data") => user_data,
        _ => panic!("usage: show-readers yaml|jinja|user_data < INPUTS"),
    };
    let mut out = stdout().lock();
    for line in stdin().lines() {
        let input: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = match reader(&input) {
            Ok(read) => json!({ "read": read }),
            Err(why) => json!({ "refused": why }),
        };
        writeln!(out, "{answer}").unwrap();
    }
}

fn yaml(input: &Value) -> Result<Value, String> {
    let root = yaml::parse(input.as_str().unwrap()).map_err(|error| error.reason)?;
    Ok(root.as_ref().map_or(Value::Null, tree))
}

/// A list as a list, a mapping as its pairs, and a scalar as its type and text.
fn tree(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar(scalar) => json!({ "type": type_of(scalar), "text": scalar.text() }),
        Kind::Sequence(items) => items.iter().map(tree).collect(),
        Kind::Mapping(entries) => {
            let pairs = entries
                .iter()
                .map(|entry| json!([entry.key.expose(), tree(&entry.value)]));
            json!({ "mapping": pairs.collect::<Value>() })
        }
    }
}

/// What the scalar itself says; a number is text until a key wants one.
fn type_of(scalar: &Scalar) -> &str {
    match &scalar.tag {
        Some(tag) => tag,
        None if scalar.is_null() => "null",
        None if scalar.boolean().is_some() => "bool",
        None => "str",
    }
}

fn jinja(input: &Value) -> Result<Value, String> {
    let data = Variable::of_json(&input["data"]);
    match jinja::render(input["template"].as_str().unwrap(), &data) {
        Ok(text) => Ok(json!(*text)),
        Err(error) => Err(error.reason),
    }
}

/// Each part as `[KIND, TEXT]`.
fn user_data(input: &Value) -> Result<Value, String> {
    let mut problems = Problems::new();
    let data = Variable::map([]);
    let bytes = input.as_str().unwrap().as_bytes();
    let Some(parts) = user_data::parts("user-data", bytes, &data, &mut problems) else {
        let said = problems.iter().map(ToString::to_string);
        return Err(said.collect::<Vec<_>>().join("\n"));
    };
    let parts = parts.iter().map(|part| match &part.content {
        Content::CloudConfig { text, .. } => json!(["cloud-config", text.expose()]),
        Content::Script { text, .. } => json!(["script", text.expose()]),
    });
    Ok(parts.collect())
}
