//! Signatures of RPMs: adding and deleting their headers, and copies that carry one.
//!
//! A signature is the signature header of a signed copy, kept apart from the package: in
//! `data/sigcache/KEY/ARCH/`. Copies that carry it are written on demand to `data/signed/KEY/ARCH/`.

use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use md5::{Digest as _, Md5};
use sha2::Sha256;
use toji_db::rpm::signature as db;
use toji_db::rpm::signer::{self as signers, Key};
use toji_rpmfile::{Header, Limits, splice, tag};
use toji_store::{Algorithm, Error, Hasher, Kind, Store};
use toji_types::ChecksumType;
use toji_value::{Fault, Map, Value, map};

use crate::build::Build;
use crate::build::import::{place, relative};
use crate::files::{self, After, Placement};
use crate::{Call, rpm};

use super::signer;

/// How the header of a package begins.
const HEADER_MAGIC: [u8; 3] = [0x8e, 0xad, 0xe8];

/// An RPM of this system with its build and the paths that signatures need.
pub(super) struct Place {
    pub(super) id: i64,
    shown: Map,
    pub(super) build: Build,
    /// The directory of the build.
    dir: PathBuf,
    /// The package.
    pub(super) path: PathBuf,
}

impl Place {
    pub(super) async fn of(call: &mut Call, info: &Value) -> Result<Place, Fault> {
        let shown = rpm::need(call, info).await?;
        let external = shown.int("external_repo_id").is_some_and(|id| id != 0);
        let Some((build, path)) = rpm::located(call, &shown).await?.filter(|_| !external) else {
            let (info, repo) = (info.display(), shown.value("external_repo_name").display());
            return Err(Fault::generic(format!("Not an internal rpm: {info} (from {repo})")));
        };
        let dir = call.hub.paths.build(build.at()).into();
        let id = shown.int("id").ok_or_else(|| Fault::unexpected("an rpm row has no id"))?;
        Ok(Place { id, shown, build, dir, path })
    }

    pub(super) fn nvra(&self) -> String {
        let part = |key: &str| self.shown.value(key).display();
        format!("{}-{}-{}.{}", part("name"), part("version"), part("release"), part("arch"))
    }

    pub(super) fn header_path(&self, call: &Call, sigkey: &str) -> Result<PathBuf, Fault> {
        let rel = call.hub.paths.sighdr(rpm::named(&self.shown)?, sigkey);
        self.below(sigkey, &rel)
    }

    fn signed_path(&self, call: &Call, sigkey: &str) -> Result<PathBuf, Fault> {
        let rel = call.hub.paths.signed(rpm::named(&self.shown)?, sigkey);
        self.below(sigkey, &rel)
    }

    /// A path in the build's directory; a key is a free label, so it may not lead elsewhere.
    fn below(&self, sigkey: &str, rel: &str) -> Result<PathBuf, Fault> {
        if !sigkey.is_empty() {
            toji_store::join(&[sigkey]).map_err(|e| Fault::generic(e.to_string()))?;
        }
        // no key is an empty part of the path
        Ok(self.dir.join(rel.replace("//", "/")))
    }
}

/// The name of an RPM of this system, that of its build, and its file.
///
/// # Errors
/// When there is none.
pub(crate) async fn find(
    call: &mut Call,
    info: &Value,
) -> Result<(String, String, PathBuf), Fault> {
    let place = Place::of(call, info).await?;
    Ok((place.nvra(), place.build.nvr(), place.path))
}

/// The bytes of a base64 text, in which line ends and the like are allowed; `what` it is, for the refusal.
///
/// # Errors
/// When it is none.
pub(crate) fn decode(data: &Value, what: &str) -> Result<Vec<u8>, Fault> {
    let text = match data {
        Value::Str(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        other => {
            let kind = other.type_name();
            return Err(Fault::parameter(format!("{what} is base64, not {kind}")));
        }
    };
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let plain: Vec<u8> = text.iter().copied().filter(known).collect();
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decoded = GeneralPurpose::new(&STANDARD, config).decode(plain);
    decoded.map_err(|e| Fault::unexpected(format!("{what} is no base64: {e}")))
}

/// Adds a signature header to an RPM, under a label that the caller chose, or the last eight digits of its key's id
/// (more of them if these are another key's); tells under which.
///
/// # Errors
/// For a header that belongs to another package, or a key that has signed this one already; with `VerifySignatures` also
/// for signatures that do not verify.
pub async fn add(
    call: &mut Call,
    info: &Value,
    sighdr: Vec<u8>,
    label: Option<String>,
) -> Result<String, Fault> {
    let place = Place::of(call, info).await?;
    let (store, dir) = (call.hub.store.clone(), place.dir.clone());
    if !files::blocking(move || store.is_dir(&dir)).await? {
        return Err(Fault::generic(format!("No such directory: {}", place.dir.display())));
    }
    if !sighdr.starts_with(&HEADER_MAGIC) {
        let begin = Value::Bytes(sighdr[..sighdr.len().min(3)].to_vec());
        let text = format!("Invalid rpm header: bad magic: {}", begin.repr());
        return Err(Fault::generic(text));
    }
    let wrong = |e: toji_rpmfile::Error| Fault::generic(format!("Invalid signature header: {e}"));
    let header = splice::parse_signature(&sighdr, &Limits::default()).map_err(wrong)?;
    check_owner(call, &place, &header).await?;
    if call.hub.config.verify_signatures {
        crate::keys::demand(call, &header, place.path.clone(), &place.nvra()).await?;
    }
    let found = signer::of_header(&header);
    let sigkey = match label {
        // Look-ups by key are in lower case.
        Some(label) => label.to_lowercase(),
        None => signer::label(call, &place, &header, &found).await?,
    };
    let sighash = hex::encode(Md5::digest(&sighdr));
    let path = place.header_path(call, &sigkey)?;
    let taken = |e: toji_db::Error| match e {
        toji_db::Error::Unique { .. } => {
            let nvra = place.nvra();
            Fault::generic(format!("Signature already exists for package {nvra}, key {sigkey}"))
        }
        other => other.into(),
    };
    let mut args = Map::new();
    if call.listens("preRPMSign") || call.listens("postRPMSign") {
        args = map! {
            "sigkey" => &sigkey, "sighash" => &sighash, "build" => place.build.shown.clone(),
            "rpm" => place.shown.clone(),
        };
    }
    call.callback("preRPMSign", || args.clone()).await?;
    db::insert_signature(&mut call.tx, place.id, &sigkey, &sighash).await.map_err(taken)?;
    let signed = signers::Signed {
        rpm: place.id,
        sigkey: sigkey.clone(),
        sighash: sighash.clone(),
        signers: found,
    };
    signers::insert(&mut call.tx, &[signed]).await?;
    let plan = Placement { written: vec![path.clone()], ..Placement::default() };
    let size = i64::try_from(sighdr.len()).unwrap_or(i64::MAX);
    let sha256 = hex::encode(Sha256::digest(&sighdr));
    let rel = relative(call, &path.to_string_lossy());
    let store = call.hub.store.clone();
    let write = move || store.write(&path, |out| out.write_all(&sighdr)).map(drop);
    let journal = place::carry_out(call, place.build.id, plan, write).await?;
    place::hold(call, &place.build).await?;
    toji_db::journal::set_digest(&mut call.tx, &rel, size, &sha256).await?;
    if let Some(journal) = journal {
        toji_db::journal::commit(&mut call.tx, journal).await?;
    }
    let body = map! {
        "rpm_id" => place.id, "build_id" => place.build.id, "nvr" => place.build.nvr(),
        "nvra" => place.nvra(), "sigkey" => &sigkey, "sighash" => &sighash,
        "package" => &place.build.name, "owner_id" => place.build.owner_id,
    };
    call.emit("rpm.sign", &format!("build:{}", place.build.id), body);
    call.callback("postRPMSign", || args).await?;
    Ok(sigkey)
}

/// Refuses the signature header of another package.
async fn check_owner(call: &Call, place: &Place, header: &Header) -> Result<(), Fault> {
    let known = place.shown.str("payloadhash").unwrap_or_default();
    let md5 = header.bin(tag::signature::MD5).map(hex::encode);
    let wrong = |found: &str| Fault::generic(format!("wrong md5 for {}: {found}", place.nvra()));
    match md5 {
        Some(md5) if md5 == known => return Ok(()),
        Some(md5) => return Err(wrong(&md5)),
        // RPM 6 writes none: the digests of the main header are left to compare.
        None => {}
    }
    let shown = place.path.display().to_string();
    let missing = || Fault::generic(format!("No such path: {shown}"));
    let package = rpm::read(call, place.path.clone()).await?.ok_or_else(missing)?;
    match splice::belongs(header, &package) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Fault::generic(format!("wrong header digest for {}", place.nvra()))),
        Err(_) => Err(wrong("")),
    }
}

/// Verifies the stored signatures of an RPM; the answer of `signatures.verify`.
///
/// # Errors
/// When the package's file cannot be read.
pub async fn verify(call: &mut Call, info: &Value, key: Option<&str>) -> Result<Vec<Value>, Fault> {
    let place = Place::of(call, info).await?;
    let labels = match key {
        Some(key) => signers::labels(&mut call.tx, place.id, &Key::parse(key)).await?,
        None => toji_db::rpm::sigkeys(&mut call.tx, place.id).await?,
    };
    let mut all = Vec::new();
    for label in labels {
        let path = place.header_path(call, &label)?;
        let store = call.hub.store.clone();
        let bytes = files::blocking(move || Ok(store.read(&path).ok())).await?;
        let header = bytes.map(|bytes| splice::parse_signature(&bytes, &Limits::default()));
        let Some(Ok(header)) = header else {
            let state = map! { "sigkey" => label, "state" => "missing" };
            all.push(state.into());
            continue;
        };
        for verdict in crate::keys::verify(call, &header, place.path.clone()).await? {
            let mut shown = verdict.shown();
            shown.insert("sigkey", &label);
            all.push(shown.into());
        }
    }
    Ok(all)
}

/// Deletes signatures of an RPM: those of a key (by label, long id or fingerprint), or all. The headers are kept under
/// another name.
///
/// # Errors
/// When there are none, or when something else lies where their headers should be.
pub async fn delete(
    call: &mut Call,
    info: &Value,
    sigkey: Option<String>,
    all: bool,
) -> Result<(), Fault> {
    let sigkey = sigkey.filter(|key| !all && !key.is_empty());
    if !all && sigkey.is_none() {
        return Err(Fault::generic("No signature specified"));
    }
    let place = Place::of(call, info).await?;
    let rows = match sigkey.map(|key| Key::parse(&key)) {
        None => db::of_rpm(&mut call.tx, place.id, None).await?,
        Some(key) => {
            let mut labels = signers::labels(&mut call.tx, place.id, &key).await?;
            // What is filed under that text is meant, and no further signature of a key that has it as its id.
            if labels.first().is_some_and(|label| label == key.text()) {
                labels.truncate(1);
            }
            db::of_labels(&mut call.tx, place.id, &labels).await?
        }
    };
    if rows.is_empty() {
        let text = format!("{} has no matching signatures to delete", place.nvra());
        return Err(Fault::generic(text));
    }
    let (mut after, mut gone) = (Vec::new(), Vec::new());
    let mut keys: Vec<String> = Vec::new();
    for row in rows {
        let (key, sighash): (String, String) = (row.get("sigkey")?, row.get("sighash")?);
        let signed = place.signed_path(call, &key)?;
        // Without a key this would be the directory of signed copies.
        let header = place.header_path(call, &key)?;
        gone.extend([&signed, &header].map(|path| relative(call, &path.to_string_lossy())));
        after.extend(Some(After::Remove(signed)).filter(|_| !key.is_empty()));
        let store = call.hub.store.clone();
        let retired = tokio::task::spawn_blocking(move || retire(&store, &header, &sighash)).await;
        after
            .extend(retired.map_err(|_| Fault::unexpected("the work with a header ended early"))??);
        keys.push(key);
    }
    place::hold(call, &place.build).await?;
    db::delete(&mut call.tx, place.id, &keys).await?;
    toji_db::scan::forget(&mut call.tx, &gone).await?;
    place::afterwards(call, place.build.id, after).await?;
    tracing::warn!(rpm = place.id, ?keys, "signatures were deleted");
    let body = map! {
        "rpm_id" => place.id, "build_id" => place.build.id, "nvra" => place.nvra(),
        "sigkeys" => keys,
    };
    call.emit("rpm.unsign", &format!("build:{}", place.build.id), body);
    Ok(())
}

/// Files a signature under another label.
///
/// # Errors
/// When there is no such signature, or one of the new label.
pub async fn rename(call: &mut Call, info: &Value, old: &str, new: &str) -> Result<(), Fault> {
    let (old, new) = (old.to_lowercase(), new.to_lowercase());
    let place = Place::of(call, info).await?;
    let nvra = place.nvra();
    if new.is_empty() {
        return Err(Fault::generic("A signature needs a key"));
    }
    if db::of_rpm(&mut call.tx, place.id, Some(&old)).await?.is_empty() {
        return Err(Fault::generic(format!("No signature found for package {nvra}, key {old}")));
    }
    if !db::of_rpm(&mut call.tx, place.id, Some(&new)).await?.is_empty() {
        let text = format!("Signature already exists for package {nvra}, key {new}");
        return Err(Fault::generic(text));
    }
    let header = place.header_path(call, &new)?;
    let mut moves = vec![(place.header_path(call, &old)?, header)];
    if !old.is_empty() {
        moves.push((place.signed_path(call, &old)?, place.signed_path(call, &new)?));
    }
    place::hold(call, &place.build).await?;
    db::rename(&mut call.tx, place.id, &old, &new).await?;
    for (from, to) in &moves {
        let [from, to] = [from, to].map(|path| relative(call, &path.to_string_lossy()));
        toji_db::journal::move_digest(&mut call.tx, &from, &to).await?;
    }
    let after = moves.into_iter().map(|(from, to)| After::Rename(from, to)).collect();
    place::afterwards(call, place.build.id, after).await?;
    let body = map! {
        "rpm_id" => place.id, "build_id" => place.build.id, "nvra" => nvra, "old" => old,
        "new" => new,
    };
    call.emit("rpm.resign", &format!("build:{}", place.build.id), body);
    Ok(())
}

/// How a signature header gets out of the way: renamed, or removed if that was done before.
fn retire(store: &Store, header: &Path, sighash: &str) -> Result<Option<After>, Fault> {
    let backup: PathBuf = format!("{}.{sighash}.save", header.display()).into();
    let wrong = |e: Error| Fault::generic(e.to_string());
    let Some(item) = store.item(header).map_err(wrong)? else {
        tracing::error!(path = %header.display(), "a signature header is missing");
        return Ok(None);
    };
    if item.kind != Kind::File {
        return Err(Fault::generic(format!("Not a regular file: {}", header.display())));
    }
    if !store.exists(&backup).map_err(wrong)? {
        return Ok(Some(After::Rename(header.to_owned(), backup)));
    }
    if store.read(header).map_err(wrong)? != store.read(&backup).map_err(wrong)? {
        return Err(Fault::generic(format!("Stray header backup file: {}", backup.display())));
    }
    Ok(Some(After::Remove(header.to_owned())))
}

/// Writes the copy of an RPM that carries the signature of a key; one that is there stays, unless
/// forced.
///
/// # Errors
/// When there is no such signature, or the package's file is missing.
pub async fn write_signed(
    call: &mut Call,
    info: &Value,
    sigkey: &str,
    force: bool,
) -> Result<(), Fault> {
    let types = super::checksum::defaults(call)?;
    let place = Place::of(call, info).await?;
    let (store, package) = (call.hub.store.clone(), place.path.clone());
    let found = tokio::task::spawn_blocking(move || store.file(&package)).await;
    match found.map_err(|_| Fault::unexpected("looking at a package ended early"))? {
        Ok(Some(_)) => {}
        Ok(None) => {
            return Err(Fault::generic(format!("No such path: {}", place.path.display())));
        }
        Err(Error::NotAFile(_)) => {
            return Err(Fault::generic(format!("Not a regular file: {}", place.path.display())));
        }
        Err(error) => return Err(Fault::generic(error.to_string())),
    }
    let sigkey = signer::one(call, &place, sigkey).await?;
    if db::of_rpm(&mut call.tx, place.id, Some(&sigkey)).await?.is_empty() {
        let nvra = place.nvra();
        let text = format!("No cached signature for package {nvra}, key {sigkey}");
        return Err(Fault::generic(text));
    }
    let signed = place.signed_path(call, &sigkey)?;
    let header = place.header_path(call, &sigkey)?;
    let (store, copy) = (call.hub.store.clone(), signed.clone());
    let there = files::blocking(move || store.exists(&copy)).await?;
    let store = call.hub.store.clone();
    let mut algorithms: Vec<Algorithm> =
        types.iter().map(|t| super::checksum::algorithm(*t)).collect();
    algorithms.push(Algorithm::Sha256);
    let (path, rel) = (place.path.clone(), relative(call, &signed.to_string_lossy()));
    let wanted = algorithms.clone();
    let (mut sums, size) = if there && !force {
        files::blocking(move || store.hash(&signed, &wanted)).await?
    } else {
        let written = if there { vec![] } else { vec![signed.clone()] };
        let plan = Placement { written, ..Placement::default() };
        let made = Arc::new(OnceLock::new());
        let told = made.clone();
        let write = move || {
            let (sums, size) = join(&store, &path, &header, &signed, &wanted)?;
            // It is told once.
            let _ = told.set((sums, size));
            Ok(())
        };
        let journal = place::carry_out(call, place.build.id, plan, write).await?;
        place::hold(call, &place.build).await?;
        if let Some(journal) = journal {
            toji_db::journal::commit(&mut call.tx, journal).await?;
        }
        made.get().cloned().unwrap_or_default()
    };
    let sha256 = sums.pop().unwrap_or_default();
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    toji_db::journal::set_digest(&mut call.tx, &rel, size, &sha256).await?;
    keep_checksums(call, place.id, &sigkey, &types, sums).await
}

/// Writes a package with another signature header; returns the checksums of the copy, and its length.
fn join(
    store: &Store,
    package: &Path,
    header: &Path,
    signed: &Path,
    algorithms: &[Algorithm],
) -> Result<(Vec<String>, u64), Error> {
    let header = store.read(header)?;
    let source = BufReader::new(store.open(package)?);
    let mut hashers: Vec<Hasher> = algorithms.iter().map(|a| Hasher::new(*a)).collect();
    let size = store.write(signed, |file| {
        let mut out = Hashing { inner: file, hashers: &mut hashers };
        let done = splice::replace_signature(&header, source, &mut out, &Limits::default());
        done.map(drop).map_err(std::io::Error::other)
    })?;
    Ok((hashers.into_iter().map(Hasher::finish).collect(), size))
}

/// Writes and hashes on the way.
struct Hashing<'a, W> {
    inner: W,
    hashers: &'a mut [Hasher],
}

impl<W: Write> Write for Hashing<'_, W> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let n = self.inner.write(data)?;
        self.hashers.iter_mut().for_each(|hasher| hasher.update(&data[..n]));
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// Keeps the checksums of a signed copy.
///
/// # Errors
/// When one is known that is different.
async fn keep_checksums(
    call: &mut Call,
    id: i64,
    sigkey: &str,
    types: &[ChecksumType],
    sums: Vec<String>,
) -> Result<(), Fault> {
    let numbers: Vec<i64> = types.iter().map(|t| t.number()).collect();
    let rows = db::checksums(&mut call.tx, id, &numbers).await?;
    for (kind, sum) in types.iter().zip(sums) {
        let known = rows.iter().find(|row| {
            row.value("sigkey").as_str() == Some(sigkey)
                && row.value("checksum_type").as_int() == Some(kind.number())
        });
        match known {
            Some(row) if row.value("checksum").as_str() == Some(&sum) => {}
            Some(_) => {
                return Err(Fault::generic(format!(
                    "Calculate checksum is different than checksum in DB for rpm ID {id}, \
                     sigkey {sigkey} and checksum type {}.",
                    kind.name()
                )));
            }
            None => db::insert_checksum(&mut call.tx, id, sigkey, kind.number(), &sum).await?,
        }
    }
    Ok(())
}
