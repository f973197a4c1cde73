//! Calls of Koji's standard plugins `kiwi` and `dud`: they submit tasks.

use toji_api::plugin::*;
use toji_types::arch;
use toji_value::{Fault, FromValue, Map, Value, map};

use crate::dispatch::Handle;
use crate::task::make::{self, DEFAULT_PRIORITY};
use crate::{Call, check, target};

fn check_list(value: &Value) -> Result<(), Fault> {
    match value {
        Value::Array(_) => Ok(()),
        other => Err(Fault::parameter(format!(
            "Invalid type for value '{}': <class '{}'>, expected type <class 'list'>",
            other.display(),
            other.type_name()
        ))),
    }
}

/// Arches as text or list, as a list; nothing only where `optional`.
fn arches(value: &Value, optional: bool) -> Result<Vec<Value>, Fault> {
    let text = match value {
        Value::Nil if optional => return Ok(Vec::new()),
        Value::Array(items) => {
            items.iter().map(check::text).collect::<Result<Vec<_>, _>>()?.join(" ")
        }
        other => check::text(other)?.to_owned(),
    };
    let list = arch::parse_stored_list(&text).map_err(|e| Fault::generic(e.to_string()))?;
    Ok(list.into_iter().map(Value::from).collect())
}

/// Submits a task to the channel of images; only administrators may go before the default priority.
async fn submit(
    call: &mut Call,
    method: &str,
    args: Vec<Value>,
    priority: Value,
) -> Result<i64, Fault> {
    let mut options = make::Options { channel: Some("image".into()), ..make::Options::default() };
    if priority.truthy() {
        let step = i64::from_value(priority)?;
        if step < 0 && !call.has_perm("admin").await? {
            return Err(Fault::not_allowed("only admins may create high-priority tasks"));
        }
        options.priority = Some(DEFAULT_PRIORITY.saturating_add(step));
    }
    make::make(call, method, args, options).await
}

impl Handle for KiwiBuild {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let texts = [
            &self.desc_url,
            &self.desc_path,
            &self.profile,
            &self.version,
            &self.release,
            &self.repo_releasever,
        ];
        for value in texts {
            check::text_opt(value)?;
        }
        for value in [&self.repos, &self.type_attr] {
            if value.truthy() {
                check_list(value)?;
            }
        }
        if self.result_bundle_name_format.truthy() {
            check::text(&self.result_bundle_name_format)?;
        }
        if target::find(call, &self.target, None).await?.is_none() {
            let text = format!("No matching build target found: {}", self.target.display());
            return Err(Fault::generic(text));
        }
        let arches_list = arches(&self.arches, false)?;
        let optional = Value::Array(arches(&self.optional_arches, true)?);
        let mut opts = Map::new();
        let flag = |value: &Value| if value.truthy() { Value::Bool(true) } else { Value::Nil };
        for (name, value) in [
            ("scratch", flag(&self.scratch)),
            ("profile", self.profile),
            ("version", self.version),
            ("release", self.release),
            ("optional_arches", optional),
            ("repos", self.repos),
            ("repo_releasever", self.repo_releasever),
            ("make_prep", flag(&self.make_prep)),
            ("type", self.type_),
            ("use_buildroot_repo", flag(&self.use_buildroot_repo)),
            ("type_attr", self.type_attr),
            ("result_bundle_name_format", self.result_bundle_name_format),
        ] {
            if value.truthy() {
                opts.insert(name, value);
            }
        }
        let arches_list = Value::Array(arches_list);
        let args = vec![self.target, arches_list, self.desc_url, self.desc_path, opts.into()];
        submit(call, "kiwiBuild", args, self.priority).await
    }
}

impl Handle for DudBuild {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let opts = map! {
            "scratch" => self.scratch, "alldeps" => self.alldeps, "scmurl" => self.scmurl,
            "optional_arches" => self.optional_arches,
        };
        let (name, version) = (self.dud_name, self.dud_version);
        let args = vec![name, version, self.arches, self.target, self.pkg_list, opts.into()];
        submit(call, "dudBuild", args, self.priority).await
    }
}
