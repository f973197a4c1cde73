//! Tags: finding them, who may use them, and how they are changed.

pub mod access;
pub mod edit;
pub mod inherit;
pub mod links;
pub mod snapshot;

use std::collections::HashMap;

use toji_db::Row;
use toji_db::tag::{self, Config, Key};
use toji_value::{Fault, Map, Value, list, map};

use crate::lookup::Info;
use crate::{Call, json};

/// A tag, now or at an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Tag {
    /// The id.
    pub id: i64,
    /// The name.
    pub name: String,
    /// Its options.
    pub config: Config,
    /// Name of the permission that tagging needs.
    pub perm: Option<String>,
    /// Extra values; nothing blocks the inherited one.
    pub extra: Vec<(String, Option<Value>)>,
    /// The event that it was looked up at.
    pub query_event: Option<i64>,
    /// The event that deleted it, when it was looked up as [`When::Latest`].
    pub revoke_event: Option<i64>,
}

/// The moment that a tag is looked up at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Now.
    Now,
    /// At an event.
    At(i64),
    /// Now, or for a deleted tag just before it was deleted.
    Latest,
}

impl When {
    /// Reads a caller's value: nil, an event, or `auto`.
    ///
    /// # Errors
    /// `GenericError` for anything else.
    pub fn of(value: &Value) -> Result<When, Fault> {
        if value.as_str() == Some("auto") {
            return Ok(When::Latest);
        }
        Ok(crate::lookup::event(value)?.map_or(When::Now, When::At))
    }
}

impl From<Option<i64>> for When {
    fn from(event: Option<i64>) -> When {
        event.map_or(When::Now, When::At)
    }
}

impl Tag {
    fn of(row: &Row) -> Result<Tag, Fault> {
        Ok(Tag {
            id: row.get("id")?,
            name: row.get("name")?,
            config: Config {
                arches: row.get("arches")?,
                perm_id: row.get("perm_id")?,
                locked: row.get("locked")?,
                maven_support: row.get("maven_support")?,
                maven_include_all: row.get("maven_include_all")?,
            },
            perm: row.get("perm")?,
            extra: Vec::new(),
            query_event: None,
            revoke_event: None,
        })
    }

    /// The extra value `key`, if it is there and no block.
    pub fn extra(&self, key: &str) -> Option<&Value> {
        let found = self.extra.iter().find(|(name, _)| name == key);
        found.and_then(|(_, value)| value.as_ref())
    }

    /// The tag as `getTag` shows it; with `blocked`, extra values are pairs of block and value.
    pub fn to_map(&self, blocked: bool) -> Map {
        let extra = self.extra.iter().filter(|(_, value)| blocked || value.is_some());
        let extra = extra.map(|(key, value)| {
            let shown = match blocked {
                true => list![value.is_none(), value.clone()],
                false => value.clone().unwrap_or_default(),
            };
            (key.clone().into(), shown)
        });
        let mut shown = map! {
            "id" => self.id,
            "name" => &self.name,
            "perm_id" => self.config.perm_id,
            "perm" => self.perm.clone(),
            "arches" => self.config.arches.clone(),
            "locked" => self.config.locked,
            "maven_support" => self.config.maven_support,
            "maven_include_all" => self.config.maven_include_all,
            "extra" => extra.collect::<Map>(),
        };
        if let Some(event) = self.query_event {
            shown.insert("query_event", event);
        }
        if let Some(event) = self.revoke_event {
            shown.insert("revoke_event", event);
        }
        shown
    }
}

/// The tag that a caller's value names, or nothing.
///
/// # Errors
/// `ParameterError` for a value that names nothing.
pub async fn find(call: &mut Call, info: &Value, when: When) -> Result<Option<Tag>, Fault> {
    let key = match Info::of(info)? {
        Info::Id(id) => Key::Id(id),
        Info::Name(name) => Key::Name(name),
    };
    let mut deleted = None;
    let event = match when {
        When::Now => None,
        When::At(event) => Some(event),
        When::Latest => {
            deleted = tag::deleted(&mut call.tx, &key).await?;
            deleted.map(|event| event - 1)
        }
    };
    let Some(row) = tag::find(&mut call.tx, &key, event).await? else { return Ok(None) };
    let mut tag = Tag::of(&row)?;
    tag.query_event = event;
    tag.revoke_event = deleted;
    let rows = tag::extras(&mut call.tx, &[tag.id], event).await?;
    tag.extra = extras(rows)?.remove(&tag.id).unwrap_or_default();
    Ok(Some(tag))
}

/// The tag that a caller's value names.
///
/// # Errors
/// `GenericError` when there is none.
pub async fn need(call: &mut Call, info: &Value, when: When) -> Result<Tag, Fault> {
    find(call, info, when).await?.ok_or_else(|| missing(info))
}

/// The tag that a caller's value names, held until the end of the call: of several calls that change the same
/// tag, each reads what the one before it has written.
///
/// # Errors
/// `GenericError` when there is none.
pub async fn hold(call: &mut Call, info: &Value) -> Result<Tag, Fault> {
    let names = toji_db::lookup::Names::Tag;
    let entry = call.hold(names, info).await?.ok_or_else(|| missing(info))?;
    need(call, &Value::Int(entry.id), When::Now).await.map_err(|_| missing(info))
}

pub(crate) fn missing(info: &Value) -> Fault {
    Fault::generic(format!("No such tagInfo: {}", info.repr()))
}

/// Several tags by id, now or at an event; those that do not exist are left out.
///
/// # Errors
/// When the database fails.
pub async fn find_all(
    call: &mut Call,
    ids: &[i64],
    event: Option<i64>,
) -> Result<HashMap<i64, Tag>, Fault> {
    let mut tags = HashMap::new();
    if ids.is_empty() {
        return Ok(tags);
    }
    for row in tag::find_all(&mut call.tx, ids, event).await? {
        let tag = Tag::of(&row)?;
        tags.insert(tag.id, tag);
    }
    let mut extras = extras(tag::extras(&mut call.tx, ids, event).await?)?;
    for tag in tags.values_mut() {
        tag.query_event = event;
        tag.extra = extras.remove(&tag.id).unwrap_or_default();
    }
    Ok(tags)
}

/// Keys with values; nothing is a block.
type Extras = Vec<(String, Option<Value>)>;

fn extras(rows: Vec<Row>) -> Result<HashMap<i64, Extras>, Fault> {
    let mut all: HashMap<i64, Extras> = HashMap::new();
    for row in rows {
        let key: String = row.get("key")?;
        let text: Option<String> = row.get("value")?;
        let what = || format!("No such tag extra data: {key}");
        let value = text.map(|text| json::loads(&text, &what())).transpose()?;
        all.entry(row.get("tag_id")?).or_default().push((key, value));
    }
    Ok(all)
}
