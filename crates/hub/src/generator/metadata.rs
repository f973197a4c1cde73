//! The metadata of an import: a struct, its JSON text, or an uploaded file.

use toji_store::Area;
use toji_value::{Fault, Map, Value};

use crate::archive::file;
use crate::build::typed::lacks;
use crate::upload::open::open;
use crate::{Call, json};

/// The most that is read of an uploaded file.
const MOST: u64 = 256 << 20;

/// Metadata with their text.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    /// The text, which is stored with the build.
    pub(super) text: String,
    /// What it says.
    pub(super) map: Map,
}

impl Metadata {
    /// Reads metadata as callers give them.
    ///
    /// # Errors
    /// When they are no JSON, or the file does not exist.
    pub(super) async fn read(call: &Call, given: Value, directory: &str) -> Result<Self, Fault> {
        let text = match given {
            Value::Struct(map) => return Ok(Metadata { text: pretty(&map)?, map }),
            Value::Nil => uploaded(call, directory, "metadata.json").await?,
            Value::Str(name) if name.ends_with(".json") => uploaded(call, directory, &name).await?,
            other => crate::check::text(&other)?.to_owned(),
        };
        match json::loads(&text, "Invalid json data")? {
            Value::Struct(map) => Ok(Metadata { text, map }),
            _ => Err(Fault::unexpected("the metadata are no mapping")),
        }
    }

    /// A member.
    pub(super) fn get(&self, key: &str) -> Result<&Value, Fault> {
        self.map.get(key).ok_or_else(|| lacks(key))
    }

    /// A list of mappings.
    pub(super) fn list(&self, key: &str) -> Result<Vec<&Map>, Fault> {
        mappings(self.get(key)?, key)
    }
}

/// A list of mappings.
pub(super) fn mappings<'v>(value: &'v Value, key: &str) -> Result<Vec<&'v Map>, Fault> {
    let wrong = || Fault::unexpected(format!("{key} is no list of mappings"));
    let items = value.as_array().ok_or_else(wrong)?;
    items.iter().map(|item| item.as_struct().ok_or_else(wrong)).collect()
}

/// A member of a mapping.
pub(super) fn need<'m>(map: &'m Map, key: &str) -> Result<&'m Value, Fault> {
    map.get(key).ok_or_else(|| lacks(key))
}

fn pretty(map: &Map) -> Result<String, Fault> {
    let json = Value::Struct(map.clone()).to_json();
    let wrong =
        |e: serde_json::Error| Fault::generic(format!("Invalid metadata, cannot encode: {e}"));
    serde_json::to_string_pretty(&json).map_err(wrong)
}

async fn uploaded(call: &Call, directory: &str, name: &str) -> Result<String, Fault> {
    let rel = file::join(&[directory, name])?;
    let (area, store) = (Area::new(call.hub.paths.work(None)), call.hub.store.clone());
    let name = name.to_owned();
    let work = move || -> Result<String, Fault> {
        use std::io::Read as _;
        let opened = open(&store, &area, &rel).map_err(|e| match e.is_missing() {
            true => Fault::generic(format!("No such file: {name}")),
            false => Fault::generic(e.to_string()),
        })?;
        let mut text = String::new();
        let wrong = |e: std::io::Error| Fault::unexpected(format!("{name}: {e}"));
        opened.file.take(MOST).read_to_string(&mut text).map_err(wrong)?;
        Ok(text)
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Fault::unexpected("reading of metadata ended early"))?
}
