//! Who made the signatures of RPMs: long ids and fingerprints of keys beside Koji's labels.

use toji_value::Value;

use crate::{Engine, Param, QueryOpts, Result, Row, Select, Sql, Tx, params, sql};

/// A signature in a signature header, as its packet describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signer {
    /// The name of its tag in lower case.
    pub slot: String,
    /// Version of the packet; nothing, with all that follows, for a kind that is not known.
    pub version: Option<i64>,
    /// Number of the public key algorithm.
    pub algorithm: Option<i64>,
    /// Number of the hash algorithm.
    pub hash: Option<i64>,
    /// When it says that it was made, seconds since 1970.
    pub created: Option<i64>,
    /// Long id of the key, 16 hexadecimal digits in lower case.
    pub key_id: Option<String>,
    /// Fingerprint of the key in lower case, if the signature has it.
    pub fingerprint: Option<String>,
}

/// The signatures of a stored signature header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The RPM.
    pub rpm: i64,
    /// What the header is filed under.
    pub sigkey: String,
    /// MD5 of the header.
    pub sighash: String,
    /// The signatures in their order.
    pub signers: Vec<Signer>,
}

impl Signed {
    /// A line of fixed columns for each signature, so that one statement takes them all on both engines.
    fn lines(&self) -> impl Iterator<Item = String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let number = |value: Option<i64>| value.map(|n| n.to_string()).unwrap_or_default();
        (0_i64..).zip(&self.signers).map(move |(place, one)| {
            format!(
                "{:<20}{place:<4}{:<10}{:<4}{:<4}{:<4}{:<12}{:<16}{:<64}{:<64}{}",
                self.rpm,
                one.slot,
                number(one.version),
                number(one.algorithm),
                number(one.hash),
                number(one.created),
                text(&one.key_id),
                text(&one.fingerprint),
                self.sighash,
                self.sigkey
            )
        })
    }
}

/// Enters the signatures of headers in place of what is known under the same labels; each RPM and label comes once.
pub async fn insert(tx: &mut Tx, headers: &[Signed]) -> Result<()> {
    let rpms: Vec<i64> = headers.iter().map(|header| header.rpm).collect();
    let labels: Vec<String> =
        headers.iter().map(|header| format!("{} {}", header.rpm, header.sigkey)).collect();
    let sql =
        "DELETE FROM toji_rpmsig WHERE rpm_id = ANY($1) AND rpm_id || ' ' || sigkey = ANY($2)";
    tx.execute(sql, params![rpms.as_slice(), labels]).await?;
    let lines: Vec<String> = headers.iter().flat_map(Signed::lines).collect();
    if lines.is_empty() {
        return Ok(());
    }
    let table: Sql = match tx.engine() {
        Engine::Postgres => "unnest($1::text[]) AS line(value)".into(),
        Engine::Sqlite => "json_each($1) AS line".into(),
    };
    let sql = sql![
        "INSERT INTO toji_rpmsig (rpm_id, number, slot, version, algorithm, hash, created, key_id,
                                  fingerprint, sighash, sigkey)
         SELECT substr(line.value, 1, 20)::bigint, substr(line.value, 21, 4)::bigint,
                trim(substr(line.value, 25, 10)), NULLIF(trim(substr(line.value, 35, 4)), '')::bigint,
                NULLIF(trim(substr(line.value, 39, 4)), '')::bigint,
                NULLIF(trim(substr(line.value, 43, 4)), '')::bigint,
                NULLIF(trim(substr(line.value, 47, 12)), '')::bigint,
                NULLIF(trim(substr(line.value, 59, 16)), ''), NULLIF(trim(substr(line.value, 75, 64)), ''),
                trim(substr(line.value, 139, 64)), substr(line.value, 203)
           FROM ",
        table
    ];
    tx.execute(sql, params![lines]).await.map(drop)
}

/// A key, as callers name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// What a signature is filed under.
    Label(String),
    /// That, or the last eight digits of the key's id.
    Short(String),
    /// A label, or the long id of a key.
    Id(String),
    /// A label, or the fingerprint of a key.
    Fingerprint(String),
}

impl Key {
    /// What a text means, by its length and digits; it may have upper case.
    pub fn parse(text: &str) -> Key {
        let text = text.to_lowercase();
        match text.len() {
            _ if !text.bytes().all(|b| b.is_ascii_hexdigit()) => Key::Label(text),
            8 => Key::Short(text),
            16 => Key::Id(text),
            40 | 64 => Key::Fingerprint(text),
            _ => Key::Label(text),
        }
    }

    /// The text in lower case.
    pub fn text(&self) -> &str {
        match self {
            Key::Label(text) | Key::Short(text) | Key::Id(text) | Key::Fingerprint(text) => text,
        }
    }

    /// The long id of a fingerprint.
    fn id_of_fingerprint(text: &str) -> &str {
        if text.len() == 64 { &text[..16] } else { &text[24..] }
    }

    /// A condition on `rpmsigs` that holds for signatures of the key; with `short`, eight digits are more than a label.
    fn filter(&self, select: Select, short: bool) -> Select {
        let label = Param::from(self.text());
        match self {
            Key::Short(text) if short => select.filter_with(
                "(rpmsigs.rpm_id, rpmsigs.sigkey) IN (
                    SELECT rpm_id, sigkey FROM rpmsigs WHERE sigkey = ?
                     UNION
                    SELECT s.rpm_id, s.sigkey FROM toji_rpmsig s
                      JOIN rpmsigs g ON g.rpm_id = s.rpm_id AND g.sigkey = s.sigkey AND g.sighash = s.sighash
                     WHERE substr(s.key_id, 9) = ?)",
                vec![label, text.into()],
            ),
            Key::Label(_) | Key::Short(_) => select.filter("rpmsigs.sigkey = ?", label),
            Key::Id(text) => select.filter_with(
                "(rpmsigs.rpm_id, rpmsigs.sigkey) IN (
                    SELECT rpm_id, sigkey FROM rpmsigs WHERE sigkey = ?
                     UNION
                    SELECT s.rpm_id, s.sigkey FROM toji_rpmsig s
                      JOIN rpmsigs g ON g.rpm_id = s.rpm_id AND g.sigkey = s.sigkey AND g.sighash = s.sighash
                     WHERE s.key_id = ?)",
                vec![label, text.into()],
            ),
            // Old signatures name the key by its id alone.
            Key::Fingerprint(text) => select.filter_with(
                "(rpmsigs.rpm_id, rpmsigs.sigkey) IN (
                    SELECT rpm_id, sigkey FROM rpmsigs WHERE sigkey = ?
                     UNION
                    SELECT s.rpm_id, s.sigkey FROM toji_rpmsig s
                      JOIN rpmsigs g ON g.rpm_id = s.rpm_id AND g.sigkey = s.sigkey AND g.sighash = s.sighash
                     WHERE s.fingerprint = ? OR s.fingerprint IS NULL AND s.key_id = ?)",
                vec![label, text.into(), Self::id_of_fingerprint(text).into()],
            ),
        }
    }
}

/// Koji's listing of signatures (`rpm_id`, `sighash`, `sigkey`), of keys by label, long id or fingerprint.
pub async fn listed(
    tx: &mut Tx,
    rpm: Option<i64>,
    key: Option<&Key>,
    opts: &QueryOpts,
) -> Result<Value> {
    let mut select = Select::from("rpmsigs")
        .fields(&[
            ("rpmsigs.rpm_id", "rpm_id"),
            ("rpmsigs.sighash", "sighash"),
            ("rpmsigs.sigkey", "sigkey"),
        ])
        .filter_opt("rpmsigs.rpm_id = ?", rpm);
    if let Some(key) = key {
        select = key.filter(select, false);
    }
    select.opts(opts).fetch(tx).await
}

/// Everything that is known of signatures, a row for each signature in each header; of a key by label, by eight or
/// sixteen digits of its id, or by its fingerprint.
pub async fn details(
    tx: &mut Tx,
    rpm: Option<i64>,
    key: Option<&Key>,
    opts: &QueryOpts,
) -> Result<Value> {
    let mut select = Select::from("rpmsigs")
        .fields(&[
            ("s.algorithm", "algorithm"),
            ("s.created", "created"),
            ("s.fingerprint", "fingerprint"),
            ("s.hash", "hash"),
            ("s.key_id", "key_id"),
            ("rpmsigs.rpm_id", "rpm_id"),
            ("rpmsigs.sighash", "sighash"),
            ("rpmsigs.sigkey", "sigkey"),
            ("s.slot", "slot"),
            ("s.version", "version"),
        ])
        .join(
            "LEFT JOIN toji_rpmsig s ON s.rpm_id = rpmsigs.rpm_id AND s.sigkey = rpmsigs.sigkey
                  AND s.sighash = rpmsigs.sighash",
        )
        .filter_opt("rpmsigs.rpm_id = ?", rpm);
    if let Some(key) = key {
        select = key.filter(select, true);
        // Of a header with several signatures those of this key only, unless it is filed under that text.
        let either = |text, id: &str| (text, vec![key.text().into(), id.into()]);
        select = match key {
            Key::Label(_) => select,
            Key::Short(text) => {
                let any = either("rpmsigs.sigkey = ? OR substr(s.key_id, 9) = ?", text);
                select.filter_any(vec![any])
            }
            Key::Id(text) => {
                select.filter_any(vec![either("rpmsigs.sigkey = ? OR s.key_id = ?", text)])
            }
            Key::Fingerprint(text) => {
                let id = Key::id_of_fingerprint(text);
                let any = "rpmsigs.sigkey = ? OR s.fingerprint = ? OR s.fingerprint IS NULL AND s.key_id = ?";
                select.filter_any(vec![(any, vec![text.into(), text.into(), id.into()])])
            }
        };
    }
    select.order_default_sql("rpmsigs.rpm_id, rpmsigs.sigkey, s.number").opts(opts).fetch(tx).await
}

/// The signatures of the header that an RPM has under a label: nothing if that header's are not entered, none if there
/// is no such header.
pub async fn of_label(tx: &mut Tx, rpm: i64, label: &str) -> Result<Option<Vec<Signer>>> {
    let sql =
        "SELECT s.slot AS slot, s.version AS version, s.algorithm AS algorithm, s.hash AS hash,
                      s.created AS created, s.key_id AS key_id, s.fingerprint AS fingerprint
                 FROM rpmsigs
                 LEFT JOIN toji_rpmsig s ON s.rpm_id = rpmsigs.rpm_id AND s.sigkey = rpmsigs.sigkey
                      AND s.sighash = rpmsigs.sighash
                WHERE rpmsigs.rpm_id = $1 AND rpmsigs.sigkey = $2 ORDER BY s.number";
    let mut found = Vec::new();
    for row in tx.query(sql, params![rpm, label]).await? {
        let Some(slot) = row.get("slot")? else { return Ok(None) };
        found.push(Signer {
            slot,
            version: row.get("version")?,
            algorithm: row.get("algorithm")?,
            hash: row.get("hash")?,
            created: row.get("created")?,
            key_id: row.get("key_id")?,
            fingerprint: row.get("fingerprint")?,
        });
    }
    Ok(Some(found))
}

/// The labels under which an RPM has signatures of a key; the label of that very text first.
pub async fn labels(tx: &mut Tx, rpm: i64, key: &Key) -> Result<Vec<String>> {
    let select = Select::from("rpmsigs").field("rpmsigs.sigkey", "sigkey");
    let select = key.filter(select.filter("rpmsigs.rpm_id = ?", rpm), false);
    let found = select.order_default_sql("rpmsigs.sigkey").fetch(tx).await?;
    let labels = found.as_array().unwrap_or_default().iter();
    let mut labels: Vec<String> =
        labels.filter_map(|row| row.get("sigkey").as_str().map(str::to_owned)).collect();
    labels.sort_by_key(|label| label != key.text());
    Ok(labels)
}

/// Signature headers after one, in the order of RPMs and labels, whose signatures are not entered: `rpm_id`, `sigkey`,
/// `sighash`, and what their places are made of.
pub async fn without(tx: &mut Tx, after: (i64, &str), limit: i64) -> Result<Vec<Row>> {
    let sql = "SELECT g.rpm_id AS rpm_id, g.sigkey AS sigkey, g.sighash AS sighash, r.name AS name,
                      r.version AS version, r.release AS release, r.arch AS arch,
                      package.name AS build_name, build.version AS build_version,
                      build.release AS build_release, volume.name AS volume
                 FROM rpmsigs g
                 JOIN rpminfo r ON r.id = g.rpm_id
                 JOIN build ON build.id = r.build_id
                 JOIN package ON package.id = build.pkg_id
                 JOIN volume ON volume.id = build.volume_id
                WHERE (g.rpm_id > $1 OR g.rpm_id = $1 AND g.sigkey > $2) AND g.sigkey <> ''
                  AND NOT EXISTS (SELECT 1 FROM toji_rpmsig s
                                   WHERE s.rpm_id = g.rpm_id AND s.sigkey = g.sigkey
                                     AND s.sighash = g.sighash)
                ORDER BY g.rpm_id, g.sigkey LIMIT $3";
    tx.query(sql, params![after.0, after.1, limit]).await
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn keys_are_told_by_their_digits() {
        let (short, id, old) = ("AB".repeat(4), "ab".repeat(8), "ab".repeat(20));
        assert_eq!(Key::parse(&short), Key::Short("abababab".into()));
        assert_eq!(Key::parse(&id), Key::Id(id.clone()));
        assert_eq!(Key::parse(&old), Key::Fingerprint(old.clone()));
        assert_eq!(Key::parse("Release-2026"), Key::Label("release-2026".into()));
        assert_eq!(Key::parse("abc"), Key::Label("abc".into()));
        assert_eq!(Key::id_of_fingerprint(&format!("{}{id}", "0".repeat(24))), id);
        assert_eq!(Key::id_of_fingerprint(&format!("{id}{}", "0".repeat(48))), id);
    }
}
