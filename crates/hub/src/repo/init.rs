//! A new repository: its row, and its directory with lists of what belongs into it.

use std::path::PathBuf;
use std::time::Duration;

use toji_value::{Fault, Map, Value, map};
use tokio::time::Instant;

use super::{change, gather, options};
use crate::Call;
use crate::build::import::place;
use crate::files::Placement;
use crate::tag::{self, When};

/// How long transactions with older events are waited for.
const SETTLE: Duration = Duration::from_secs(5);
/// How often they are looked for when no commit is told: one that is undone, or has no messages, is not.
const SETTLE_LOOK: Duration = Duration::from_millis(200);

/// Makes a repository of a tag in the state INIT; returns its id and its event.
///
/// # Errors
/// `GenericError` for an unknown tag or event, `ParameterError` for wrong options.
pub async fn init(
    call: &mut Call,
    tag: &Value,
    task_id: Option<i64>,
    event: Option<i64>,
    opts: &Value,
) -> Result<(i64, i64), Fault> {
    let tag = tag::need(call, tag, When::from(event)).await?;
    check_place(&tag.name)?;
    let (opts, custom) = options::of_tag(&call.hub.config, &tag, opts)?;
    let told = |repo_id: Option<i64>, opts: &Map| {
        map! {
            "tag" => tag.to_map(false), "event" => event, "repo_id" => repo_id,
            "task_id" => task_id, "opts" => opts.clone(),
        }
    };
    call.callback("preRepoInit", || told(None, &opts)).await?;
    let event_id = match event {
        Some(event) => {
            let missing = || Fault::generic(format!("No such event: {event}"));
            toji_db::event::get(&mut call.tx, event).await?.ok_or_else(missing)?;
            if !settled(call, event).await? {
                let text =
                    format!("a transaction older than event {event} is still at work, try again");
                return Err(Fault::lock(text));
            }
            event
        }
        None => newest_event(call).await?,
    };
    // The lists are written before the writer of the database is taken.
    let staged = gather::stage(call, &tag, event_id, &opts).await?;
    let row = toji_db::repo::New {
        create_event: event_id,
        begin_event: change::last(call, tag.id).await?.filter(|e| *e <= event_id),
        end_event: change::first(call, tag.id, event_id).await?,
        tag_id: tag.id,
        task_id,
        opts: opts.clone(),
        custom_opts: custom.clone(),
    };
    let repo_id = toji_db::repo::insert(&mut call.tx, row).await?;
    let args = told(Some(repo_id), &opts);
    let info = map! {
        "id" => repo_id,
        "tag" => &tag.name,
        "tag_id" => tag.id,
        "task_id" => task_id,
        "event_id" => event_id,
        "with_src" => opts.truthy("src"),
        "with_separate_src" => opts.truthy("separate_src"),
        "with_debuginfo" => opts.truthy("debuginfo"),
        "opts" => opts,
        "custom_opts" => custom,
    };
    let dir = PathBuf::from(call.hub.paths.repo(repo_id, &tag.name));
    let plan = Placement { trees: vec![dir.clone()], ..Placement::default() };
    let publish = move || staged.publish(&dir, &info.into()).map_err(toji_store::Error::io(&dir));
    if let Some(journal) = place::carry_out(call, None, plan, publish).await? {
        toji_db::journal::commit(&mut call.tx, journal).await?;
    }
    let body = map! {
        "repo_id" => repo_id, "tag" => &tag.name, "tag_id" => tag.id, "task_id" => task_id,
    };
    call.emit("repo.init", &format!("repo:{repo_id}"), body);
    call.callback("postRepoInit", || args).await?;
    Ok((repo_id, event_id))
}

/// Refuses a tag whose name leads out of the directory of repositories: names may have slashes, and a rule of their own.
///
/// # Errors
/// `GenericError` for a name with empty parts, `.` or `..`.
pub(super) fn check_place(tag: &str) -> Result<(), Fault> {
    match toji_store::normalize(tag) {
        Ok(plain) if plain == tag && !plain.is_empty() => Ok(()),
        _ => Err(Fault::generic(format!("a tag with this name has no repositories: {tag}"))),
    }
}

/// The newest event that names what is committed now.
///
/// Events are not committed in the order of their numbers. A repository made while an older one is in progress
/// would carry a number that promises more than it shows, so that is waited for; when it takes long, the
/// repository gets the newest event before it.
async fn newest_event(call: &mut Call) -> Result<i64, Fault> {
    let newest: i64 = match toji_db::event::last(&mut call.tx, None).await? {
        Some(row) => row.get("id")?,
        None => return call.event().await,
    };
    if settled(call, newest).await? {
        return Ok(newest);
    }
    let found = toji_db::event::newest_settled(&mut call.tx).await?;
    found.ok_or_else(|| {
        Fault::lock("transactions are at work whose events are not known, try again")
    })
}

/// Waits a while for transactions that may still commit an older event; tells whether none is left.
async fn settled(call: &mut Call, event: i64) -> Result<bool, Fault> {
    let mut commits = call.hub.db.outbox_signal();
    let end = Instant::now() + SETTLE;
    while toji_db::event::is_unsettled(&mut call.tx, event).await? {
        if Instant::now() >= end {
            return Ok(false);
        }
        tokio::time::timeout(SETTLE_LOOK, commits.changed()).await.ok();
    }
    Ok(true)
}

/// Runs file work on a thread for blocking work.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| Fault::unexpected(error.to_string()))?;
    done.map_err(|error| {
        tracing::error!(%error, "a repository's files cannot be written");
        Fault::generic("the repository's files cannot be written, the hub's log tells more")
    })
}
