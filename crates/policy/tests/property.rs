//! No text, however odd, makes the parser or the evaluator fail other than by an error.

use proptest::prelude::*;
use toji_policy::*;

fn line() -> impl Strategy<Value = String> {
    let test = prop_oneof![
        Just("all"),
        Just("none"),
        Just("! none"),
        Just("has a"),
        Just("match a b*"),
        Just("compare a < 3"),
        Just("flagged f"),
        Just("policy p"),
        Just("tag x*"),
        Just("bogus"),
        Just("(all"),
        Just("none)"),
        Just("(has a or ! (match a \"b c\" or none))"),
        Just("! (tag x or user_in_group \"a # b\")"),
        Just(""),
    ];
    let separator = prop_oneof![Just("::"), Just("!!"), Just("")];
    let action = prop_oneof![
        Just("allow"),
        Just("deny why"),
        Just("{"),
        Just("{"),
        Just("}"),
        Just("break 2"),
        Just("stop"),
        Just("flag f"),
        Just(""),
    ];
    prop_oneof![
        4 => (prop::collection::vec(test, 1..4), separator, action)
            .prop_map(|(tests, sep, action)| format!("{} {sep} {action}", tests.join(" && "))),
        3 => Just("}".to_owned()),
        1 => ".{0,30}",
    ]
}

struct Odd(u32);

impl TestSource for Odd {
    type Error = ();

    fn test(&mut self, _: &TestCall, _: &Data) -> Result<bool, ()> {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Ok(self.0 & 0x8000 != 0)
    }
}

fn run(text: &str) {
    let catalog = Catalog::hub();
    let Ok(set) = PolicySet::with_defaults([("p", text)], &catalog) else {
        return;
    };
    for data in [Data::new(), Data::new().with("a", "bcd"), Data::new().with("a", 2)] {
        let first = set.evaluate("p", &data, &mut Odd(1));
        let again = set.evaluate("p", &data, &mut Odd(1));
        assert_eq!(first.is_ok(), again.is_ok());
        if let (Ok(a), Ok(b)) = (first, again) {
            assert_eq!(a, b);
            assert!(a.matches.len() <= 1);
            let _ = (a.explain(), a.last_rule());
        }
        if let Ok(run) = set.run("p", &data) {
            let _ = run.multi().complete(&mut Odd(7));
        }
    }
}

/// Odd bytes in the middle of sensible text; the parser's fuzz target.
///
/// `PROPTEST_CASES=1000000 cargo test -p toji-policy --test property mutated` runs it for long.
fn mutated() -> impl Strategy<Value = String> {
    let bits = prop_oneof![
        4 => line(),
        1 => Just("\"".to_owned()),
        1 => Just("\\".to_owned()),
        1 => Just("(".repeat(40)),
        1 => Just("! ".repeat(40)),
        1 => "[(){}!:&#\"\\\\or \r\n\u{b}\u{2028}é]{0,20}",
        1 => "\\PC{0,10}",
    ];
    prop::collection::vec(bits, 0..30).prop_map(|bits| bits.concat())
}

proptest! {
    #[test]
    fn mutated_text(text in mutated()) {
        run(&text);
    }

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        run(&text);
    }

    #[test]
    fn any_lines(lines in prop::collection::vec(line(), 0..25)) {
        run(&lines.join("\n"));
    }

    /// Lines that parse, with their braces balanced, so that evaluation is reached every time.
    #[test]
    fn any_program(lines in prop::collection::vec(line(), 0..40)) {
        let catalog = Catalog::hub();
        let mut depth = 0usize;
        let mut text = String::new();
        for line in lines {
            let close = line.trim().ends_with('}');
            if close && depth == 0 {
                continue;
            }
            let open = line.trim().ends_with('{');
            let alone = match (open, close) {
                (true, _) => format!("{line}\n}}"),
                (_, true) => format!("all :: {{\n{line}"),
                _ => line.clone(),
            };
            if RuleSet::parse(&alone, &catalog).is_err() {
                continue;
            }
            depth = depth + usize::from(open) - usize::from(close);
            text.push_str(&line);
            text.push('\n');
        }
        text.push_str(&"}\n".repeat(depth));
        prop_assert!(RuleSet::parse(&text, &catalog).is_ok(), "{}", text);
        run(&text);
    }

    #[test]
    fn globs(text in "[ab\\[\\]!-]{0,12}", pattern in "[ab*?\\[\\]!-]{0,12}") {
        let _ = glob_match(&text, &pattern);
        prop_assert!(glob_match(&text, "*"));
        let escaped: String = text.chars().map(|c| if c == '[' { "[[]".to_owned() } else { c.to_string() }).collect();
        prop_assert!(glob_match(&text, &escaped));
    }
}
