//! Policies of a hub: defaults, tests of the caller, policies that use each other.

use std::collections::BTreeSet;
use std::task::{Context, Poll, Waker};

use toji_policy::*;

/// A user with permissions, as a hub would look them up.
struct Perms(BTreeSet<&'static str>);

impl Perms {
    fn answer(&self, call: &TestCall) -> Result<bool, String> {
        match call.name.as_str() {
            "has_perm" => Ok(self.0.iter().any(|p| glob_match_any(p, &call.args))),
            "is_build_owner" => Ok(false),
            other => Err(format!("unexpected test {other}")),
        }
    }
}

impl TestSource for Perms {
    type Error = String;

    fn test(&mut self, call: &TestCall, _: &Data) -> Result<bool, String> {
        self.answer(call)
    }
}

impl AsyncTestSource for Perms {
    type Error = String;

    async fn test(&mut self, call: &TestCall, _: &Data) -> Result<bool, String> {
        self.answer(call)
    }
}

fn defaults() -> PolicySet {
    PolicySet::with_defaults([], &Catalog::hub()).unwrap()
}

fn with(perms: &[&'static str]) -> Perms {
    Perms(perms.iter().copied().collect())
}

#[test]
fn default_access() {
    let set = defaults();
    let data = Data::new();
    for (policy, perm, allowed, reason) in [
        ("build_rpm", "", true, ""),
        ("package_list", "tag", true, ""),
        ("package_list", "", false, "Only admin/tag can do this via default policy"),
        ("build_from_srpm", "admin", true, ""),
        ("build_from_srpm", "tag", false, "Only admin can do this via default policy"),
        ("vm", "win-admin", true, ""),
        ("draft_promotion", "draft-promoter", true, ""),
        ("solve_urls", "admin", true, ""),
        (
            "solve_urls",
            "tag",
            false,
            "Only admin can ask about others than external repositories via default policy",
        ),
        (
            "draft_promotion",
            "",
            false,
            "Only draft-promoter and build owner can do this via default policy",
        ),
    ] {
        let outcome = set.evaluate(policy, &data, &mut with(&[perm])).unwrap();
        let verdict = Verdict::from_outcome(&outcome, "deny");
        assert_eq!(
            (verdict.allowed, verdict.reason.as_str(), verdict.invalid),
            (allowed, reason, false),
            "{policy} {perm}"
        );
    }
}

#[test]
fn default_channel_and_priority() {
    let set = defaults();
    for (data, want) in [
        (Data::new().with("req_channel", "x").with("parent", 3), ChannelAction::Requested),
        (Data::new().with("parent", 3), ChannelAction::Parent),
        (Data::new().with("parent", Field::Null), ChannelAction::Use("default".into())),
    ] {
        let outcome = set.evaluate("channel", &data, &mut NoTests).unwrap();
        assert_eq!(ChannelAction::parse(outcome.action().unwrap()), Some(want));
    }
    let outcome = set.evaluate("priority", &Data::new(), &mut NoTests);
    assert_eq!(
        PriorityAction::parse(outcome.unwrap().action().unwrap()),
        Some(PriorityAction::Stay)
    );
    assert_eq!(PriorityAction::parse("adjust +5").map(|a| a.apply(20)), Some(25));
    assert_eq!(PriorityAction::parse("adjust -5").map(|a| a.apply(20)), Some(15));
    assert_eq!(PriorityAction::parse("set 7").map(|a| a.apply(20)), Some(7));
    assert_eq!(PriorityAction::parse("set"), None);
    assert_eq!(ChannelAction::parse("use"), None);
    assert_eq!(ChannelAction::parse("sue me"), None);
}

#[test]
fn verdicts() {
    let of = |text: &str, default: &str| {
        let rules = RuleSet::parse(text, &Catalog::generic()).unwrap();
        Verdict::from_outcome(&rules.evaluate(&Data::new(), &mut NoTests).unwrap(), default)
    };
    assert!(of("all :: ALLOW", "deny").allowed);
    assert_eq!(of("all :: deny go  away", "deny").reason, "go  away");
    let uncovered = of("none :: deny", "allow");
    assert!(uncovered.allowed);
    assert_eq!(uncovered.reason, "not covered by policy");
    let wrong = of("all :: maybe", "allow");
    assert!(!wrong.allowed && wrong.invalid);
    assert_eq!(wrong.reason, "error in policy");
    assert!(PolicySet::missing(true).allowed && !PolicySet::missing(false).allowed);
}

#[test]
fn policies_use_each_other() {
    let catalog = Catalog::hub();
    let texts = [
        ("a", "policy b :: yes it is\nall :: no"),
        ("b", "has_perm admin :: ALLOW\nall :: deny really"),
        ("loop", "policy pool :: allow"),
        ("pool", "all && policy loop :: allow"),
        ("lost", "policy nowhere :: allow"),
        ("outer", "all :: flag f\npolicy inner :: in\nflagged g :: leak"),
        ("inner", "all :: flag g\nflagged f :: yes"),
    ];
    let set = PolicySet::with_defaults(texts, &catalog).unwrap();
    let data = Data::new();
    let run = |name: &str, perm: &'static str| {
        set.evaluate(name, &data, &mut with(&[perm]))
            .map(|o| o.action().map(str::to_owned))
            .map_err(|e| e.to_string())
    };
    assert_eq!(run("a", "admin"), Ok(Some("yes it is".into())));
    assert_eq!(run("a", "tag"), Ok(Some("no".into())));
    assert_eq!(run("loop", ""), Err("encountered policy loop at policy pool".into()));
    assert_eq!(run("lost", ""), Err("no such policy: nowhere".into()));
    assert_eq!(run("absent", ""), Err("no such policy: absent".into()));
    assert_eq!(run("outer", ""), Ok(Some("in".into())));
}

#[test]
fn a_failing_test_ends_the_run() {
    let set = PolicySet::with_defaults([("tag", "hastag x :: allow")], &Catalog::hub()).unwrap();
    let error = set.evaluate("tag", &Data::new(), &mut with(&[])).unwrap_err();
    assert!(matches!(error, RunError::Test(text) if text == "unexpected test hastag"));
}

#[test]
fn waiting_sources_get_the_same_answer_and_may_move_between_threads() {
    fn sendable<T: Send>(value: T) -> T {
        value
    }
    let set = defaults();
    let data = Data::new();
    let mut perms = with(&["tag"]);
    let run = set.run("package_list", &data).unwrap();
    let mut future = Box::pin(sendable(run.complete_async(&mut perms)));
    let Poll::Ready(outcome) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("nothing here waits");
    };
    assert_eq!(outcome.unwrap().last_rule(), "has_perm tag :: allow");
}

#[test]
fn a_configured_policy_replaces_its_default_and_names_its_fault() {
    let catalog = Catalog::hub();
    let set = PolicySet::with_defaults([("vm", "all :: allow")], &catalog).unwrap();
    assert_eq!(set.get("vm").unwrap().all_actions(), ["allow"]);
    let error = PolicySet::with_defaults([("vm", "all :: allow\nwhat")], &catalog).unwrap_err();
    assert_eq!(error.to_string(), "policy vm, line 2: bad policy line: what");
}
