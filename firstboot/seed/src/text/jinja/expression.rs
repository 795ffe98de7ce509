//! The tokens of a tag to an expression, by precedence.
use super::lex::{Tag, Token};
use super::value::Value;
use super::{JinjaError, Result};

pub(super) enum Expr {
    Literal(Value),
    List(Vec<Expr>),
    Name(String),
    Attribute(Box<Expr>, String),
    Index(Box<Expr>, Box<Expr>),
    Call(Box<Expr>, String, Arguments<Expr>),
    Filter(Box<Expr>, String, Arguments<Expr>),
    Test(Box<Expr>, String, bool),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// `value if condition else other`.
    Choice(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
}

/// `(a, b, name=c)`: expressions, and then values.
pub(super) struct Arguments<T> {
    pub(super) by_place: Vec<T>,
    pub(super) by_name: Vec<(String, T)>,
}

impl<T> Arguments<T> {
    fn none() -> Self {
        Self {
            by_place: Vec::new(),
            by_name: Vec::new(),
        }
    }
}

/// Statements and brackets inside each other.
pub(super) const MAX_DEPTH: usize = 32;

pub(super) fn too_deep(line: usize) -> JinjaError {
    JinjaError::new(line, "nests too deeply", "make it simpler")
}

/// The tokens of one tag.
pub(super) struct Tokens {
    line: usize,
    rest: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
}

/// Binary operators by precedence, the loosest first.
const LEVELS: [&[&str]; 3] = [&["+", "-"], &["~"], &["*", "//"]];

const COMPARISONS: [&str; 6] = ["==", "!=", "<=", ">=", "<", ">"];

impl Tokens {
    pub(super) fn new(tag: Tag) -> Self {
        Self {
            line: tag.line,
            rest: tag.tokens.into_iter().peekable(),
            depth: 0,
        }
    }

    pub(super) fn take(&mut self, token: &Token) -> bool {
        self.rest.next_if_eq(token).is_some()
    }

    fn word(&mut self, word: &str) -> bool {
        self.take(&Token::Name(word.to_owned()))
    }

    pub(super) fn name(&mut self, what: &str) -> Result<String> {
        match self.rest.next() {
            Some(Token::Name(name)) => Ok(name),
            _ => Err(self.wanted(what)),
        }
    }

    pub(super) fn wanted(&self, what: &str) -> JinjaError {
        let reason = format!("has a tag in which {what} is missing");
        JinjaError::new(self.line, reason, "correct the expression")
    }

    /// The whole tag as one expression.
    pub(super) fn whole(mut self) -> Result<Expr> {
        let expression = self.expression()?;
        self.end("its expression")?;
        Ok(expression)
    }

    /// What a `for` goes through: an `if` behind it would choose among its items.
    pub(super) fn list(mut self) -> Result<Expr> {
        let list = self.or()?;
        self.end("its list")?;
        Ok(list)
    }

    pub(super) fn end(mut self, what: &str) -> Result<()> {
        match self.rest.next() {
            None => Ok(()),
            Some(_) => Err(JinjaError::new(
                self.line,
                format!("has a tag with extra text after {what}"),
                "correct the expression",
            )),
        }
    }

    fn expression(&mut self) -> Result<Expr> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(too_deep(self.line));
        }
        let value = self.or()?;
        let value = if self.word("if") {
            let condition = self.or()?;
            let other = match self.word("else") {
                true => Some(Box::new(self.expression()?)),
                false => None,
            };
            Expr::Choice(Box::new(value), Box::new(condition), other)
        } else {
            value
        };
        self.depth -= 1;
        Ok(value)
    }

    fn or(&mut self) -> Result<Expr> {
        let mut left = self.and()?;
        while self.word("or") {
            left = Expr::Binary("or", Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr> {
        let mut left = self.not()?;
        while self.word("and") {
            left = Expr::Binary("and", Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr> {
        // A run of `not` is counted, not recursed into.
        let mut negated = false;
        let mut any = false;
        while self.word("not") {
            negated = !negated;
            any = true;
        }
        let value = self.comparison()?;
        Ok(match (any, negated) {
            (false, _) => value,
            (true, true) => Expr::Not(Box::new(value)),
            (true, false) => Expr::Not(Box::new(Expr::Not(Box::new(value)))),
        })
    }

    fn comparison(&mut self) -> Result<Expr> {
        let left = self.binary(0)?;
        let Some((sign, negated)) = self.comparison_sign()? else {
            return Ok(left);
        };
        let whole = Expr::Binary(sign, Box::new(left), Box::new(self.binary(0)?));
        if self.comparison_sign()?.is_some() {
            return Err(JinjaError::new(
                self.line,
                "has two comparisons in a row",
                "join them by `and`, or use brackets",
            ));
        }
        Ok(match negated {
            true => Expr::Not(Box::new(whole)),
            false => whole,
        })
    }

    /// The sign, and whether the opposite is asked for.
    fn comparison_sign(&mut self) -> Result<Option<(&'static str, bool)>> {
        if self.word("in") {
            return Ok(Some(("in", false)));
        }
        if self.word("not") {
            return match self.word("in") {
                true => Ok(Some(("in", true))),
                false => Err(self.wanted("`in` after `not`")),
            };
        }
        Ok(self.sign(&COMPARISONS).map(|sign| (sign, false)))
    }

    fn sign(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        let found = match self.rest.peek() {
            Some(Token::Sign(sign)) => signs.iter().find(|known| *known == sign).copied(),
            _ => None,
        };
        if found.is_some() {
            self.rest.next();
        }
        found
    }

    fn binary(&mut self, level: usize) -> Result<Expr> {
        let Some(signs) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(sign) = self.sign(signs) {
            left = Expr::Binary(sign, Box::new(left), Box::new(self.binary(level + 1)?));
        }
        Ok(left)
    }

    /// With filters and tests, which take what is before them with its `-`.
    fn unary(&mut self) -> Result<Expr> {
        let mut value = match self.take(&Token::Sign("-")) {
            true => Expr::Negative(Box::new(self.postfix()?)),
            false => self.postfix()?,
        };
        let mut tested = false;
        loop {
            if self.take(&Token::Sign("|")) {
                let name = self.name("the name of a filter")?;
                let arguments = match self.take(&Token::Sign("(")) {
                    true => self.arguments()?,
                    false => Arguments::none(),
                };
                value = Expr::Filter(Box::new(value), name, arguments);
                tested = false;
            } else if self.word("is") {
                if tested {
                    let reason = "has two tests in a row";
                    return Err(JinjaError::new(self.line, reason, "join them by `and`"));
                }
                let negated = self.word("not");
                let test = self.name("the name of a test")?;
                value = Expr::Test(Box::new(value), test, negated);
                tested = true;
            } else {
                return Ok(value);
            }
        }
    }

    fn postfix(&mut self) -> Result<Expr> {
        let mut value = self.atom()?;
        loop {
            if self.take(&Token::Sign(".")) {
                let name = match self.rest.next() {
                    Some(Token::Name(name)) => name,
                    // `list.0` is `list[0]`.
                    Some(Token::Int(index)) => {
                        let index = Expr::Literal(Value::Int(index));
                        value = Expr::Index(Box::new(value), Box::new(index));
                        continue;
                    }
                    _ => return Err(self.wanted("a name after `.`")),
                };
                value = if self.take(&Token::Sign("(")) {
                    Expr::Call(Box::new(value), name, self.arguments()?)
                } else {
                    Expr::Attribute(Box::new(value), name)
                };
            } else if self.take(&Token::Sign("[")) {
                let index = self.expression()?;
                if !self.take(&Token::Sign("]")) {
                    return Err(self.wanted("`]`"));
                }
                value = Expr::Index(Box::new(value), Box::new(index));
            } else {
                return Ok(value);
            }
        }
    }

    fn atom(&mut self) -> Result<Expr> {
        let literal = |value| Ok(Expr::Literal(value));
        match self.rest.next() {
            Some(Token::Name(name)) => match name.as_str() {
                "true" | "True" => literal(Value::Bool(true)),
                "false" | "False" => literal(Value::Bool(false)),
                "none" | "None" => literal(Value::None),
                _ => Ok(Expr::Name(name)),
            },
            Some(Token::Text(text)) => literal(Value::Text(text)),
            Some(Token::Int(number)) => literal(Value::Int(number)),
            Some(Token::Sign("(")) => {
                let inside = self.expression()?;
                match self.take(&Token::Sign(")")) {
                    true => Ok(inside),
                    false => Err(self.wanted("`)`")),
                }
            }
            Some(Token::Sign("[")) => self.items(),
            _ => Err(self.wanted("a value")),
        }
    }

    /// The rest of a list.
    fn items(&mut self) -> Result<Expr> {
        let mut items = Vec::new();
        while !self.take(&Token::Sign("]")) {
            items.push(self.expression()?);
            self.comma("]")?;
        }
        Ok(Expr::List(items))
    }

    /// The rest of the arguments of a filter or a method.
    fn arguments(&mut self) -> Result<Arguments<Expr>> {
        let mut arguments = Arguments::none();
        while !self.take(&Token::Sign(")")) {
            let value = self.expression()?;
            match value {
                Expr::Name(name) if self.take(&Token::Sign("=")) => {
                    arguments.by_name.push((name, self.expression()?));
                }
                value if arguments.by_name.is_empty() => arguments.by_place.push(value),
                _ => return Err(self.wanted("the name of an argument behind another's")),
            }
            self.comma(")")?;
        }
        Ok(arguments)
    }

    fn comma(&mut self, close: &'static str) -> Result<()> {
        match self.take(&Token::Sign(",")) || self.rest.peek() == Some(&Token::Sign(close)) {
            true => Ok(()),
            false => Err(self.wanted(if close == ")" { "`)`" } else { "`]`" })),
        }
    }
}
