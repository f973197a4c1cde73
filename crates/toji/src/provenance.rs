//! `toji provenance` and `toji sbom`: the statements about a build, and the keys, from a hub.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use toji_client::{Client, Download, args};
use toji_value::Value;

/// What `toji provenance` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The build, by name-version-release or number.
    #[arg(required_unless_present = "keys")]
    build: Option<String>,
    /// Fetch the public keys in PEM instead, as `toji verify --key` takes them.
    #[arg(long, conflicts_with = "build")]
    keys: bool,
    #[command(flatten)]
    to: To,
}

/// What `toji sbom` can be told.
#[derive(clap::Args)]
pub(crate) struct BillOptions {
    /// The build, by name-version-release or number.
    build: String,
    #[command(flatten)]
    to: To,
}

#[derive(clap::Args)]
struct To {
    /// The hub's URL.
    #[arg(long, value_name = "URL", default_value = "http://localhost:8080/kojihub")]
    server: String,
    /// Write there instead of to standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Fetches provenance, or the keys.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match &options.build {
            Some(build) => options.to.fetch("provenance.get", build).await,
            None => options.to.keys().await,
        }
    })
}

/// Fetches a bill of materials.
pub(crate) fn run_bill(options: BillOptions) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(options.to.fetch("provenance.sbom", &options.build))
}

impl To {
    fn hub(&self) -> anyhow::Result<Client> {
        Ok(Client::new(&self.server, toji_client::Options::default())?)
    }

    async fn keys(&self) -> anyhow::Result<()> {
        let keys = self.hub()?.call("provenance.keys", ()).await?;
        let pem = |key: &Value| key.get("pem").as_str().unwrap_or_default().to_owned();
        let text: String = keys.as_array().unwrap_or_default().iter().map(pem).collect();
        if text.is_empty() {
            bail!("the hub has no keys");
        }
        self.write(text.as_bytes())
    }

    /// Writes what the call answers, or the file that it names where that is too large for an answer.
    async fn fetch(&self, call: &str, build: &str) -> anyhow::Result<()> {
        let hub = self.hub()?;
        let build = build.parse::<i64>().map_or_else(|_| Value::from(build), Value::Int);
        let found = hub.call(call, args!(build, true)).await?;
        if let Some(content) = found.get("content").as_str() {
            return self.write(content.as_bytes());
        }
        let Some(path) = found.get("path").as_str() else { bail!("the hub names no file") };
        let Some(output) = &self.output else {
            bail!("the file is large: say with --output where it shall be written");
        };
        let (size, sha256) = (found.get("size").as_int(), found.get("sha256").as_str());
        let size = size.and_then(|size| u64::try_from(size).ok());
        let what = Download { url: path, size, sha256, ..Download::default() };
        hub.download(&what, output).await?;
        Ok(())
    }

    fn write(&self, text: &[u8]) -> anyhow::Result<()> {
        match &self.output {
            Some(file) => std::fs::write(file, text).with_context(|| file.display().to_string()),
            None => Ok(std::io::stdout().lock().write_all(text)?),
        }
    }
}
