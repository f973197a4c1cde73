//! Packages that wait for a signer.

use toji_value::Value;

use crate::{QueryOpts, Result, Row, Select, Time, Tx, params};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for a signer.
    Free,
    /// A signer has it, until its lease ends.
    Taken,
    /// The signature is stored.
    Done,
    /// A signer has given it up.
    Failed,
    /// It is no longer wanted.
    Canceled,
}

impl State {
    /// The name in the database and in answers.
    pub fn name(self) -> &'static str {
        match self {
            State::Free => "free",
            State::Taken => "taken",
            State::Done => "done",
            State::Failed => "failed",
            State::Canceled => "canceled",
        }
    }
}

/// Adds a job for each of these RPMs; gives their numbers.
pub async fn add(
    tx: &mut Tx,
    rpms: &[i64],
    fingerprint: &str,
    user: i64,
    label: Option<&str>,
) -> Result<Vec<i64>> {
    let sql = "INSERT INTO toji_signing (rpm_id, fingerprint, state, user_id, label)
               SELECT id, $2::text, 'free', $3::integer, $4::text FROM rpminfo
                WHERE id = ANY($1) ORDER BY id RETURNING id";
    let label = label.map(str::to_owned);
    let rows = tx.query(sql, params![rpms, fingerprint, user, label]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Those of these RPMs that have a signature of the key, or a job for it that has not ended: `rpm_id`.
pub async fn covered(tx: &mut Tx, rpms: &[i64], fingerprints: &[String]) -> Result<Vec<i64>> {
    let sql = "SELECT s.rpm_id AS rpm_id FROM toji_rpmsig s
                 JOIN rpmsigs g ON g.rpm_id = s.rpm_id AND g.sigkey = s.sigkey AND g.sighash = s.sighash
                WHERE s.rpm_id = ANY($1) AND s.fingerprint = ANY($2)
                UNION
               SELECT rpm_id FROM toji_signing
                WHERE rpm_id = ANY($1) AND fingerprint = ANY($2) AND state IN ('free', 'taken')";
    let rows = tx.query(sql, params![rpms, fingerprints]).await?;
    rows.iter().map(|row| row.get("rpm_id")).collect()
}

/// Gives jobs for these keys to a signer, the oldest first: free ones, and those whose lease has ended.
pub async fn take(
    tx: &mut Tx,
    fingerprints: &[String],
    signer: i64,
    now: Time,
    lease: Time,
    limit: i64,
) -> Result<Vec<Row>> {
    let lock = match tx.engine() {
        crate::Engine::Postgres => " FOR UPDATE SKIP LOCKED",
        crate::Engine::Sqlite => "",
    };
    let sql = crate::sql![
        "UPDATE toji_signing SET state = 'taken', signer = $2, lease = $4, turn = turn + 1
          WHERE id IN (SELECT id FROM toji_signing
                        WHERE fingerprint = ANY($1)
                          AND (state = 'free' OR state = 'taken' AND lease <= $3)
                        ORDER BY id LIMIT $5",
        lock,
        ") RETURNING id, rpm_id, fingerprint, turn"
    ];
    tx.query(sql, params![fingerprints, signer, now, lease, limit]).await
}

/// A job, locked until the end of the transaction: `id`, `rpm_id`, `fingerprint`, `state`, `user_id`, `signer`, `turn`,
/// `label`.
pub async fn lock(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    let sql = "UPDATE toji_signing SET turn = turn WHERE id = $1
               RETURNING id, rpm_id, fingerprint, state, user_id, signer, turn, label";
    tx.query_opt(sql, params![id]).await
}

/// A job: as [`lock`], without locking it.
pub async fn get(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    let sql = "SELECT id, rpm_id, fingerprint, state, user_id, signer, turn, label
                 FROM toji_signing WHERE id = $1";
    tx.query_opt(sql, params![id]).await
}

/// Ends a job, with the label of its signature or the reason why there is none.
pub async fn end(
    tx: &mut Tx,
    id: i64,
    state: State,
    sigkey: Option<&str>,
    reason: Option<&str>,
) -> Result<()> {
    let sql =
        "UPDATE toji_signing SET state = $2, sigkey = $3, reason = $4, ended = NOW(), lease = NULL
                WHERE id = $1";
    let text = |text: Option<&str>| text.map(str::to_owned);
    tx.execute(sql, params![id, state.name(), text(sigkey), text(reason)]).await.map(drop)
}

/// Jobs by state, RPM and key, the newest first.
pub async fn list(
    tx: &mut Tx,
    state: Option<String>,
    rpm: Option<i64>,
    fingerprint: Option<String>,
    opts: &QueryOpts,
) -> Result<Value> {
    Select::from("toji_signing")
        .fields(&[
            ("toji_signing.created", "created"),
            ("toji_signing.ended", "ended"),
            ("toji_signing.fingerprint", "fingerprint"),
            ("toji_signing.id", "id"),
            ("toji_signing.label", "label"),
            ("rpminfo.name || '-' || rpminfo.version || '-' || rpminfo.release || '.' || rpminfo.arch", "nvra"),
            ("requester.name", "owner"),
            ("toji_signing.reason", "reason"),
            ("toji_signing.rpm_id", "rpm_id"),
            ("toji_signing.sigkey", "sigkey"),
            ("signer.name", "signer"),
            ("toji_signing.state", "state"),
        ])
        .join("rpminfo ON rpminfo.id = toji_signing.rpm_id")
        .join("users requester ON requester.id = toji_signing.user_id")
        .join("LEFT JOIN users signer ON signer.id = toji_signing.signer")
        .filter_opt("toji_signing.state = ?", state)
        .filter_opt("toji_signing.rpm_id = ?", rpm)
        .filter_opt("toji_signing.fingerprint = ?", fingerprint)
        .order_default_sql("toji_signing.id DESC")
        .opts(opts)
        .fetch(tx)
        .await
}
