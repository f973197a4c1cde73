//! Rules that hold for every database at rest, whoever wrote to it.

use crate::{Result, Sql, Tx, migrate, sql};

/// What breaks a rule, in words; nothing for a sound database.
///
/// A key of a versioned table has at most one row at any event, and no row ends before it begins. A task that
/// waits for a host has none, one at work has one and at most one run of the scheduler.
pub async fn faults(tx: &mut Tx) -> Result<Vec<String>> {
    let mut parts = Vec::new();
    let mut add = |what: Sql, query: Sql| {
        parts.push(sql!["SELECT '", what, "' AS what, (", query, ") AS n"]);
    };
    for (table, keys) in migrate::versioned_tables() {
        let (table, keys) = (*table, Sql::join(keys.iter().copied(), ", "));
        add(
            sql![table, ": rows of one key overlap"],
            sql![
                "SELECT count(*) FROM (SELECT revoke_event, lead(create_event) OVER (PARTITION BY ",
                keys,
                " ORDER BY create_event) AS next FROM ",
                table,
                ") AS line
                  WHERE next IS NOT NULL AND (revoke_event IS NULL OR revoke_event > next)"
            ],
        );
        add(
            sql![table, ": rows end before they begin"],
            sql!["SELECT count(*) FROM ", table, " WHERE revoke_event < create_event"],
        );
        add(
            sql![table, ": rows both count and have ended"],
            sql![
                "SELECT count(*) FROM ",
                table,
                " WHERE (active IS NULL) <> (revoke_event IS NOT NULL)"
            ],
        );
    }
    for (what, test) in [
        ("free tasks have a host", "state = 0 AND host_id IS NOT NULL"),
        ("tasks at work have no host", "state IN (1, 4) AND host_id IS NULL"),
        ("ended tasks have no time of their end", "state IN (2, 3, 5) AND completion_time IS NULL"),
    ] {
        add(what.into(), sql!["SELECT count(*) FROM task WHERE ", test]);
    }
    add(
        "tasks have several active runs".into(),
        "SELECT count(*) FROM (SELECT task_id FROM scheduler_task_runs WHERE active = TRUE
          GROUP BY task_id HAVING count(*) > 1) AS twice"
            .into(),
    );
    let parts = Sql::join(parts, " UNION ALL ");
    let rows =
        tx.query(sql!["SELECT what, n FROM (", parts, ") AS found WHERE n > 0"], &[]).await?;
    rows.iter()
        .map(|row| Ok(format!("{} ({})", row.get::<String>("what")?, row.get::<i64>("n")?)))
        .collect()
}
