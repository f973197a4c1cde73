//! `toji keys`: the public keys that a hub verifies signatures of packages with.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use toji_client::{Client, args};
use toji_value::Value;

use crate::login::Login;

/// What `toji keys` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    deed: Deed,
    #[command(flatten)]
    login: Login,
}

#[derive(clap::Subcommand)]
enum Deed {
    /// Add a public key, or a newer state of it; for administrators.
    Add {
        /// The key, as `gpg --export` writes it, armored or not.
        file: PathBuf,
    },
    /// List the keys; anybody may.
    List {
        /// Only what these eight or sixteen digits of an id, or this fingerprint, name.
        key: Option<String>,
    },
    /// Print a key in armor, as `rpm --import` and `gpg --import` take it; anybody may.
    Export {
        /// The fingerprint, or digits of the id.
        key: String,
    },
    /// Remove a key; what it has signed stays. For administrators.
    Remove {
        /// The fingerprint.
        fingerprint: String,
    },
}

/// Does the deed and ends.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match &options.deed {
            Deed::List { key } => list(&options.login.hub()?, key.as_deref()).await,
            Deed::Export { key } => export(&options.login.hub()?, key).await,
            Deed::Add { file } => {
                let data = read(file)?;
                let hub = options.login.log_in().await?;
                let added = hub.call("keys.add", (data,)).await;
                hub.logout().await.ok();
                show(&added?)
            }
            Deed::Remove { fingerprint } => {
                let hub = options.login.log_in().await?;
                let done = hub.call("keys.remove", (fingerprint.as_str(),)).await;
                hub.logout().await.ok();
                done.map(drop).map_err(Into::into)
            }
        }
    })
}

/// A key file: its text, or its bytes in base64.
fn read(file: &Path) -> anyhow::Result<Value> {
    let data = std::fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
    // It is looked at here, so that a wrong file gets a good reason at once.
    toji_openpgp::Certificate::parse(&data).with_context(|| file.display().to_string())?;
    Ok(Value::Bytes(data))
}

async fn list(hub: &Client, key: Option<&str>) -> anyhow::Result<()> {
    let keys = hub.call("keys.list", (key,)).await?;
    keys.as_array().unwrap_or_default().iter().try_for_each(show)
}

async fn export(hub: &Client, key: &str) -> anyhow::Result<()> {
    let keys = hub.call("keys.list", args!(key, true)).await?;
    let keys = keys.as_array().unwrap_or_default();
    if keys.is_empty() {
        bail!("no such key: {key}");
    }
    let mut out = std::io::stdout().lock();
    for key in keys {
        out.write_all(key.get("data").display().as_bytes())?;
    }
    Ok(())
}

fn show(key: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} {}", key.get("fingerprint").display(), key.get("name").display())?;
    for part in key.get("parts").as_array().unwrap_or_default() {
        let text = |name: &str| part.get(name).display();
        let (id, algorithm, print) = (text("key_id"), text("algorithm"), text("fingerprint"));
        writeln!(out, "    signs: {id} {algorithm} {print}")?;
    }
    Ok(())
}
