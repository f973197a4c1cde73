//! The policy that decides which builds leave a tag: Koji's tests for it, over facts of one entry.

use toji_policy::{
    AsyncTestSource, Catalog, Data, Outcome, RuleSet, RunError, TestCall, glob_match_any,
};
use toji_value::Fault;

use super::options::{Error, Options, seconds};
use crate::Call;

/// Reads a policy.
///
/// # Errors
/// For a rule that cannot be read, a test that is not known, and an action other than `keep`, `untag` and `skip`.
pub fn parse(text: &str) -> Result<RuleSet, Error> {
    let mut catalog = Catalog::generic()
        .match_field("tag", "tagname")
        .match_field("package", "pkgname")
        .match_field("volume", "volname")
        .match_field("cg_match_any", "cg")
        .bool_field("is_draft", "draft")
        .compare_field("order", "order");
    for name in ["sig", "age", "hastag", "draft_superseded"] {
        catalog = catalog.external(name);
    }
    let rules = RuleSet::parse(text, &catalog)?;
    for action in rules.all_actions() {
        if !matches!(action, "keep" | "untag" | "skip") {
            return Err(Error::Action(action.to_owned()));
        }
    }
    Ok(rules)
}

/// A build in a tag, as the policy sees it.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The build.
    pub id: i64,
    /// Package name, version and release.
    pub nvr: (String, String, String),
    /// The tag.
    pub tag: String,
    /// How many builds of the package that are not skipped came into the tag after it.
    pub order: i64,
    /// Seconds since it came into the tag.
    pub age: f64,
    /// The volume that it lies on.
    pub volume: String,
    /// The content generator that made it.
    pub cg: Option<String>,
    /// Whether it is a draft.
    pub draft: bool,
    /// The keys that it is signed with.
    pub keys: Vec<String>,
    /// All tags that hold it.
    pub tags: Vec<String>,
}

/// What the policy says of an entry; the outcome tells the rule, too.
///
/// # Errors
/// For a test that cannot be answered.
pub async fn judge(
    call: &mut Call,
    options: &Options,
    rules: &RuleSet,
    entry: &Entry,
) -> Result<Outcome, Fault> {
    let data = Data::new()
        .with("tagname", entry.tag.as_str())
        .with("pkgname", entry.nvr.0.as_str())
        .with("volname", entry.volume.as_str())
        .with("cg", entry.cg.clone())
        .with("draft", entry.draft)
        .with("order", entry.order)
        .with("nvr", format!("{}-{}-{}", entry.nvr.0, entry.nvr.1, entry.nvr.2));
    let run = toji_policy::Run::new(rules, &data);
    let mut facts = Facts { call, options, entry };
    run.complete_async(&mut facts).await.map_err(|error| match error {
        RunError::Policy(error) => Fault::generic(error.to_string()),
        RunError::Test(fault) => fault,
    })
}

struct Facts<'a> {
    call: &'a mut Call,
    options: &'a Options,
    entry: &'a Entry,
}

impl AsyncTestSource for Facts<'_> {
    type Error = Fault;

    async fn test(&mut self, test: &TestCall, _: &Data) -> Result<bool, Fault> {
        let entry = self.entry;
        match test.name.as_str() {
            "sig" => Ok(entry.keys.iter().any(|key| self.options.key_fits(key, &test.args))),
            "hastag" => Ok(entry.tags.iter().any(|tag| glob_match_any(tag, &test.args))),
            "age" => older(entry.age, &test.args),
            _ => self.superseded().await,
        }
    }
}

impl Facts<'_> {
    /// Whether the release that a draft was for exists.
    async fn superseded(&mut self) -> Result<bool, Fault> {
        let (name, version, release) = &self.entry.nvr;
        let Some((target, _)) = release.rsplit_once(",draft_").filter(|_| self.entry.draft) else {
            return Ok(false);
        };
        Ok(toji_db::build::find(&mut self.call.tx, name, version, target).await?.is_some())
    }
}

/// `age OP TIME`.
fn older(age: f64, args: &[String]) -> Result<bool, Fault> {
    let wrong = || Fault::generic(format!("Invalid comparison in test: age {}", args.join(" ")));
    let (op, span) = args.split_first().ok_or_else(wrong)?;
    let span = seconds(&span.join(" ")).ok_or_else(wrong)?;
    Ok(match op.as_str() {
        "<" => age < span,
        ">" => age > span,
        "<=" => age <= span,
        ">=" => age >= span,
        "=" => age == span,
        "!=" => age != span,
        _ => return Err(wrong()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_actions_are_taken() {
        assert!(parse("tag *-updates :: keep\nage < 1 day :: skip\norder > 2 :: untag").is_ok());
        assert!(
            matches!(parse("order > 2 :: delete"), Err(Error::Action(action)) if action == "delete")
        );
        assert!(matches!(parse("colour red :: keep"), Err(Error::Policy(_))));
    }

    #[test]
    fn ages_compare() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(older(90_000.0, &words("> 1 day")).expect("age"));
        assert!(!older(90_000.0, &words("< 1 day")).expect("age"));
        assert!(older(1.0, &words("~ 1 day")).is_err());
        assert!(older(1.0, &words("> soon")).is_err());
    }
}
