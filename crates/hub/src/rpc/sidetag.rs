//! Calls about side tags.

use toji_api::sidetag::*;
use toji_policy::glob_match_any;
use toji_value::{Fault, Map, Value, map};

use crate::dispatch::Handle;
use crate::tag::{self, Tag, When, edit};
use crate::user::{self, User};
use crate::{Call, check, listing, sidetag};

async fn caller(call: &mut Call) -> Result<User, Fault> {
    let id = call.actor()?;
    user::need(call, &Value::Int(id)).await
}

impl Handle for CreateSideTag {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let suffix = self.suffix.filter(|suffix| !suffix.is_empty());
        if let Some(suffix) = &suffix
            && !call.hub.config.sidetag.allowed_suffixes.contains(suffix)
        {
            return Err(Fault::generic(format!("{suffix} suffix is not allowed for sidetag")));
        }
        let user = caller(call).await?;
        let made =
            sidetag::create(call, &self.basetag, &user, self.debuginfo, suffix.as_deref()).await?;
        Ok(made.into())
    }
}

impl Handle for RemoveSideTag {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let user = caller(call).await?;
        let found = sidetag::own(call, &self.sidetag, &user).await?;
        sidetag::remove(call, &found).await?;
        Ok(Value::Nil)
    }
}

impl Handle for ListSideTags {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let user = match &self.user {
            Value::Nil => None,
            info => Some(user::need(call, info).await?.id),
        };
        let base = match &self.basetag {
            Value::Nil => None,
            info => Some(tag::need(call, info, When::Now).await?.id),
        };
        let opts = listing::options(&self.query_opts)?;
        Ok(toji_db::sidetag::list(&mut call.tx, user, base, &opts).await?)
    }
}

impl Handle for EditSideTag {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let user = caller(call).await?;
        let found = sidetag::own(call, &self.sidetag, &user).await?;
        let asks_extra = !self.extra.is_nil() || !self.remove_extra.is_nil();
        if asks_extra && !call.has_perm("sidetag_admin").await? && !call.has_perm("admin").await? {
            let text = "Extra can be modified only with sidetag_admin or admin permissions.";
            return Err(Fault::generic(text));
        }
        let parent = parent(call, &found).await?;
        let allowed = |key: &str| parent.extra(key).is_some_and(Value::truthy);
        if !self.debuginfo.is_nil() && !allowed("sidetag_debuginfo_allowed") {
            return Err(Fault::generic("Debuginfo setting is not allowed in parent tag."));
        }
        let macros = match self.rpm_macros.truthy() || self.remove_rpm_macros.truthy() {
            true => allowed_macros(&parent)?,
            false => Vec::new(),
        };
        let mut extra = match &self.extra {
            Value::Nil => Map::new(),
            other => check::mapping(other)?.clone(),
        };
        let mut removed = match &self.remove_extra {
            Value::Nil => Vec::new(),
            other => check::list(other)?.to_vec(),
        };
        if !self.debuginfo.is_nil() {
            extra.insert("with_debuginfo", self.debuginfo.truthy());
        }
        if !self.rpm_macros.is_nil() {
            for (name, value) in check::mapping(&self.rpm_macros)?.iter() {
                check_macro(name, &macros, true)?;
                extra.insert(format!("rpm.macro.{name}"), value);
            }
        }
        if !self.remove_rpm_macros.is_nil() {
            let names = check::list(&self.remove_rpm_macros)?;
            for name in names {
                check_macro(&name.display(), &macros, false)?;
            }
            if !names.is_empty() {
                let keys = names.iter().map(|name| format!("rpm.macro.{}", name.display()).into());
                removed = keys.collect();
            }
        }
        let edits = map! { "extra" => extra, "remove_extra" => Value::Array(removed) };
        edit::edit(call, &Value::Int(found.id), &edits).await?;
        Ok(Value::Nil)
    }
}

/// The tag that a side tag inherits from first.
async fn parent(call: &mut Call, sidetag: &Tag) -> Result<Tag, Fault> {
    let rows = toji_db::tag::inheritance::parents(&mut call.tx, sidetag.id, None).await?;
    // A Koji hub fails in looking at the first of no links.
    let missing = || Fault::unexpected(format!("{} inherits from no tag", sidetag.name));
    let id: i64 = rows.first().ok_or_else(missing)?.get("parent_id")?;
    tag::need(call, &Value::Int(id), When::Now).await
}

/// The patterns of macros that a base tag lets its side tags set.
fn allowed_macros(parent: &Tag) -> Result<Vec<String>, Fault> {
    let name = &parent.name;
    let setting = parent.extra("sidetag_rpm_macros_allowed").cloned().unwrap_or_default();
    let allowed: Vec<String> = match &setting {
        Value::Nil => Vec::new(),
        Value::Str(text) => text.split_whitespace().map(str::to_owned).collect(),
        Value::Array(items) => {
            let texts: Option<Vec<_>> =
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            let shown = setting.repr();
            let text = format!("Allowed rpm macro list {shown} is invalid for {name}.");
            texts.ok_or_else(|| Fault::generic(text))?
        }
        other => {
            let kind = other.type_name();
            let text = format!("rpm_macros_allowed in {name} has invalid type: <class '{kind}'>");
            return Err(Fault::generic(text));
        }
    };
    match allowed.is_empty() {
        true => Err(Fault::generic("RPM macros change is not allowed in parent tag.")),
        false => Ok(allowed),
    }
}

/// Refuses names that are no macros, and macros that are not allowed.
fn check_macro(name: &str, allowed: &[String], set: bool) -> Result<(), Fault> {
    let first = name.chars().next();
    let valid = name.chars().count() > 1 && first.is_some_and(|c| c.is_alphabetic() || c == '_');
    if set && !valid {
        return Err(Fault::generic(format!("Invalid macro name {}", Value::from(name).repr())));
    }
    if !glob_match_any(name, allowed) {
        let text = format!("RPM macro {name} editing is not allowed via parent tag");
        return Err(Fault::generic(text));
    }
    Ok(())
}
