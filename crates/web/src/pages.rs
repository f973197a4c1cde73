//! The pages, one module for each kind of object.

pub(crate) mod api;
pub(crate) mod builds;
pub(crate) mod home;
pub(crate) mod hosts;
pub(crate) mod repos;
pub(crate) mod tags;
pub(crate) mod tasks;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::PageError;

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

/// What the query of an address says; an address that says it wrongly is told so on a page.
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        let Query(asked) = Query::from_request_parts(parts, state).await?;
        Ok(Asked(asked))
    }
}

/// What stands for itself in the query of an address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// Text as a value in the query of an address.
pub(crate) fn query(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, PLAIN)
}

impl Paging {
    /// Whether it is the beginning of the listing, where what is new shows.
    pub(crate) fn is_first(&self) -> bool {
        self.start <= 0
    }

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

#[cfg(test)]
mod tests {
    #[test]
    fn packages_in_addresses() {
        assert_eq!(super::query("gcc-c++ &ü").to_string(), "gcc-c%2B%2B%20%26%C3%BC");
    }
}
