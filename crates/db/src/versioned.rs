//! Events, and rows of the event-versioned tables.

use crate::{Engine, Param, Result, Tx, params};

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
pub type Columns<'a> = [(&'a str, Param)];

/// Adds a row to a versioned table: active from the transaction's event on.
///
/// On PostgreSQL events are not committed in the order of their numbers. When another transaction has ended a
/// row of the same key under a newer event, history would overlap: that is a conflict, and a new attempt gets
/// a newer event.
pub async fn insert(tx: &mut Tx, table: &str, columns: &Columns<'_>, user: i64) -> Result<()> {
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
async fn ended_later(tx: &mut Tx, table: &str, columns: &Columns<'_>, event: i64) -> Result<bool> {
    let keys = crate::migrate::versioned_keys(table);
    let keys: Vec<(&str, Param)> =
        columns.iter().filter(|(name, _)| keys.contains(name)).cloned().collect();
    let clauses = matching(&keys, 2);
    let sql =
        format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE revoke_event > $1{clauses}) AS found");
    let mut params = vec![Param::Int(event)];
    params.extend(bound(&keys));
    tx.scalar(&sql, &params).await
}

/// Ends the active rows of a versioned table that match `keys`; gives how many.
///
/// On PostgreSQL a row that another transaction has made under a newer event cannot be ended under this one:
/// that is a conflict, and a new attempt gets a newer event.
pub async fn revoke(tx: &mut Tx, table: &str, keys: &Columns<'_>, user: i64) -> Result<u64> {
    let event = event(tx).await?;
    let clauses = matching(keys, 3);
    let sql = format!(
        "UPDATE {table} SET revoke_event = $1, revoker_id = $2, active = NULL
          WHERE active = TRUE AND create_event <= $1{clauses}"
    );
    let mut params = vec![Param::Int(event), Param::Int(user)];
    params.extend(bound(keys));
    let ended = tx.execute(&sql, &params).await?;
    if tx.engine() == Engine::Postgres {
        let clauses = matching(keys, 1);
        let sql =
            format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE active = TRUE{clauses}) AS found");
        let params: Vec<Param> = bound(keys).collect();
        if tx.scalar(&sql, &params).await? {
            return Err(tx.conflict());
        }
    }
    Ok(ended)
}

/// Adds a row to any table.
pub async fn insert_row(tx: &mut Tx, table: &str, columns: &Columns<'_>) -> Result<()> {
    let sql = insert_text(table, columns);
    let params: Vec<Param> = columns.iter().map(|(_, p)| p.clone()).collect();
    tx.execute(&sql, &params).await.map(drop)
}

/// Adds a row to a table with an `id` and gives the id.
pub async fn insert_id(tx: &mut Tx, table: &str, columns: &Columns<'_>) -> Result<i64> {
    let sql = format!("{} RETURNING id", insert_text(table, columns));
    let params: Vec<Param> = columns.iter().map(|(_, p)| p.clone()).collect();
    tx.scalar(&sql, &params).await
}

/// Changes the rows of any table that match `keys`; gives how many.
pub async fn update(
    tx: &mut Tx,
    table: &str,
    set: &Columns<'_>,
    keys: &Columns<'_>,
) -> Result<u64> {
    let sets: Vec<String> = set.iter().zip(1..).map(|((c, _), n)| format!("{c} = ${n}")).collect();
    let clauses = matching(keys, set.len() + 1);
    let sql = format!("UPDATE {table} SET {} WHERE TRUE{clauses}", sets.join(", "));
    let mut params: Vec<Param> = set.iter().map(|(_, p)| p.clone()).collect();
    params.extend(bound(keys));
    tx.execute(&sql, &params).await
}

fn insert_text(table: &str, columns: &Columns<'_>) -> String {
    let names: Vec<&str> = columns.iter().map(|(c, _)| *c).collect();
    let places: Vec<String> = (1..=columns.len()).map(|n| format!("${n}")).collect();
    format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), places.join(", "))
}

/// ` AND a = $n AND b IS NULL …`; NULL needs its own form, so the text depends on which keys are NULL.
fn matching(keys: &Columns<'_>, first: usize) -> String {
    let mut next = first;
    let mut out = String::new();
    for (column, param) in keys {
        if *param == Param::Null {
            out += &format!(" AND {column} IS NULL");
        } else {
            out += &format!(" AND {column} = ${next}");
            next += 1;
        }
    }
    out
}

fn bound(keys: &Columns<'_>) -> impl Iterator<Item = Param> {
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
