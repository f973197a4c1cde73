//! The task methods of this builder, one file each.

mod build;
pub(crate) mod build_arch;
mod build_maven;
mod build_notification;
pub(crate) mod build_srpm_from_scm;
mod chainbuild;
mod chainmaven;
mod create_dist_repo;
mod create_kiwi_image;
mod createrepo;
mod dependant_task;
mod dist_repo;
mod kiwi_build;
mod maven;
mod new_repo;
pub(crate) mod plugin;
pub(crate) mod rebuild_compare;
pub(crate) mod rebuild_srpm;
mod restart;
mod restart_hosts;
mod restart_verify;
mod run_in_failed_tree;
mod runroot;
mod save_failed_tree;
mod shutdown;
mod sleep;
mod tag_build;
mod tag_notification;
pub(crate) mod vm;
mod waitrepo;
mod wrapper_rpm;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use toji_client::args;
use toji_value::{Param, ParamKind, Signature, Value, map};

use crate::context::{Context, text_of};
use crate::failure::{Failure, Result};

type Handled = Pin<Box<dyn Future<Output = Result<Value>> + Send>>;

/// A task method that this builder can do.
pub(crate) struct Method {
    pub(crate) signature: Signature,
    /// How much of a host's capacity it takes at first.
    pub(crate) weight: f64,
    pub(crate) run: fn(Arc<Context>, Vec<Value>) -> Handled,
}

impl Method {
    pub(crate) fn name(&self) -> &'static str {
        self.signature.name
    }
}

/// Every method.
pub(crate) static METHODS: &[Method] = &[
    build::METHOD,
    build_arch::METHOD,
    build_maven::METHOD,
    build_notification::METHOD,
    build_srpm_from_scm::METHOD,
    chainbuild::METHOD,
    chainmaven::METHOD,
    create_dist_repo::METHOD,
    create_kiwi_image::METHOD,
    createrepo::METHOD,
    dependant_task::METHOD,
    dist_repo::METHOD,
    kiwi_build::METHOD,
    maven::METHOD,
    new_repo::METHOD,
    rebuild_compare::METHOD,
    rebuild_srpm::METHOD,
    restart::METHOD,
    restart_hosts::METHOD,
    restart_verify::METHOD,
    run_in_failed_tree::METHOD,
    runroot::METHOD,
    save_failed_tree::METHOD,
    shutdown::METHOD,
    sleep::METHOD,
    tag_build::METHOD,
    tag_notification::METHOD,
    waitrepo::METHOD,
    wrapper_rpm::METHOD,
];

/// The method of that name.
pub(crate) fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name() == name)
}

/// Declares a task method: its wire name, weight and parameters, bound to `run` of the same file.
macro_rules! method {
    ($name:literal, $weight:literal, [$($param:ident $(= $default:expr)?),* $(,)?]) => {
        pub(crate) const METHOD: $crate::tasks::Method = $crate::tasks::Method {
            signature: toji_value::Signature {
                name: $name,
                python: "Task.handler",
                params: &[$( $crate::tasks::param(stringify!($param), $crate::tasks::method!(@ $($default)?)) ),*],
            },
            weight: $weight,
            run: |task, values| Box::pin(async move { run(&task, values).await }),
        };
    };
    (@) => { None };
    (@ $default:expr) => { Some($default) };
}
pub(crate) use method;

/// A plain parameter.
const fn param(name: &'static str, default: Option<toji_value::Default>) -> Param {
    Param { name, default, kind: ParamKind::Plain }
}

/// Takes bound arguments apart; there is one for each parameter.
pub(crate) fn take<const N: usize>(values: Vec<Value>) -> Result<[Value; N]> {
    values.try_into().map_err(|_| Failure::generic("a wrong number of arguments"))
}

/// An arch of a buildroot for a task that may run anywhere: one that the host and the tag have.
pub(crate) async fn find_arch(
    task: &Context,
    arch: &str,
    tag: i64,
    event: &Value,
) -> Result<String> {
    if arch != "noarch" {
        return Ok(arch.to_owned());
    }
    let host = task.call("host.getHost", ()).await?;
    let config = task.call("getBuildConfig", args!(tag; "event" => event.clone())).await?;
    let arches = |value: &Value| -> Vec<String> {
        let list = value.get("arches").as_str().unwrap_or_default();
        list.split_whitespace().map(|a| toji_types::arch::canonical(a).to_owned()).collect()
    };
    let (ours, wanted) = (arches(&host), arches(&config));
    if wanted.is_empty() {
        let name = text_of(&config, "name")?;
        return Err(Failure::build(format!("No arch list for tag: {name}")));
    }
    // The task's own arch first: it may have been chosen by the package's arch lists.
    let preferred = task.info.get("arch").as_str().unwrap_or_default();
    let common = || ours.iter().filter(|arch| wanted.contains(arch));
    let found = common().find(|arch| *arch == preferred).or_else(|| common().next());
    found.cloned().ok_or_else(|| {
        Failure::build(format!(
            "host {} ({}) does not support any arches of tag {} ({})",
            host.get("name").display(),
            ours.join(", "),
            config.get("name").display(),
            wanted.join(", ")
        ))
    })
}

/// Refuses a package that a tag does not list or has blocked; `config` is the hub's answer about it.
pub(crate) fn need_listed(config: &Value, package: &str, tag: &str) -> Result<()> {
    if config.is_nil() {
        return Err(Failure::build(format!("package {package} not in list for tag {tag}")));
    }
    if config.get("blocked").truthy() {
        return Err(Failure::build(format!("package {package} is blocked for tag {tag}")));
    }
    Ok(())
}

/// Has a finished build tagged by a child, which may be refused as policies say.
pub(crate) async fn tag(task: &Context, tag: i64, build: i64) -> Result<()> {
    let args = vec![tag.into(), build.into(), false.into(), Value::Nil, true.into()];
    let opts = map! {"label" => "tag", "arch" => "noarch"};
    let child = task.subtask("tagBuild", args, opts).await?;
    task.wait_for(child).await.map(drop)
}

/// The `repo_id` that build tasks must be given.
pub(crate) fn repo_id(opts: &Value) -> Result<i64> {
    let id = opts.get("repo_id").as_int().filter(|id| *id != 0);
    id.ok_or_else(|| Failure::build("A repo id must be provided"))
}

/// Strings of a list.
pub(crate) fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap_or_default().iter();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}
