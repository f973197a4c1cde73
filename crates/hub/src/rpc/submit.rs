//! Submission of Maven, Windows, image and wrapper builds.

use toji_api::submit::*;
use toji_value::{Fault, Map, Value, map};

use super::task::submit;
use crate::dispatch::Handle;
use crate::task::make::{self, DEFAULT_PRIORITY};
use crate::{Call, build, check, target};

fn need_maven(call: &Call) -> Result<(), Fault> {
    match call.hub.config.enable_maven {
        true => Ok(()),
        false => Err(Fault::generic("Maven support not enabled")),
    }
}

fn or_empty(opts: Value) -> Value {
    if opts.truthy() { opts } else { Value::Struct(Map::new()) }
}

impl Handle for MavenBuild {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        need_maven(call)?;
        check::text(&self.url)?;
        let args = vec![self.url, self.target, or_empty(self.opts)];
        submit(call, "maven", args, self.priority, self.channel).await
    }
}

impl Handle for ChainMaven {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        need_maven(call)?;
        check::mapping(&self.builds)?;
        let args = vec![self.builds, self.target, self.opts];
        submit(call, "chainmaven", args, self.priority, self.channel).await
    }
}

impl Handle for WrapperRPM {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        need_maven(call)?;
        let mut opts = or_empty(self.opts);
        check::text(&self.url)?;
        let build = build::need(call, &self.build).await?;
        let again = opts.get("scratch").truthy() || opts.get("create_build").truthy();
        if !again && toji_db::build::has_rpms(&mut call.tx, build.id).await? {
            let nvr = build.nvr();
            return Err(Fault::pre_build(format!(
                "wrapper rpms for {nvr} have already been built"
            )));
        }
        let missing = || Fault::generic(format!("No such build target: {}", self.target.display()));
        let target = target::find(call, &self.target, None).await?.ok_or_else(missing)?;
        // Older clients name a repository; the task asks for a current one itself.
        if let Some(opts) = opts.as_struct_mut() {
            opts.remove("repo_id");
        }
        check::text(&self.channel)?;
        let target = toji_db::view::by_name(target.to_map());
        let args = vec![self.url, target.into(), moments(build.shown).into(), Value::Nil, opts];
        submit(call, "wrapperRPM", args, self.priority, self.channel).await
    }
}

/// A build with its times as moments, which is how Koji's hub writes them into a request.
fn moments(mut build: Map) -> Map {
    for key in ["completion_time", "creation_time", "promotion_time", "start_time"] {
        if let Some(Value::Str(text)) = build.get(key) {
            let digits = text.get(..19).unwrap_or(text).replace('-', "").replace(' ', "T");
            build.insert(key, Value::DateTime(digits));
        }
    }
    build
}

impl Handle for WinBuild {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        if !call.hub.config.enable_win {
            return Err(Fault::generic("Windows support not enabled"));
        }
        check::text(&self.vm)?;
        check::text(&self.url)?;
        let missing = || Fault::generic(format!("No such build target: {}", self.target.display()));
        let found = target::find(call, &self.target, None).await?.ok_or_else(missing)?;
        let data = map! { "vm_name" => &self.vm, "tag" => found.dest_tag };
        let data = crate::policy::data(&data.into())?;
        call.assert_policy("vm", &data, false).await?;
        let args = vec![self.vm, self.url, self.target, or_empty(self.opts)];
        let id = submit(call, "winbuild", args, self.priority, self.channel).await?;
        fail_without_vm_host(call, id).await?;
        Ok(id)
    }
}

/// Ends a task at once whose channel has no host at all: it would wait for ever, as no builder of Toji's does it.
async fn fail_without_vm_host(call: &mut Call, id: i64) -> Result<(), Fault> {
    let channel = toji_db::scheduler::channel_without_hosts(&mut call.tx, id).await?;
    let Some(channel) = channel else { return Ok(()) };
    let text = format!(
        "winbuild needs a VM host, a builder that runs kojivmd with virtual machines: no host is in channel {channel}"
    );
    let task = crate::task::lock(call, id).await?;
    crate::task::transition::fail(call, &task, Fault::build(text)).await
}

/// Makes a task of an image type in the channel of that name.
async fn submit_image(
    call: &mut Call,
    method: &str,
    channel: &str,
    arch: Option<Value>,
    args: Vec<Value>,
    priority: Option<i64>,
) -> Result<i64, Fault> {
    let step = priority.unwrap_or(0);
    if step < 0 && !call.has_perm("admin").await? {
        return Err(Fault::not_allowed("only admins may create high-priority tasks"));
    }
    let mut named = map! { "channel" => channel };
    if let Some(arch) = arch {
        named.insert("arch", arch);
    }
    if step != 0 {
        named.insert("priority", DEFAULT_PRIORITY + step);
    }
    let options = make::Options::from_map(call, named).await?;
    make::make(call, method, args, options).await
}

impl Handle for BuildImage {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let unknown =
            || Fault::generic(format!("Unrecognized image type: {}", self.img_type.display()));
        let kind =
            self.img_type.as_str().filter(|k| ["livecd", "appliance", "livemedia"].contains(k));
        let kind = kind.ok_or_else(unknown)?.to_owned();
        for text in [&self.name, &self.ksfile, &self.version] {
            check::text(text)?;
        }
        call.assert_perm(&kind).await?;
        let arch = if kind == "livemedia" { "noarch".into() } else { self.arch.clone() };
        let args = vec![self.name, self.version, self.arch, self.target, self.ksfile, self.opts];
        submit_image(call, &kind, &kind, Some(arch), args, self.priority).await
    }
}

impl Handle for BuildImageIndirection {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let missing = || Fault::unexpected("opts must be a struct");
        let opts = self.opts.as_struct().ok_or_else(missing)?;
        if !opts.contains_key("scratch") && !opts.contains_key("indirection_template_url") {
            let text = "Non-scratch builds must provide url for the indirection template";
            return Err(Fault::not_allowed(text));
        }
        let arch = opts.get("arch").cloned();
        let args = vec![self.opts];
        submit_image(call, "indirectionimage", "image", arch, args, self.priority).await
    }
}

impl Handle for BuildImageOz {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        for text in [&self.name, &self.inst_tree, &self.version] {
            check::text(text)?;
        }
        call.assert_perm("image").await?;
        let args =
            vec![self.name, self.version, self.arches, self.target, self.inst_tree, self.opts];
        submit_image(call, "image", "image", None, args, self.priority).await
    }
}

/// A list of arches; what is no arch is refused.
fn arch_list(value: &Value) -> Result<Value, Fault> {
    let wrong = |_| Fault::generic("Architecture can be only [a-zA-Z0-9_-]");
    let list = crate::tag::edit::parse_arches(value).map_err(wrong)?;
    Ok(Value::Array(list.split_whitespace().map(Value::from).collect()))
}

impl Handle for KiwiBuild {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        for text in [&self.desc_url, &self.desc_path] {
            check::text_opt(text)?;
        }
        for text in [&self.profile, &self.version, &self.release, &self.repo_releasever] {
            check::text_opt(text)?;
        }
        for list in [&self.repos, &self.type_attr].into_iter().filter(|v| v.truthy()) {
            check::list(list)?;
        }
        if self.result_bundle_name_format.truthy() {
            check::text(&self.result_bundle_name_format)?;
        }
        let missing = || Fault::generic(format!("No such build target: {}", self.target.display()));
        target::find(call, &self.target, None).await?.ok_or_else(missing)?;
        let arches = arch_list(&self.arches)?;
        let mut opts = Map::new();
        let flag = |value: &Value| if value.truthy() { Value::Bool(true) } else { Value::Nil };
        for (key, value) in [
            ("scratch", flag(&self.scratch)),
            ("profile", self.profile),
            ("version", self.version),
            ("release", self.release),
            ("optional_arches", arch_list(&self.optional_arches)?),
            ("repos", self.repos),
            ("repo_releasever", self.repo_releasever),
            ("make_prep", flag(&self.make_prep)),
            ("type", self.type_),
            ("use_buildroot_repo", flag(&self.use_buildroot_repo)),
            ("type_attr", self.type_attr),
            ("result_bundle_name_format", self.result_bundle_name_format),
        ] {
            if value.truthy() {
                opts.insert(key, value);
            }
        }
        let args = vec![self.target, arches, self.desc_url, self.desc_path, opts.into()];
        submit_image(call, "kiwiBuild", "image", None, args, self.priority).await
    }
}

impl Handle for DudBuild {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let opts = map! {
            "scratch" => self.scratch, "alldeps" => self.alldeps, "scmurl" => self.scmurl,
            "optional_arches" => self.optional_arches,
        };
        let args = vec![
            self.dud_name,
            self.dud_version,
            self.arches,
            self.target,
            self.pkg_list,
            opts.into(),
        ];
        // Koji's plugin takes a priority above the usual one only.
        let priority = self.priority.filter(|p| *p < 0);
        submit_image(call, "dudBuild", "image", None, args, priority).await
    }
}
