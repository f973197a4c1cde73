//! Rooms of the `chroot` kind: which packages, from where, in which layers.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use toji_sandbox::{Buildroot, Chroots, Layer, PackageFile};
use toji_types::Lockfile;
use toji_types::lockfile::Locked;
use toji_value::{Value, map};

use super::facts::hostname;
use super::plan::{Plan, origin};
use super::{Room, fetch};
use crate::config::Kind;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::logs::Log;
use crate::resolve::{self, Machine, Offer};
use crate::rich::Capability;

/// The option of a tag that chooses a kind.
const OPTION: &str = "toji.buildroot";
/// The file in a buildroot's directory that lists the packages of the lower layer, by their digests.
const BASE: &str = "base";
/// What makes packages, by which a root is known to be one for building.
const PROGRAM: &str = "/usr/bin/rpmbuild";

/// A root has nothing of the machine; only what rpm itself can do is there without a package.
pub(super) struct Nothing;

impl Machine for Nothing {
    fn has(&self, need: &Capability) -> bool {
        self.owns(&need.name)
    }

    fn owns(&self, name: &str) -> bool {
        name.starts_with("rpmlib(")
    }
}

/// Whether a plan brings what builds packages.
pub(super) fn brings_rpmbuild(offers: &[Offer], plan: &resolve::Plan) -> bool {
    plan.packages.iter().any(|at| {
        let offer = &offers[*at];
        offer.files.iter().any(|file| file == PROGRAM)
            || offer.provides.iter().any(|provided| provided.name == "rpm-build")
    })
}

/// The kind that a tag asks for and this builder allows.
///
/// # Errors
/// When the tag wants what this builder does not do.
pub(super) fn wanted(own: Kind, config: &Value) -> Result<Kind> {
    let option = config.get("extra").get(OPTION);
    let Some(name) = option.as_str() else { return Ok(own) };
    match (own, Kind::parse(name)) {
        (_, None) => Err(Failure::buildroot(format!(
            "{OPTION} of the tag is {name}; there are auto, chroot, mock and host"
        ))),
        (Kind::Auto, Some(kind)) => Ok(kind),
        (own, Some(kind)) if own == kind || kind == Kind::Auto => Ok(own),
        (_, Some(_)) => {
            Err(Failure::own(format!("this builder makes no buildroots of the kind {name}")))
        }
    }
}

/// The layers of this builder, opened at the first use.
pub(super) async fn cache(task: &Context) -> Result<&Chroots> {
    let config = task.config();
    let open = || Chroots::open(config.workdir.join("chroots"), config.buildroots.cache_size << 20);
    Ok(task.shared.chroots.get_or_try_init(open).await?)
}

impl Room<'_> {
    /// The layer of a plan: the group's, which many builds share, and what this one needs beside.
    pub(super) async fn layers(&mut self, plan: &Plan) -> Result<Arc<Layer>> {
        let all = plan.lockfile.packages().iter();
        let (base, rest): (Vec<&Locked>, Vec<&Locked>) =
            all.partition(|package| plan.base.contains(&package.digest));
        if base.is_empty() {
            return self.one_layer(None, &plan.lockfile, &rest).await;
        }
        let below = self.one_layer(None, &plan.lockfile, &base).await?;
        if rest.is_empty() {
            return Ok(below);
        }
        self.one_layer(Some(&below), &plan.lockfile, &rest).await
    }

    /// Notes beside a root which of its packages are in the layer that others share, for whoever opens it again.
    pub(super) fn note_base(&self, plan: &Plan) -> Result<()> {
        let base: Vec<&str> = plan.base.iter().map(String::as_str).collect();
        let written = std::fs::write(self.task.work.join("root").join(BASE), base.join("\n"));
        written.map_err(Failure::local("note the layers of the buildroot"))
    }

    /// Opens the root that is in `dir`, as it was left; its layers are made again if they are gone.
    pub(crate) async fn reopen(&mut self, dir: &Path) -> Result<()> {
        let mut plan = self.plan(&[]).await?;
        let base = std::fs::read_to_string(dir.join(BASE)).unwrap_or_default();
        plan.base = base.lines().map(str::to_owned).collect();
        let layer = self.layers(&plan).await?;
        let hostname = hostname(&self.task.config().user);
        let macros = self.macros(&hostname);
        let builder = Buildroot::builder(dir).chroot(layer).macros(macros).hostname(hostname);
        self.root = Some(builder.build().await?);
        Ok(())
    }

    async fn one_layer(
        &mut self,
        below: Option<&Arc<Layer>>,
        lockfile: &Lockfile,
        packages: &[&Locked],
    ) -> Result<Arc<Layer>> {
        let chroots = cache(self.task).await?;
        let digests: Vec<&str> = packages.iter().filter_map(|package| package.sha256()).collect();
        if let Some(layer) = chroots.found(below, &digests) {
            self.log.line(format!("layer {} with {} packages", short(&layer), packages.len()));
            return Ok(layer);
        }
        packages.iter().for_each(|package| self.log.line(format!("install {package}")));
        let files = fetch::all(self.task, lockfile, packages).await?;
        let file = |(path, sha256): (_, &&str)| PackageFile { path, sha256: (*sha256).to_owned() };
        let files: Vec<_> = files.into_iter().zip(&digests).map(file).collect();
        let begin = std::time::Instant::now();
        let cancel = &self.task.cancel;
        let made = chroots.layer(below, &files, &mut Said(&mut self.log), cancel).await?;
        let seconds = begin.elapsed().as_secs_f64();
        self.log.line(format!("layer {} made in {seconds:.1} s", short(&made)));
        Ok(made)
    }
}

fn short(layer: &Layer) -> &str {
    layer.key().get(..12).unwrap_or_default()
}

/// What rpm says while it installs, without the list that ends it.
struct Said<'l>(&'l mut Log);

impl toji_sandbox::Sink for Said<'_> {
    fn write(&mut self, _: toji_sandbox::Stream, chunk: &[u8]) -> std::io::Result<()> {
        let text = String::from_utf8_lossy(chunk);
        let noise =
            |line: &&str| !line.is_empty() && !line.contains('\t') && !line.starts_with("===");
        text.lines().filter(noise).for_each(|line| self.0.line(line));
        Ok(())
    }
}

/// The listing of a root's packages for the hub, as the database of rpm inside has them.
pub(super) fn listing(layer: &Layer, lockfile: &Lockfile) -> Value {
    let origins: HashMap<String, &str> = lockfile
        .packages()
        .iter()
        .filter_map(|p| {
            Some((nvra(&p.name, &p.version, &p.release, &p.arch), origin(lockfile, p)?))
        })
        .collect();
    entries(layer.packages(), &origins)
}

/// A package's name for looking it up.
pub(super) fn nvra(name: &str, version: &str, release: &str, arch: &str) -> String {
    format!("{name}-{version}-{release}.{arch}")
}

/// Packages as the hub wants them listed; `origins` has the names of the external repositories they are from.
pub(super) fn entries(
    packages: &[toji_sandbox::Installed],
    origins: &HashMap<String, &str>,
) -> Value {
    let entry = |p: &toji_sandbox::Installed| {
        Value::Struct(map! {
            "name" => p.name.as_str(),
            "version" => p.version.as_str(),
            "release" => p.release.as_str(),
            "epoch" => p.epoch,
            "arch" => p.arch.as_str(),
            "payloadhash" => p.sigmd5.as_str(),
            "size" => p.size,
            "buildtime" => p.buildtime,
            "location" => origins.get(&nvra(&p.name, &p.version, &p.release, &p.arch)).copied(),
        })
    };
    Value::Array(packages.iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_chooses_where_the_builder_lets_it() {
        let tag = |kind: &str| {
            let extra = Value::Struct(map! {"toji.buildroot" => kind});
            Value::Struct(map! {"extra" => extra})
        };
        assert_eq!(wanted(Kind::Auto, &tag("host")).ok(), Some(Kind::Host));
        assert_eq!(wanted(Kind::Chroot, &tag("chroot")).ok(), Some(Kind::Chroot));
        assert_eq!(wanted(Kind::Chroot, &tag("auto")).ok(), Some(Kind::Chroot));
        assert_eq!(wanted(Kind::Host, &Value::Nil).ok(), Some(Kind::Host));
        assert_eq!(wanted(Kind::Auto, &tag("mock")).ok(), Some(Kind::Mock));
        assert!(wanted(Kind::Chroot, &tag("host")).is_err());
        assert!(wanted(Kind::Auto, &tag("cellar")).is_err());
    }
}
