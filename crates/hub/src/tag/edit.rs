//! Making, changing and deleting tags.

use toji_bus::Topic;
use toji_db::lookup::Names;
use toji_db::tag::{self, Config, inheritance::Link};
use toji_types::arch;
use toji_value::{Fault, Map, Value, map};

use super::{Tag, When, find};
use crate::{Call, json};

/// A new tag.
#[derive(Clone, Debug, Default)]
pub struct New {
    /// The name.
    pub name: Value,
    /// A tag to inherit from, or nil.
    pub parent: Value,
    /// Arches, separated by spaces, or a list; nil is none.
    pub arches: Value,
    /// Permission that tagging needs, or nil.
    pub perm: Value,
    /// Whether nothing may be tagged.
    pub locked: bool,
    /// Whether repositories have a Maven part.
    pub maven_support: bool,
    /// Whether that part has all versions.
    pub maven_include_all: bool,
    /// Extra values, or nil.
    pub extra: Value,
}

/// Makes a tag and gives its id; access is not checked here.
///
/// # Errors
/// `GenericError` for a bad or taken name and for references that lead nowhere.
pub async fn create(call: &mut Call, new: New) -> Result<i64, Fault> {
    call.names()?.internal(&new.name)?;
    let arches = parse_arches(&new.arches)?;
    if !call.hub.config.enable_maven && (new.maven_support || new.maven_include_all) {
        return Err(Fault::generic("Maven support not enabled"));
    }
    refuse_known(call, &new.name).await?;
    let mut parent = None;
    if new.parent.truthy() {
        let name = new.parent.display();
        let missing = || Fault::generic(format!("Parent tag '{name}' could not be found"));
        parent = Some(find(call, &new.parent, When::Now).await?.ok_or_else(missing)?.id);
    }
    let perm_id = perm_id(call, &new.perm).await?;
    let actor = call.actor()?;
    let id = call.find_or_make(Names::Tag, &new.name).await?.id;
    toji_db::lookup::hold(&mut call.tx, Names::Tag, id).await?;
    refuse_known(call, &new.name).await?;
    let config = Config {
        arches: Some(arches),
        perm_id,
        locked: new.locked,
        maven_support: new.maven_support,
        maven_include_all: new.maven_include_all,
    };
    tag::configure(&mut call.tx, id, &config, actor).await?;
    for (key, value) in extra_map(&new.extra)?.iter() {
        tag::set_extra(&mut call.tx, id, key, Some(json::dumps(value)), actor).await?;
    }
    if let Some(parent_id) = parent {
        let link = Link {
            parent_id,
            priority: 0,
            maxdepth: None,
            intransitive: false,
            noconfig: false,
            pkg_filter: Some(String::new()),
        };
        tag::inheritance::add(&mut call.tx, id, &link, actor).await?;
    }
    tell(call, "tag.create", id, &new.name.display());
    Ok(id)
}

async fn refuse_known(call: &mut Call, name: &Value) -> Result<(), Fault> {
    if find(call, name, When::Now).await?.is_none() {
        return Ok(());
    }
    Err(Fault::generic(format!("A tag with the name '{}' already exists", name.display())))
}

async fn perm_id(call: &mut Call, perm: &Value) -> Result<Option<i64>, Fault> {
    match perm {
        Value::Nil => Ok(None),
        perm => Ok(Some(call.need(Names::Permissions, perm).await?.id)),
    }
}

fn extra_map(extra: &Value) -> Result<Map, Fault> {
    match extra {
        Value::Nil => Ok(Map::new()),
        Value::Struct(map) => Ok(map.clone()),
        other => Err(Fault::parameter(format!("extra must be a struct, not {}", other.repr()))),
    }
}

/// Normalises arches as they are stored: text separated by spaces, or a list; nil is none.
///
/// # Errors
/// `GenericError` for characters that no arch has.
pub fn parse_arches(arches: &Value) -> Result<String, Fault> {
    let wrong = || Fault::generic(format!("Invalid arches: {}", arches.repr()));
    let text = match arches {
        Value::Nil => String::new(),
        Value::Str(text) => text.clone(),
        Value::Array(items) => {
            let items: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            items.ok_or_else(wrong)?.join(" ")
        }
        _ => return Err(wrong()),
    };
    let list = arch::parse_stored_list(&text).map_err(|e| Fault::generic(e.to_string()))?;
    Ok(list.join(" "))
}

/// Tells others that a tag changed.
pub(crate) fn tell(call: &mut Call, kind: &str, id: i64, name: &str) {
    call.signal(Topic::Repositories);
    call.emit(kind, &format!("tag:{id}"), map! { "tag_id" => id, "tag" => name });
}

/// Changes a tag as the members of `edits` say (those of `editTag2`); access is not checked here.
///
/// # Errors
/// `GenericError` for values that do not fit.
pub async fn edit(call: &mut Call, info: &Value, edits: &Map) -> Result<(), Fault> {
    let maven = edits.contains_key("maven_support") || edits.contains_key("maven_include_all");
    if maven && !call.hub.config.enable_maven {
        return Err(Fault::generic("Maven support not enabled"));
    }
    let removed = names(edits, "remove_extra")?;
    let blocked = names(edits, "block_extra")?;
    let old = super::hold(call, info).await?;
    // Both names are in use; `perm_id` counts if both are given.
    let perm = edits.get("perm_id").or_else(|| edits.get("perm"));
    let mut config = old.config.clone();
    if let Some(perm) = perm {
        config.perm_id = perm_id(call, perm).await?;
    }
    rename(call, &old, edits.value("name")).await?;
    apply_options(&mut config, edits)?;
    let actor = call.actor()?;
    if config != old.config {
        tag::configure(&mut call.tx, old.id, &config, actor).await?;
    }
    if edits.contains_key("extra") {
        set_extra(call, &old, edits, &[removed.as_slice(), blocked.as_slice()].concat()).await?;
    }
    for key in &blocked {
        tag::set_extra(&mut call.tx, old.id, key, None, actor).await?;
    }
    remove_extra(call, &old, &removed).await?;
    let name = edits.str("name").unwrap_or(&old.name);
    tell(call, "tag.edit", old.id, name);
    Ok(())
}

/// A member of the edits that is a list of texts.
fn names(edits: &Map, member: &str) -> Result<Vec<String>, Fault> {
    let value = edits.value(member);
    if !value.truthy() {
        return Ok(Vec::new());
    }
    let wrong = || {
        let kind = value.type_name();
        let shown = value.display();
        Fault::parameter(format!(
            "Invalid type for value '{shown}': <class '{kind}'>, expected type <class 'list'>"
        ))
    };
    let items = value.as_array().ok_or_else(wrong)?;
    Ok(items.iter().map(Value::display).collect())
}

async fn rename(call: &mut Call, old: &Tag, name: &Value) -> Result<(), Fault> {
    if !name.truthy() || name.as_str() == Some(&old.name) {
        return Ok(());
    }
    let rules = call.names()?;
    let name = rules.internal(name)?;
    let taken = toji_db::lookup::by_name(&mut call.tx, Names::Tag, name).await?;
    if let Some(row) = taken {
        let id: i64 = row.get("id")?;
        return Err(Fault::generic(format!("Name {name} already taken by tag {id}")));
    }
    toji_db::lookup::rename(&mut call.tx, Names::Tag, old.id, name).await?;
    Ok(())
}

fn apply_options(config: &mut Config, edits: &Map) -> Result<(), Fault> {
    if let Some(arches) = edits.get("arches") {
        config.arches = match arches {
            Value::Nil => None,
            other => Some(parse_arches(other)?),
        };
    }
    for (member, slot) in [
        ("locked", &mut config.locked),
        ("maven_support", &mut config.maven_support),
        ("maven_include_all", &mut config.maven_include_all),
    ] {
        if let Some(value) = edits.get(member) {
            *slot = value.truthy();
        }
    }
    Ok(())
}

async fn set_extra(
    call: &mut Call,
    old: &Tag,
    edits: &Map,
    removed: &[String],
) -> Result<(), Fault> {
    let extra = match edits.value("extra") {
        Value::Struct(map) => map,
        other => {
            let text = format!("extra must be a struct, not {}", other.repr());
            return Err(Fault::parameter(text));
        }
    };
    if let Some(key) = extra.keys().find(|key| removed.iter().any(|other| other == key)) {
        let text = format!("Can not both add/update and remove tag-extra: '{key}'");
        return Err(Fault::generic(text));
    }
    let actor = call.actor()?;
    for (key, value) in extra.iter().filter(|(key, value)| old.extra(key) != Some(*value)) {
        tag::set_extra(&mut call.tx, old.id, key, Some(json::dumps(value)), actor).await?;
    }
    Ok(())
}

async fn remove_extra(call: &mut Call, old: &Tag, keys: &[String]) -> Result<(), Fault> {
    let unknown: Vec<&str> =
        keys.iter().map(String::as_str).filter(|key| old.extra(key).is_none()).collect();
    if !unknown.is_empty() {
        let text = format!("Tag: {} doesn't have extra: {}", old.name, unknown.join(", "));
        return Err(Fault::generic(text));
    }
    let actor = call.actor()?;
    for key in keys {
        tag::drop_extra(&mut call.tx, old.id, key, actor).await?;
    }
    Ok(())
}

/// Deletes a tag; access is not checked here.
///
/// # Errors
/// `GenericError` when there is no such tag.
pub async fn delete(call: &mut Call, info: &Value) -> Result<(), Fault> {
    let old = super::hold(call, info).await?;
    let actor = call.actor()?;
    tag::delete(&mut call.tx, old.id, actor).await?;
    tell(call, "tag.delete", old.id, &old.name);
    Ok(())
}
