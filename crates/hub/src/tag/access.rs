//! Who may tag builds.

use toji_value::Fault;

use super::Tag;
use crate::{Call, user};

/// Whether somebody may tag and untag builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whether they may.
    pub allowed: bool,
    /// Whether they may with force.
    pub with_force: bool,
    /// Why they may not.
    pub reason: String,
}

/// Whether a user may tag builds into, or untag them from, a tag.
///
/// # Errors
/// When the database fails.
pub async fn check(call: &mut Call, tag: &Tag, user_id: i64) -> Result<Access, Fault> {
    let perms = user::perms(call, user_id).await?;
    let has = |name: &str| perms.iter().any(|(perm, _)| perm == name);
    let reason = match &tag.perm {
        _ if tag.config.locked => "tag is locked".to_owned(),
        Some(perm) if !has(perm) => format!("tag requires {perm} permission"),
        _ => String::new(),
    };
    Ok(Access { allowed: reason.is_empty(), with_force: has("admin"), reason })
}

/// Refuses users who may not tag builds into a tag; `force` helps administrators.
///
/// # Errors
/// `ActionNotAllowed` with the reason.
pub async fn demand(call: &mut Call, tag: &Tag, user_id: i64, force: bool) -> Result<(), Fault> {
    let access = check(call, tag, user_id).await?;
    if access.allowed || access.with_force && force {
        return Ok(());
    }
    Err(Fault::not_allowed(access.reason))
}
