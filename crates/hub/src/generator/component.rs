//! What was used: RPMs and archives that metadata name, found among those that are known.

use std::collections::HashMap;

use toji_db::archive as db;
use toji_types::ChecksumType;
use toji_value::{Fault, Map, Value};

use super::metadata::need;
use crate::Call;
use crate::rpm::known::Known;

/// Numbers of RPMs and archives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Matched {
    pub(super) rpms: Vec<i64>,
    pub(super) archives: Vec<i64>,
}

/// Everything that the components of one import may be.
pub(super) struct Components {
    rpms: Known,
    by_name: HashMap<String, Vec<Map>>,
    by_id: HashMap<i64, Map>,
    /// What could not be found, for the log of the import.
    pub(super) log: Vec<String>,
}

impl Components {
    /// Looks everything up that components name.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn load(call: &mut Call, all: &[&Map]) -> Result<Self, Fault> {
        let of = |kind: &str| all.iter().filter(|c| c.str("type") == Some(kind)).copied().collect();
        let rpms: Vec<&Map> = of("rpm");
        let rpms = Known::load(call, &rpms).await?;
        let files: Vec<&Map> = of("file");
        let mut names: Vec<String> =
            files.iter().map(|file| file.value("filename").display()).collect();
        names.sort();
        names.dedup();
        let mut by_name: HashMap<String, Vec<Map>> = HashMap::new();
        if !names.is_empty() {
            for row in db::of_names(&mut call.tx, &names).await? {
                by_name.entry(row.get("filename")?).or_default().push(row.into_map());
            }
        }
        let own: Vec<&Map> = of("kojifile");
        let ids: Vec<i64> = own.iter().filter_map(|file| file.int("archive_id")).collect();
        let mut by_id = HashMap::new();
        if !ids.is_empty() {
            for row in db::with_builds(&mut call.tx, &ids).await? {
                by_id.insert(row.get("id")?, row.into_map());
            }
        }
        Ok(Components { rpms, by_name, by_id, log: Vec::new() })
    }

    /// Finds each component; those that cannot be found are left out, and logged.
    ///
    /// # Errors
    /// For what must not be a component.
    pub(super) fn matches(&mut self, components: &[&Map]) -> Result<Matched, Fault> {
        let mut found = Matched::default();
        for component in components {
            match need(component, "type")?.display().as_str() {
                "rpm" => found.rpms.extend(self.rpm(component)?),
                "file" => found.archives.extend(self.file(component)?),
                "kojifile" => found.archives.push(self.own_file(component)?),
                other => {
                    return Err(Fault::generic(format!("No such component type: {other}")));
                }
            }
        }
        Ok(found)
    }

    fn rpm(&mut self, component: &Map) -> Result<Option<i64>, Fault> {
        if component.contains_key("location") {
            return Err(Fault::generic("External rpms not allowed"));
        }
        if component.contains_key("id") {
            return Err(Fault::generic("Unexpected 'id' field in component"));
        }
        for key in ["name", "version", "release", "arch"] {
            need(component, key)?;
        }
        let shown = || Value::from(component.clone()).repr();
        let Some(rpm) = self.rpms.find(component) else {
            self.log.push(format!("IGNORING unmatched rpm component: {}", shown()));
            return Ok(None);
        };
        if rpm.truthy("draft") {
            return Err(Fault::generic("Draft rpm not supported"));
        }
        if rpm.value("payloadhash") != need(component, "sigmd5")? {
            self.log.push(format!("IGNORING rpm component (md5 mismatch): {}", shown()));
        }
        Ok(rpm.int("id"))
    }

    fn file(&mut self, component: &Map) -> Result<Option<i64>, Fault> {
        let name = need(component, "filename")?.display();
        let size = need(component, "filesize")?;
        let mut others = 0;
        let mut found = None;
        for archive in self.by_name.get(&name).map(Vec::as_slice).unwrap_or_default() {
            if archive.value("size") != size {
                continue;
            }
            if archive.int("checksum_type") != Some(checksum_type(component)?.number()) {
                others += 1;
            } else if archive.value("checksum") == need(component, "checksum")? {
                found = archive.int("id");
                break;
            }
        }
        if found.is_none() {
            let (size, sum) = (size.display(), need(component, "checksum")?.display());
            self.log.push(format!("Failed to match archive {name} (size {size}, sum {sum}"));
            if others > 0 {
                self.log.push(format!("Match failed with {others} type mismatches"));
            }
            let shown = Value::from(component.clone()).repr();
            self.log.push(format!("IGNORING unmatched archive: {shown}"));
        }
        Ok(found)
    }

    fn own_file(&self, component: &Map) -> Result<i64, Fault> {
        let id = need(component, "archive_id")?;
        let missing = || Fault::generic(format!("No such archive: {}", id.display()));
        let id = id.as_int().ok_or_else(missing)?;
        let archive = self.by_id.get(&id).ok_or_else(missing)?;
        for key in ["nvr", "filename"] {
            if !component.contains_key(key) {
                let text = format!("{key} field missing for component, archive_id={id}");
                return Err(Fault::generic(text));
            }
        }
        let kind = ChecksumType::try_from(archive.int("checksum_type").unwrap_or_default());
        let kind = kind.map_err(|e| Fault::generic(e.to_string()))?.name();
        for (key, known) in [
            ("nvr", archive.value("nvr").clone()),
            ("filename", archive.value("filename").clone()),
            ("filesize", archive.value("size").clone()),
            ("checksum", archive.value("checksum").clone()),
            ("checksum_type", kind.into()),
        ] {
            if let Some(given) = component.get(key)
                && *given != known
            {
                let (known, given) = (known.display(), given.display());
                return Err(Fault::generic(format!(
                    "Component field {key} does not match for archive_id={id}: {known} != {given}"
                )));
            }
        }
        Ok(id)
    }
}

/// The type of a checksum that metadata name.
pub(super) fn checksum_type(map: &Map) -> Result<ChecksumType, Fault> {
    let name = need(map, "checksum_type")?.display();
    let unknown = || Fault::unexpected(format!("there is no checksum type {name}"));
    ChecksumType::from_name(&name).ok_or_else(unknown)
}
