//! The repository daemon: keeps repositories current, looks after requests, removes what nobody needs.
//!
//! It waits for changes of tags and for requests and keeps slow looks as a fallback. Everything it knows is
//! in the database: after a restart it goes on where it was.

pub mod currency;
pub mod external;
pub mod prune;
mod remove;
pub mod sweep;

use std::future::Future;
use std::time::Duration;

use toji_bus::{Event, Listener, Topic};
use toji_db::{Row, repo as sql};
use toji_policy::glob_match_any;
use toji_types::RepoState;
use toji_value::Fault;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::task::AbortOnDropHandle;

use crate::repo::request::DEFAULT_PRIORITY;
use crate::repo::{Wanted, change, latest, queue, request};
use crate::{Call, Hub};

/// The slow look, in case no signal came (as when another hub made the change).
const INTERVAL: Duration = Duration::from_secs(60);
/// Slow looks between two comparisons of every repository with its tag, and between sweeps.
const FULL_EVERY: u32 = 30;
/// A burst of changes is over when nothing came for this long …
const QUIET: Duration = Duration::from_millis(50);
/// … or when it has lasted for this long.
const BURST: Duration = Duration::from_millis(500);
/// Pause after a failed look; it doubles up to [`INTERVAL`].
const MIN_PAUSE: Duration = Duration::from_millis(200);

/// How much a look takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// What has changed since the last looks.
    Changes,
    /// Also the tags that ask for automatic repositories.
    Automatic,
    /// Every repository.
    Everything,
}

/// What a look did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Repositories found to be out of date.
    pub outdated: usize,
    /// Requests made for build tags.
    pub requested: usize,
    /// What became of the queue.
    pub queue: queue::Report,
}

/// The daemon's memory: which events it has seen.
#[derive(Debug, Default)]
pub struct Daemon {
    /// Looked at by now, and at the slow look before: events up to there are in all transactions.
    seen: i64,
    settled: i64,
}

/// Runs the daemon until `stop`.
pub async fn serve(hub: Hub, stop: impl Future<Output = ()>) {
    let mut signal = hub.bus.listen(Topic::Repositories);
    let mut events = hub.bus.subscribe();
    let mut daemon = Daemon::default();
    let mut scope = Scope::Everything;
    let (mut ticks, mut pause) = (0u32, MIN_PAUSE);
    let _outside = AbortOnDropHandle::new(tokio::spawn(external::serve(hub.clone())));
    tokio::pin!(stop);
    loop {
        let failed = match daemon.look(&hub, scope).await {
            Ok(report) => {
                tracing::debug!(?scope, ?report, "looked after repositories");
                false
            }
            Err(fault) => {
                tracing::warn!(%fault, "looking after repositories failed");
                true
            }
        };
        if scope == Scope::Everything && !failed {
            sweep::run(&hub).await;
            prune::run(&hub).await;
            if let Err(fault) = latest::mend(&hub).await {
                tracing::warn!(%fault, "the links to latest repositories were not looked at");
            }
        }
        let sleep = if failed { pause } else { INTERVAL };
        pause = if failed { (pause * 2).min(INTERVAL) } else { MIN_PAUSE };
        tokio::select! {
            () = &mut stop => return,
            () = burst(&mut signal, &mut events), if !failed => scope = Scope::Changes,
            () = tokio::time::sleep(sleep) => {
                ticks = if failed { ticks } else { ticks + 1 };
                let full = failed || ticks % FULL_EVERY == 0;
                scope = if full { Scope::Everything } else { Scope::Automatic };
            }
        }
    }
}

type Events = tokio::sync::broadcast::Receiver<Event>;

/// Waits for a change, and then for the end of its burst.
async fn burst(signal: &mut Listener, events: &mut Events) {
    news(signal, events).await;
    let settled =
        async { while tokio::time::timeout(QUIET, news(signal, events)).await.is_ok() {} };
    // a burst that goes on is cut into pieces
    let _ = tokio::time::timeout(BURST, settled).await;
}

async fn news(signal: &mut Listener, events: &mut Events) {
    loop {
        tokio::select! {
            () = signal.wait() => return,
            event = events.recv() => match event {
                Ok(event) if concerns_repositories(&event) => return,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return,
                // nothing will be published any more; the signal remains
                Err(RecvError::Closed) => signal.wait().await,
            },
        }
    }
}

/// Whether an event may make a repository out of date or end a task that makes one.
pub(crate) fn concerns_repositories(event: &Event) -> bool {
    const KINDS: [&str; 6] = ["tag:", "build:", "target:", "external_repo:", "repo:", "group:"];
    KINDS.iter().any(|kind| event.key.starts_with(kind))
        || (event.key.starts_with("task:") && event.body.contains("newRepo"))
}

impl Daemon {
    /// One look, in a transaction of its own.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn look(&mut self, hub: &Hub, scope: Scope) -> Result<Report, Fault> {
        let mut call = hub.internal().await?;
        call.tx.lock(queue::LOCK).await?;
        // Changes under older events may still be committed: only what is settled was seen for good.
        let newest = toji_db::event::newest_settled(&mut call.tx).await?.unwrap_or(self.seen);
        let since = (scope != Scope::Everything).then_some(self.settled);
        let mut report = Report {
            outdated: currency::update(&mut call, &currency::CURRENT, since).await?,
            ..Report::default()
        };
        if let Some(owner) = owner(&mut call).await? {
            if hub.config.repo.auto_build_tags {
                report.requested += request_build_tags(&mut call, owner).await?;
            }
            if scope >= Scope::Automatic {
                report.requested += request::automatic(&mut call, owner).await?;
            }
        }
        report.queue = queue::check(&mut call).await?;
        call.commit().await?;
        if scope > Scope::Changes {
            self.settled = self.seen;
        }
        self.seen = newest;
        Ok(report)
    }
}

/// Who owns what the daemon requests: `RepoQueueUser`, or the first user.
async fn owner(call: &mut Call) -> Result<Option<i64>, Fault> {
    let name = call.hub.config.repo.repo_queue_user.clone();
    Ok(sql::owner(&mut call.tx, &name).await?)
}

/// Requests a repository for each build tag of a target whose newest one is out of date.
///
/// While a request of a tag is open no other is made, so that a burst of changes ends in one more
/// repository. A request that failed is made again when the tag changes, or after `RepoAutoLag`.
async fn request_build_tags(call: &mut Call, owner: i64) -> Result<usize, Fault> {
    let rows = sql::outdated_build_tags(&mut call.tx, RepoState::Ready as i64).await?;
    let ignored = &call.hub.config.repo.ignore_tags;
    let wanted = |row: &&Row| !glob_match_any(row.value("name").as_str().unwrap_or(""), ignored);
    let rows = rows.iter().filter(wanted);
    let tags: Vec<i64> = rows.map(|row| row.get("id")).collect::<Result<_, _>>()?;
    if tags.is_empty() {
        return Ok(0);
    }
    let failed = sql::failed_requests(&mut call.tx, &tags).await?;
    let patience = call.now() - call.hub.config.repo.repo_auto_lag as f64;
    let mut made = 0;
    for tag_id in tags {
        let Some(last) = change::last(call, tag_id).await? else { continue };
        let hopeless = failed.iter().any(|row| {
            row.value("tag_id").as_int() == Some(tag_id)
                && row.value("event").as_int().is_some_and(|event| event >= last)
                && row.value("ended").as_f64().is_some_and(|ended| ended > patience)
        });
        if hopeless {
            continue;
        }
        let wanted = Wanted { min_event: Some(last), ..Wanted::default() };
        // behind what somebody waits for
        let priority = DEFAULT_PRIORITY + 5;
        let request = request::Request { tag_id, wanted, priority, owner, force: false };
        let answer = request::make(call, request).await?;
        made += usize::from(answer.request.is_some() && !answer.duplicate);
    }
    Ok(made)
}
