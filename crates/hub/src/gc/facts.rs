//! What is known of builds: who holds them, who uses them, who signed them.

use std::collections::HashMap;

use toji_db::{Row, gc as db};
use toji_value::Fault;

use super::options::Options;
use crate::Call;

/// What is known of one build.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The tags that hold it.
    pub(super) tags: Vec<String>,
    /// The keys that it is signed with.
    pub(super) keys: Vec<String>,
    /// A package that was made with it, and the like, in words.
    pub(super) used_by: Option<String>,
    /// When it was last in a buildroot, seconds since 1970.
    pub(super) last_used: Option<f64>,
    /// When it last left a tag, seconds since 1970.
    pub(super) untagged: Option<f64>,
}

impl Facts {
    /// Why a build must stay, whatever is asked, if its tags (without `except`), uses or signatures want that.
    pub(super) fn claim(&self, options: &Options, except: &[&str]) -> Option<String> {
        if let Some(tag) = self.tags.iter().find(|tag| !except.contains(&tag.as_str())) {
            return Some(format!("tagged with {tag}"));
        }
        if let Some(used) = &self.used_by {
            return Some(used.clone());
        }
        options.protecting(&self.keys).map(|key| format!("signed with the protected key {key}"))
    }
}

/// Gathers what is known of builds, in a fixed number of queries.
pub(super) async fn gather(call: &mut Call, ids: &[i64]) -> Result<HashMap<i64, Facts>, Fault> {
    let mut found: HashMap<i64, Facts> = HashMap::new();
    if ids.is_empty() {
        return Ok(found);
    }
    let tx = &mut call.tx;
    for row in db::tag_names(tx, ids).await? {
        of(&mut found, &row)?.tags.push(row.get("tag")?);
    }
    for row in db::keys(tx, ids).await? {
        of(&mut found, &row)?.keys.push(row.get("sigkey")?);
    }
    for row in db::last_untagged(tx, ids).await? {
        of(&mut found, &row)?.untagged = row.get("left_at")?;
    }
    for row in db::uses(tx, ids).await? {
        let facts = of(&mut found, &row)?;
        facts.last_used = row.get("used")?;
        for (column, words) in [
            ("rpm", "was made with it"),
            ("archive", "was made with it"),
            ("component", "holds part of it"),
        ] {
            if let Some(name) = row.get::<Option<String>>(column)?
                && facts.used_by.is_none()
            {
                facts.used_by = Some(format!("{name} {words}"));
            }
        }
    }
    Ok(found)
}

fn of<'f>(found: &'f mut HashMap<i64, Facts>, row: &Row) -> Result<&'f mut Facts, Fault> {
    Ok(found.entry(row.get("build_id")?).or_default())
}

/// A time in the past in words.
pub(super) fn ago(seconds: f64) -> String {
    match seconds {
        s if s >= 2.0 * 86_400.0 => format!("{:.0} days ago", s / 86_400.0),
        s if s >= 2.0 * 3_600.0 => format!("{:.0} hours ago", s / 3_600.0),
        s => format!("{:.0} minutes ago", (s / 60.0).max(0.0)),
    }
}
