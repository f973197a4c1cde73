//! `toji solve lockfile`: lockfiles that a hub keeps with its buildroots.

use anyhow::{Context as _, bail};
use toji_client::{Client, Options, args};
use toji_types::Lockfile;
use toji_value::Value;

/// Prints the lockfile of a buildroot, or of a build's buildroot of an arch.
pub(super) async fn print(server: &str, of: &str, arch: &str) -> anyhow::Result<()> {
    let hub = Client::new(server, Options::default())?;
    let found = match of.parse::<i64>() {
        Ok(id) => match hub.call("solve.lockfile", args!(id)).await? {
            Value::Nil => bail!("no lockfile of buildroot {id}"),
            found => found,
        },
        Err(_) => choose(&hub.call("solve.lockfiles", args!(of)).await?, of, arch)?,
    };
    let text = found.get("lockfile").as_str().context("the hub's answer has no lockfile")?;
    super::say(Lockfile::from_json(text)?.to_json()?.trim_end())
}

/// The one of the arch, or the only one.
fn choose(all: &Value, build: &str, arch: &str) -> anyhow::Result<Value> {
    let all = all.as_array().unwrap_or_default();
    match all {
        [] => bail!("no lockfile of build {build}"),
        [only] => Ok(only.clone()),
        all => {
            let fits = |one: &&Value| one.get("arch").as_str() == Some(arch);
            let arches: Vec<_> = all.iter().filter_map(|one| one.get("arch").as_str()).collect();
            let none =
                || format!("{build} has buildroots of {}; choose by --arch", arches.join(", "));
            all.iter().find(fits).cloned().with_context(none)
        }
    }
}
