//! The history of versioned data, and search.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area history;

    /// Returns the history of versioned tables, filtered by time, editor and what it is about.
    #[access(anonymous)]
    #[python("query_history")]
    read queryHistory(tables: Value = None, **kwargs: toji_value::Map) -> Value;

    /// Finds packages, builds, tags, targets, users, hosts, RPMs, Maven and Windows files by name.
    #[access(anonymous)]
    #[example(r#"["*", "package", "glob"]"#)]
    read search(terms: Value, type: Value, matchType: Value, queryOpts: Value = None) -> Value;
}
