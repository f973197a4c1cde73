//! From text to rules.

use crate::catalog::{Catalog, Kind};
use crate::error::{ParseError, ParseErrorKind};
use crate::expression;
use crate::ruleset::{Action, Check, Goto, MAX_DEPTH, MAX_SIZE, Op, Rule, RuleSet, Test, TestCall};

pub(crate) type Result<T> = std::result::Result<T, ParseErrorKind>;

impl RuleSet {
    /// Reads a policy text; every test must be in the catalog.
    pub fn parse(text: &str, catalog: &Catalog) -> std::result::Result<RuleSet, ParseError> {
        let fail = |line, kind| ParseError { line, kind };
        if text.len() > MAX_SIZE {
            return Err(fail(1, ParseErrorKind::TooLong(MAX_SIZE)));
        }
        let mut rules = Vec::new();
        // each open brace: the rules around it, and the rule that opened it
        let mut stack: Vec<(Vec<Rule>, Rule)> = Vec::new();
        let mut last = 1;
        for (number, line) in lines(text).enumerate() {
            last = number + 1;
            match parse_line(line, last, catalog).map_err(|kind| fail(last, kind))? {
                Line::Blank => {}
                Line::Close => {
                    let (outer, mut opener) =
                        stack.pop().ok_or_else(|| fail(last, ParseErrorKind::Nesting))?;
                    opener.action = Action::Nested(std::mem::replace(&mut rules, outer));
                    rules.push(opener);
                }
                Line::Open(rule) => {
                    if stack.len() >= MAX_DEPTH {
                        return Err(fail(last, ParseErrorKind::TooDeep(MAX_DEPTH)));
                    }
                    stack.push((std::mem::take(&mut rules), rule));
                }
                Line::Rule(rule) => rules.push(rule),
            }
        }
        if stack.is_empty() {
            Ok(RuleSet { rules })
        } else {
            Err(fail(last, ParseErrorKind::Nesting))
        }
    }
}

/// The lines of a text, cut where Python's `splitlines` cuts.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    const BREAKS: [char; 10] = [
        '\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}',
        '\u{2029}',
    ];
    text.split("\r\n").flat_map(|part| part.split(BREAKS))
}

enum Line {
    Blank,
    Open(Rule),
    Close,
    Rule(Rule),
}

fn parse_line(text: &str, number: usize, catalog: &Catalog) -> Result<Line> {
    let line = text.split('#').next().unwrap_or_default().trim();
    if line.is_empty() {
        return Ok(Line::Blank);
    }
    if line == "}" {
        return Ok(Line::Close);
    }
    // a line that has both separators is read by its last `::`, as Koji does
    let cut = match (line.rfind("::"), line.rfind("!!")) {
        (Some(at), _) => Some((at, false)),
        (None, Some(at)) => Some((at, true)),
        (None, None) => None,
    };
    let written = cut.map_or(line, |(at, _)| &line[..at]);
    let (text, tests, negate, action) = if expression::is_expression(written) {
        let found = expression::read(text)?;
        let tests = expression::compile(found.tests, catalog)?;
        (found.text, tests, found.negate, found.action)
    } else {
        let (at, negate) = cut.ok_or_else(|| ParseErrorKind::NoSeparator(line.to_owned()))?;
        let tests = parse_tests(written, catalog)?;
        let shown: Vec<&str> = tests.iter().map(|t| t.text.as_str()).collect();
        (shown.join("&&"), tests, negate, line[at + 2..].trim())
    };
    let rule = |action| Rule { line: number, text, tests, negate, action };
    Ok(match action {
        "{" => Line::Open(rule(Action::Nested(Vec::new()))),
        "}" => Line::Close,
        _ => Line::Rule(rule(parse_action(action, line)?)),
    })
}

/// Tests joined by `&&`, in Koji's way.
fn parse_tests(text: &str, catalog: &Catalog) -> Result<Vec<Test>> {
    let mut tests =
        text.split("&&").map(|text| parse_test(text, catalog)).collect::<Result<Vec<_>>>()?;
    let count = tests.len();
    for (at, test) in tests.iter_mut().enumerate() {
        test.then = if at + 1 < count { Goto::Test(at + 1) } else { Goto::Hold };
    }
    Ok(tests)
}

fn parse_action(action: &str, line: &str) -> Result<Action> {
    let mut words = action.split_whitespace();
    let Some(name) = words.next() else {
        return Err(ParseErrorKind::MissingAction(line.to_owned()));
    };
    let args: Vec<&str> = words.collect();
    match name {
        "break" => match args.as_slice() {
            [] => Ok(Action::Break(1)),
            [depth] => depth
                .parse()
                .map(Action::Break)
                .map_err(|_| ParseErrorKind::BadBreak(action.to_owned())),
            _ => Err(ParseErrorKind::BadBreak(action.to_owned())),
        },
        "stop" if args.is_empty() => Ok(Action::Stop),
        "stop" => Err(ParseErrorKind::BadStop(action.to_owned())),
        "flag" => args
            .first()
            .map(|name| Action::Flag((*name).to_owned()))
            .ok_or_else(|| ParseErrorKind::BadFlag(action.to_owned())),
        _ => Ok(Action::Answer(action.to_owned())),
    }
}

fn parse_test(text: &str, catalog: &Catalog) -> Result<Test> {
    let empty = || ParseErrorKind::EmptyTest(text.to_owned());
    let mut body = text;
    let mut negate = false;
    let mut name = body.split_whitespace().next().ok_or_else(empty)?;
    if name == "!" {
        negate = true;
        body = body.trim_start()[1..].trim_start();
        name = body.split_whitespace().next().ok_or_else(empty)?;
    }
    let args: Vec<&str> = body.split_whitespace().skip(1).collect();
    let mut test = named_test(name, &args, body, catalog)?;
    test.negate = negate;
    if negate {
        test.text = format!("! {body}");
    }
    Ok(test)
}

/// The test of this name; `text` is how it was written.
pub(crate) fn named_test(name: &str, args: &[&str], text: &str, catalog: &Catalog) -> Result<Test> {
    let kind = catalog.kind(name).ok_or_else(|| ParseErrorKind::UnknownTest(name.to_owned()))?;
    Ok(Test {
        text: text.to_owned(),
        negate: false,
        check: parse_check(kind, name, args, text)?,
        then: Goto::Hold,
        otherwise: Goto::Fail,
    })
}

fn parse_check(kind: &Kind, name: &str, args: &[&str], text: &str) -> Result<Check> {
    let own = |s: &[&str]| s.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let missing = || ParseErrorKind::MissingField(text.trim().to_owned());
    // a test over a fixed field has one argument less
    let split = |fixed: &Option<String>| match fixed {
        Some(field) => Some((field.clone(), own(args))),
        None => args.split_first().map(|(field, rest)| ((*field).to_owned(), own(rest))),
    };
    let no_field = Check::NoField;
    Ok(match kind {
        Kind::Constant(value) => Check::Constant(*value),
        Kind::Has => Check::Has(split(&None).ok_or_else(missing)?.0),
        Kind::Flagged => Check::Flagged(split(&None).ok_or_else(missing)?.0),
        Kind::Policy => split(&None).map_or(no_field, |(name, _)| Check::Policy(name)),
        Kind::Bool(fixed) => split(fixed).map_or(no_field, |(field, _)| Check::Bool(field)),
        Kind::Match(fixed) => {
            split(fixed).map_or(no_field, |(field, patterns)| Check::Match { field, patterns })
        }
        Kind::MatchAny => {
            split(&None).map_or(no_field, |(field, patterns)| Check::MatchAny { field, patterns })
        }
        Kind::MatchAll => {
            split(&None).map_or(no_field, |(field, patterns)| Check::MatchAll { field, patterns })
        }
        Kind::Compare(fixed) => {
            let (field, rest) = split(fixed).ok_or_else(missing)?;
            parse_comparison(field, &rest, text)?
        }
        Kind::External => Check::External(TestCall { name: name.to_owned(), args: own(args) }),
    })
}

fn parse_comparison(field: String, args: &[String], text: &str) -> Result<Check> {
    let bad = || ParseErrorKind::BadComparison(text.trim().to_owned());
    let [op, number] = args else {
        return Err(bad());
    };
    let op = match op.as_str() {
        "<" => Op::Lt,
        ">" => Op::Gt,
        "<=" => Op::Le,
        ">=" => Op::Ge,
        "=" => Op::Eq,
        "!=" => Op::Ne,
        _ => return Err(bad()),
    };
    let value = number.parse().map_err(|_| ParseErrorKind::BadNumber(text.trim().to_owned()))?;
    Ok(Check::Compare { field, op, value })
}
