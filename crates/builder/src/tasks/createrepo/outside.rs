//! External repositories, put to the metadata that the hub has made of a tag's own packages.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toji_client::Download;
use toji_repodata::Repomd;
use toji_sandbox::{Limits, plain_command, run_plain};
use toji_value::{Value, list};

use super::local::{shown, url, words};
use crate::context::{Context, int_of, text_of};
use crate::failure::{Failure, Result};

/// Bytes of a `repomd.xml`.
const REPOMD: u64 = 1 << 20;

/// The mode that all external repositories have.
pub(super) fn mode(external: &[Value]) -> Result<&str> {
    let mode = |repo| Value::get(repo, "merge_mode").as_str().unwrap_or("koji");
    let modes: BTreeSet<&str> = external.iter().map(mode).collect();
    match modes.first() {
        Some(mode) if modes.len() == 1 => Ok(mode),
        _ => {
            let modes: Vec<&str> = modes.into_iter().collect();
            let text = "Found multiple merge modes for external repos";
            Err(Failure::generic(format!("{text}: {}", modes.join(", "))))
        }
    }
}

/// Merges and uploads; returns what `createrepo` does.
pub(super) async fn join(
    task: &Context,
    repo: &Value,
    arch: &str,
    external: &[Value],
) -> Result<Value> {
    let mode = mode(external)?;
    let home = format!("repos/{}/{}", text_of(repo, "tag_name")?, int_of(repo, "id")?);
    let own = fetch_own(task, &format!("{home}/{arch}"), &premerge(int_of(repo, "id")?)).await?;
    let out = task.work.join("repo");
    let mut argv = task.config().merge_command.clone();
    match mode {
        "simple" => argv.extend(words(["--koji", "--simple"])),
        "bare" => argv.push("--bare".to_owned()),
        _ => argv.push("--koji".to_owned()),
    }
    if mode != "bare" {
        let blocked = fetch(task, &format!("{home}/{arch}/blocklist"), "blocklist").await?;
        argv.extend(["-b".to_owned(), shown(&blocked)]);
    }
    let comps = fetch(task, &format!("{home}/groups/comps.xml"), "comps.xml").await?;
    argv.extend(words(["-a", arch, "--arch-expand", "-g"]));
    argv.extend([shown(&comps), "-o".to_owned(), shown(&out)]);
    argv.extend(["--cachedir".to_owned(), shown(&task.config().workdir.join("metadata"))]);
    argv.extend(["-r".to_owned(), format!("file://{}", shown(&own))]);
    for url in external.iter().filter_map(|repo| url(repo, arch)) {
        argv.extend(["-r".to_owned(), url]);
    }
    run(task, argv).await?;
    let mut names = Vec::new();
    let entries = std::fs::read_dir(out.join("repodata"));
    for entry in entries.map_err(Failure::local("read the metadata"))? {
        let entry = entry.map_err(Failure::local("read the metadata"))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        task.upload(&entry.path(), &name).await?;
        names.push(Value::Str(name));
    }
    Ok(list![task.upload_dir(), Value::Array(names)])
}

/// The metadata that the hub has made, as a repository of its own.
async fn fetch_own(task: &Context, place: &str, own: &str) -> Result<PathBuf> {
    task.make_dir(&format!("{own}/repodata"))?;
    let list = "repodata/repomd.xml";
    let file = fetch(task, &format!("{place}/{list}"), &format!("{own}/{list}")).await?;
    let text = std::fs::read(file).map_err(Failure::local("read repomd.xml"))?;
    let repomd = Repomd::parse(text.as_slice(), REPOMD)
        .map_err(|error| Failure::generic(format!("repomd.xml of the hub: {error}")))?;
    for record in &repomd.records {
        let name = record.href.strip_prefix("repodata/").filter(|name| !name.contains('/'));
        let strange = || Failure::generic(format!("a strange place: {}", record.href));
        let to = format!("{own}/repodata/{}", name.ok_or_else(strange)?);
        fetch(task, &format!("{place}/{}", record.href), &to).await?;
    }
    Ok(task.work.join(own))
}

/// The directory of a tag's own metadata. The origins of packages name it, and kojid knows its hub's packages by that name.
pub(super) fn premerge(repo: i64) -> String {
    format!("repo_{repo}_premerge")
}

/// A file of the hub, below the task's own directory.
async fn fetch(task: &Context, from: &str, to: &str) -> Result<PathBuf> {
    let file = task.work.join(to);
    task.hub.download(&Download { url: from, ..Download::default() }, &file).await?;
    Ok(file)
}

async fn run(task: &Context, argv: Vec<String>) -> Result<()> {
    let shell = argv.join(" ");
    let environment = &task.config().environment;
    let variable = |name: &str| environment.get(name).cloned();
    let work: &Path = &task.work;
    let command = plain_command(argv, work, variable).cwd(work).env("TMPDIR", shown(work));
    let command = command.limits(Limits { memory: None, ..Limits::for_build() });
    let mut log = task.log("mergerepos.log")?;
    log.line(format!("$ {shell}"));
    let outcome = run_plain(&command, &mut log, &task.cancel).await?;
    match outcome.success() {
        true => Ok(()),
        false => Err(Failure::generic(format!("failed to merge repos: {}", outcome.reason))),
    }
}
