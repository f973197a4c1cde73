//! Dependencies as texts: a name, a name with a version, or a rich (boolean) expression.

use crate::limits::{DEPTH, LINKS, TERMS};

/// Comparison bits of libsolv.
pub(crate) const GREATER: u8 = 1;
pub(crate) const EQUAL: u8 = 2;
pub(crate) const LESS: u8 = 4;

/// An operator of libsolv between two dependencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    And = 16,
    Or = 17,
    With = 18,
    If = 22,
    Else = 26,
    Without = 28,
    Unless = 29,
}

/// A dependency.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr<'t> {
    /// A name with comparison bits and a version, both empty without one.
    Leaf(&'t str, u8, &'t str),
    /// Two dependencies; chains lean to the right, as in `a and (b and c)`.
    Pair(Op, Box<Expr<'t>>, Box<Expr<'t>>),
}

impl<'t> Expr<'t> {
    /// Reads what a packager writes: `name`, `name >= 1.0`, `(a if b)`.
    pub(crate) fn parse(text: &'t str) -> Self {
        let text = text.trim();
        if text.starts_with('(') {
            return Self::rich(text).unwrap_or(Self::Leaf(text, 0, ""));
        }
        let name = text.find([' ', '\t', '<', '>', '=']).unwrap_or(text.len());
        let rest = text[name..].trim_start();
        let (flags, length) = operator(rest);
        let evr = rest[length..].trim();
        match flags {
            0 => Self::Leaf(text, 0, ""),
            _ if evr.is_empty() || evr.contains(char::is_whitespace) => Self::Leaf(text, 0, ""),
            flags => Self::Leaf(&text[..name], flags, evr),
        }
    }

    /// Reads a rich expression; `None` if it is none, or one that is out of bounds.
    pub(crate) fn rich(text: &'t str) -> Option<Self> {
        let mut reader = Reader { text, at: 0, left: LINKS };
        let expr = reader.group(DEPTH)?;
        reader.spaces();
        let (all, any) = expr.terms();
        (reader.at == text.len() && all <= TERMS && any <= TERMS).then_some(expr)
    }

    /// How many terms it has as a conjunction of disjunctions, and the other way round.
    fn terms(&self) -> (usize, usize) {
        let Self::Pair(op, a, b) = self else { return (1, 1) };
        let ((a_all, a_any), (b_all, b_any)) = (a.terms(), b.terms());
        match op {
            Op::And | Op::Else => (a_all.saturating_add(b_all), a_any.saturating_mul(b_any)),
            Op::Or => (a_all.saturating_mul(b_all), a_any.saturating_add(b_any)),
            // the condition is negated, which swaps its two forms
            Op::If | Op::Unless => {
                let most =
                    |x: usize, y: usize| x.saturating_mul(y).saturating_add(x).saturating_add(y);
                let b = b_all.max(b_any);
                (most(a_all, b), most(a_any, b))
            }
            Op::With | Op::Without => (1, 1),
        }
    }

    /// The names with versions that it is made of, without conditions.
    pub(crate) fn leaves(&self) -> Vec<&Expr<'t>> {
        match self {
            Self::Leaf(..) => vec![self],
            Self::Pair(Op::If | Op::Unless, a, b) => {
                let mut all = a.leaves();
                if let Self::Pair(Op::Else, _, other) = b.as_ref() {
                    all.extend(other.leaves());
                }
                all
            }
            Self::Pair(Op::Without, a, _) => a.leaves(),
            Self::Pair(_, a, b) => a.leaves().into_iter().chain(b.leaves()).collect(),
        }
    }

    /// Every name in it, conditions too.
    pub(crate) fn names(&self, each: &mut dyn FnMut(&'t str)) {
        match self {
            Self::Leaf(name, ..) => each(name),
            Self::Pair(_, a, b) => {
                a.names(each);
                b.names(each);
            }
        }
    }
}

/// Comparison bits of the operator at the start, and its length.
fn operator(text: &str) -> (u8, usize) {
    let length = text.bytes().take_while(|c| matches!(c, b'<' | b'>' | b'=')).count();
    let flags = match &text[..length] {
        "<" => LESS,
        ">" => GREATER,
        "=" | "==" => EQUAL,
        "<=" | "=<" => LESS | EQUAL,
        ">=" | "=>" => GREATER | EQUAL,
        _ => 0,
    };
    (flags, if flags == 0 { 0 } else { length })
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// How many more links the expression may have: each is a level of recursion.
    left: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches(' ').len();
    }

    fn take(&mut self, text: &str) -> Option<()> {
        self.rest().starts_with(text).then(|| self.at += text.len())
    }

    fn group(&mut self, depth: usize) -> Option<Expr<'t>> {
        self.take("(")?;
        self.chain(None, depth.checked_sub(1)?)
    }

    /// What follows up to the closing parenthesis; within a chain only its own operator may follow.
    fn chain(&mut self, within: Option<Op>, depth: usize) -> Option<Expr<'t>> {
        self.left = self.left.checked_sub(1)?;
        self.spaces();
        let first = if self.rest().starts_with('(') { self.group(depth)? } else { self.leaf()? };
        self.spaces();
        if self.take(")").is_some() {
            return Some(first);
        }
        let op = self.operator()?;
        let expected = match within {
            None => op != Op::Else,
            Some(Op::If | Op::Unless) => op == Op::Else,
            Some(Op::And) => op == Op::And,
            Some(Op::Or) => op == Op::Or,
            Some(Op::With) => op == Op::With,
            Some(Op::Else | Op::Without) => false,
        };
        if !expected {
            return None;
        }
        let second = self.chain(Some(op), depth)?;
        Some(Expr::Pair(op, Box::new(first), Box::new(second)))
    }

    fn operator(&mut self) -> Option<Op> {
        let rest = self.rest();
        let word = &rest[..rest.find(' ')?];
        let op = match word {
            "and" => Op::And,
            "or" => Op::Or,
            "with" => Op::With,
            "if" => Op::If,
            "else" => Op::Else,
            "without" => Op::Without,
            "unless" => Op::Unless,
            _ => return None,
        };
        self.at += word.len();
        Some(op)
    }

    fn leaf(&mut self) -> Option<Expr<'t>> {
        let name = self.name()?;
        self.spaces();
        let (flags, length) = operator(self.rest());
        if flags == 0 {
            return Some(Expr::Leaf(name, 0, ""));
        }
        self.at += length;
        self.spaces();
        Some(Expr::Leaf(name, flags, self.name()?))
    }

    /// A word; parentheses within it, as in `perl(x)`, are its own.
    fn name(&mut self) -> Option<&'t str> {
        let rest = self.rest();
        let mut open = 0;
        let end = rest.find(|c| match c {
            '(' => {
                open += 1;
                false
            }
            ')' if open > 0 => {
                open -= 1;
                false
            }
            ')' | ' ' => true,
            _ => false,
        })?;
        self.at += end;
        (end > 0).then(|| &rest[..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(name: &str) -> Box<Expr<'_>> {
        Box::new(Expr::Leaf(name, 0, ""))
    }

    #[test]
    fn plain_dependencies() {
        assert_eq!(Expr::parse("bash"), *leaf("bash"));
        assert_eq!(Expr::parse("bash >= 5"), Expr::Leaf("bash", GREATER | EQUAL, "5"));
        assert_eq!(Expr::parse("perl(A::B)=1:2-3"), Expr::Leaf("perl(A::B)", EQUAL, "1:2-3"));
        assert_eq!(Expr::parse("a >= 1 b"), *leaf("a >= 1 b"));
    }

    #[test]
    fn rich_dependencies_lean_to_the_right() {
        let and = |a, b| Box::new(Expr::Pair(Op::And, a, b));
        assert_eq!(Expr::parse("(a and b and c)"), *and(leaf("a"), and(leaf("b"), leaf("c"))));
        let other = Box::new(Expr::Pair(Op::Else, leaf("b(x)"), leaf("c")));
        assert_eq!(Expr::parse("(a if b(x) else c)"), Expr::Pair(Op::If, leaf("a"), other));
        let low = Box::new(Expr::Leaf("a", GREATER | EQUAL, "1"));
        let high = Box::new(Expr::Leaf("a", LESS, "2~"));
        assert_eq!(Expr::parse("(a >= 1 with a < 2~)"), Expr::Pair(Op::With, low, high));
        assert_eq!(Expr::parse("((a))"), *leaf("a"));
    }

    #[test]
    fn what_is_no_expression_is_a_name() {
        for text in [
            "(a and b or c)",
            "(a",
            "()",
            "(a and)",
            "(a b)",
            "(a if b if c)",
            "(a) b",
            "(a else b)",
        ] {
            assert_eq!(Expr::parse(text), *leaf(text), "{text}");
        }
        let long = vec!["a"; 300].join(" or ");
        assert!(Expr::rich(&format!("({long})")).is_some());
        let deep = format!("{}a{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(Expr::rich(&deep).is_none());
        // 2^40 terms
        let pairs: Vec<_> = (0..15).map(|n| format!("(a{n} and b{n})")).collect();
        assert!(Expr::rich(&format!("({})", pairs.join(" or "))).is_none());
        assert!(Expr::rich(&format!("({})", pairs[..8].join(" or "))).is_some());
    }
}
