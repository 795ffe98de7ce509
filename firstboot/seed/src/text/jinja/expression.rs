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
    Call(Box<Expr>, String, Vec<Expr>),
    Filter(Box<Expr>, String, Vec<Expr>),
    Test(Box<Expr>, String, bool),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// `value if condition else other`.
    Choice(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
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
const LEVELS: [&[&str]; 3] = [
    &["==", "!=", "<=", ">=", "<", ">"],
    &["+", "-", "~"],
    &["*", "//"],
];

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
        match self.rest.next() {
            None => Ok(expression),
            Some(_) => Err(JinjaError::new(
                self.line,
                "has a tag with extra text after its expression",
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
        let mut left = self.binary(0)?;
        loop {
            if self.word("in") {
                left = Expr::Binary("in", Box::new(left), Box::new(self.binary(0)?));
            } else if self.word("not") {
                if !self.word("in") {
                    return Err(self.wanted("`in` after `not`"));
                }
                let inside = Expr::Binary("in", Box::new(left), Box::new(self.binary(0)?));
                left = Expr::Not(Box::new(inside));
            } else if self.word("is") {
                let negated = self.word("not");
                let test = self.name("the name of a test")?;
                left = Expr::Test(Box::new(left), test, negated);
            } else {
                return Ok(left);
            }
        }
    }

    fn binary(&mut self, level: usize) -> Result<Expr> {
        let Some(signs) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        loop {
            let found = match self.rest.peek() {
                Some(Token::Sign(sign)) => signs.iter().find(|known| *known == sign),
                _ => None,
            };
            let Some(sign) = found else { return Ok(left) };
            self.rest.next();
            left = Expr::Binary(sign, Box::new(left), Box::new(self.binary(level + 1)?));
        }
    }

    fn unary(&mut self) -> Result<Expr> {
        if self.take(&Token::Sign("-")) {
            let value = self.postfix()?;
            return Ok(Expr::Negative(Box::new(value)));
        }
        self.postfix()
    }

    fn postfix(&mut self) -> Result<Expr> {
        let mut value = self.atom()?;
        loop {
            if self.take(&Token::Sign(".")) {
                let name = match self.rest.next() {
                    Some(Token::Name(name)) => name,
                    // `list.0` is `list[0]`.
                    Some(Token::Int(index)) => index.to_string(),
                    _ => return Err(self.wanted("a name after `.`")),
                };
                value = if self.take(&Token::Sign("(")) {
                    Expr::Call(Box::new(value), name, self.arguments(")")?)
                } else {
                    Expr::Attribute(Box::new(value), name)
                };
            } else if self.take(&Token::Sign("[")) {
                let index = self.expression()?;
                if !self.take(&Token::Sign("]")) {
                    return Err(self.wanted("`]`"));
                }
                value = Expr::Index(Box::new(value), Box::new(index));
            } else if self.take(&Token::Sign("|")) {
                let name = self.name("the name of a filter")?;
                let arguments = match self.take(&Token::Sign("(")) {
                    true => self.arguments(")")?,
                    false => Vec::new(),
                };
                value = Expr::Filter(Box::new(value), name, arguments);
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
            Some(Token::Sign("[")) => Ok(Expr::List(self.arguments("]")?)),
            _ => Err(self.wanted("a value")),
        }
    }

    /// Expressions with commas, up to `close`. `name=value` is taken as the value alone.
    fn arguments(&mut self, close: &'static str) -> Result<Vec<Expr>> {
        let mut arguments = Vec::new();
        loop {
            if self.take(&Token::Sign(close)) {
                return Ok(arguments);
            }
            let mut value = self.expression()?;
            if self.take(&Token::Sign("=")) {
                value = self.expression()?;
            }
            arguments.push(value);
            if !self.take(&Token::Sign(",")) && self.rest.peek() != Some(&Token::Sign(close)) {
                return Err(self.wanted(if close == ")" { "`)`" } else { "`]`" }));
            }
        }
    }
}
