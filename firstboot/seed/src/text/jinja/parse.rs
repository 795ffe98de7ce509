//! Tokens to a tree: statements, and expressions by precedence.
use super::lex::{Piece, Tag, Token};
use super::value::Value;
use super::{JinjaError, Result};

pub(super) enum Node<'a> {
    Text(&'a str),
    Output(Expr, usize),
    If {
        branches: Vec<(Expr, usize, Vec<Node<'a>>)>,
        otherwise: Vec<Node<'a>>,
    },
    For {
        names: Vec<String>,
        list: Expr,
        line: usize,
        body: Vec<Node<'a>>,
        otherwise: Vec<Node<'a>>,
    },
    Set(String, Expr, usize),
}

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
const MAX_DEPTH: usize = 32;

pub(super) fn parse(pieces: Vec<Piece<'_>>) -> Result<Vec<Node<'_>>> {
    let mut statements = Statements {
        pieces: pieces.into_iter(),
        depth: 0,
    };
    let (nodes, end) = statements.until(&[])?;
    match end {
        None => Ok(nodes),
        Some(end) => Err(JinjaError::new(
            end.line,
            format!("has `{{% {} %}}` that closes nothing", end.word),
            "remove it",
        )),
    }
}

/// The tag that ended a body.
struct End {
    word: String,
    line: usize,
    rest: Tokens,
}

struct Statements<'a> {
    pieces: std::vec::IntoIter<Piece<'a>>,
    depth: usize,
}

impl<'a> Statements<'a> {
    /// Everything up to a tag that begins with one of `ends`; any closing word ends as well.
    fn until(&mut self, ends: &[&str]) -> Result<(Vec<Node<'a>>, Option<End>)> {
        const CLOSING: [&str; 5] = ["elif", "else", "endif", "endfor", "endset"];
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            match piece {
                Piece::Text(text) => nodes.push(Node::Text(text)),
                Piece::Output(tag) => {
                    let line = tag.line;
                    nodes.push(Node::Output(Tokens::new(tag).whole()?, line));
                }
                Piece::Block(tag) => {
                    let line = tag.line;
                    let mut rest = Tokens::new(tag);
                    let word = rest.name("a statement")?;
                    if ends.contains(&word.as_str()) || CLOSING.contains(&word.as_str()) {
                        return Ok((nodes, Some(End { word, line, rest })));
                    }
                    nodes.push(self.statement(&word, line, rest)?);
                }
            }
        }
        Ok((nodes, None))
    }

    fn statement(&mut self, word: &str, line: usize, rest: Tokens) -> Result<Node<'a>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(too_deep(line));
        }
        let node = match word {
            "if" => self.condition(line, rest),
            "for" => self.repeat(line, rest),
            "set" => set(line, rest),
            _ => {
                let known = ["if", "for", "set", "raw"];
                let remedy = match crate::text::suggest::nearest(word, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the statements are {}", crate::text::suggest::list(known)),
                };
                let reason = format!("has `{{% {word} %}}`, which is not supported");
                Err(JinjaError::new(line, reason, remedy))
            }
        };
        self.depth -= 1;
        node
    }

    fn condition(&mut self, line: usize, rest: Tokens) -> Result<Node<'a>> {
        let mut branches = Vec::new();
        let mut test = (rest.whole()?, line);
        loop {
            let (body, end) = self.until(&["elif", "else", "endif"])?;
            branches.push((test.0, test.1, body));
            let end = end.ok_or_else(|| not_ended(line, "if"))?;
            match end.word.as_str() {
                "elif" => test = (end.rest.whole()?, end.line),
                "else" => {
                    let (otherwise, end) = self.until(&["endif"])?;
                    closed(end, "endif", line, "if")?;
                    return Ok(Node::If {
                        branches,
                        otherwise,
                    });
                }
                _ => {
                    closed(Some(end), "endif", line, "if")?;
                    let otherwise = Vec::new();
                    return Ok(Node::If {
                        branches,
                        otherwise,
                    });
                }
            }
        }
    }

    fn repeat(&mut self, line: usize, mut rest: Tokens) -> Result<Node<'a>> {
        let mut names = vec![rest.name("a variable")?];
        while rest.take(&Token::Sign(",")) {
            names.push(rest.name("a variable")?);
        }
        if !rest.take(&Token::Name("in".to_owned())) {
            return Err(rest.wanted("`in`"));
        }
        let list = rest.whole()?;
        let (body, end) = self.until(&["else", "endfor"])?;
        let (otherwise, end) = match end {
            Some(end) if end.word == "else" => self.until(&["endfor"])?,
            end => (Vec::new(), end),
        };
        closed(end, "endfor", line, "for")?;
        Ok(Node::For {
            names,
            list,
            line,
            body,
            otherwise,
        })
    }
}

fn set<'a>(line: usize, mut rest: Tokens) -> Result<Node<'a>> {
    let name = rest.name("a variable")?;
    if !rest.take(&Token::Sign("=")) {
        return Err(rest.wanted("`=`"));
    }
    Ok(Node::Set(name, rest.whole()?, line))
}

fn closed(end: Option<End>, wanted: &str, line: usize, what: &str) -> Result<()> {
    match end {
        Some(end) if end.word == wanted => Ok(()),
        Some(end) => Err(JinjaError::new(
            end.line,
            format!("has `{{% {} %}}` inside `{{% {what} %}}`", end.word),
            format!("write `{{% {wanted} %}}`"),
        )),
        None => Err(not_ended(line, what)),
    }
}

fn not_ended(line: usize, what: &str) -> JinjaError {
    let reason = format!("has `{{% {what} %}}` that does not end");
    JinjaError::new(line, reason, format!("add `{{% end{what} %}}`"))
}

fn too_deep(line: usize) -> JinjaError {
    JinjaError::new(line, "nests too deeply", "make it simpler")
}

/// The tokens of one tag.
struct Tokens {
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
    fn new(tag: Tag) -> Self {
        Self {
            line: tag.line,
            rest: tag.tokens.into_iter().peekable(),
            depth: 0,
        }
    }

    fn take(&mut self, token: &Token) -> bool {
        self.rest.next_if_eq(token).is_some()
    }

    fn word(&mut self, word: &str) -> bool {
        self.take(&Token::Name(word.to_owned()))
    }

    fn name(&mut self, what: &str) -> Result<String> {
        match self.rest.next() {
            Some(Token::Name(name)) => Ok(name),
            _ => Err(self.wanted(what)),
        }
    }

    fn wanted(&self, what: &str) -> JinjaError {
        let reason = format!("has a tag in which {what} is missing");
        JinjaError::new(self.line, reason, "correct the expression")
    }

    /// The whole tag as one expression.
    fn whole(mut self) -> Result<Expr> {
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
