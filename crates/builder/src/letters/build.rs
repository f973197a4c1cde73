//! The message about a build that ended.

use toji_mail::Letter;
use toji_types::{BuildState, TaskState};
use toji_value::Value;

use super::{fields, label};

/// What there is to tell about one of the build's tasks.
pub(crate) struct Part {
    pub(crate) id: i64,
    pub(crate) method: String,
    pub(crate) arch: String,
    pub(crate) host: Option<String>,
    pub(crate) state: TaskState,
    /// Why it failed.
    pub(crate) fault: Option<String>,
    /// Volume and name of each log.
    pub(crate) logs: Vec<(String, String)>,
}

/// A build that ended.
pub(crate) struct Ended<'a> {
    pub(crate) build: &'a Value,
    /// The tag that it was for.
    pub(crate) tag: Option<&'a str>,
    pub(crate) weburl: &'a str,
    /// Who cancelled it.
    pub(crate) canceler: Option<String>,
    /// Its task and that one's children, parents first.
    pub(crate) parts: Vec<Part>,
    /// The newest changes, as `getChangelogEntries` tells them.
    pub(crate) changes: Vec<Value>,
}

impl Ended<'_> {
    fn state(&self) -> Option<BuildState> {
        BuildState::try_from(self.build.get("state").as_int()?).ok()
    }

    fn text_of(&self, key: &str) -> String {
        self.build.get(key).display()
    }

    /// The message, without sender and addresses.
    pub(crate) fn letter(&self) -> Letter {
        let build = label(self.build);
        let tag = self.tag.unwrap_or("None");
        let status = self.state().map_or("unknown", BuildState::name).to_lowercase();
        let owner = self.text_of("owner_name");
        let subject = format!("Package: {build} Tag: {tag} Status: {status} Built by: {owner}");
        let mut letter = Letter { subject, ..Letter::default() };
        letter.header("X-Koji-Tag", tag);
        letter.header("X-Koji-Package", self.text_of("package_name"));
        letter.header("X-Koji-Builder", &owner);
        letter.header("X-Koji-Status", &status);
        let draft = self.build.get("draft").truthy();
        letter.header("X-Koji-Draft", if draft { "True" } else { "False" });
        letter.text = self.facts(&build, &status, &owner);
        letter.text.push_str(&self.failures());
        letter.text.push_str(&self.tasks());
        letter.text.push_str(&self.history());
        letter
    }

    fn facts(&self, build: &str, status: &str, owner: &str) -> String {
        let moment = |key: &str| {
            let text = self.text_of(key);
            format!("{} UTC", text.split(['.', '+']).next().unwrap_or_default())
        };
        let mut pairs = vec![("Build", build.to_owned())];
        pairs.extend(self.tag.map(|tag| ("Tag", tag.to_owned())));
        pairs.extend([("Status", status.to_owned()), ("Owner", owner.to_owned())]);
        pairs.extend(self.canceler.clone().map(|name| ("Canceled by", name)));
        pairs.extend([
            ("Started", moment("creation_time")),
            ("Ended", moment("completion_time")),
            ("Page", format!("{}/buildinfo?buildID={}", self.weburl, self.text_of("id"))),
        ]);
        if let Some(task) = self.build.get("task_id").as_int() {
            pairs.push(("Task", format!("{}/taskinfo?taskID={task}", self.weburl)));
        }
        fields(&pairs)
    }

    /// Why it failed; a fault that parent tasks only hand on is told once.
    fn failures(&self) -> String {
        if self.state() != Some(BuildState::Failed) {
            return String::new();
        }
        let mut text = String::from("\nWhy it failed:\n");
        let mut told: Vec<&str> = Vec::new();
        for part in self.parts.iter().rev() {
            let Some(fault) = part.fault.as_deref().filter(|fault| !told.contains(fault)) else {
                continue;
            };
            told.push(fault);
            let host = part.host.as_deref().unwrap_or("no host");
            text.push_str(&format!("\n  {} ({}) on {host}:\n", part.method, part.arch));
            fault.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
        }
        text
    }

    /// The tasks that did not end well, with the addresses of their logs.
    fn tasks(&self) -> String {
        let mut text = String::new();
        for state in [TaskState::Failed, TaskState::Canceled] {
            let parts: Vec<&Part> = self.parts.iter().filter(|part| part.state == state).collect();
            if parts.is_empty() {
                continue;
            }
            let word = if state == TaskState::Failed { "Failed" } else { "Canceled" };
            text.push_str(&format!("\n{word} tasks:\n"));
            for part in parts {
                let (id, url) = (part.id, self.weburl);
                let what = format!("{} ({})", part.method, part.arch);
                text.push_str(&format!("\n  {what}: {url}/taskinfo?taskID={id}\n"));
                for (volume, log) in &part.logs {
                    text.push_str(&format!(
                        "    {url}/getfile?taskID={id}&volume={volume}&name={log}\n"
                    ));
                }
            }
        }
        text
    }

    fn history(&self) -> String {
        let mut text = String::new();
        for change in &self.changes {
            let date = change.get("date").display();
            let date = date.split(' ').next().unwrap_or_default().to_owned();
            let (author, what) = (change.get("author").display(), change.get("text").display());
            text.push_str(&format!("\n* {date} {author}\n{}\n", what.trim_end()));
        }
        if text.is_empty() { text } else { format!("\nChanges:\n{text}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toji_value::map;

    fn build(state: BuildState) -> Value {
        map! {
            "id" => 7, "task_id" => 9, "package_name" => "hello", "version" => "1", "release" => "2",
            "state" => state.number(), "owner_name" => "alice", "draft" => false,
            "creation_time" => "2026-11-22 09:00:00.5+00:00",
            "completion_time" => "2026-11-22 09:01:00.5+00:00",
        }
        .into()
    }

    fn part(id: i64, method: &str, state: TaskState, fault: Option<&str>) -> Part {
        Part {
            id,
            method: method.into(),
            arch: "x86_64".into(),
            host: Some("b1".into()),
            state,
            fault: fault.map(str::to_owned),
            logs: vec![("DEFAULT".into(), "build.log".into())],
        }
    }

    #[test]
    fn a_failure_is_explained_once() {
        let build = build(BuildState::Failed);
        let parts = vec![
            part(9, "build", TaskState::Failed, Some("BuildError: no compiler")),
            part(10, "buildArch", TaskState::Failed, Some("BuildError: no compiler")),
            part(11, "buildArch", TaskState::Closed, None),
        ];
        let ended = Ended {
            build: &build,
            tag: Some("f40"),
            weburl: "http://h/koji",
            canceler: None,
            parts,
            changes: vec![
                map! { "date" => "2026-11-22 12:00:00", "author" => "A <a@e>", "text" => "- x" }
                    .into(),
            ],
        };
        let letter = ended.letter();
        let subject = "Package: hello-1-2 Tag: f40 Status: failed Built by: alice";
        assert_eq!(letter.subject, subject);
        assert_eq!(letter.text.matches("no compiler").count(), 1, "{}", letter.text);
        assert_eq!(letter.text.matches("/getfile?").count(), 2, "{}", letter.text);
        assert!(letter.text.contains("Started: 2026-11-22 09:00:00 UTC\n"), "{}", letter.text);
        assert!(
            letter.text.ends_with("\nChanges:\n\n* 2026-11-22 A <a@e>\n- x\n"),
            "{}",
            letter.text
        );
    }

    #[test]
    fn a_success_is_short() {
        let build = build(BuildState::Complete);
        let parts = vec![part(9, "build", TaskState::Closed, None)];
        let (tag, canceler, changes) = (None, None, Vec::new());
        let weburl = "http://h/koji";
        let letter = Ended { build: &build, tag, weburl, canceler, parts, changes }.letter();
        assert!(letter.subject.contains("Tag: None Status: complete"), "{}", letter.subject);
        assert_eq!(letter.text.lines().count(), 7, "{}", letter.text);
    }
}
