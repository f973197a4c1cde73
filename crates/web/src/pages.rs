//! The pages, one module for each kind of object.

pub(crate) mod api;
pub(crate) mod builds;
pub(crate) mod home;
pub(crate) mod hosts;
pub(crate) mod repos;
pub(crate) mod tags;
pub(crate) mod tasks;

use serde::Deserialize;

/// Rows on a page.
pub(crate) const PAGE: i64 = 50;

/// Paging and choice of a listing.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Paging {
    /// Rows to skip.
    #[serde(default)]
    pub(crate) start: i64,
    /// A state by its number, where the listing has states.
    pub(crate) state: Option<i64>,
}

impl Paging {
    /// The options of a listing call, newest first; one row more than shown tells of a next page.
    pub(crate) fn options(&self, order: &str) -> toji_value::Map {
        toji_value::map! {
            "limit" => PAGE + 1, "offset" => self.start.max(0), "order" => order,
        }
    }

    /// Cuts the extra row off and gives the starts of the previous and next page.
    pub(crate) fn cut<T>(&self, rows: &mut Vec<T>) -> (Option<i64>, Option<i64>) {
        let start = self.start.max(0);
        let more = rows.len() as i64 > PAGE;
        rows.truncate(PAGE as usize);
        ((start > 0).then(|| (start - PAGE).max(0)), more.then_some(start + PAGE))
    }
}
