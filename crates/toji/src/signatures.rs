//! `toji signatures`: who has signed packages, whether that verifies, and requests for signers.

use std::io::Write as _;

use anyhow::bail;
use toji_client::{Client, args};
use toji_value::Value;

use crate::login::Login;

/// What `toji signatures` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    deed: Deed,
    #[command(flatten)]
    login: Login,
}

#[derive(clap::Subcommand)]
enum Deed {
    /// List signatures with long ids and fingerprints; anybody may.
    List {
        /// The package, as name-version-release.arch.
        #[arg(long, required_unless_present = "key")]
        rpm: Option<String>,
        /// A label, eight or sixteen digits of a key's id, or its fingerprint.
        #[arg(long)]
        key: Option<String>,
    },
    /// Verify the stored signatures of packages with the hub's public keys; fails if one is not good.
    Verify {
        /// The packages, as name-version-release.arch.
        #[arg(required = true)]
        rpms: Vec<String>,
        /// Only signatures of this key or label.
        #[arg(long)]
        key: Option<String>,
    },
    /// Look at the signatures that another hub has imported, so that they are found by long id and fingerprint too; for
    /// administrators.
    Index,
    /// Ask a signer for signatures on the packages of a build; prints the numbers of the jobs.
    Request {
        /// The build, as name-version-release.
        build: String,
        /// The key: its fingerprint, or digits of its id.
        #[arg(long)]
        key: String,
        /// What the signatures are filed under; digits of the key's id otherwise.
        #[arg(long)]
        label: Option<String>,
    },
    /// List what signers have to do, or have done.
    Jobs {
        /// Only jobs in this state: free, taken, done, failed, canceled.
        #[arg(long)]
        state: Option<String>,
    },
    /// Cancel a job.
    Cancel {
        /// Its number.
        id: i64,
    },
}

/// Does the deed and ends.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match &options.deed {
            Deed::List { rpm, key } => {
                let call = args!(rpm.as_deref(), key.as_deref());
                let found = options.login.hub()?.call("signatures.list", call).await?;
                found.as_array().unwrap_or_default().iter().try_for_each(|one| {
                    line(one, &["rpm_id", "sigkey", "slot", "key_id", "fingerprint", "created"])
                })
            }
            Deed::Jobs { state } => {
                let call = (state.as_deref(),);
                let found = options.login.hub()?.call("signing.list", call).await?;
                found.as_array().unwrap_or_default().iter().try_for_each(|one| {
                    line(one, &["id", "nvra", "state", "fingerprint", "sigkey", "signer", "reason"])
                })
            }
            _ => {
                let hub = options.login.log_in().await?;
                let done = act(&hub, &options.deed).await;
                hub.logout().await.ok();
                done
            }
        }
    })
}

async fn act(hub: &Client, deed: &Deed) -> anyhow::Result<()> {
    match deed {
        Deed::Verify { rpms, key } => verify(hub, rpms, key.as_deref()).await,
        Deed::Index => index(hub).await,
        Deed::Request { build, key, label } => {
            let call = args!(build.as_str(), key.as_str(); "label" => label.clone());
            let jobs = hub.call("signing.request", call).await?;
            let jobs = jobs.as_array().unwrap_or_default().iter().map(Value::display);
            Ok(writeln!(std::io::stdout(), "{}", jobs.collect::<Vec<_>>().join(" "))?)
        }
        Deed::Cancel { id } => Ok(hub.call("signing.cancel", (*id,)).await.map(drop)?),
        Deed::List { .. } | Deed::Jobs { .. } => Ok(()),
    }
}

async fn verify(hub: &Client, rpms: &[String], key: Option<&str>) -> anyhow::Result<()> {
    let mut wrong = 0;
    for rpm in rpms {
        let found = hub.call("signatures.verify", args!(rpm.as_str(), key)).await?;
        let found = found.as_array().unwrap_or_default();
        if found.is_empty() {
            writeln!(std::io::stdout(), "{rpm} unsigned")?;
            wrong += 1;
        }
        for one in found {
            wrong += usize::from(one.get("state").as_str() != Some("good"));
            write!(std::io::stdout(), "{rpm} ")?;
            line(one, &["state", "sigkey", "slot", "key_id", "fingerprint", "name", "reason"])?;
        }
    }
    if wrong > 0 {
        bail!("{wrong} signatures are missing or not good");
    }
    Ok(())
}

async fn index(hub: &Client) -> anyhow::Result<()> {
    let (mut after, mut read) = (Value::Nil, 0);
    loop {
        let done = hub.call("signatures.index", (after,)).await?;
        read += done.get("read").as_int().unwrap_or(0);
        for missing in done.get("missing").as_array().unwrap_or_default() {
            writeln!(std::io::stdout(), "not readable: {}", missing.display())?;
        }
        after = done.get("after").clone();
        if after.is_nil() {
            return Ok(writeln!(std::io::stdout(), "read: {read}")?);
        }
    }
}

/// Fields of an answer in a line, `-` for those that have no value.
fn line(one: &Value, names: &[&str]) -> anyhow::Result<()> {
    let text = |name: &&str| match one.get(name) {
        Value::Nil => "-".to_owned(),
        value => value.display(),
    };
    let words: Vec<String> = names.iter().map(text).collect();
    Ok(writeln!(std::io::stdout(), "{}", words.join(" "))?)
}
