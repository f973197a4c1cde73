//! The message about a tagging.

use toji_mail::Letter;
use toji_value::Value;

use super::{fields, label};

/// What happened.
pub(crate) struct Tagging<'a> {
    pub(crate) build: &'a Value,
    pub(crate) user: &'a str,
    /// The tag that the build left.
    pub(crate) from: Option<&'a str>,
    /// The tag that it entered.
    pub(crate) to: Option<&'a str>,
    /// Why it failed, if it did.
    pub(crate) failure: Option<&'a str>,
}

impl Tagging<'_> {
    /// The message, without sender and addresses.
    pub(crate) fn letter(&self) -> Letter {
        let build = label(self.build);
        let action = match (self.from, self.to) {
            (Some(_), Some(_)) => "moved",
            (Some(_), None) => "untagged",
            _ => "tagged",
        };
        let (result, status) = match self.failure {
            None => ("successfully", "complete"),
            Some(_) => ("unsuccessfully", "failed"),
        };
        let mut done = action.to_owned();
        for (word, tag) in [(" from ", self.from), (" into ", self.to)] {
            if let Some(tag) = tag {
                done.push_str(word);
                done.push_str(tag);
            }
        }
        let subject = format!("{build} {result} {done} by {}", self.user);
        let package = self.build.get("package_name").display();
        let mut letter = Letter { subject, ..Letter::default() };
        letter.header("X-Koji-Package", &package);
        letter.header("X-Koji-NVR", &build);
        letter.header(
            "X-Koji-Draft",
            if self.build.get("draft").truthy() { "True" } else { "False" },
        );
        letter.header("X-Koji-User", self.user);
        letter.header("X-Koji-Status", status);
        for tag in [self.from, self.to].into_iter().flatten() {
            letter.header("X-Koji-Tag", tag);
        }
        letter.text = self.text(&build, action, status);
        letter
    }

    fn text(&self, build: &str, action: &str, status: &str) -> String {
        let mut pairs = vec![("Build", build.to_owned()), ("Action", action.to_owned())];
        pairs.extend(self.from.map(|tag| ("From", tag.to_owned())));
        pairs.extend(self.to.map(|tag| ("Into", tag.to_owned())));
        pairs.extend([("By", self.user.to_owned()), ("Status", status.to_owned())]);
        let mut text = fields(&pairs);
        if let Some(failure) = self.failure {
            text.push_str("\nIt did not work:\n\n");
            for line in failure.lines() {
                text.push_str(&format!("    {line}\n"));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toji_value::map;

    #[test]
    fn a_move_has_both_tags() {
        let build = map! {
            "id" => 7, "package_name" => "hello", "version" => "1", "release" => "2", "draft" => false,
        };
        let build = build.into();
        let moved = Tagging {
            build: &build,
            user: "alice",
            from: Some("f40-testing"),
            to: Some("f40"),
            failure: Some("policy violation"),
        };
        let letter = moved.letter();
        let subject = "hello-1-2 unsuccessfully moved from f40-testing into f40 by alice";
        assert_eq!(letter.subject, subject);
        let tags = letter.headers.iter().filter(|(name, _)| name == "X-Koji-Tag");
        assert_eq!(tags.map(|(_, tag)| tag.as_str()).collect::<Vec<_>>(), ["f40-testing", "f40"]);
        assert!(
            letter.text.ends_with("It did not work:\n\n    policy violation\n"),
            "{}",
            letter.text
        );
    }
}
