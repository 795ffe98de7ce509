//! The tree to text, within a budget.
use zeroize::Zeroizing;

use super::expression::{Arguments, Expr};
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
                filters::method(name, &value, arguments).or_else(|failure| self.fail(failure))?
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
                        None => Value::Undefined {
                            asked: "if without else".to_owned(),
                            near: None,
                        },
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
        let found = match (value, index) {
            (Value::List(items), Value::Int(number)) => {
                place(*number, items.len()).map(|place| items[place].clone())
            }
            (Value::Text(text), Value::Int(number)) => {
                let character =
                    place(*number, text.chars().count()).and_then(|place| text.chars().nth(place));
                character.map(|c| Value::Text(c.to_string()))
            }
            (Value::Map(_), Value::Text(name)) => return value.member(name, path),
            _ => None,
        };
        found.unwrap_or_else(|| Value::Undefined {
            asked: match index {
                Value::Text(name) => format!("{path}.{name}"),
                index => format!("{path}[{}]", index.shown()),
            },
            near: None,
        })
    }

    fn all(&mut self, arguments: &Arguments<Expr>) -> Result<Arguments<Value>> {
        let by_place = arguments.by_place.iter().map(|item| self.defined(item));
        let by_place = by_place.collect::<Result<_>>()?;
        let named = |(name, item): &(String, Expr)| Ok((name.clone(), self.defined(item)?));
        let by_name = arguments.by_name.iter().map(named).collect::<Result<_>>()?;
        Ok(Arguments { by_place, by_name })
    }

    fn filter(&mut self, of: &Expr, name: &str, arguments: &Arguments<Expr>) -> Result<Value> {
        let value = self.value(of)?;
        let arguments = self.all(arguments)?;
        match &value {
            Value::Undefined { asked, near } if !matches!(name, "default" | "d") => {
                self.undefined(asked, near.as_deref())
            }
            value => filters::filter(name, value, arguments).or_else(|failure| self.fail(failure)),
        }
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
            _ => {}
        }
        let left = match (sign, self.value(left)?, right) {
            // To jinja, `local-hostname` is a subtraction; say so instead of "`local` is
            // undefined".
            ("-", Value::Undefined { .. }, Expr::Name(tail)) => {
                let head = path_of(left);
                let reason =
                    format!("asks for `{head}-{tail}`, which jinja reads as a subtraction");
                let remedy = format!("write `{head}_{tail}`");
                return self.fail((reason, remedy));
            }
            (_, Value::Undefined { asked, near }, _) => {
                return self.undefined(&asked, near.as_deref());
            }
            (_, left, _) => left,
        };
        let right = self.defined(right)?;
        self.combine(sign, left, right)
    }

    fn combine(&mut self, sign: &str, left: Value, right: Value) -> Result<Value> {
        use Value::{Bool, Int, List, Map, Text};
        Ok(match (sign, &left, &right) {
            ("==", ..) => Bool(left.equals(&right)),
            ("!=", ..) => Bool(!left.equals(&right)),
            ("in", Text(part), Text(text)) => Bool(text.contains(part.as_str())),
            ("in", item, List(items)) => Bool(items.iter().any(|one| one.equals(item))),
            ("in", Text(name), Map(members)) => {
                Bool(members.iter().any(|(known, _)| known == name))
            }
            ("<", Int(a), Int(b)) => Bool(a < b),
            (">", Int(a), Int(b)) => Bool(a > b),
            ("<=", Int(a), Int(b)) => Bool(a <= b),
            (">=", Int(a), Int(b)) => Bool(a >= b),
            ("<", Text(a), Text(b)) => Bool(a < b),
            (">", Text(a), Text(b)) => Bool(a > b),
            ("+" | "-" | "*", Int(a), Int(b)) => {
                let number = match sign {
                    "+" => a.checked_add(*b),
                    "-" => a.checked_sub(*b),
                    _ => a.checked_mul(*b),
                };
                return number.map_or_else(|| self.fail(filters::too_large()), |n| Ok(Int(n)));
            }
            ("//", Int(a), Int(b)) if *b != 0 => {
                // Rounded down, whatever the signs.
                let down = i64::from(a.wrapping_rem(*b) != 0 && (*a < 0) != (*b < 0));
                Int(a.wrapping_div(*b) - down)
            }
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

/// Where an item is that is counted from the start, or by a negative number from the end.
fn place(number: i64, count: usize) -> Option<usize> {
    let from_start = match number {
        0.. => number,
        _ => number + i64::try_from(count).ok()?,
    };
    let place = usize::try_from(from_start).ok()?;
    (place < count).then_some(place)
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
