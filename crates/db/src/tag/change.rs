//! When a tag changed: the events in all tables that belong to it.

use crate::{Result, Sql, Tx, params, sql};

/// The versioned tables whose rows belong to a tag.
const TABLES: [&str; 9] = [
    "tag_listing",
    "tag_inheritance",
    "tag_config",
    "tag_extra",
    "tag_packages",
    "tag_external_repos",
    "group_package_listing",
    "group_req_listing",
    "group_config",
];

/// What an external repository consists of.
const REPO_TABLES: [&str; 2] = ["external_repo_config", "external_repo_data"];

/// Whether any of the tags changed after an event.
pub async fn changed_since(tx: &mut Tx, event: i64, tags: &[i64]) -> Result<bool> {
    let mut any: Vec<Sql> = vec![
        "EXISTS (SELECT 1 FROM tag_updates WHERE update_event > $1 AND tag_id = ANY($2))".into(),
    ];
    any.extend(TABLES.iter().map(|table| {
        sql![
            "EXISTS (SELECT 1 FROM ",
            *table,
            " WHERE (create_event > $1 OR revoke_event > $1) AND tag_id = ANY($2))"
        ]
    }));
    let sql = sql!["SELECT ", Sql::join(any, " OR "), " AS \"changed:bool\""];
    tx.scalar(sql, params![event, tags]).await
}

/// The first event that made a tag; nothing for a name that never was one.
pub async fn created(tx: &mut Tx, tag_id: i64) -> Result<Option<i64>> {
    let sql = "SELECT min(create_event) AS event FROM tag_config WHERE tag_id = $1";
    tx.scalar(sql, params![tag_id]).await
}

/// The newest event before `before` that changed any of the tags or their external repositories.
///
/// Which external repositories count is seen at `at`, nothing being now.
pub async fn last_change(
    tx: &mut Tx,
    tags: &[i64],
    before: i64,
    at: Option<i64>,
) -> Result<Option<i64>> {
    let sql = extreme("max", "<", at.is_some());
    match at {
        None => tx.scalar(sql, params![tags, before]).await,
        Some(at) => tx.scalar(sql, params![tags, before, at]).await,
    }
}

/// The oldest event after `after` that changed any of the tags or their external repositories.
pub async fn first_change(tx: &mut Tx, tags: &[i64], after: i64) -> Result<Option<i64>> {
    tx.scalar(extreme("min", ">", true), params![tags, after, after]).await
}

/// One statement over all tables; `function` and `test` choose the end and the side.
fn extreme(function: &'static str, test: &'static str, at_event: bool) -> Sql {
    let mut parts = vec![sql![
        "SELECT ",
        function,
        "(update_event) AS e FROM tag_updates WHERE tag_id = ANY($1) AND update_event ",
        test,
        " $2"
    ]];
    let mut add = |table: &'static str, column: &'static str, ids: Sql| {
        parts.push(sql![
            "SELECT ",
            function,
            "(",
            column,
            ") AS e FROM ",
            table,
            " WHERE ",
            ids,
            " AND ",
            column,
            " ",
            test,
            " $2"
        ]);
    };
    let counts = |table: &'static str| match at_event {
        false => sql![table, ".active = TRUE"],
        true => sql![
            table,
            ".create_event <= $3 AND (",
            table,
            ".revoke_event IS NULL OR $3 < ",
            table,
            ".revoke_event)"
        ],
    };
    let repos = sql![
        "external_repo_id IN (
            SELECT tr.external_repo_id FROM tag_external_repos tr
              JOIN external_repo_config rc ON rc.external_repo_id = tr.external_repo_id
             WHERE tr.tag_id = ANY($1) AND ",
        counts("tr"),
        " AND ",
        counts("rc"),
        ")"
    ];
    for column in ["create_event", "revoke_event"] {
        for table in TABLES {
            add(table, column, "tag_id = ANY($1)".into());
        }
        for table in REPO_TABLES {
            add(table, column, repos.clone());
        }
    }
    let parts = Sql::join(parts, " UNION ALL ");
    sql!["SELECT ", function, "(e) AS event FROM (", parts, ") events_of_tags"]
}
