//! What is in a room: asked of the hub, or chosen here from the tag's repository.

use std::collections::HashSet;
use std::time::Instant;

use toji_client::args;
use toji_types::Lockfile;
use toji_types::lockfile::{Locked, Source};
use toji_value::Value;

use super::facts::{ThisMachine, check_repo, group_packages};
use super::{Room, chroot};
use crate::config::Kind;
use crate::context::{is_unknown_method, text_of};
use crate::failure::{Failure, Result};
use crate::repository::{Repository, lockfile};
use crate::resolve::{self, Machine, Pool};
use crate::rich::{Capability, Need};
use crate::tasks::texts;

/// What belongs into a buildroot.
pub(super) struct Plan {
    pub(super) lockfile: Lockfile,
    /// Digests of what the group alone brings, if all of them are in the plan.
    pub(super) base: HashSet<String>,
    /// Whether the hub has it already.
    pub(super) stored: bool,
}

/// What this builder chooses from.
pub(super) struct Own {
    repository: Repository,
    /// Names of the group's packages.
    group: Vec<String>,
    /// Digests of what the group alone brings to a root of packages.
    base: HashSet<String>,
}

/// The name of the external repository that a package comes from.
pub(super) fn origin<'l>(lockfile: &'l Lockfile, package: &'l Locked) -> Option<&'l str> {
    match lockfile.repositories().get(&package.repository) {
        Some(Source::External { .. }) => Some(&package.repository),
        _ => None,
    }
}

impl Room<'_> {
    /// What the needs need.
    ///
    /// # Errors
    /// A build error that names what nothing provides, or what excludes each other.
    pub(super) async fn plan(&mut self, needs: &[Need]) -> Result<Plan> {
        if let Some(lockfile) = self.locked.clone() {
            return Ok(Plan { lockfile, base: HashSet::new(), stored: false });
        }
        let begin = Instant::now();
        let plan = match self.ask_hub(needs).await? {
            Some(plan) => plan,
            None => self.plan_here(needs).await?,
        };
        let (seconds, count) = (begin.elapsed().as_secs_f64(), plan.lockfile.packages().len());
        self.log.line(format!("{count} packages chosen in {seconds:.1} s"));
        Ok(plan)
    }

    /// The hub's plan; nothing from a hub that does not plan this one.
    async fn ask_hub(&mut self, needs: &[Need]) -> Result<Option<Plan>> {
        if !self.hub_plans {
            return Ok(None);
        }
        let requires: Vec<Value> = needs.iter().map(|need| need.to_string().into()).collect();
        let event = self.newest.as_ref().map(|newest| newest.event);
        let group = self.group.as_str();
        let call = args!(self.id, self.task.id, group, requires; "event" => event);
        let answer = match self.task.hub.call("host.planBuildRoot", call).await {
            Ok(answer) => answer,
            Err(error) if is_unknown_method(&error) => Value::Nil,
            Err(error) if error.fault().is_some() => {
                self.log.line(format!("the hub has no plan: {error}"));
                Value::Nil
            }
            Err(error) => return Err(error.into()),
        };
        let enough = self.kind == Kind::Chroot || answer.get("rpmbuild").truthy();
        if answer.is_nil() || !enough {
            self.hub_plans = false;
            return Ok(None);
        }
        let event = answer.get("event").display();
        self.log.line(format!("kind chroot, planned by the hub at event {event}"));
        if !answer.get("solved").truthy() {
            return Err(self.refused(&answer));
        }
        let lockfile = Lockfile::from_json(text_of(&answer, "lockfile")?)
            .map_err(Failure::local("read the plan of the hub"))?;
        let base = texts(answer.get("base")).into_iter().collect();
        Ok(Some(Plan { lockfile, base, stored: true }))
    }

    /// Says what the hub has said.
    fn refused(&mut self, answer: &Value) -> Failure {
        let missing = texts(answer.get("missing"));
        for need in &missing {
            self.log.line(format!("No matching package to install: '{need}'"));
        }
        if missing.is_empty() {
            for line in text_of(answer, "text").unwrap_or_default().lines() {
                self.log.line(line);
            }
        }
        let what = match missing.is_empty() {
            false => format!("No matching package to install: {}", missing.join(", ")),
            true => texts(answer.get("reasons")).join("; "),
        };
        unmet(&self.arch, &what)
    }

    async fn plan_here(&mut self, needs: &[Need]) -> Result<Plan> {
        if self.own.is_none() {
            self.load().await?;
        }
        let mut plan = self.choose(needs).await?;
        let own = self.own.as_mut().ok_or_else(not_loaded)?;
        if plan.missing.iter().any(|(need, _)| need.starts_with('/')) {
            own.repository.load_files(self.task).await?;
            plan = self.choose(needs).await?;
        }
        if !plan.missing.is_empty() {
            return Err(self.unmet(&plan));
        }
        let own = self.own.as_ref().ok_or_else(not_loaded)?;
        let lockfile = self.lockfile(own, &plan)?;
        let digests: HashSet<&str> = lockfile.packages().iter().map(|p| &*p.digest).collect();
        let whole = own.base.iter().all(|digest| digests.contains(digest.as_str()));
        let base = if whole { own.base.clone() } else { HashSet::new() };
        Ok(Plan { lockfile, base, stored: false })
    }

    /// Reads the repository, and decides whether the root is one of packages alone.
    async fn load(&mut self) -> Result<()> {
        let tag = text_of(&self.config, "name")?.to_owned();
        if let Some(newest) = &self.newest {
            // The one that was named may be older than the build wants it.
            let (builds, current) = (&newest.builds, newest.current);
            self.repo = self.task.get_repo(self.tag, builds, current).await?;
            check_repo(&self.repo, &self.config)?;
        }
        let repository =
            Repository::load(self.task, (self.tag, &tag), &self.repo, &self.arch).await?;
        let (id, count) = (self.repo.get("id").display(), repository.offers.len());
        self.log.line(format!("repository {id} with {count} packages"));
        let event = self.repo.get("create_event").clone();
        let group = group_packages(self.task, self.tag, &self.group, event).await?;
        self.own = Some(Own { repository, group, base: HashSet::new() });
        if self.kind == Kind::Host {
            return Ok(());
        }
        let plan = self.choose(&[]).await?;
        let own = self.own.as_ref().ok_or_else(not_loaded)?;
        let whole = chroot::brings_rpmbuild(&own.repository.offers, &plan);
        let lockfile = self.lockfile(own, &plan)?;
        self.chroot = whole || self.kind == Kind::Chroot;
        self.log.line(format!("kind {}", if self.chroot { "chroot" } else { "host" }));
        if let Some(own) = &mut self.own {
            own.base = lockfile.packages().iter().map(|p| p.digest.clone()).collect();
        }
        Ok(())
    }

    async fn choose(&self, needs: &[Need]) -> Result<resolve::Plan> {
        let own = self.own.as_ref().ok_or_else(not_loaded)?;
        let offers = own.repository.offers.clone();
        let group: Vec<_> =
            own.group.iter().map(|name| Need::of(Capability::new(name, 0, ""))).collect();
        let needs = needs.to_vec();
        let this = ThisMachine { granted: self.task.config().host_provides.clone() };
        let chroot = self.chroot;
        let decide = move || {
            let machine: &dyn Machine = if chroot { &chroot::Nothing } else { &this };
            let pool = Pool::new(&offers);
            // Group members that are nowhere are left out, as dnf leaves them out.
            let there =
                |need: &Need| pool.plan(std::slice::from_ref(need), machine).missing.is_empty();
            let all: Vec<_> = group.into_iter().filter(there).chain(needs).collect();
            pool.plan(&all, machine)
        };
        tokio::task::spawn_blocking(decide).await.map_err(Failure::local("choose the packages"))
    }

    fn lockfile(&self, own: &Own, plan: &resolve::Plan) -> Result<Lockfile> {
        let offers = plan.packages.iter().map(|at| &own.repository.offers[*at]);
        let tag = text_of(&self.config, "name")?;
        lockfile(tag, &self.arch, &own.repository, offers)
            .map_err(Failure::local("write the lockfile"))
    }

    fn unmet(&mut self, plan: &resolve::Plan) -> Failure {
        let mut names = Vec::new();
        for (need, by) in &plan.missing {
            match by {
                None => self.log.line(format!("No matching package to install: '{need}'")),
                Some(by) => self.log.line(format!("nothing provides {need} needed by {by}")),
            }
            names.push(match by {
                None => need.clone(),
                Some(by) => format!("{need} (needed by {by})"),
            });
        }
        unmet(&self.arch, &format!("No matching package to install: {}", names.join(", ")))
    }

    /// Gives the hub the list of what is in the root, if it keeps such lists.
    pub(super) async fn store_lockfile(&self, lockfile: &Lockfile) -> Result<()> {
        let text = lockfile.to_json().map_err(Failure::local("write the lockfile"))?;
        let call = (self.id, text, self.task.id);
        match self.task.hub.call("host.setBuildRootLockfile", call).await {
            Err(error) if !is_unknown_method(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn unmet(arch: &str, what: &str) -> Failure {
    Failure::build(format!(
        "error building package (arch {arch}), {what}; see root.log for more information"
    ))
}

fn not_loaded() -> Failure {
    Failure::buildroot("the repository is not read")
}
