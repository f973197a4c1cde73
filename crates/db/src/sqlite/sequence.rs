//! Ids that a transaction took and gave back are not given again, as with PostgreSQL's sequences.

use rusqlite::Connection;

/// The last id of some tables.
pub(super) type Last = Vec<(String, i64)>;

/// The last id of each table that had one; nothing before the schema is there.
pub(super) fn last(conn: &Connection) -> Last {
    let read = || -> rusqlite::Result<Last> {
        let mut stmt = conn.prepare_cached("SELECT name, seq FROM sqlite_sequence")?;
        stmt.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    read().unwrap_or_default()
}

/// Those of `before` that are higher than what the database has now.
pub(super) fn taken_back(conn: &Connection, before: Last) -> Last {
    let now = last(conn);
    let kept = |name: &str| now.iter().find(|(n, _)| n == name).map_or(0, |(_, seq)| *seq);
    before.into_iter().filter(|(name, seq)| *seq > kept(name)).collect()
}

/// Makes the next ids follow these.
pub(super) fn raise(conn: &Connection, ids: &[(String, i64)]) -> rusqlite::Result<()> {
    for (name, seq) in ids {
        let sql = "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1";
        if conn.prepare_cached(sql)?.execute((name, seq))? == 0 {
            let sql = "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)";
            conn.prepare_cached(sql)?.execute((name, seq))?;
        }
    }
    Ok(())
}
