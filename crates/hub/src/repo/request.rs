//! Requests for repositories.

use toji_bus::Topic;
use toji_db::repo::{self as sql, NewRequest};
use toji_value::{Fault, FromValue, Map, Value, map};

use super::{Wanted, change, find, options, state::wanted};
use crate::Call;
use crate::tag::{self, Tag, When};

/// The priority of requests that name none; lower goes first.
pub const DEFAULT_PRIORITY: i64 = 20;

/// A request, checked and complete.
#[derive(Clone, Debug)]
pub struct Request {
    /// The tag.
    pub tag_id: i64,
    /// What the repository must be like.
    pub wanted: Wanted,
    /// Lower goes first.
    pub priority: i64,
    /// The user who asks.
    pub owner: i64,
    /// Make a request although there is a repository that fits.
    pub force: bool,
}

/// What became of a request, as `repo.request` answers it.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The repository, if there is one.
    pub repo: Option<Map>,
    /// The request otherwise.
    pub request: Option<Map>,
    /// Whether the request was there before.
    pub duplicate: bool,
}

impl Answer {
    /// The answer for callers.
    pub fn into_map(self) -> Map {
        let value = |map: Option<Map>| map.map_or(Value::Nil, Value::Struct);
        map! {
            "repo" => value(self.repo),
            "request" => value(self.request),
            "duplicate" => self.duplicate,
        }
    }
}

/// Reads the events of a request: `at_event`, or `min_event` (an event, `last`, or nil for the tag's lag).
///
/// # Errors
/// `ParameterError` for both at once or for events that do not exist.
pub async fn events(
    call: &mut Call,
    tag: &Tag,
    min_event: &Value,
    at_event: &Value,
) -> Result<(Option<i64>, Option<i64>), Fault> {
    if !at_event.is_nil() {
        if !min_event.is_nil() {
            return Err(Fault::parameter("The min_event and at_event options conflict"));
        }
        return Ok((None, Some(known_event(call, at_event).await?)));
    }
    let min = match min_event {
        Value::Str(text) if text == "last" => change::last(call, tag.id).await?.unwrap_or_default(),
        Value::Nil => {
            let lag = call.hub.config.repo.repo_lag;
            lagging_event(call, tag, lag).await?
        }
        other => known_event(call, other).await?,
    };
    Ok((Some(min), None))
}

async fn known_event(call: &mut Call, event: &Value) -> Result<i64, Fault> {
    let id = i64::from_value(event.clone())?;
    let found = toji_db::event::get(&mut call.tx, id).await?;
    found.map(|_| id).ok_or_else(|| Fault::parameter(format!("Invalid event: {id}")))
}

/// The event that a tag's repository may be as old as: its last change, or the state of `lag` seconds ago.
///
/// The moment is rounded down to the window of the configuration, so that requests close in time ask for
/// the same event. The tag's own `repo.lag` goes first.
///
/// # Errors
/// When the database fails.
pub async fn lagging_event(call: &mut Call, tag: &Tag, lag: i64) -> Result<i64, Fault> {
    let last = change::last(call, tag.id).await?.unwrap_or_default();
    let own = match tag.extra("repo.lag") {
        Some(Value::Int(lag)) => Some(*lag),
        _ => None,
    };
    let window = call.hub.config.repo.repo_lag_window.max(1) as f64;
    let moment = call.now() - own.unwrap_or(lag) as f64;
    let moment = (moment / window).floor() * window;
    let base = match toji_db::event::last(&mut call.tx, Some(moment)).await? {
        Some(row) => row.get("id")?,
        // only on a new installation
        None => toji_db::tag::created(&mut call.tx, tag.id).await?.unwrap_or(last),
    };
    Ok(last.min(base))
}

/// The priority that a caller asks for, relative to the usual one; negative is for administrators.
///
/// # Errors
/// `ActionNotAllowed` for others.
pub async fn priority(call: &mut Call, asked: Option<i64>) -> Result<i64, Fault> {
    let asked = asked.unwrap_or(0);
    if asked < 0 && !call.has_perm("admin").await? {
        return Err(Fault::not_allowed("only admins may create high-priority requests"));
    }
    Ok(DEFAULT_PRIORITY.saturating_add(asked))
}

/// Finds a repository, joins a request that asks for the same, or makes one.
///
/// # Errors
/// When the database fails.
pub async fn make(call: &mut Call, request: Request) -> Result<Answer, Fault> {
    let Request { tag_id, wanted: want, priority, owner, force } = request;
    if !force && let Some(repo) = find(call, tag_id, &want).await? {
        return Ok(Answer { repo: Some(repo.into_map()), ..Answer::default() });
    }
    // Of several who ask for the same, one makes the request.
    toji_db::lookup::hold(&mut call.tx, toji_db::lookup::Names::Tag, tag_id).await?;
    for row in sql::requests_of_tag(&mut call.tx, tag_id).await? {
        if !asks_for_the_same(&wanted(&row)?, &want) {
            continue;
        }
        let mut found = row.into_map();
        if let Some(id) = found.int("id")
            && found.int("priority").is_some_and(|p| p > priority)
        {
            sql::set_request_priority(&mut call.tx, id, priority).await?;
            found.insert("priority", priority);
            call.signal(Topic::Repositories);
        }
        return Ok(Answer { request: Some(found), duplicate: true, ..Answer::default() });
    }
    let opts = Value::Struct(want.opts);
    let new = NewRequest {
        owner,
        priority,
        tag_id,
        at_event: want.at_event,
        min_event: want.min_event,
        opts: &opts,
    };
    let id = sql::insert_request(&mut call.tx, &new).await?;
    let body = map! { "id" => id, "tag_id" => tag_id };
    call.emit("repo.request", &format!("tag:{tag_id}"), body);
    call.signal(Topic::Repositories);
    let made = sql::request(&mut call.tx, id).await?;
    Ok(Answer { request: made.map(|row| row.into_map()), ..Answer::default() })
}

/// Whether a repository for `open` will do for `want` too.
fn asks_for_the_same(open: &Wanted, want: &Wanted) -> bool {
    open.opts == want.opts
        && match want.at_event {
            Some(at) => open.at_event == Some(at),
            None => open.min_event.is_some_and(|min| Some(min) >= want.min_event),
        }
}

/// Requests repositories for the tags whose extra `repo.auto` asks for it; returns how many are new.
///
/// # Errors
/// When the database fails.
pub async fn automatic(call: &mut Call, owner: i64) -> Result<usize, Fault> {
    let mut made = 0;
    for row in sql::auto_settings(&mut call.tx).await? {
        let key: String = row.get("key")?;
        let value: Option<String> = row.get("value")?;
        let value = serde_json::from_str(&value.unwrap_or_default()).unwrap_or_default();
        if key != "repo.auto" || !Value::from_json(value).truthy() {
            continue;
        }
        let tag_id: i64 = row.get("tag_id")?;
        let Some(found) = tag::find(call, &tag_id.into(), When::Now).await? else { continue };
        let lag = call.hub.config.repo.repo_auto_lag;
        let min_event = Some(lagging_event(call, &found, lag).await?);
        let wanted = Wanted { min_event, ..Wanted::default() };
        // behind what somebody waits for
        let priority = DEFAULT_PRIORITY + 5;
        let request = Request { tag_id, wanted, priority, owner, force: false };
        let answer = make(call, request).await?;
        made += usize::from(answer.request.is_some() && !answer.duplicate);
    }
    Ok(made)
}

/// Checks the options of a request.
///
/// # Errors
/// `ParameterError` for unknown options, a generic fault for Maven where it is not enabled.
pub fn opts(call: &Call, opts: &Value) -> Result<Map, Fault> {
    let opts = options::parse(opts)?;
    if opts.truthy("maven") && !call.hub.config.enable_maven {
        return Err(Fault::generic("Maven support not enabled"));
    }
    Ok(opts)
}
