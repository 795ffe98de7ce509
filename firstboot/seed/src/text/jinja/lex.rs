//! Template text to pieces: plain text, `{{ ... }}` and `{% ... %}` as tokens.
use super::{JinjaError, Result};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Name(String),
    Text(String),
    Int(i64),
    /// An operator or a bracket.
    Sign(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    Output(Tag),
    Block(Tag),
}

/// The text between the braces, and the line in which it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) line: usize,
    pub(super) tokens: Vec<Token>,
}

/// Longer ones first, so that `==` is not two `=`.
const SIGNS: [&str; 23] = [
    "==", "!=", "<=", ">=", "//", "**", "(", ")", "[", "]", "{", "}", ",", ".", ":", "|", "~", "+",
    "-", "*", "/", "<", ">",
];

/// A tag has few tokens; more is an attack on the parser's stack or patience.
const MAX_TOKENS: usize = 500;

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// The position up to which lines have been counted, and their number.
    counted: (usize, usize),
    pieces: Vec<Piece<'a>>,
    /// The next plain text loses its leading blanks, or its first line break.
    trim: Trim,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trim {
    Nothing,
    LineBreak,
    Blanks,
}

pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>> {
    let mut lexer = Lexer {
        text,
        at: 0,
        counted: (0, 1),
        pieces: Vec::new(),
        trim: Trim::Nothing,
    };
    while lexer.next()? {}
    Ok(lexer.pieces)
}

impl<'a> Lexer<'a> {
    fn line(&mut self) -> usize {
        let (from, lines) = self.counted;
        let lines = lines + self.text[from..self.at].matches('\n').count();
        self.counted = (self.at, lines);
        lines
    }

    /// One plain text and the tag after it; `false` at the end.
    fn next(&mut self) -> Result<bool> {
        let rest = &self.text[self.at..];
        // One search for all three: each text is scanned once.
        let open = rest
            .match_indices('{')
            .map(|(at, _)| at)
            .find(|at| matches!(rest.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#')));
        let Some(open) = open else {
            self.plain(rest, false);
            return Ok(false);
        };
        let sign = rest.as_bytes().get(open + 2).copied();
        self.plain(&rest[..open], sign == Some(b'-'));
        let kind = &rest[open..open + 2];
        self.at += open;
        let line = self.line();
        self.at += 2;
        match kind {
            "{#" => self.comment(line)?,
            "{{" => {
                let tokens = self.tokens("}}", line)?;
                self.pieces.push(Piece::Output(Tag { line, tokens }));
            }
            _ => {
                let tokens = self.tokens("%}", line)?;
                if tokens == [Token::Name("raw".to_owned())] {
                    self.raw(line)?;
                } else {
                    self.pieces.push(Piece::Block(Tag { line, tokens }));
                }
            }
        }
        Ok(true)
    }

    fn plain(&mut self, text: &'a str, trim_end: bool) {
        let text = match self.trim {
            Trim::Nothing => text,
            Trim::LineBreak => text.strip_prefix('\n').unwrap_or(text),
            Trim::Blanks => text.trim_start(),
        };
        self.trim = Trim::Nothing;
        let text = if trim_end { text.trim_end() } else { text };
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text));
        }
    }

    fn comment(&mut self, line: usize) -> Result<()> {
        let rest = &self.text[self.at..];
        let Some(end) = rest.find("#}") else {
            return Err(unclosed(line, "{#", "#}"));
        };
        self.trim = match rest[..end].chars().next_back() {
            Some('-') => Trim::Blanks,
            Some('+') => Trim::Nothing,
            _ => Trim::LineBreak,
        };
        self.at += end + 2;
        Ok(())
    }

    /// Everything up to `{% endraw %}` as it stands.
    fn raw(&mut self, line: usize) -> Result<()> {
        if self.trim == Trim::LineBreak {
            // Unlike behind other tags, it stays.
            self.trim = Trim::Nothing;
        }
        let start = self.at;
        let mut from = start;
        while let Some(found) = self.text[from..].find("{%") {
            let open = from + found;
            let inside = self.text[open + 2..].trim_start_matches(['-', '+']);
            let inside = inside.trim_start();
            if let Some(after) = inside.strip_prefix("endraw") {
                let blanks = self.text[open + 2..].starts_with('-');
                let after = after.trim_start();
                let close = after.strip_prefix('-').unwrap_or(after);
                if close.starts_with("%}") {
                    self.plain(&self.text[start..open], blanks);
                    self.at = self.text.len() - close.len() + 2;
                    self.trim = if after.len() == close.len() {
                        Trim::LineBreak
                    } else {
                        Trim::Blanks
                    };
                    return Ok(());
                }
            }
            from = open + 2;
        }
        Err(unclosed(line, "{% raw %}", "{% endraw %}"))
    }

    fn tokens(&mut self, close: &'static str, line: usize) -> Result<Vec<Token>> {
        let open = if close == "}}" { "{{" } else { "{%" };
        if self.text[self.at..].starts_with(['-', '+']) {
            self.at += 1;
        }
        let mut tokens = Vec::new();
        let mut depth = 0usize;
        loop {
            let rest = &self.text[self.at..];
            let skipped = rest.len() - rest.trim_start().len();
            self.at += skipped;
            let rest = &self.text[self.at..];
            let minus = rest
                .strip_prefix('-')
                .filter(|rest| rest.starts_with(close));
            if depth == 0 && (rest.starts_with(close) || minus.is_some()) {
                self.at += close.len() + usize::from(minus.is_some());
                self.trim = match (minus.is_some(), close) {
                    (true, _) => Trim::Blanks,
                    (false, "%}") => Trim::LineBreak,
                    _ => Trim::Nothing,
                };
                return Ok(tokens);
            }
            let after_dot = tokens.last() == Some(&Token::Sign("."));
            let (token, length) = token(rest, after_dot, line, (open, close))?;
            match token {
                Token::Sign("(" | "[" | "{") => depth += 1,
                Token::Sign(")" | "]" | "}") => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += length;
            tokens.push(token);
            if tokens.len() > MAX_TOKENS {
                return Err(JinjaError::new(
                    line,
                    "has an expression that is too long",
                    "make it shorter",
                ));
            }
        }
    }
}

/// The first token of `rest` and its length. In `list.0.1`, which is `after_dot`, there is
/// no fraction.
fn token(
    rest: &str,
    after_dot: bool,
    line: usize,
    (open, close): (&str, &str),
) -> Result<(Token, usize)> {
    let Some(first) = rest.chars().next() else {
        return Err(unclosed(line, open, close));
    };
    if matches!(first, '\'' | '"') {
        return string(rest, first, line);
    }
    let run = |inside: fn(char) -> bool| rest.find(|c: char| !inside(c)).unwrap_or(rest.len());
    if first.is_ascii_digit() {
        let length = run(|c| c.is_ascii_digit());
        let more = run(|c| c.is_ascii_alphanumeric() || matches!(c, '_'));
        let fraction = rest[length..].starts_with('.')
            && rest[length + 1..].starts_with(|c: char| c.is_ascii_digit());
        if more > length || (fraction && !after_dot) || (first == '0' && length > 1) {
            return Err(JinjaError::new(
                line,
                "has a number that is not a whole one with digits only",
                "write it out, or as text in quotes",
            ));
        }
        let number = rest[..length].parse().map_err(|_| {
            JinjaError::new(
                line,
                "has a number that is too large",
                "write a smaller one",
            )
        })?;
        return Ok((Token::Int(number), length));
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let length = run(|c| c.is_ascii_alphanumeric() || c == '_');
        return Ok((Token::Name(rest[..length].to_owned()), length));
    }
    if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        return Ok((Token::Sign(sign), sign.len()));
    }
    if first == '=' {
        return Ok((Token::Sign("="), 1));
    }
    Err(JinjaError::new(
        line,
        "has a character in a tag that jinja does not allow",
        "correct the expression",
    ))
}

/// A quoted string and its length with the quotes.
fn string(rest: &str, quote: char, line: usize) -> Result<(Token, usize)> {
    let endless = || unclosed(line, "a quote", "another one");
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            c if c == quote => return Ok((Token::Text(text), at + 1)),
            '\\' => match characters.next().ok_or_else(endless)?.1 {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                escaped @ ('\\' | '\'' | '"') => text.push(escaped),
                '0'..='7' | 'a' | 'b' | 'f' | 'v' | 'x' | 'u' | 'U' | 'N' | '\n' => {
                    let reason = "has a string with an escape that is not supported";
                    let remedy = "write the character itself";
                    return Err(JinjaError::new(line, reason, remedy));
                }
                other => text.extend(['\\', other]),
            },
            c => text.push(c),
        }
    }
    Err(endless())
}

fn unclosed(line: usize, open: &str, close: &str) -> JinjaError {
    let reason = format!("has `{open}` that is not closed by `{close}`");
    JinjaError::new(line, reason, format!("add `{close}`"))
}
