//! Lines beyond Koji's grammar: tests in parentheses, with `or` and quoted strings.
//!
//! Koji refuses a test that begins with `(`, so no text of Koji's changes its meaning.

use crate::catalog::Catalog;
use crate::error::ParseErrorKind;
use crate::parse::{Result, named_test};
use crate::ruleset::{Goto, MAX_PARENS, Test};

/// Whether one of the tests, as Koji would cut them, begins with a parenthesis.
pub(crate) fn is_expression(tests: &str) -> bool {
    tests.split("&&").any(|test| {
        let test = test.trim_start();
        test.strip_prefix('!').unwrap_or(test).trim_start().starts_with('(')
    })
}

/// A line, taken apart.
pub(crate) struct Line<'t> {
    /// The tests as written.
    pub(crate) text: String,
    pub(crate) tests: Expression<'t>,
    pub(crate) negate: bool,
    pub(crate) action: &'t str,
}

pub(crate) enum Expression<'t> {
    /// Its words, the name first, and its text.
    Test(Vec<String>, &'t str),
    Not(Box<Expression<'t>>),
    And(Vec<Expression<'t>>),
    Or(Vec<Expression<'t>>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Open,
    Close,
    And,
    Or,
    Not,
    Then,
    Unless,
    End,
}

/// Reads a line with everything it holds; a comment begins with a `#` outside of quotes.
pub(crate) fn read(line: &str) -> Result<Line<'_>> {
    let mut reader = Reader { line, at: 0, ahead: None };
    let tests = reader.any_of(0)?;
    let (token, start, end) = reader.next()?;
    let negate = match token {
        Token::Then => false,
        Token::Unless => true,
        Token::Close => return Err(bad("a parenthesis is closed but not opened")),
        _ => return Err(bad("no :: or !! after the tests; quote words that hold signs")),
    };
    let action = line[end..].split('#').next().unwrap_or_default().trim();
    Ok(Line { text: line[..start].trim_start().to_owned(), tests, negate, action })
}

/// Turns an expression into tests that say where to go on.
pub(crate) fn compile(expression: Expression<'_>, catalog: &Catalog) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    place(&expression, Goto::Hold, Goto::Fail, &mut tests, catalog)?;
    Ok(tests)
}

fn place(
    expression: &Expression<'_>,
    then: Goto,
    otherwise: Goto,
    tests: &mut Vec<Test>,
    catalog: &Catalog,
) -> Result<()> {
    match expression {
        Expression::Test(words, text) => {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let (name, args) = words.split_first().ok_or_else(|| bad("a test is missing"))?;
            let test = named_test(name, args, text, catalog)?;
            tests.push(Test { then, otherwise, ..test });
            Ok(())
        }
        Expression::Not(inner) => place(inner, otherwise, then, tests, catalog),
        Expression::And(parts) | Expression::Or(parts) => {
            let all = matches!(expression, Expression::And(_));
            let mut rest = parts.len();
            for part in parts {
                rest -= 1;
                let next = Goto::Test(tests.len() + part.count());
                match (rest, all) {
                    (0, _) => place(part, then, otherwise, tests, catalog)?,
                    (_, true) => place(part, next, otherwise, tests, catalog)?,
                    (_, false) => place(part, then, next, tests, catalog)?,
                }
            }
            Ok(())
        }
    }
}

impl Expression<'_> {
    fn count(&self) -> usize {
        match self {
            Expression::Test(..) => 1,
            Expression::Not(inner) => inner.count(),
            Expression::And(parts) | Expression::Or(parts) => {
                parts.iter().map(Expression::count).sum()
            }
        }
    }
}

fn bad(why: &'static str) -> ParseErrorKind {
    ParseErrorKind::BadExpression(why)
}

type Found = (Token, usize, usize);

struct Reader<'t> {
    line: &'t str,
    at: usize,
    ahead: Option<Found>,
}

impl<'t> Reader<'t> {
    /// `a && b or c`: `&&` binds closer than `or`.
    fn any_of(&mut self, depth: usize) -> Result<Expression<'t>> {
        let mut parts = vec![self.all_of(depth)?];
        while self.take(&Token::Or)? {
            parts.push(self.all_of(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Or(parts) })
    }

    fn all_of(&mut self, depth: usize) -> Result<Expression<'t>> {
        let mut parts = vec![self.one(depth)?];
        while self.take(&Token::And)? {
            parts.push(self.one(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::And(parts) })
    }

    fn one(&mut self, depth: usize) -> Result<Expression<'t>> {
        let negate = self.take(&Token::Not)?;
        let found = if self.take(&Token::Open)? {
            if depth >= MAX_PARENS {
                return Err(ParseErrorKind::TooDeep(MAX_PARENS));
            }
            let inner = self.any_of(depth + 1)?;
            if !self.take(&Token::Close)? {
                return Err(bad("a parenthesis is not closed"));
            }
            inner
        } else {
            self.test()?
        };
        Ok(if negate { Expression::Not(Box::new(found)) } else { found })
    }

    fn test(&mut self) -> Result<Expression<'t>> {
        let mut words = Vec::new();
        let (mut start, mut end) = (self.at, self.at);
        loop {
            let (token, from, to) = self.next()?;
            match token {
                Token::Word(word) | Token::Quoted(word) => {
                    if words.is_empty() {
                        start = from;
                    }
                    end = to;
                    words.push(word);
                }
                other => {
                    self.ahead = Some((other, from, to));
                    break;
                }
            }
        }
        if words.is_empty() {
            return Err(bad("a test is missing"));
        }
        Ok(Expression::Test(words, &self.line[start..end]))
    }

    fn take(&mut self, wanted: &Token) -> Result<bool> {
        let found = self.next()?;
        if found.0 == *wanted {
            return Ok(true);
        }
        self.ahead = Some(found);
        Ok(false)
    }

    fn next(&mut self) -> Result<Found> {
        if let Some(found) = self.ahead.take() {
            return Ok(found);
        }
        let rest = &self.line[self.at..];
        let start = self.at + rest.len() - rest.trim_start().len();
        let rest = rest.trim_start();
        let (token, length) = match rest.chars().next() {
            None | Some('#') => (Token::End, 0),
            Some('(') => (Token::Open, 1),
            Some(')') => (Token::Close, 1),
            Some('"') => quoted(rest)?,
            Some(_) => match rest.get(..2) {
                Some("&&") => (Token::And, 2),
                Some("::") => (Token::Then, 2),
                Some("!!") => (Token::Unless, 2),
                _ if rest.starts_with('!') => (Token::Not, 1),
                _ => word(rest),
            },
        };
        self.at = start + length;
        Ok((token, start, self.at))
    }
}

/// A word ends at a space, a parenthesis, a quote, a comment, or a sign of two characters.
fn word(text: &str) -> (Token, usize) {
    let signs = ["&&", "::", "!!"].iter().filter_map(|sign| text.find(sign));
    let chars = text.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '#'));
    let end = signs.chain(chars).min().unwrap_or(text.len());
    match &text[..end] {
        "or" => (Token::Or, end),
        word => (Token::Word(word.to_owned()), end),
    }
}

/// A string in double quotes; a backslash takes the next character as it is.
fn quoted(text: &str) -> Result<(Token, usize)> {
    let mut found = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Quoted(found), at + 1)),
            '\\' => match chars.next() {
                Some((_, c)) => found.push(c),
                None => break,
            },
            c => found.push(c),
        }
    }
    Err(bad("a quote is not closed"))
}
