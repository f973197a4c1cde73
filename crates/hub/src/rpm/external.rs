//! RPMs of external repositories, which are known by name and hash only.

use toji_db::buildroot::ExternalRpm;
use toji_db::lookup::Names;
use toji_db::rpm as db;
use toji_value::{Fault, Map, Value};

use crate::Call;

/// What is known of an RPM of an external repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    name: String,
    version: String,
    release: String,
    epoch: Option<i64>,
    arch: String,
    payloadhash: String,
    size: i64,
    buildtime: i64,
}

impl Fields {
    /// Reads a caller's mapping; further members are ignored.
    ///
    /// # Errors
    /// A generic fault for a member that is missing or of a wrong type.
    pub fn of(rpm: &Map) -> Result<Self, Fault> {
        let shown = || Value::from(rpm.clone()).repr();
        let get = |field: &str| {
            let missing = || Fault::generic(format!("{field} field missing: {}", shown()));
            rpm.get(field).ok_or_else(missing)
        };
        let wrong = |field: &str, value: &Value| {
            Fault::generic(format!("Invalid value for {field}: {}", value.repr()))
        };
        let text = |field: &str| {
            let value = get(field)?;
            value.as_str().map(str::to_owned).ok_or_else(|| wrong(field, value))
        };
        let number = |field: &str| {
            let value = get(field)?;
            value.as_int().ok_or_else(|| wrong(field, value))
        };
        Ok(Fields {
            name: text("name")?,
            version: text("version")?,
            release: text("release")?,
            epoch: match get("epoch")? {
                Value::Nil => None,
                _ => Some(number("epoch")?),
            },
            arch: text("arch")?,
            payloadhash: text("payloadhash")?,
            size: number("size")?,
            buildtime: number("buildtime")?,
        })
    }

    fn shown(&self, repo: &str) -> String {
        format!("{}-{}-{}.{}@{repo}", self.name, self.version, self.release, self.arch)
    }

    /// Refuses an RPM that differs from the one that is known under its name.
    ///
    /// # Errors
    /// A generic fault with both hashes.
    pub fn check_same(&self, known: &Map, repo: &str) -> Result<(), Fault> {
        let (new, old) = (&self.payloadhash, known.value("payloadhash").display());
        if *new == old {
            return Ok(());
        }
        let text = format!("hash changed for external rpm: {} ({old} -> {new})", self.shown(repo));
        Err(Fault::generic(text))
    }
}

/// Enters an RPM that is new; one that somebody else has just entered must be the same.
///
/// # Errors
/// When it is not.
pub async fn insert(call: &mut Call, rpm: &Fields, repo_id: i64, repo: &str) -> Result<i64, Fault> {
    let new = ExternalRpm {
        repo_id,
        name: &rpm.name,
        version: &rpm.version,
        release: &rpm.release,
        epoch: rpm.epoch,
        arch: &rpm.arch,
        payloadhash: &rpm.payloadhash,
        size: rpm.size,
        buildtime: rpm.buildtime,
    };
    if let Some(id) = toji_db::buildroot::insert_external(&mut call.tx, &new).await? {
        return Ok(id);
    }
    let known = find(call, rpm, repo_id).await?;
    let known = known.ok_or_else(|| Fault::unexpected("an external rpm vanished"))?;
    rpm.check_same(&known, repo)?;
    Ok(known.int("id").unwrap_or_default())
}

async fn find(call: &mut Call, rpm: &Fields, repo_id: i64) -> Result<Option<Map>, Fault> {
    let nvra = (&*rpm.name, &*rpm.version, &*rpm.release, &*rpm.arch);
    let rows = db::by_nvra(&mut call.tx, nvra, Some(repo_id)).await?;
    Ok(rows.into_iter().next().map(toji_db::Row::into_map))
}

/// Enters an RPM of an external repository; without `strict` one that is known already is fine.
///
/// # Errors
/// When a member is wrong, the repository is unknown, or the RPM is known with another hash.
pub async fn add(call: &mut Call, rpm: &Map, repo: &Value, strict: bool) -> Result<i64, Fault> {
    let fields = Fields::of(rpm)?;
    let repo = call.need(Names::ExternalRepo, repo).await?;
    if let Some(known) = find(call, &fields, repo.id).await? {
        if strict {
            let text = format!("external rpm already exists: {}", fields.shown(&repo.name));
            return Err(Fault::generic(text));
        }
        fields.check_same(&known, &repo.name)?;
        return Ok(known.int("id").unwrap_or_default());
    }
    insert(call, &fields, repo.id, &repo.name).await
}
