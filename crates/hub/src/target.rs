//! Build targets.

use toji_db::tag::Key;
use toji_db::target::{self, Filter};
use toji_value::{Fault, Map, Value, map};

use crate::Call;
use crate::lookup::Info;

/// A build target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The id.
    pub id: i64,
    /// The name.
    pub name: String,
    /// The tag that it builds in.
    pub build_tag: i64,
    /// Name of that tag.
    pub build_tag_name: String,
    /// The tag that it builds for.
    pub dest_tag: i64,
    /// Name of that tag.
    pub dest_tag_name: String,
}

impl Target {
    /// The target as `getBuildTarget` shows it.
    pub fn to_map(&self) -> Map {
        map! {
            "id" => self.id,
            "name" => &self.name,
            "build_tag" => self.build_tag,
            "build_tag_name" => &self.build_tag_name,
            "dest_tag" => self.dest_tag,
            "dest_tag_name" => &self.dest_tag_name,
        }
    }
}

/// The look-up key of a caller's value.
///
/// # Errors
/// `ParameterError` for a value that names nothing.
pub fn key(info: &Value) -> Result<Key, Fault> {
    Ok(match Info::of(info)? {
        Info::Id(id) => Key::Id(id),
        Info::Name(name) => Key::Name(name),
    })
}

/// The target that a caller's value names, now or at an event; or nothing.
///
/// # Errors
/// `ParameterError` for a value that names nothing.
pub async fn find(
    call: &mut Call,
    info: &Value,
    event: Option<i64>,
) -> Result<Option<Target>, Fault> {
    let filter = Filter { target: Some(key(info)?), event, ..Filter::default() };
    let rows = target::find(&mut call.tx, &filter).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(Target {
        id: row.get("id")?,
        name: row.get("name")?,
        build_tag: row.get("build_tag")?,
        build_tag_name: row.get("build_tag_name")?,
        dest_tag: row.get("dest_tag")?,
        dest_tag_name: row.get("dest_tag_name")?,
    }))
}
