//! The tree to text, within a budget.
use zeroize::Zeroizing;

use super::expression::Expr;
use super::filters::{self, Failure};
use super::parse::Node;
use super::value::Value;
use super::{JinjaError, Result};

/// Tree nodes evaluated; the body of a loop counts each time.
const MAX_STEPS: usize = 200_000;

/// Bytes of all values made and of the output.
const MAX_BYTES: usize = 16 << 20;

struct Machine<'d> {
    data: &'d Value,
    /// Loop variables and those of `set`, the innermost last.
    local: Vec<(String, Value)>,
    output: Zeroizing<String>,
    steps: usize,
    bytes: usize,
    line: usize,
}

pub(super) fn render(nodes: &[Node<'_>], data: &Value) -> Result<Zeroizing<String>> {
    let mut machine = Machine {
        data,
        local: Vec::new(),
        output: Zeroizing::new(String::new()),
        steps: 0,
        bytes: 0,
        line: 1,
    };
    machine.nodes(nodes)?;
    Ok(machine.output)
}

impl Machine<'_> {
    fn fail<T>(&self, failure: Failure) -> Result<T> {
        Err(JinjaError::new(self.line, failure.0, failure.1))
    }

    fn step(&mut self, bytes: usize) -> Result<()> {
        self.steps += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.steps > MAX_STEPS || self.bytes > MAX_BYTES {
            let reason = "grows beyond the size allowed for a template";
            return Err(JinjaError::new(self.line, reason, "make it smaller"));
        }
        Ok(())
    }

    fn put(&mut self, text: &str) -> Result<()> {
        self.step(text.len())?;
        self.output.push_str(text);
        Ok(())
    }

    fn nodes(&mut self, nodes: &[Node<'_>]) -> Result<()> {
        for node in nodes {
            match node {
                Node::Text(text) => self.put(text)?,
                Node::Output(expression, line) => {
                    self.line = *line;
                    let value = self.defined(expression)?;
                    self.put(&value.shown())?;
                }
                Node::Set(name, expression, line) => {
                    self.line = *line;
                    let value = self.defined(expression)?;
                    self.local.push((name.clone(), value));
                }
                Node::If {
                    branches,
                    otherwise,
                } => self.choose(branches, otherwise)?,
                Node::For {
                    names,
                    list,
                    line,
                    body,
                    otherwise,
                } => {
                    self.line = *line;
                    let items = self.items(list)?;
                    if items.is_empty() {
                        self.nodes(otherwise)?;
                    }
                    self.repeat(names, items, body)?;
                }
            }
        }
        Ok(())
    }

    fn choose(
        &mut self,
        branches: &[(Expr, usize, Vec<Node<'_>>)],
        otherwise: &[Node<'_>],
    ) -> Result<()> {
        for (condition, line, body) in branches {
            self.line = *line;
            if self.defined(condition)?.truth() {
                return self.nodes(body);
            }
        }
        self.nodes(otherwise)
    }

    fn items(&mut self, list: &Expr) -> Result<Vec<Value>> {
        match self.defined(list)? {
            Value::List(items) => Ok(items),
            Value::Map(members) => Ok(members
                .into_iter()
                .map(|(name, _)| Value::Text(name))
                .collect()),
            other => self.fail((
                format!("has a `for` over {}, which is not a list", other.what()),
                "correct the expression".to_owned(),
            )),
        }
    }

    fn repeat(&mut self, names: &[String], items: Vec<Value>, body: &[Node<'_>]) -> Result<()> {
        let count = items.len();
        for (index, item) in items.into_iter().enumerate() {
            let kept = self.local.len();
            let number = |value: usize| Value::Int(i64::try_from(value).unwrap_or(i64::MAX));
            let about = [
                ("index", number(index + 1)),
                ("index0", number(index)),
                ("first", Value::Bool(index == 0)),
                ("last", Value::Bool(index + 1 == count)),
                ("length", number(count)),
            ];
            let about = about.map(|(name, value)| (name.to_owned(), value));
            self.local
                .push(("loop".to_owned(), Value::Map(about.to_vec())));
            match (names, item) {
                ([name], item) => self.local.push((name.clone(), item)),
                (names, Value::List(parts)) if parts.len() == names.len() => {
                    self.local.extend(names.iter().cloned().zip(parts));
                }
                _ => {
                    return self.fail((
                        "has a `for` with more names than its items have elements".to_owned(),
                        "correct the names".to_owned(),
                    ));
                }
            }
            self.step(0)?;
            self.nodes(body)?;
            self.local.truncate(kept);
        }
        Ok(())
    }

    /// A value that must be defined.
    fn defined(&mut self, expression: &Expr) -> Result<Value> {
        match self.value(expression)? {
            Value::Undefined { asked, near } => self.undefined(&asked, near.as_deref()),
            value => Ok(value),
        }
    }

    fn undefined<T>(&self, asked: &str, near: Option<&str>) -> Result<T> {
        let remedy = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                "see `v1` and `ds.meta_data` in the reference, or add `| default('...')`".to_owned()
            }
        };
        self.fail((format!("asks for `{asked}`, which is not defined"), remedy))
    }

    fn value(&mut self, expression: &Expr) -> Result<Value> {
        let value = match expression {
            Expr::Literal(value) => value.clone(),
            Expr::List(items) => {
                let items: Result<Vec<Value>> =
                    items.iter().map(|item| self.defined(item)).collect();
                Value::List(items?)
            }
            Expr::Name(name) => self.variable(name),
            Expr::Attribute(of, name) => {
                let value = self.defined(of)?;
                self.part(&value, &Value::text(name), &path_of(of))
            }
            Expr::Index(of, index) => {
                let (value, index) = (self.defined(of)?, self.defined(index)?);
                self.part(&value, &index, &path_of(of))
            }
            Expr::Call(of, name, arguments) => {
                let value = self.defined(of)?;
                let arguments = self.all(arguments)?;
                filters::method(name, &value, &arguments).or_else(|failure| self.fail(failure))?
            }
            Expr::Filter(of, name, arguments) => self.filter(of, name, arguments)?,
            Expr::Test(of, name, negated) => {
                let value = self.value(of)?;
                let holds = filters::test(name, &value).or_else(|failure| self.fail(failure))?;
                Value::Bool(holds != *negated)
            }
            Expr::Not(of) => Value::Bool(!self.defined(of)?.truth()),
            Expr::Negative(of) => match self.defined(of)? {
                Value::Int(number) => Value::Int(number.saturating_neg()),
                other => return self.misfit("-", &other),
            },
            Expr::Binary(sign, left, right) => self.binary(sign, left, right)?,
            Expr::Choice(value, condition, other) => {
                if self.defined(condition)?.truth() {
                    self.value(value)?
                } else {
                    match other {
                        Some(other) => self.value(other)?,
                        None => Value::text(""),
                    }
                }
            }
        };
        self.step(value.size())?;
        Ok(value)
    }

    fn variable(&self, name: &str) -> Value {
        let found = self.local.iter().rev().find(|(known, _)| known == name);
        found.map_or_else(|| self.data.member(name, ""), |(_, value)| value.clone())
    }

    fn part(&self, value: &Value, index: &Value, path: &str) -> Value {
        let missing = |index: &str| Value::Undefined {
            asked: format!("{path}[{index}]"),
            near: None,
        };
        match (value, index) {
            (Value::List(items), index) => {
                let number = match index {
                    Value::Int(number) => Some(*number),
                    Value::Text(text) => text.parse().ok(),
                    _ => None,
                };
                let from_end =
                    |number: i64| number + i64::try_from(items.len()).unwrap_or(i64::MAX);
                let found = number
                    .map(|number| if number < 0 { from_end(number) } else { number })
                    .and_then(|number| items.get(usize::try_from(number).ok()?));
                found.cloned().unwrap_or_else(|| missing(&index.shown()))
            }
            (value, Value::Text(name)) => value.member(name, path),
            (_, index) => missing(&index.shown()),
        }
    }

    fn all(&mut self, expressions: &[Expr]) -> Result<Vec<Value>> {
        expressions.iter().map(|item| self.defined(item)).collect()
    }

    fn filter(&mut self, of: &Expr, name: &str, arguments: &[Expr]) -> Result<Value> {
        let value = self.value(of)?;
        let arguments = self.all(arguments)?;
        if let Value::Undefined { asked, near } = &value {
            let fallback = matches!(name, "default" | "d");
            return match arguments.into_iter().next() {
                Some(other) if fallback => Ok(other),
                None if fallback => Ok(Value::text("")),
                _ => self.undefined(asked, near.as_deref()),
            };
        }
        filters::filter(name, &value, &arguments).or_else(|failure| self.fail(failure))
    }

    fn misfit<T>(&self, sign: &str, value: &Value) -> Result<T> {
        let reason = format!(
            "uses `{sign}` with {}, which does not support it",
            value.what()
        );
        self.fail((reason, "correct the expression".to_owned()))
    }

    fn binary(&mut self, sign: &str, left: &Expr, right: &Expr) -> Result<Value> {
        match sign {
            "and" => {
                let first = self.defined(left)?;
                return if first.truth() {
                    self.defined(right)
                } else {
                    Ok(first)
                };
            }
            "or" => {
                let first = self.defined(left)?;
                return if first.truth() {
                    Ok(first)
                } else {
                    self.defined(right)
                };
            }
            // To jinja, `local-hostname` is a subtraction; say so instead of "`local` is
            // undefined".
            "-" => {
                if let (Value::Undefined { .. }, Expr::Name(tail)) = (self.value(left)?, right) {
                    let head = path_of(left);
                    let reason =
                        format!("asks for `{head}-{tail}`, which jinja reads as a subtraction");
                    let remedy = format!("write `{head}_{tail}`");
                    return self.fail((reason, remedy));
                }
            }
            _ => {}
        }
        let (left, right) = (self.defined(left)?, self.defined(right)?);
        self.combine(sign, left, right)
    }

    fn combine(&mut self, sign: &str, left: Value, right: Value) -> Result<Value> {
        use Value::{Bool, Int, List, Map, Text};
        Ok(match (sign, &left, &right) {
            ("==", ..) => Bool(left == right),
            ("!=", ..) => Bool(left != right),
            ("in", Text(part), Text(text)) => Bool(text.contains(part.as_str())),
            ("in", item, List(items)) => Bool(items.contains(item)),
            ("in", Text(name), Map(members)) => {
                Bool(members.iter().any(|(known, _)| known == name))
            }
            ("<", Int(a), Int(b)) => Bool(a < b),
            (">", Int(a), Int(b)) => Bool(a > b),
            ("<=", Int(a), Int(b)) => Bool(a <= b),
            (">=", Int(a), Int(b)) => Bool(a >= b),
            ("<", Text(a), Text(b)) => Bool(a < b),
            (">", Text(a), Text(b)) => Bool(a > b),
            ("+", Int(a), Int(b)) => Int(a.saturating_add(*b)),
            ("-", Int(a), Int(b)) => Int(a.saturating_sub(*b)),
            ("*", Int(a), Int(b)) => Int(a.saturating_mul(*b)),
            ("//", Int(a), Int(b)) if *b != 0 => Int(a.wrapping_div_euclid(*b)),
            ("+", Text(_), Text(_)) | ("~", ..) => {
                let (a, b) = (left.shown(), right.shown());
                if a.len() + b.len() > filters::MAX_VALUE {
                    return self.fail(filters::too_large());
                }
                Text(a + &b)
            }
            (_, Int(_) | Text(_), other) => return self.misfit(sign, other),
            _ => return self.misfit(sign, &left),
        })
    }
}

/// The expression as a person wrote it, as far as names go.
fn path_of(expression: &Expr) -> String {
    match expression {
        Expr::Name(name) => name.clone(),
        Expr::Attribute(of, name) => format!("{}.{name}", path_of(of)),
        Expr::Index(of, _) => format!("{}[...]", path_of(of)),
        Expr::Call(of, name, _) => format!("{}.{name}(...)", path_of(of)),
        Expr::Filter(of, name, _) => format!("{}|{name}", path_of(of)),
        _ => "(...)".to_owned(),
    }
}
