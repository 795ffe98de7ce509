//! Text, outputs and statements to a tree.
use super::expression::{Expr, MAX_DEPTH, Tokens, too_deep};
use super::lex::{Piece, Token};
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
                    end.rest.end("`else`")?;
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
        let list = rest.list()?;
        let (body, end) = self.until(&["else", "endfor"])?;
        let (otherwise, end) = match end {
            Some(end) if end.word == "else" => {
                end.rest.end("`else`")?;
                self.until(&["endfor"])?
            }
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
        Some(end) if end.word == wanted => end.rest.end(&format!("`{wanted}`")),
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
