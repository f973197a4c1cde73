//! Events, and rows of the event-versioned tables.

use crate::{Engine, Param, Result, Sql, Tx, params, sql};

/// The transaction's event: made at the first call, the same until [`Tx::reset_event`].
pub async fn event(tx: &mut Tx) -> Result<i64> {
    if let Some(event) = tx.event {
        return Ok(event);
    }
    let event =
        tx.scalar("INSERT INTO events (time) VALUES (clock_timestamp()) RETURNING id", &[]).await?;
    tx.event = Some(event);
    Ok(event)
}

/// Columns and their values.
pub type Columns = [(&'static str, Param)];

/// Holds an object until the end of the transaction, so that what is read of it and of its history from now on stays.
///
/// Others may go on referring to it: only those wait who hold it too.
pub async fn hold(tx: &mut Tx, table: &'static str, id: i64) -> Result<()> {
    if tx.held.contains(&(table, id)) {
        return Ok(());
    }
    let sql = sql!["SELECT id FROM ", table, " WHERE id = $1 FOR NO KEY UPDATE"];
    tx.query(sql, params![id]).await?;
    tx.held.push((table, id));
    Ok(())
}

/// The object whose history the rows of a versioned table are: its table, and the column that names it.
fn owner(table: &str) -> (&'static str, &'static str) {
    match table {
        "user_perms" | "user_groups" | "cg_users" => ("users", "user_id"),
        "host_config" | "host_channels" => ("host", "host_id"),
        "build_target_config" => ("build_target", "build_target_id"),
        "external_repo_config" | "external_repo_data" => ("external_repo", "external_repo_id"),
        // A tag is not held: many builds are tagged into it at the same time.
        "tag_listing" => ("build", "build_id"),
        _ => ("tag", "tag_id"),
    }
}

/// Holds the object whose rows are changed, if its column is among the given ones.
///
/// Its changer has held it before reading what the change depends on, or an update of another one may be lost: that it was
/// forgotten is a defect, which tests find here.
async fn hold_owner(tx: &mut Tx, table: &'static str, columns: &Columns) -> Result<()> {
    let (objects, column) = owner(table);
    let named = columns.iter().find(|(name, _)| *name == column);
    let Some((_, Param::Int(id))) = named else { return Ok(()) };
    debug_assert!(tx.held.contains(&(objects, *id)), "{table} is changed, {objects} {id} not held");
    hold(tx, objects, *id).await
}

/// Adds a row to a versioned table: active from the transaction's event on.
///
/// On PostgreSQL events are not committed in the order of their numbers. When another transaction has ended a
/// row of the same key under a newer event, history would overlap: that is a conflict, and a new attempt gets
/// a newer event.
pub async fn insert(tx: &mut Tx, table: &'static str, columns: &Columns, user: i64) -> Result<()> {
    hold_owner(tx, table, columns).await?;
    let event = event(tx).await?;
    if tx.engine() == Engine::Postgres && ended_later(tx, table, columns, event).await? {
        return Err(tx.conflict());
    }
    let mut all = columns.to_vec();
    all.push(("create_event", Param::Int(event)));
    all.push(("creator_id", Param::Int(user)));
    insert_row(tx, table, &all).await
}

/// Whether a row of the same key was ended under a newer event than the transaction's.
async fn ended_later(
    tx: &mut Tx,
    table: &'static str,
    columns: &Columns,
    event: i64,
) -> Result<bool> {
    let keys = crate::migrate::versioned_keys(table);
    let keys: Vec<(&'static str, Param)> =
        columns.iter().filter(|(name, _)| keys.contains(name)).cloned().collect();
    let clauses = matching(&keys, 2);
    let sql = sql![
        "SELECT EXISTS (SELECT 1 FROM ",
        table,
        " WHERE revoke_event > $1",
        clauses,
        ") AS found"
    ];
    let mut params = vec![Param::Int(event)];
    params.extend(bound(&keys));
    tx.scalar(sql, &params).await
}

/// Ends the active rows of a versioned table that match `keys`; gives how many.
///
/// On PostgreSQL a row that another transaction has made under a newer event cannot be ended under this one:
/// that is a conflict, and a new attempt gets a newer event.
pub async fn revoke(tx: &mut Tx, table: &'static str, keys: &Columns, user: i64) -> Result<u64> {
    hold_owner(tx, table, keys).await?;
    let event = event(tx).await?;
    let clauses = matching(keys, 3);
    let sql = sql![
        "UPDATE ",
        table,
        " SET revoke_event = $1, revoker_id = $2, active = NULL
          WHERE active = TRUE AND create_event <= $1",
        clauses
    ];
    let mut params = vec![Param::Int(event), Param::Int(user)];
    params.extend(bound(keys));
    let ended = tx.execute(sql, &params).await?;
    if tx.engine() == Engine::Postgres {
        let clauses = matching(keys, 1);
        let sql = sql![
            "SELECT EXISTS (SELECT 1 FROM ",
            table,
            " WHERE active = TRUE",
            clauses,
            ") AS found"
        ];
        let params: Vec<Param> = bound(keys).collect();
        if tx.scalar(sql, &params).await? {
            return Err(tx.conflict());
        }
    }
    Ok(ended)
}

/// Adds a row to any table.
pub async fn insert_row(tx: &mut Tx, table: &'static str, columns: &Columns) -> Result<()> {
    let sql = insert_text(table, columns);
    let params: Vec<Param> = columns.iter().map(|(_, p)| p.clone()).collect();
    tx.execute(sql, &params).await.map(drop)
}

/// Adds a row to a table with an `id` and gives the id.
pub async fn insert_id(tx: &mut Tx, table: &'static str, columns: &Columns) -> Result<i64> {
    let sql = sql![insert_text(table, columns), " RETURNING id"];
    let params: Vec<Param> = columns.iter().map(|(_, p)| p.clone()).collect();
    let id = tx.scalar(sql, &params).await?;
    // Nobody else sees it yet.
    tx.held.push((table, id));
    Ok(id)
}

/// Changes the rows of any table that match `keys`; gives how many.
pub async fn update(
    tx: &mut Tx,
    table: &'static str,
    set: &Columns,
    keys: &Columns,
) -> Result<u64> {
    let sets = set.iter().zip(1usize..).map(|((column, _), n)| sql![*column, " = $", n]);
    let clauses = matching(keys, set.len() + 1);
    let sql = sql!["UPDATE ", table, " SET ", Sql::join(sets, ", "), " WHERE TRUE", clauses];
    let mut params: Vec<Param> = set.iter().map(|(_, p)| p.clone()).collect();
    params.extend(bound(keys));
    tx.execute(sql, &params).await
}

fn insert_text(table: &'static str, columns: &Columns) -> Sql {
    let names = Sql::join(columns.iter().map(|(column, _)| *column), ", ");
    let places = Sql::join((1..=columns.len()).map(|n| sql!["$", n]), ", ");
    sql!["INSERT INTO ", table, " (", names, ") VALUES (", places, ")"]
}

/// ` AND a = $n AND b IS NULL …`; NULL needs its own form, so the text depends on which keys are NULL.
fn matching(keys: &Columns, first: usize) -> Sql {
    let mut next = first;
    let mut out = Sql::default();
    for (column, param) in keys {
        if *param == Param::Null {
            out.push(sql![" AND ", *column, " IS NULL"]);
        } else {
            out.push(sql![" AND ", *column, " = $", next]);
            next += 1;
        }
    }
    out
}

fn bound(keys: &Columns) -> impl Iterator<Item = Param> {
    keys.iter().filter(|(_, p)| *p != Param::Null).map(|(_, p)| p.clone())
}

/// The next id of `table`, for rows whose content names their own id (a draft build's release).
pub async fn next_id(tx: &mut Tx, table: &'static str) -> Result<i64> {
    if tx.engine() == Engine::Postgres {
        return tx
            .scalar("SELECT nextval($1::text::regclass)", params![format!("{table}_id_seq")])
            .await;
    }
    let sql = "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = $1 RETURNING seq";
    if let Some(id) = tx.scalar_opt(sql, params![table]).await? {
        return Ok(id);
    }
    tx.scalar(
        "INSERT INTO sqlite_sequence (name, seq) VALUES ($1, 1) RETURNING seq",
        params![table],
    )
    .await
}
