//! The policy language, rule by rule.

use toji_policy::*;

fn rules(text: &str) -> RuleSet {
    RuleSet::parse(text, &Catalog::generic()).unwrap()
}

fn act(text: &str, data: &Data) -> Option<String> {
    let outcome = rules(text).evaluate(data, &mut NoTests).unwrap();
    outcome.action().map(str::to_owned)
}

fn acts(text: &str, data: &Data) -> Vec<String> {
    let rules = rules(text);
    let outcome = Run::new(&rules, data).multi().complete(&mut NoTests).unwrap();
    outcome.matches.into_iter().map(|m| m.action).collect()
}

fn holds(test: &str, data: &Data) -> bool {
    act(&format!("{test} :: yes"), data).is_some()
}

#[test]
fn generic_tests() {
    let data = Data::new()
        .with("name", "bash")
        .with("none", Field::Null)
        .with("empty", "")
        .with("zero", 0)
        .with("n", 42)
        .with("x", 1.5)
        .with("target", "f40-candidate")
        .with("list", vec!["barr", "any"])
        .with("holes", vec![Some("barr"), None]);
    for (test, want) in [
        ("true", true),
        ("all", true),
        ("false", false),
        ("none", false),
        ("has name", true),
        ("has none", true),
        ("has other", false),
        ("! has other", true),
        ("bool name", true),
        ("bool none", false),
        ("bool empty", false),
        ("bool zero", false),
        ("bool other", false),
        ("match name x b*", true),
        ("match name x", false),
        ("match name", false),
        ("match none *", false),
        ("match other *", false),
        ("match n 4?", true),
        ("target f40-*", true),
        ("target f39-*", false),
        ("match_any list *bar* ext", true),
        ("match_any holes *bar*", true),
        ("match_any name b*", false),
        ("match_all list *bar* an?", true),
        ("match_all list *bar*", false),
        ("match_all holes *", false),
        ("match_all other *", false),
        ("compare n = 42", true),
        ("compare n != 42", false),
        ("compare n >= 42", true),
        ("compare n > 42", false),
        ("compare x < 2", true),
        ("compare x <= 1.5", true),
        ("compare other < 2", false),
        ("compare name = 2", false),
        ("compare name != 2", true),
        ("all && ! none && true", true),
        ("all && none", false),
    ] {
        assert_eq!(holds(test, &data), want, "{test}");
    }
}

#[test]
fn order_needs_numbers() {
    let data = Data::new().with("name", "bash");
    let error = rules("compare name < 2 :: yes").evaluate(&data, &mut NoTests);
    assert_eq!(
        error.unwrap_err().to_string(),
        "field name is not a number in policy test: compare name < 2"
    );
}

#[test]
fn fixed_field_tests() {
    let catalog = Catalog::generic().bool_field("bool_check", "b").compare_field("myvar", "v");
    let text = "bool_check && myvar = 37 :: get back here\nall :: no";
    let rules = RuleSet::parse(text, &catalog).unwrap();
    let data = Data::new().with("b", true).with("v", 37);
    let outcome = rules.evaluate(&data, &mut NoTests).unwrap();
    assert_eq!(outcome.action(), Some("get back here"));
    assert!(RuleSet::parse("myvar = 2 7 :: x", &catalog).is_err());
}

const NESTED: &str = "
# a comment
false :: ERROR
true !! ERROR
false && true :: ERROR
has NOSUCH :: ERROR
has DEPTH :: {
    match DEPTH 1 :: 1   # trailing
    all :: {
        match DEPTH 2 :: 2
        none !! {
            match DEPTH 3 :: 3
            match DEPTH 9 :: {
            }
        }
    }
}
all :: END
";

#[test]
fn nested_rules_fall_through() {
    for depth in ["1", "2", "3"] {
        let data = Data::new().with("DEPTH", depth);
        assert_eq!(act(NESTED, &data).as_deref(), Some(depth));
    }
    for depth in ["9", "10"] {
        let data = Data::new().with("DEPTH", depth);
        assert_eq!(act(NESTED, &data).as_deref(), Some("END"));
    }
    assert_eq!(rules(NESTED).all_actions(), ["1", "2", "3", "END", "ERROR"]);
}

#[test]
fn break_stop_and_flags() {
    let none = Data::new();
    let text = "all :: {\n all :: {\n all :: break %\n all :: in\n }\n all :: mid\n}\nall :: out";
    for (depth, want) in [("", "mid"), ("1", "mid"), ("0", "mid"), ("-3", "mid"), ("2", "out")] {
        assert_eq!(act(&text.replace('%', depth), &none).as_deref(), Some(want), "break {depth}");
    }
    assert_eq!(act(&text.replace('%', "3"), &none), None);
    assert_eq!(act("all :: {\nall :: stop\n}\nall :: out", &none), None);
    assert_eq!(act("all :: break\nall :: out", &none), None);
    let flags =
        "all :: {\nall :: flag seen\n}\nflagged seen && has __policyflag__seen :: yes\nall :: no";
    assert_eq!(act(flags, &none).as_deref(), Some("yes"));
    assert_eq!(act("flagged seen :: yes\nall :: no", &none).as_deref(), Some("no"));
}

#[test]
fn several_matches() {
    let none = Data::new();
    assert_eq!(
        acts(
            "all :: a\nall :: {\nall :: b\nall :: break\nall :: c\n}\nnone :: d\nall :: e\nall :: stop\nall :: f",
            &none
        ),
        ["a", "b", "e"]
    );
}

#[test]
fn last_rule_reads_as_koji_writes_it() {
    let none = Data::new();
    let last = |text: &str| rules(text).evaluate(&none, &mut NoTests).unwrap().last_rule();
    assert_eq!(last("none :: allow"), "(no match)");
    assert_eq!(last("all :: allow"), "all :: allow");
    assert_eq!(last("none !! allow"), "none !! allow");
    assert_eq!(last("all && ! none :: allow"), "all &&! none :: allow");
    assert_eq!(
        last("all :: {\n all :: {\n  all :: allow\n }\n}"),
        "all :: ... all :: ... all :: allow"
    );
}

#[test]
fn explanation_names_tests_and_line() {
    let data = Data::new().with("name", "bash");
    let outcome =
        rules("match name zsh :: no\nhas name :: yes").evaluate(&data, &mut NoTests).unwrap();
    assert_eq!(
        outcome.explain(),
        "line 1: match name zsh -> false\nline 2: has name -> true\n\
         decided by line 2: has name :: yes"
    );
}

#[test]
fn faults_of_a_text() {
    for (text, want) in [
        ("true && true", "line 1: bad policy line: true && true"),
        ("all :: x\ntrue :: {", "line 2: nesting error in rule set"),
        ("}", "line 1: nesting error in rule set"),
        ("true :: }", "line 1: nesting error in rule set"),
        ("NOSUCH && true :: allow", "line 1: missing test handler: NOSUCH"),
        ("!true :: allow", "line 1: missing test handler: !true"),
        ("(true) && :: allow", "line 1: bad expression: a test is missing"),
        ("(true or) :: allow", "line 1: bad expression: a test is missing"),
        ("() :: allow", "line 1: bad expression: a test is missing"),
        ("(true :: allow", "line 1: bad expression: a parenthesis is not closed"),
        ("(true)) :: allow", "line 1: bad expression: a parenthesis is closed but not opened"),
        (
            "(true) true :: allow",
            "line 1: bad expression: no :: or !! after the tests; quote words that hold signs",
        ),
        ("(match a \"b) :: allow", "line 1: bad expression: a quote is not closed"),
        ("(NOSUCH a) :: allow", "line 1: missing test handler: NOSUCH"),
        ("(true) ::", "line 1: missing action: (true) ::"),
        ("true && :: allow", "line 1: missing/invalid test: ' '"),
        ("! :: allow", "line 1: missing/invalid test: '! '"),
        ("true ::", "line 1: missing action: true ::"),
        ("true :: break x", "line 1: Invalid break action: break x"),
        ("true :: break 1 2", "line 1: Invalid break action: break 1 2"),
        ("true :: stop 1", "line 1: Invalid stop action: stop 1"),
        ("true :: flag", "line 1: Invalid flag action: flag"),
        ("has :: x", "line 1: Invalid or missing field in policy test: has"),
        ("compare n LOL 2 :: x", "line 1: Invalid comparison in test: compare n LOL 2"),
        ("compare n < two :: x", "line 1: invalid number in policy test: compare n < two"),
    ] {
        let error = RuleSet::parse(text, &Catalog::generic()).unwrap_err();
        assert_eq!(error.to_string(), want);
    }
    let deep = format!("{}all{} :: x", "(".repeat(MAX_PARENS + 1), ")".repeat(MAX_PARENS + 1));
    let error = RuleSet::parse(&deep, &Catalog::generic()).unwrap_err();
    assert_eq!(error.kind, ParseErrorKind::TooDeep(MAX_PARENS));
    let deep = "all :: {\n".repeat(MAX_DEPTH + 1);
    let error = RuleSet::parse(&deep, &Catalog::generic()).unwrap_err();
    assert_eq!(error.kind, ParseErrorKind::TooDeep(MAX_DEPTH));
    let long = "#".repeat(MAX_SIZE + 1);
    let error = RuleSet::parse(&long, &Catalog::generic()).unwrap_err();
    assert_eq!(error.kind, ParseErrorKind::TooLong(MAX_SIZE));
}

#[test]
fn a_missing_field_shows_when_the_test_is_reached() {
    let none = Data::new();
    for test in ["bool", "match", "match_any", "match_all", "policy"] {
        let text = format!("false && {test} :: no\nall :: yes");
        assert_eq!(act(&text, &none).as_deref(), Some("yes"));
        let error = rules(&format!("{test} :: x")).evaluate(&none, &mut NoTests).unwrap_err();
        let want = format!("Invalid or missing field in policy test: {test}");
        assert_eq!(error.to_string(), want);
    }
}

#[test]
fn expressions() {
    let data = Data::new().with("name", "two words").with("kind", "a::b # c").with("n", 3);
    for (tests, want) in [
        ("(all)", true),
        ("((none) or (all))", true),
        ("(none or false)", false),
        ("(none or all) && all", true),
        ("all && (none or all)", true),
        ("(none or all) && none", false),
        ("! (none or all)", false),
        ("!(none && all) && ! none", true),
        ("(! none && ! (all && none))", true),
        // `&&` binds closer than `or`
        ("(all or none && none)", true),
        ("((all or none) && none)", false),
        ("(none) or all", true),
        ("(none) or (none) or (compare n = 3)", true),
        ("(match name \"two words\")", true),
        ("(match name \"two *\" or none)", true),
        ("(match kind \"a::b # c\")", true),
        ("(match kind \"a\\::b # c\" \"x\")", true),
        ("(match name \"two\\\" words\")", false),
        ("(match name \"or\" two)", false),
        ("(has name) !!", false),
    ] {
        let line = if tests.ends_with("!!") {
            format!("{tests} yes # (comment")
        } else {
            format!("  {tests} :: yes # (comment")
        };
        assert_eq!(act(&line, &data).is_some(), want, "{tests}");
    }
    assert_eq!(act("(none) !! {\n(all) :: a b\n}", &data).as_deref(), Some("a b"));
}

/// Each of these is a line that Koji takes, so it must stay what it is there.
#[test]
fn text_that_koji_takes_keeps_its_meaning() {
    for (line, name, want) in [
        ("match name a or match :: yes", "or", true),
        ("match name (a b) :: yes", "(a", true),
        ("match name \"a b\" :: yes", "\"a", true),
        ("match name \"a b\" :: yes", "a b", false),
        ("match name a or (b) :: yes", "(b)", true),
        ("match name a && match name * :: yes (not && (really", "a", true),
        ("match name a::b :: yes", "a::b", true),
        ("all :: no :: yes", "", true),
        ("match name b # (x) :: yes\nall :: yes", "b", false),
    ] {
        let data = Data::new().with("name", name);
        match RuleSet::parse(line, &Catalog::generic()) {
            Ok(rules) => {
                let outcome = rules.evaluate(&data, &mut NoTests).unwrap();
                assert_eq!(outcome.action().is_some(), want, "{line}");
            }
            Err(error) => assert!(!want, "{line}: {error}"),
        }
    }
}

#[test]
fn expressions_explain_themselves() {
    let data = Data::new().with("name", "bash");
    let rules = rules("(match name zsh or match name \"b*\") && ! (none) :: yes");
    let outcome = rules.evaluate(&data, &mut NoTests).unwrap();
    assert_eq!(
        outcome.explain(),
        "line 1: match name zsh -> false\nline 1: match name \"b*\" -> true\nline 1: none -> false\n\
         decided by line 1: (match name zsh or match name \"b*\") && ! (none) :: yes"
    );
}

#[test]
fn lines_end_where_python_ends_them() {
    let none = Data::new();
    for end in ["\r\n", "\r", "\u{b}", "\u{c}", "\u{85}", "\u{2028}"] {
        let text = format!("none :: a{end}all :: b{end}all :: c");
        assert_eq!(act(&text, &none).as_deref(), Some("b"), "{end:?}");
    }
}
