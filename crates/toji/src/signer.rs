//! `toji signer`: the reference signer. It has the key, asks a hub for work, and sends signatures back.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use toji_client::{Client, Event, News, Numbered, Wanted, Woken, args};
use toji_openpgp::SecretKey;
use toji_rpmfile::{Header, HeaderKind, Limits};
use toji_value::Value;

use crate::login::Login;

/// What `toji signer` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The secret key, as `gpg --export-secret-keys` writes it.
    #[arg(long, value_name = "FILE", required_unless_present = "command")]
    key: Option<PathBuf>,
    /// A file with the passphrase of the key.
    #[arg(long, value_name = "FILE", requires = "key")]
    passphrase_file: Option<PathBuf>,
    /// A command line that signs instead, run by the shell: it gets the data on standard input and writes a detached binary
    /// signature to standard output. This way keys are in gpg-agent, a smart card or a PKCS#11 token.
    #[arg(long, value_name = "LINE", conflicts_with = "key", requires = "fingerprint")]
    command: Option<String>,
    /// The fingerprint of the public key on the hub, for `--command`.
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
    /// End when there is nothing to do.
    #[arg(long)]
    once: bool,
    /// How often a hub is asked for work that does not tell when there is some, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    interval: u64,
    #[command(flatten)]
    login: Login,
}

/// How many jobs are taken at a time.
const AT_ONCE: i64 = 10;

/// What signs.
enum Hand {
    Key(Box<SecretKey>),
    Command(String),
}

/// Works until it is told to end.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let (hand, print) = hand(options)?;
    tracing::info!(fingerprint = print, "signing");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        // The first login must succeed: later ones are tried again and again.
        let mut hub = Some(options.log_in().await?);
        let mut news = None;
        loop {
            match work(options, &mut hub, &hand, &print).await {
                Ok(0) if options.once => break,
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) if options.once => return Err(error),
                Err(error) => {
                    tracing::warn!("{error:#}");
                    (hub, news) = (None, None);
                }
            }
            tokio::select! {
                _ = end.recv() => break,
                _ = tokio::signal::ctrl_c() => break,
                () = wait(options, hub.as_ref(), &mut news, &print) => {}
            }
        }
        if let Some(hub) = hub {
            hub.logout().await.ok();
        }
        Ok(())
    })
}

impl Options {
    fn interval(&self) -> Duration {
        Duration::from_secs(self.interval.max(1))
    }

    async fn log_in(&self) -> anyhow::Result<Client> {
        self.login.log_in_asking(self.interval()).await
    }
}

/// Waits until there may be work: a hub tells when somebody asks for signatures of the key. It is asked once more when it begins
/// to tell, and every five minutes, as nobody tells of a job that another signer has left.
async fn wait(options: &Options, hub: Option<&Client>, news: &mut Option<News>, print: &str) {
    let Some(hub) = hub else { return tokio::time::sleep(options.interval()).await };
    let news = news.get_or_insert_with(|| {
        let kinds = vec!["signing.request".to_owned()];
        News::new(hub, Wanted { kinds, ..Wanted::default() })
    });
    loop {
        match news.next().await {
            Woken::Event(told) if other_key(&told, print) => {}
            _ => return,
        }
    }
}

/// Whether an event is about another key.
fn other_key(told: &Numbered, print: &str) -> bool {
    match &told.event {
        Event::Other { body, .. } => body.str("fingerprint").is_some_and(|key| key != print),
        _ => false,
    }
}

/// What signs, and the fingerprint that the hub knows its key by.
fn hand(options: &Options) -> anyhow::Result<(Hand, String)> {
    if let (Some(command), Some(print)) = (&options.command, &options.fingerprint) {
        return Ok((Hand::Command(command.clone()), print.to_lowercase()));
    }
    let path = options.key.as_ref().context("no key")?;
    let read = |path: &PathBuf| {
        std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))
    };
    let password = match &options.passphrase_file {
        Some(file) => String::from_utf8(read(file)?).context("the passphrase is not text")?,
        None => String::new(),
    };
    let password = password.trim_end_matches(['\r', '\n']);
    let key =
        SecretKey::parse(&read(path)?, password).with_context(|| path.display().to_string())?;
    let print = key.certificate().fingerprint();
    Ok((Hand::Key(Box::new(key)), print))
}

/// Takes jobs and does them; tells how many there were.
async fn work(
    options: &Options,
    hub: &mut Option<Client>,
    hand: &Hand,
    print: &str,
) -> anyhow::Result<usize> {
    let hub = match hub {
        Some(hub) => hub,
        None => hub.insert(options.log_in().await?),
    };
    let jobs = hub.call("signing.take", args!(vec![print], AT_ONCE)).await?;
    let jobs = jobs.as_array().unwrap_or_default();
    for job in jobs {
        let nvra = job.get("nvra").display();
        let (id, turn) = (job.get("id").clone(), job.get("turn").clone());
        let header = hub.call("signing.header", args!(id.clone(), turn.clone())).await?;
        match check(job, &header).and_then(|header| sign(hand, header)) {
            Ok(signature) => {
                let call = args!(id, turn, STANDARD.encode(signature));
                match hub.call("signing.submit", call).await {
                    Ok(label) => tracing::info!(nvra, label = label.display(), "signed"),
                    // Not taken: the next turn tries again, a hub that is gone is another matter.
                    Err(error) if error.fault().is_some() => {
                        tracing::error!(nvra, "the signature was refused: {error}");
                        give_up(hub, job, &error.to_string()).await?;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => {
                tracing::error!(nvra, "cannot sign: {error:#}");
                give_up(hub, job, &format!("{error:#}")).await?;
            }
        }
    }
    Ok(jobs.len())
}

async fn give_up(hub: &Client, job: &Value, reason: &str) -> anyhow::Result<()> {
    let call = args!(job.get("id").clone(), job.get("turn").clone(), reason);
    match hub.call("signing.fail", call).await {
        // It was taken by another one meanwhile, or cancelled.
        Err(error) if error.fault().is_none() => Err(error.into()),
        _ => Ok(()),
    }
}

/// The header of a job: of the package that the job names, whole, and a header. Nothing else is ever signed.
fn check(job: &Value, header: &Value) -> anyhow::Result<Vec<u8>> {
    let bytes = STANDARD.decode(header.as_str().unwrap_or_default()).context("no base64")?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    ensure!(
        job.get("header_sha256").as_str() == Some(sha256.as_str()),
        "the header is another one"
    );
    let parsed = Header::parse(bytes.clone(), HeaderKind::Main, &Limits::default())?;
    let arch = if parsed.is_source() { "src".into() } else { parsed.arch()? };
    let found = format!("{}-{}-{}.{arch}", parsed.name()?, parsed.version()?, parsed.release()?);
    let nvra = job.get("nvra").display();
    ensure!(found == nvra, "the header is of {found}, the job is about {nvra}");
    Ok(bytes)
}

fn sign(hand: &Hand, data: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    match hand {
        Hand::Key(key) => Ok(key.sign(rand_core::OsRng, now()?, data.as_slice())?),
        Hand::Command(line) => run_command(line, data),
    }
}

#[expect(clippy::disallowed_methods, reason = "this end decides the time of a signature")]
fn now() -> anyhow::Result<u32> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(u32::try_from(now.as_secs())?)
}

/// Has a command sign.
fn run_command(line: &str, data: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", line])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("failed to start the command")?;
    let mut input = child.stdin.take().context("the command has no input")?;
    // It may write before it has read everything.
    let writer = std::thread::spawn(move || input.write_all(&data));
    let out = child.wait_with_output().context("failed to wait for the command")?;
    if !out.status.success() {
        bail!("the command ended with {}", out.status);
    }
    writer.join().ok().transpose().context("the command did not read the header")?;
    Ok(out.stdout)
}
