//! Garbage collection: what koji-gc, koji-sweep-db and koji-sidetag-cleanup do, inside of the hub.
//!
//! Every decision is told with its reason, also in a dry run, which changes nothing. Reading goes in batches outside of
//! any lock; each change is a short transaction that looks again whether the build is still unused; files go
//! after the commit. So a run can be stopped anywhere, and the next one goes on with what is left.

mod archive;
mod delete;
mod facts;
mod logs;
pub mod options;
mod prune;
pub mod rules;
mod serve;
mod side_tags;
mod signed;
mod sweep;
mod trash;
mod uploads;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use toji_value::{Fault, Value};

use crate::session::Session;
use crate::tag::{self, Tag, When};
use crate::user::User;
use crate::{Call, Hub, Request};

pub use options::Options;
pub use serve::{serve, turn};

/// Builds that are looked at, and builds that are changed, at a time.
const BATCH: i64 = 200;
const CHANGES: usize = 20;

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Builds leave tags by policy.
    Prune,
    /// Builds without a use go to the trash.
    Trash,
    /// Builds that were in the trash for long enough are deleted.
    Delete,
    /// Builds in the trash that are used again leave it.
    Salvage,
    /// Old rows go.
    Sweep,
    /// Side tags that nobody uses go.
    SideTags,
    /// Signed copies of what is latest nowhere go.
    SignedCopies,
    /// Old logs are compressed.
    CompressLogs,
    /// Compressed logs become what they were.
    ExpandLogs,
    /// Builds that nothing has used for long go to another volume.
    ArchiveBuilds,
    /// What nothing leads to goes from where uploads wait in object stores.
    Uploads,
}

impl Action {
    /// What koji-gc does when it is not told, in its order, and then the rest.
    pub const ALL: [Action; 5] =
        [Action::Delete, Action::Prune, Action::Trash, Action::SideTags, Action::Sweep];
}

/// What was decided about one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It leaves a tag.
    Untag,
    /// It goes to the trash.
    Trash,
    /// It leaves the trash.
    Salvage,
    /// It is deleted.
    Delete,
    /// It is compressed.
    Compress,
    /// It is no longer compressed.
    Expand,
    /// It moves to another volume.
    Move,
    /// It stays as it is.
    Keep,
}

/// A decision with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was decided.
    pub verdict: Verdict,
    /// The build's name, or what else it is about.
    pub name: String,
    /// The tag that it is about, or the volume that it moves to.
    pub tag: Option<String>,
    /// Why.
    pub reason: String,
    /// Whether it was done; a dry run only tells.
    pub done: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (would, did) = match self.verdict {
            Verdict::Untag => ("would untag", "untagged"),
            Verdict::Trash => ("would move to the trash", "moved to the trash"),
            Verdict::Salvage => ("would take out of the trash", "taken out of the trash"),
            Verdict::Delete => ("would delete", "deleted"),
            Verdict::Compress => ("would compress", "compressed"),
            Verdict::Expand => ("would expand", "expanded"),
            Verdict::Move => ("would move", "moved"),
            Verdict::Keep => ("keep", "keep"),
        };
        write!(f, "{} {}", if self.done { did } else { would }, self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, " ({tag})")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// A message to the owner of builds that go to the trash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// The sender.
    pub from: String,
    /// The owner's address.
    pub to: String,
    /// Others who see it.
    pub cc: Vec<String>,
    /// Others whom nobody sees.
    pub bcc: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The owner, for filters.
    pub owner: String,
    /// The text.
    pub text: String,
}

/// The sending of a message.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Who looks on: hears decisions, sends messages, and may end the run.
pub trait Watch: Send + Sync {
    /// Hears a decision.
    fn tell(&self, finding: &Finding);
    /// Sends a message; a failure is told, and the run goes on.
    fn post<'a>(&'a self, notice: &'a Notice) -> Sending<'a>;
    /// Whether the run shall end.
    fn stopped(&self) -> bool;
}

/// One run.
pub struct Run<'a> {
    /// The hub.
    pub hub: &'a Hub,
    /// The options.
    pub options: &'a Options,
    /// Whether nothing is changed.
    pub dry: bool,
    /// Who looks on.
    pub watch: &'a dyn Watch,
}

impl Run<'_> {
    /// Takes an action; gives how much it took.
    ///
    /// # Errors
    /// When the trashcan tag is missing, the policy fails, or the database does.
    pub async fn take(&self, action: Action) -> Result<usize, Fault> {
        match action {
            Action::Prune => prune::run(self).await,
            Action::Trash => trash::run(self).await,
            Action::Delete => delete::run(self, false).await,
            Action::Salvage => delete::run(self, true).await,
            Action::Sweep => sweep::run(self).await,
            Action::SideTags => side_tags::run(self).await,
            Action::SignedCopies => signed::run(self).await,
            Action::CompressLogs => logs::run(self, logs::Way::Compress).await,
            Action::ExpandLogs => logs::run(self, logs::Way::Expand).await,
            Action::ArchiveBuilds => archive::run(self).await,
            Action::Uploads => uploads::run(self).await,
        }
    }

    /// A call that only reads; nothing is held while it lives.
    fn reader(&self) -> Call {
        Call::new(self.hub.clone(), self.hub.db.begin(), Request::default())
    }

    /// A call that changes something, in the name of the collector's user.
    async fn writer(&self) -> Result<(Call, User), Fault> {
        let mut call = self.hub.internal().await?;
        let name = self.options.user.as_str();
        if crate::user::find(&mut call, &name.into()).await?.is_none() {
            toji_db::user::create(&mut call.tx, name, 0, 0).await?;
        }
        let user = crate::user::need(&mut call, &name.into()).await?;
        call.session = Some(Session::internal(user.id, &user.name));
        Ok((call, user))
    }

    async fn trashcan(&self, call: &mut Call) -> Result<Tag, Fault> {
        let name = &self.options.trashcan;
        let missing = || Fault::generic(format!("Trashcan tag {name} doesn't exist"));
        tag::find(call, &Value::from(name), When::Now).await?.ok_or_else(missing)
    }

    fn tell(&self, verdict: Verdict, name: &str, tag: Option<&str>, reason: impl Into<String>) {
        let done = !self.dry;
        let (name, tag) = (name.to_owned(), tag.map(str::to_owned));
        self.watch.tell(&Finding { verdict, name, tag, reason: reason.into(), done });
    }
}
