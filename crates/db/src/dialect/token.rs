//! The words, literals and operators of a statement text.

/// One token; white space and comments are left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// A name, keyword or number.
    Word(&'a str),
    /// A quoted name or a text literal, with its quotes.
    Quoted(&'a str),
    /// A placeholder's number.
    Param(&'a str),
    /// Anything else.
    Op(&'a str),
}

impl Token<'_> {
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self, Token::Word(w) if w.eq_ignore_ascii_case(word))
    }

    pub(super) fn is_op(&self, op: &str) -> bool {
        matches!(self, Token::Op(o) if *o == op)
    }
}

/// Operators of more than one character, longest first.
const OPERATORS: [&str; 11] = ["!~*", "->>", "::", "||", "<>", "!=", "<=", ">=", "!~", "~*", "->"];

/// Splits a statement.
pub(super) fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut rest = sql.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '\'' | '"' => quoted_len(rest, first),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |i| i + 2),
            '$' => 1 + run(&rest[1..], |c| c.is_ascii_digit()),
            c if is_name(c) => run(rest, is_name) + fraction(rest),
            c => OPERATORS.iter().find(|o| rest.starts_with(**o)).map_or(c.len_utf8(), |o| o.len()),
        };
        let (text, after) = rest.split_at(len);
        match first {
            '\'' | '"' => out.push(Token::Quoted(text)),
            '-' | '/' if text.len() > 2 => {}
            '$' => out.push(Token::Param(&text[1..])),
            c if is_name(c) => out.push(Token::Word(text)),
            _ => out.push(Token::Op(text)),
        }
        rest = after.trim_start();
    }
    out
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn run(text: &str, want: impl Fn(char) -> bool) -> usize {
    text.find(|c| !want(c)).unwrap_or(text.len())
}

/// Length of `.5` after a number's digits.
fn fraction(text: &str) -> usize {
    let whole = run(text, |c| c.is_ascii_digit());
    let Some(after) = text[whole..].strip_prefix('.').filter(|_| whole > 0) else { return 0 };
    match run(after, |c| c.is_ascii_digit()) {
        0 => 0,
        n => n + 1,
    }
}

/// Length of a literal that starts with `quote`; a doubled quote stands for itself.
fn quoted_len(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((i, c)) = chars.next() {
        if c == quote && chars.next_if(|(_, c)| *c == quote).is_none() {
            return i + 1;
        }
    }
    text.len()
}
