//! The history of versioned data, and search.

use toji_api::history::*;
use toji_db::search::{self, Kind, Match};
use toji_value::{Fault, Value};

use super::tag::like;
use crate::dispatch::Handle;
use crate::{Call, check, history, listing};

impl Handle for QueryHistory {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let tables = history::tables(&self.tables)?;
        Ok(history::query(call, tables, &self.kwargs).await?.into())
    }
}

impl Handle for Search {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        if !self.terms.truthy() {
            return Err(Fault::generic("empty search terms"));
        }
        let opts = listing::options(&self.query_opts)?;
        let kind = match self.type_.as_str().unwrap_or_default() {
            "package" => Kind::Package,
            "build" => Kind::Build,
            "tag" => Kind::Tag,
            "target" => Kind::Target,
            "user" => Kind::User,
            "host" => Kind::Host,
            "rpm" => Kind::Rpm,
            "maven" => Kind::Maven,
            "win" => Kind::Win,
            // Searching by file was given up; clients get an empty list.
            "file" => return listing::apply(Vec::new(), &opts),
            _ => {
                let text = format!("No such search type: {}", self.type_.display());
                return Err(Fault::generic(text));
            }
        };
        let terms = check::text(&self.terms)?;
        let (how, terms) = match self.match_type.as_str() {
            Some("glob") => (Match::Like, like(terms)),
            Some("regexp") => (Match::Regexp, terms.to_owned()),
            _ => (Match::Exact, terms.to_owned()),
        };
        Ok(search::find(&mut call.tx, kind, how, &terms, &opts).await?)
    }
}
