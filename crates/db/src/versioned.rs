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
pub async fn insert(tx: &mut Tx, table: &str, columns: &Columns<'_>, user: i64) -> Result<()> {
    let event = event(tx).await?;
    let mut all = columns.to_vec();
    all.push(("create_event", Param::Int(event)));
    all.push(("creator_id", Param::Int(user)));
    insert_row(tx, table, &all).await
}

/// Ends the active rows of a versioned table that match `keys`; gives how many.
pub async fn revoke(tx: &mut Tx, table: &str, keys: &Columns<'_>, user: i64) -> Result<u64> {
    let event = event(tx).await?;
    let clauses = matching(keys, 3);
    let sql = format!(
        "UPDATE {table} SET revoke_event = $1, revoker_id = $2, active = NULL WHERE active = TRUE{clauses}"
    );
    let mut params = vec![Param::Int(event), Param::Int(user)];
    params.extend(bound(keys));
    tx.execute(&sql, &params).await
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
