//! Repositories: their options, states and requests.

pub mod assemble;
pub mod change;
pub mod comps;
pub mod dist;
mod gather;
pub mod init;
pub mod latest;
mod maven;
pub mod options;
mod pack;
pub mod queue;
pub mod request;
mod shelf;
pub mod state;

use toji_db::{Row, repo as sql};
use toji_types::RepoState;
use toji_value::{Fault, Map, Value};

use crate::Call;

/// What a repository must be like.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Not older than this event.
    pub min_event: Option<i64>,
    /// Made from exactly this event; `min_event` is not looked at then.
    pub at_event: Option<i64>,
    /// Options that it must have; it may differ from the tag's own options in nothing else.
    pub opts: Map,
}

impl Wanted {
    /// Whether a repository row fits.
    pub fn fits(&self, repo: &Row) -> bool {
        let event = repo.value("create_event").as_int().unwrap_or(0);
        let event_fits = match (self.at_event, self.min_event) {
            (Some(at), _) => event == at,
            (None, Some(min)) => event >= min,
            (None, None) => true,
        };
        event_fits
            && contains(repo.value("opts"), &self.opts)
            && match repo.value("custom_opts") {
                Value::Struct(custom) => subset(custom, &self.opts),
                _ => false,
            }
    }
}

fn contains(whole: &Value, part: &Map) -> bool {
    whole.as_struct().is_some_and(|whole| subset(part, whole))
}

fn subset(part: &Map, whole: &Map) -> bool {
    part.iter().all(|(key, value)| whole.get(key) == Some(value))
}

/// The newest ready repository of a tag that fits.
///
/// # Errors
/// When the database fails.
pub async fn find(call: &mut Call, tag_id: i64, wanted: &Wanted) -> Result<Option<Row>, Fault> {
    let ready = sql::in_state(&mut call.tx, tag_id, RepoState::Ready as i64).await?;
    Ok(ready.into_iter().find(|repo| wanted.fits(repo)))
}
