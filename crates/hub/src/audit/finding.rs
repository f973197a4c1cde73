//! What checks of the store can find, with the names that scripts rely on.

use std::fmt;

use toji_value::{Map, map};

/// What is wrong. Names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A row has no file.
    Missing,
    /// A file is shorter than it was.
    Truncated,
    /// A file is longer than it was.
    Longer,
    /// A file is as long as it was, or that is not known, and its content is another.
    Changed,
    /// A file has the content of another one.
    Swapped,
    /// A file cannot be read to its end.
    Unreadable,
    /// Something other than a regular file lies where one should.
    NotAFile,
    /// A file that no row stands for.
    Stray,
    /// A file that an interrupted write has left.
    Leftover,
    /// Files of a build that is deleted.
    DeletedBuild,
    /// Files of a build that failed or was cancelled.
    UnfinishedBuild,
    /// A directory in the place of a build that does not exist.
    UnknownBuild,
    /// Files of a build that lies on another volume.
    WrongVolume,
    /// The default volume has no link to a build on another one.
    MissingLink,
    /// A link that does not lead to its build.
    WrongLink,
    /// A volume without its directory.
    MissingVolume,
    /// A volume whose link to the top directory is missing or wrong.
    WrongToplink,
    /// A digest is recorded of a file that no build has.
    StaleRecord,
    /// A repository that is in use has no directory.
    MissingRepository,
    /// A directory of a repository that is deleted or was never made.
    StrayRepository,
    /// Results of a task that does not exist.
    StrayTask,
    /// An import that was interrupted and waits for its end.
    InterruptedImport,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 22] = [
        Kind::Missing,
        Kind::Truncated,
        Kind::Longer,
        Kind::Changed,
        Kind::Swapped,
        Kind::Unreadable,
        Kind::NotAFile,
        Kind::Stray,
        Kind::Leftover,
        Kind::DeletedBuild,
        Kind::UnfinishedBuild,
        Kind::UnknownBuild,
        Kind::WrongVolume,
        Kind::MissingLink,
        Kind::WrongLink,
        Kind::MissingVolume,
        Kind::WrongToplink,
        Kind::StaleRecord,
        Kind::MissingRepository,
        Kind::StrayRepository,
        Kind::StrayTask,
        Kind::InterruptedImport,
    ];

    /// The name for scripts.
    pub const fn name(self) -> &'static str {
        self.texts().0
    }

    /// What it means, and what can be done.
    pub const fn meaning(self) -> &'static str {
        self.texts().1
    }

    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Kind::Missing => (
                "missing",
                "the database has this file, the store does not: restore it from a backup",
            ),
            Kind::Truncated => ("truncated", "the file is shorter than it was: restore it"),
            Kind::Longer => ("longer", "the file is longer than it was: restore it"),
            Kind::Changed => ("changed", "the content is not what it was: restore the file"),
            Kind::Swapped => ("swapped", "the file has the content of another one: restore it"),
            Kind::Unreadable => ("unreadable", "the system cannot read the file: look at its disk"),
            Kind::NotAFile => ("not-a-file", "something else lies where a regular file should"),
            Kind::Stray => ("stray", "no row of the database stands for this file"),
            Kind::Leftover => ("leftover", "an interrupted write has left this; nothing needs it"),
            Kind::DeletedBuild => {
                ("deleted-build", "the build is deleted, its files are still there")
            }
            Kind::UnfinishedBuild => {
                ("unfinished-build", "the build failed or was cancelled, and files are there")
            }
            Kind::UnknownBuild => ("unknown-build", "there is no build of this name"),
            Kind::WrongVolume => ("wrong-volume", "the build lies on another volume"),
            Kind::MissingLink => {
                ("missing-link", "the default volume should lead to the build by a link")
            }
            Kind::WrongLink => ("wrong-link", "the link does not lead to the build"),
            Kind::MissingVolume => {
                ("missing-volume", "the volume has no directory: is it mounted?")
            }
            Kind::WrongToplink => {
                ("wrong-toplink", "the volume's link to the top directory is missing or wrong")
            }
            Kind::StaleRecord => {
                ("stale-record", "a digest is recorded of a file that no build has any more")
            }
            Kind::MissingRepository => {
                ("missing-repository", "the repository is in use and has no directory")
            }
            Kind::StrayRepository => {
                ("stray-repository", "the repository is deleted or was never made")
            }
            Kind::StrayTask => ("stray-task", "there is no such task"),
            Kind::InterruptedImport => {
                ("interrupted-import", "the next start of a hub ends this import or takes it back")
            }
        }
    }
}

/// What it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A package.
    Rpm,
    /// A copy of a package with another signature.
    SignedCopy,
    /// A signature header that is kept apart.
    SignatureHeader,
    /// An archive or image.
    Archive,
    /// A log of a build.
    Log,
    /// Another file of a build.
    File,
    /// The directory of a build, or a link to it.
    Build,
    /// A volume.
    Volume,
    /// A repository.
    Repository,
    /// The results of a task.
    Task,
    /// An entry of the import journal.
    Import,
}

impl What {
    /// The name for scripts.
    pub const fn name(self) -> &'static str {
        match self {
            What::Rpm => "rpm",
            What::SignedCopy => "signed-copy",
            What::SignatureHeader => "signature-header",
            What::Archive => "archive",
            What::Log => "log",
            What::File => "file",
            What::Build => "build",
            What::Volume => "volume",
            What::Repository => "repository",
            What::Task => "task",
            What::Import => "import",
        }
    }
}

/// Whether something can be mended without asking, and whether it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mending {
    /// Only a person can tell what is right.
    #[default]
    None,
    /// This would be done.
    Possible(&'static str),
    /// This was done.
    Done(&'static str),
    /// This was tried, and why it failed.
    Failed(&'static str, String),
}

/// A difference between database and store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub kind: Kind,
    /// What it is about.
    pub what: What,
    /// The path below the top directory; of an import its number.
    pub path: String,
    /// The build that it belongs to.
    pub build: Option<i64>,
    /// What is there and what should be.
    pub detail: String,
    /// What was done about it.
    pub mending: Mending,
}

impl Finding {
    /// A finding that nothing was done about.
    pub fn new(kind: Kind, what: What, path: impl Into<String>, detail: impl Into<String>) -> Self {
        let (path, detail) = (path.into(), detail.into());
        Finding { kind, what, path, build: None, detail, mending: Mending::None }
    }

    /// The same of a build.
    pub fn of(mut self, build: i64) -> Self {
        self.build = Some(build);
        self
    }

    /// As a mapping for scripts.
    pub fn to_map(&self) -> Map {
        let (mending, action, problem) = match &self.mending {
            Mending::None => ("none", None, None),
            Mending::Possible(action) => ("possible", Some(*action), None),
            Mending::Done(action) => ("done", Some(*action), None),
            Mending::Failed(action, why) => ("failed", Some(*action), Some(why.as_str())),
        };
        map! {
            "kind" => self.kind.name(), "what" => self.what.name(), "path" => &self.path,
            "build_id" => self.build, "detail" => &self.detail, "meaning" => self.kind.meaning(),
            "mending" => mending, "action" => action, "problem" => problem,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.kind.name(), self.what.name(), self.path)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        match &self.mending {
            Mending::None => Ok(()),
            Mending::Possible(action) => write!(f, " (--repair would {action})"),
            Mending::Done(action) => write!(f, " (mended: {action})"),
            Mending::Failed(action, why) => write!(f, " (failed to {action}: {why})"),
        }
    }
}
