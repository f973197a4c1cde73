//! What is not of builds: repositories, and the results of tasks, scratch builds and uploads.

use toji_db::scan as db;
use toji_store::{Item, Kind as ItemKind, Volume as _};
use toji_types::RepoState;
use toji_value::Fault;

use super::super::build::is_leftover;
use super::super::finding::{Finding, Kind, What};
use super::super::places::volume_dir;
use super::manifest::Entry;
use super::take::{Got, Pass, Taker, Want};
use crate::files;

/// Repositories that are asked for together.
const REPOSITORIES: i64 = 200;
/// Files that are looked at together.
const FILES: usize = 500;
/// What is on a volume beside the places of builds and repositories and belongs to no point: links that are made anew,
/// and what a hub notes for its own next start.
const LEFT_OUT: [&str; 7] =
    ["packages", "repos", "repos-dist", "vol", "toplink", ".import-journal", "lost+found"];
/// The places of tasks.
const TASKS: [&str; 2] = ["work", "scratch"];

impl Taker<'_> {
    /// The repositories that are in use.
    pub(super) async fn repositories(&mut self, pass: &mut Pass<'_>) -> Result<(), Fault> {
        let used = [RepoState::Ready.number(), RepoState::Expired.number()];
        let mut after = 0;
        let mut tags = std::collections::BTreeSet::new();
        loop {
            let rows =
                db::repos_in(&mut pass.view.reading().tx, &used, after, REPOSITORIES).await?;
            let Some(last) = rows.last() else { break };
            after = last.get("id")?;
            for row in &rows {
                let (id, tag): (i64, String) = (row.get("id")?, row.get("tag")?);
                let top = if row.value("dist").truthy() { "repos-dist" } else { "repos" };
                let above = format!("{top}/{tag}");
                let dir = format!("{above}/{id}");
                tags.insert(above);
                if !self.repository(pass, &dir).await? && pass.is_final() {
                    let finding = Finding::new(Kind::MissingRepository, What::Repository, dir, "");
                    self.damage(pass, &finding);
                }
            }
        }
        // The names of the newest ones.
        for dir in tags {
            for item in self.list(dir).await? {
                if let ItemKind::Link(target) = &item.kind
                    && !item.name().bytes().all(|b| b.is_ascii_digit())
                {
                    pass.list(&Entry::link(&item.path, target))?;
                }
            }
        }
        Ok(())
    }

    /// All of a repository; tells whether there is one.
    async fn repository(&mut self, pass: &mut Pass<'_>, dir: &str) -> Result<bool, Fault> {
        let (volumes, at) = (self.volumes.clone(), dir.to_owned());
        let Some(item) = files::blocking(move || volumes.item(&at)).await? else {
            return Ok(false);
        };
        let ItemKind::Link(target) = &item.kind else {
            self.tree(pass, dir.to_owned()).await?;
            return Ok(true);
        };
        // It is on another volume.
        pass.list(&Entry::link(dir, target))?;
        let above = dir.rsplit_once('/').map_or("", |(above, _)| above);
        if let Ok(real) = toji_store::normalize(&format!("{above}/{}", target.display())) {
            self.tree(pass, real).await?;
        }
        Ok(true)
    }

    /// Everything on the volumes that is no build and no repository.
    pub(super) async fn others(&mut self, pass: &mut Pass<'_>) -> Result<(), Fault> {
        for name in toji_db::build::volumes(&mut pass.view.reading().tx).await? {
            if self.volumes.is_remote(&name) {
                continue;
            }
            for item in self.list(volume_dir(&name)).await? {
                let left_out = LEFT_OUT.contains(&item.name())
                    || !self.options.tasks && TASKS.contains(&item.name());
                match &item.kind {
                    _ if left_out => {}
                    ItemKind::Dir => self.tree(pass, item.path).await?,
                    _ => self.some(pass, vec![item]).await?,
                }
            }
        }
        Ok(())
    }

    async fn list(&self, dir: String) -> Result<Vec<Item>, Fault> {
        super::super::places::list(&self.volumes, dir).await
    }

    /// Everything below a directory.
    async fn tree(&mut self, pass: &mut Pass<'_>, dir: String) -> Result<(), Fault> {
        let (mut waiting, mut some) = (vec![dir], Vec::new());
        while let Some(dir) = waiting.pop() {
            for item in self.list(dir).await? {
                match item.kind {
                    ItemKind::Dir => waiting.push(item.path),
                    _ => some.push(item),
                }
            }
            if some.len() >= FILES {
                self.some(pass, std::mem::take(&mut some)).await?;
            }
        }
        self.some(pass, some).await
    }

    /// Lists files and links; what goes meanwhile belonged to nothing that stays.
    async fn some(&mut self, pass: &mut Pass<'_>, items: Vec<Item>) -> Result<(), Fault> {
        let mut wants = Vec::new();
        for item in items {
            if is_leftover(item.name()) || toji_store::parts::is_partial(&item.path) {
                continue;
            }
            match &item.kind {
                ItemKind::File => wants.push(Want::of(&item, None)),
                ItemKind::Link(target) => pass.list(&Entry::link(&item.path, target))?,
                ItemKind::Dir | ItemKind::Other => {}
            }
        }
        let paths: Vec<String> = wants.iter().map(|want| want.path.clone()).collect();
        for (path, got) in paths.into_iter().zip(self.keep(wants).await?) {
            match got {
                Got::Kept(entry) => pass.list(&entry)?,
                Got::Gone => {}
                Got::Unreadable(why) if pass.is_final() => {
                    let finding = Finding::new(Kind::Unreadable, What::File, path, why);
                    self.damage(pass, &finding);
                }
                Got::Unreadable(_) => {}
            }
        }
        Ok(())
    }
}
