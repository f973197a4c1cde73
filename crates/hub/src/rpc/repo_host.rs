//! What builders do for repositories.

use std::path::{Path, PathBuf};

use toji_api::repo_host::*;
use toji_bus::Topic;
use toji_db::Row;
use toji_types::RepoState;
use toji_types::arch::canonical;
use toji_value::{Fault, Map, Value, list, map};

use crate::Call;
use crate::dispatch::Handle;
use crate::repo::{assemble, init, latest, state};
use crate::task::{self, claim};

impl Handle for HostRepoInit {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        if let Some(task) = self.task_id {
            task::check_open(call, task).await?;
        }
        let (repo, event) =
            init::init(call, &self.tag, self.task_id, self.event, &self.opts).await?;
        Ok(list![repo, event])
    }
}

/// A repository in the state INIT.
async fn in_making(call: &mut Call, repo_id: i64) -> Result<Row, Fault> {
    let found = toji_db::repo::get(&mut call.tx, repo_id).await?;
    let repo = found.ok_or(toji_db::Error::NoRows)?;
    let state: i64 = repo.get("state")?;
    if state != RepoState::Init as i64 {
        return Err(Fault::generic(format!("Repo {repo_id} not in INIT state (got {state})")));
    }
    Ok(repo)
}

impl Handle for HostCreateRepo {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let repo = in_making(call, self.repo_id).await?;
        claim::check_repo(call, &repo).await?;
        let dir = assemble::directory(&call.hub, &repo)?;
        let arch = arch_name(&self.arch)?;
        if !dir.join(&arch).is_dir() {
            return Err(Fault::generic(format!("Repo arch directory missing: {arch}")));
        }
        let count = assemble::assemble(call, &dir, &arch).await?;
        Ok(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

/// The name of an arch's directory: a plain word.
fn arch_name(arch: &str) -> Result<String, Fault> {
    let plain = !arch.is_empty() && arch.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !plain {
        return Err(Fault::generic(format!("Invalid arch: {arch}")));
    }
    Ok(canonical(arch).to_owned())
}

impl Handle for HostRepoDone {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let told = |repo: &Row| {
            let data = self.data.clone();
            map! { "repo" => repo.clone().into_map(), "data" => data, "expire" => self.expire }
        };
        if call.listens("preRepoDone")
            && let Some(repo) = toji_db::repo::get(&mut call.tx, self.repo_id).await?
        {
            call.callback("preRepoDone", || told(&repo)).await?;
        }
        let repo = in_making(call, self.repo_id).await?;
        let maker = claim::check_repo(call, &repo).await?;
        let args = told(&repo);
        let dir = assemble::directory(&call.hub, &repo)?;
        let work = PathBuf::from(call.hub.paths.work(None));
        let Value::Struct(data) = self.data else {
            return Err(Fault::parameter("data must be a dictionary"));
        };
        let uploads: Vec<&str> =
            data.iter().filter_map(|(_, upload)| upload.as_array()?.first()?.as_str()).collect();
        let holder = maker.map_or(claim::Holder::Host, claim::Holder::Task);
        claim::check_files(call, holder, &uploads).await?;
        let moves =
            if repo.value("dist").truthy() { Vec::new() } else { moves(&data, &work, &dir)? };
        let updates = match self.repo_json_updates {
            Value::Struct(updates) => Some(updates),
            _ => None,
        };
        let info = dir.join("repo.json");
        init::blocking(move || {
            for (from, to) in &moves {
                place(from, to)?;
            }
            updates.map_or(Ok(()), |updates| update_json(&info, updates))
        })
        .await?;
        let to = if self.expire { RepoState::Expired } else { RepoState::Ready };
        state::set(call, self.repo_id, to).await?;
        if !self.expire {
            latest::ask(call, self.repo_id).await?;
        }
        let body = map! {
            "repo_id" => self.repo_id,
            "tag" => repo.value("tag_name"),
            "tag_id" => repo.value("tag_id"),
            "task_id" => repo.value("task_id"),
            "expire" => self.expire,
        };
        call.emit("repo.done", &format!("repo:{}", self.repo_id), body);
        call.signal(Topic::Repositories);
        call.callback("postRepoDone", || args).await?;
        Ok(Value::Nil)
    }
}

/// Which uploaded file goes where.
fn moves(data: &Map, work: &Path, dir: &Path) -> Result<Vec<(PathBuf, PathBuf)>, Fault> {
    let mut moves = Vec::new();
    for (arch, upload) in data.iter() {
        let arch_dir = dir.join(arch_name(arch)?);
        if !arch_dir.is_dir() {
            let missing = arch_dir.display();
            return Err(Fault::generic(format!("Repo arch directory missing: {missing}")));
        }
        let wrong = || Fault::parameter("data must have an upload directory and files for an arch");
        let [Value::Str(from), Value::Array(files)] = upload.as_array().ok_or_else(wrong)? else {
            return Err(wrong());
        };
        let from = toji_store::normalize(from)
            .map_err(|_| Fault::generic(format!("Invalid upload directory: {from}")))?;
        for file in files {
            let name = file.as_str().ok_or_else(wrong)?;
            if name.is_empty() || name.contains('/') || name.starts_with('.') {
                return Err(Fault::generic(format!("Invalid upload filename: {name}")));
            }
            let uploaded = work.join(&from).join(name);
            if !uploaded.is_file() {
                let missing = uploaded.display();
                return Err(Fault::generic(format!("uploaded file missing: {missing}")));
            }
            let to = if name.ends_with("pkglist") {
                arch_dir.join(name)
            } else {
                arch_dir.join("repodata").join(name)
            };
            moves.push((uploaded, to));
        }
    }
    // What readers look at first is placed last.
    moves.sort_by_key(|(from, _)| from.ends_with("repomd.xml"));
    Ok(moves)
}

fn place(from: &Path, to: &Path) -> std::io::Result<()> {
    if let Some(dir) = to.parent() {
        std::fs::create_dir_all(dir)?;
    }
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            let fresh = to.with_extension("new");
            std::fs::copy(from, &fresh)?;
            std::fs::rename(&fresh, to)?;
            std::fs::remove_file(from)
        }
        other => other,
    }
}

fn update_json(file: &Path, updates: Map) -> std::io::Result<()> {
    let text = std::fs::read(file)?;
    let json = serde_json::from_slice(&text).map_err(std::io::Error::other)?;
    let Value::Struct(mut info) = Value::from_json(json) else {
        return Err(std::io::Error::other("repo.json is no object"));
    };
    info.extend(updates);
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, format!("{:#}\n", Value::Struct(info).to_json()))?;
    std::fs::rename(fresh, file)
}
