//! The `latest` link of a tag: it leads to the newest ready repository, and who reads through it meets no gap.
//!
//! A reader that has fetched `repomd.xml` through the link fetches the files that it names afterwards, through the link
//! too. So the metadata of repositories that were the latest a while ago are linked into the directory of the new one:
//! their names begin with their checksums.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use toji_db::{Engine, Row, repo as sql};
use toji_repodata::Repomd;
use toji_types::RepoState;
use toji_value::Fault;

use super::init::blocking;
use crate::{Call, Hub};

/// The row of `locks` that a hub holds while it moves a link.
const LOCK: &str = "toji-latest";
/// So long after a repository was the latest its metadata are found through the link, in seconds …
const GRACE: f64 = 3600.0;
/// … of at most so many repositories.
const STATES: i64 = 100;
/// The longest `repomd.xml` that is read, in bytes.
const REPOMD: u64 = 1 << 20;
/// Where a repository has metadata, below the directory of an arch.
const PLACES: [&str; 2] = ["repodata", "debug/repodata"];

/// Has the link of a repository's tag follow after the commit, unless the repository has special options.
///
/// # Errors
/// When the database fails.
pub async fn ask(call: &mut Call, repo_id: i64) -> Result<(), Fault> {
    let Some(repo) = sql::get(&mut call.tx, repo_id).await? else { return Ok(()) };
    let dist = repo.value("dist").truthy();
    if dist || !repo.value("custom_opts").truthy() {
        call.files.publish(repo.get("tag_id")?, dist);
    }
    Ok(())
}

/// Points the link of a tag at its newest ready repository, as it is committed.
///
/// One link is moved at a time and each is moved after the commit, so the one that is moved last has seen all others. A
/// failure is logged: the daemon looks after the links, too.
pub(crate) async fn follow(hub: &Hub, tag: i64, dist: bool) {
    if let Err(fault) = try_follow(hub, tag, dist).await {
        tracing::warn!(%fault, tag, dist, "the link to the latest repository cannot be moved");
    }
}

async fn try_follow(hub: &Hub, tag: i64, dist: bool) -> Result<(), Fault> {
    static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    loop {
        let rows = sql::published(&mut hub.db.begin(), tag, dist, STATES).await?;
        let Some(plan) = Plan::make(hub, &rows, dist)? else { return Ok(()) };
        let carried = plan.newest.0;
        if !blocking(move || plan.carry()).await? {
            return Ok(());
        }
        // What takes its time is done; the lock is held for the link alone.
        let _one = ONE.lock().await;
        let mut tx = hub.db.begin();
        // An embedded database has one hub.
        if tx.engine() == Engine::Postgres {
            tx.lock(LOCK).await?;
        }
        let rows = sql::published(&mut tx, tag, dist, STATES).await?;
        let plan = Plan::make(hub, &rows, dist)?.filter(|plan| plan.newest.0 == carried);
        let same = plan.is_some();
        if let Some(plan) = plan {
            blocking(move || plan.link()).await?;
        }
        tx.rollback().await?;
        if same {
            return Ok(());
        }
    }
}

/// What is to be done on the disk.
struct Plan {
    link: PathBuf,
    /// The repository that the link is for, with its directory.
    newest: (i64, PathBuf),
    /// Made from later events and no longer ready: where the link leads to one of these it stays.
    beyond: Vec<i64>,
    /// Directories of those that readers may still be at.
    before: Vec<PathBuf>,
}

impl Plan {
    /// Of the repositories of a tag, the newest event first.
    fn make(hub: &Hub, rows: &[Row], dist: bool) -> Result<Option<Plan>, Fault> {
        let ready = |row: &Row| row.value("state").as_int() == Some(RepoState::Ready as i64);
        let Some(at) = rows.iter().position(ready) else { return Ok(None) };
        let dir = |row: &Row| -> Result<(i64, PathBuf), Fault> {
            let (id, tag): (i64, String) = (row.get("id")?, row.get("tag_name")?);
            let path = match dist {
                true => hub.paths.distrepo(id, &tag, None),
                false => hub.paths.repo(id, &tag),
            };
            Ok((id, path.into()))
        };
        let (mut beyond, mut before) = (Vec::new(), Vec::new());
        let mut replaced = f64::INFINITY;
        for (number, row) in rows.iter().enumerate() {
            if number < at {
                beyond.push(row.get("id")?);
            }
            if number != at && (number < at || hub.now() - replaced < GRACE) {
                before.push(dir(row)?.1);
            }
            replaced = replaced.min(row.value("state_ts").as_f64().unwrap_or(0.0));
        }
        let newest = dir(&rows[at])?;
        let link = newest.1.with_file_name("latest");
        Ok(Some(Plan { link, newest, beyond, before }))
    }

    /// Whether the link is to be moved.
    fn is_due(&self) -> bool {
        let (id, dir) = &self.newest;
        let now = leads_to(&self.link);
        let newer = now.is_some_and(|now| self.beyond.contains(&now));
        now != Some(*id) && !(newer && self.link.is_dir()) && dir.is_dir()
    }

    /// Links what readers of older repositories may still want into the newest; tells whether its link is to be moved.
    fn carry(&self) -> io::Result<bool> {
        if !self.is_due() {
            return Ok(false);
        }
        for old in &self.before {
            // A reader would be the only one to miss it.
            if let Err(error) = carry(old, &self.newest.1) {
                tracing::debug!(%error, old = %old.display(), "metadata of an older repository are not linked");
            }
        }
        Ok(true)
    }

    fn link(&self) -> io::Result<()> {
        if !self.is_due() {
            return Ok(());
        }
        let target = self.newest.0.to_string();
        toji_store::replace_link(&self.link, target.as_ref()).map_err(io::Error::other)
    }
}

/// The repository that a link leads to.
fn leads_to(link: &Path) -> Option<i64> {
    fs::read_link(link).ok().and_then(|to| to.to_str()?.parse().ok())
}

/// Links the metadata of an older repository into a newer one, for each arch that both have.
fn carry(old: &Path, new: &Path) -> io::Result<()> {
    for arch in fs::read_dir(new)? {
        let arch = arch?;
        if !arch.file_type()?.is_dir() {
            continue;
        }
        for place in PLACES {
            let from = old.join(arch.file_name()).join(place);
            let to = arch.path().join(place);
            let Ok(file) = fs::File::open(from.join("repomd.xml")) else { continue };
            if !to.is_dir() {
                continue;
            }
            let repomd = Repomd::parse(io::BufReader::new(file), REPOMD);
            let repomd = repomd.map_err(io::Error::other)?;
            for name in named(&repomd) {
                match fs::hard_link(from.join(name), to.join(name)) {
                    // The same checksum, the same content; what is gone was not there for readers either.
                    Err(error)
                        if !matches!(
                            error.kind(),
                            ErrorKind::AlreadyExists | ErrorKind::NotFound
                        ) =>
                    {
                        return Err(error);
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

/// The files that a `repomd.xml` names by their checksums.
fn named(repomd: &Repomd) -> impl Iterator<Item = &str> {
    repomd.records.iter().filter_map(|record| {
        let name = record.href.strip_prefix("repodata/")?;
        let (sum, _) = name.split_once('-')?;
        let unique = sum.len() >= 32 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
        (unique && !name.contains('/')).then_some(name)
    })
}

/// Looks after the links of all tags: the hub that should have moved one may have ended before.
///
/// # Errors
/// When the database fails.
pub(crate) async fn mend(hub: &Hub) -> Result<(), Fault> {
    let rows = sql::newest(&mut hub.db.begin(), RepoState::Ready as i64).await?;
    let mut wanted = Vec::new();
    for row in &rows {
        let (id, tag): (i64, String) = (row.get("id")?, row.get("tag_name")?);
        let dist = row.value("dist").truthy();
        let path: PathBuf = match dist {
            true => hub.paths.distrepo(id, &tag, None),
            false => hub.paths.repo(id, &tag),
        }
        .into();
        wanted.push((row.get("tag_id")?, dist, id, path.with_file_name("latest")));
    }
    let late = move || {
        wanted.retain(|(_, _, id, link)| leads_to(link) != Some(*id));
        Ok(wanted)
    };
    for (tag, dist, ..) in blocking(late).await? {
        follow(hub, tag, dist).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use toji_repodata::Repomd;

    use super::named;

    #[test]
    fn only_names_that_begin_with_a_checksum() {
        let sum = "0123456789abcdef0123456789abcdef";
        let record = |name: &str| toji_repodata::Record {
            href: format!("repodata/{name}"),
            ..toji_repodata::Record::default()
        };
        let primary = format!("{sum}-primary.xml.gz");
        let names = [&primary, "comps.xml", "x-y.xml", &format!("{sum}-a/../b")];
        let records = names.into_iter().map(record).collect();
        let repomd = Repomd { records, ..Repomd::default() };
        let all: Vec<&str> = named(&repomd).collect();
        assert_eq!(all, [primary]);
    }
}
