//! `toji verify`: whether files are those of a signed statement, and what it says of them; needs no hub.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::Value as Json;
use toji_attest::statement::RPM_HEADER;
use toji_attest::{Digests, Envelope, PublicKey, Resource, Statement};
use toji_rpmfile::{Limits, digest, tag};

/// What `toji verify` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The files: packages as they were built, or signed since then.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The provenance: an envelope, or one on each line.
    #[arg(long, value_name = "FILE")]
    provenance: PathBuf,
    /// The public keys in PEM, one of which must have signed it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// Longest provenance that is read, in bytes.
const LONGEST: u64 = 256 << 20;

/// Runs the command.
///
/// # Errors
/// When a file is not a subject of a statement that one of the keys has signed; nothing is said of any file then.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let keys = read(&options.key)?;
    let keys = PublicKey::all_from_pem(&String::from_utf8_lossy(&keys))
        .with_context(|| options.key.display().to_string())?;
    let text = read(&options.provenance)?;
    let statements =
        open(&text, &keys).with_context(|| options.provenance.display().to_string())?;
    let mut out = String::new();
    for path in &options.files {
        let digests = digests(path).with_context(|| path.display().to_string())?;
        let found = statements
            .iter()
            .find_map(|(statement, key)| Some((statement, key, statement.subject(&digests)?)));
        let Some((statement, key, subject)) = found else {
            bail!("{}: the provenance is not of this file", path.display());
        };
        out += &describe(path, statement, *key, subject, &digests);
    }
    Ok(std::io::stdout().lock().write_all(out.as_bytes())?)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let file = File::open(path).with_context(|| path.display().to_string())?;
    file.take(LONGEST).read_to_end(&mut text).with_context(|| path.display().to_string())?;
    Ok(text)
}

/// The statements of a file of envelopes; each of them must be good.
fn open(text: &[u8], keys: &[PublicKey]) -> anyhow::Result<Vec<(Statement, PublicKey)>> {
    // one document, perhaps on several lines, or one on each line
    let envelopes = match Envelope::parse(text) {
        Ok(one) => vec![one],
        Err(error) => {
            let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines.map(Envelope::parse).collect::<Result<_, _>>().map_err(|_| error)?
        }
    };
    let mut all = Vec::new();
    for envelope in envelopes {
        let (payload, key) = envelope.open(keys)?;
        all.push((Statement::parse(&payload)?, key));
    }
    Ok(all)
}

/// The SHA-256 of a file, and that of its header if it is a package whose content its header vouches for.
fn digests(path: &Path) -> anyhow::Result<Digests> {
    use sha2::{Digest as _, Sha256};
    let mut file = BufReader::new(File::open(path)?);
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash)?;
    let mut out = Digests::from([("sha256".to_owned(), hex::encode(hash.finalize()))]);
    file.rewind()?;
    // A signature of the package changes the file and not its header, which has the payload's digest.
    if let Ok(package) = digest::verify(&mut file, &Limits::default())
        && package.header().payload_sha256().is_some()
        && package.header().int(tag::PAYLOADSHA256ALGO).is_none_or(|algorithm| algorithm == 8)
    {
        let header = hex::encode(Sha256::digest(package.header().as_bytes()));
        out.insert(RPM_HEADER.to_owned(), header);
    }
    Ok(out)
}

/// What was built from what, in words.
fn describe(
    path: &Path,
    statement: &Statement,
    key: PublicKey,
    subject: &Resource,
    digests: &Digests,
) -> String {
    let definition = &statement.predicate.build_definition;
    let run = &statement.predicate.run_details;
    let same = subject.digest.get("sha256") == digests.get("sha256");
    let how = if same { "as it was built" } else { "as it was built, signed since then" };
    let mut out = format!("{}: verified, {how}\n", path.display());
    let mut line = |what: &str, text: &str| out += &format!("  {what:<9} {text}\n");
    line("is", subject.name.as_deref().unwrap_or("a file without a name"));
    line("signed by", &key.id());
    let sources = definition.resolved_dependencies.iter().filter(|one| is_source(one));
    for source in sources {
        line("source", source.uri.as_deref().or(source.name.as_deref()).unwrap_or("unknown"));
    }
    if let Some(target) = definition.external_parameters.get("target").and_then(Json::as_str) {
        line("target", target);
    }
    line("builder", &run.builder.id);
    if let Some(run) = &run.metadata.invocation_id {
        line("run", run);
    }
    if let Some(finished) = &run.metadata.finished_on {
        line("finished", finished);
    }
    let roots: BTreeSet<i64> = definition.resolved_dependencies.iter().flat_map(roots_of).collect();
    let packages = definition.resolved_dependencies.iter().filter(|one| is_package(one)).count();
    line("made in", &format!("{} buildroots with {packages} packages", roots.len()));
    out
}

fn is_package(resource: &Resource) -> bool {
    resource.uri.as_deref().is_some_and(|uri| uri.starts_with("pkg:rpm/"))
}

/// Sources are in no buildroot.
fn is_source(resource: &Resource) -> bool {
    !is_package(resource) && !resource.annotations.contains_key("buildroots")
}

fn roots_of(resource: &Resource) -> Vec<i64> {
    let roots = resource.annotations.get("buildroots").and_then(Json::as_array);
    roots.map(|roots| roots.iter().filter_map(Json::as_i64).collect()).unwrap_or_default()
}
