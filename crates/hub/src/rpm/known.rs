//! Lists of RPMs that callers name, resolved to numbers at once.

use std::collections::HashMap;

use toji_db::lookup::Names;
use toji_db::rpm as db;
use toji_value::{Fault, Map, Value};

use super::external;
use crate::Call;

type Key = [String; 4];

fn key(rpm: &Map) -> Key {
    ["name", "version", "release", "arch"].map(|part| rpm.value(part).display())
}

/// What the database has under the names of a list.
pub struct Known(HashMap<Key, Vec<Map>>);

impl Known {
    /// Looks the RPMs of a list up.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load(call: &mut Call, rpms: &[&Map]) -> Result<Self, Fault> {
        let column = |part: &str| {
            let mut all: Vec<String> = rpms.iter().map(|rpm| rpm.value(part).display()).collect();
            all.sort();
            all.dedup();
            all
        };
        let (names, versions) = (column("name"), column("version"));
        let releases = column("release");
        let mut known: HashMap<Key, Vec<Map>> = HashMap::new();
        if !rpms.is_empty() {
            for row in db::candidates(&mut call.tx, &names, &versions, &releases).await? {
                let row = row.into_map();
                known.entry(key(&row)).or_default().push(row);
            }
        }
        Ok(Known(known))
    }

    /// The RPM of a name: one of a build before one of a draft before one of another place.
    pub fn find(&self, rpm: &Map) -> Option<&Map> {
        let rank = |rpm: &&Map| match () {
            () if rpm.int("external_repo_id") != Some(0) => 0,
            () if rpm.truthy("draft") => 1,
            () => 2,
        };
        self.0.get(&key(rpm))?.iter().max_by_key(|rpm| (rank(rpm), rpm.int("id")))
    }

    fn external(&self, rpm: &Map, repo: i64) -> Option<&Map> {
        let same = |known: &&Map| known.int("external_repo_id") == Some(repo);
        self.0.get(&key(rpm))?.iter().find(same)
    }
}

fn mappings(rpms: &[Value]) -> Result<Vec<&Map>, Fault> {
    let wrong = |rpm: &Value| Fault::unexpected(format!("an rpm is no mapping: {}", rpm.repr()));
    rpms.iter().map(|rpm| rpm.as_struct().ok_or_else(|| wrong(rpm))).collect()
}

fn location(rpm: &Map) -> Option<&Value> {
    rpm.get("location").filter(|location| location.truthy())
}

/// Which RPMs of this system a list may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// Those of builds that are no drafts, by name.
    Finished,
    /// Those of drafts too, by name or by number.
    Drafts,
}

impl Own {
    fn find(self, known: &Known, rpm: &Map) -> Result<i64, Fault> {
        if let (Own::Drafts, Some(id)) = (self, rpm.int("id")) {
            return Ok(id);
        }
        let missing =
            || Fault::generic(format!("No such rpm: {}", Value::from(rpm.clone()).repr()));
        let found = known.find(rpm).ok_or_else(missing)?;
        if self == Own::Finished && found.truthy("draft") {
            return Err(Fault::generic("Draft rpm not supported"));
        }
        Ok(found.int("id").unwrap_or_default())
    }
}

/// Refuses a list with RPMs that are neither known nor come from another place, and drafts.
///
/// # Errors
/// A generic fault that names the RPM.
pub async fn check(call: &mut Call, rpms: &[Value]) -> Result<(), Fault> {
    let rpms = mappings(rpms)?;
    let known = Known::load(call, &rpms).await?;
    for rpm in rpms {
        match location(rpm) {
            Some(_) => drop(external::Fields::of(rpm)?),
            None => drop(Own::Finished.find(&known, rpm)?),
        }
    }
    Ok(())
}

/// The numbers of the RPMs of a list, in ascending order; those of other places are entered if they
/// are new.
///
/// # Errors
/// As [`check`], and when one of another place has changed.
pub async fn resolve(call: &mut Call, rpms: &[Value], own: Own) -> Result<Vec<i64>, Fault> {
    let rpms = mappings(rpms)?;
    let known = Known::load(call, &rpms).await?;
    let mut repos: HashMap<String, i64> = HashMap::new();
    let mut ids = Vec::with_capacity(rpms.len());
    for rpm in rpms {
        let Some(place) = location(rpm) else {
            ids.push(own.find(&known, rpm)?);
            continue;
        };
        let repo = match repos.get(&place.repr()) {
            Some(id) => *id,
            None => call.need(Names::ExternalRepo, place).await?.id,
        };
        repos.insert(place.repr(), repo);
        let fields = external::Fields::of(rpm)?;
        ids.push(match known.external(rpm, repo) {
            Some(found) => {
                fields.check_same(found, &place.display())?;
                found.int("id").unwrap_or_default()
            }
            None => external::insert(call, &fields, repo, &place.display()).await?,
        });
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}
