//! The writing of statements: due ones, one after the other, until they are written.

use std::future::Future;
use std::io::BufReader;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use toji_attest::{Envelope, SigningKey};
use toji_bus::Topic;
use toji_db::statement::{LOCK, Written};
use toji_db::{Engine, Time, Tx, statement as sql};
use toji_rpmfile::{Limits, Package, tag};
use toji_store::{Algorithm, Error, Store};
use toji_types::BuildState;
use toji_value::{Fault, code};

use super::gather::{self, Facts, Rpm};
use super::{BILL, DIR, ENVELOPE, bill, compose};
use crate::build::import::place;
use crate::files::{self, Placement};
use crate::{Call, Hub, build};

/// Time between two looks when no signal comes: another hub may have completed a build and ended.
const FALLBACK: Duration = Duration::from_secs(30);
/// Time until the next try after a failure of the database, and while another hub writes.
const PAUSE: Duration = Duration::from_secs(5);
/// How often a build that is being moved is looked at, and after which times: a move between directories takes less.
const MOVES: u32 = 20;
const MOVE: Duration = Duration::from_millis(100);
/// Statements that are read at a time.
const BATCH: i64 = 50;
/// The pause of a statement that could not be written, in seconds; it doubles up to an hour.
const FIRST_PAUSE: f64 = 5.0;

/// What is on the disk.
pub(super) struct Seen {
    pub(super) sha256: String,
    pub(super) header_sha256: String,
    pub(super) license: Option<String>,
    pub(super) vendor: Option<String>,
    pub(super) summary: Option<String>,
}

/// Writes the statements that are due, until `stop`.
pub async fn serve(hub: Hub, key: SigningKey, stop: impl Future<Output = ()>) {
    let mut signal = hub.bus.listen(Topic::Statements);
    let writer = Writer { hub: hub.clone(), key: Arc::new(key) };
    tokio::pin!(stop);
    let mut known = false;
    loop {
        let round = async {
            if !known {
                writer.announce().await?;
                known = true;
            }
            writer.round().await
        };
        let pause = tokio::select! {
            () = &mut stop => return,
            round = round => match round {
                Ok(true) => FALLBACK,
                Ok(false) => PAUSE,
                Err(fault) => {
                    tracing::warn!(%fault, "statements about builds cannot be written");
                    PAUSE
                }
            },
        };
        tokio::select! {
            () = &mut stop => return,
            () = signal.wait() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Who writes.
pub struct Writer {
    /// The hub.
    pub hub: Hub,
    /// The key that signs.
    pub key: Arc<SigningKey>,
}

impl Writer {
    /// Notes that the key is in use, so that everybody can have its public half.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn announce(&self) -> Result<(), Fault> {
        let public = self.key.public();
        let mut tx = self.hub.db.begin_write().await?;
        sql::use_key(&mut tx, &public.id(), &public.to_pem()).await?;
        Ok(tx.commit().await?)
    }

    /// Writes what is due; not while another hub does, which is told.
    ///
    /// # Errors
    /// When the database fails; what was not written stays due.
    pub async fn round(&self) -> Result<bool, Fault> {
        let Some(lock) = self.lock().await? else { return Ok(false) };
        loop {
            let now = Time::from_epoch(self.hub.now())?;
            let mut tx = self.hub.db.begin();
            let rows = sql::due(&mut tx, now, BATCH).await?;
            tx.rollback().await?;
            if rows.is_empty() {
                drop(lock);
                return Ok(true);
            }
            for row in rows {
                let (id, turn) = (row.get("build_id")?, row.get("turn")?);
                if let Err(fault) = self.patiently(id, turn).await {
                    self.put_off(id, turn, row.get("failures")?, &fault).await?;
                }
            }
        }
    }

    /// Writes a statement, and tries again while the build's files are being moved.
    async fn patiently(&self, id: i64, turn: i64) -> Result<(), Fault> {
        let mut tries = 0;
        loop {
            match self.write(id, turn).await {
                Err(fault) if fault.code == code::LOCK && tries < MOVES => tries += 1,
                done => return done,
            }
            tokio::time::sleep(MOVE).await;
        }
    }

    /// The lock by which only one hub writes; an embedded database has only one.
    async fn lock(&self) -> Result<Option<Tx>, Fault> {
        let mut tx = self.hub.db.begin();
        let free = self.hub.db.engine() == Engine::Sqlite || tx.try_lock(LOCK).await?;
        Ok(free.then_some(tx))
    }

    async fn put_off(&self, id: i64, turn: i64, failures: i64, fault: &Fault) -> Result<(), Fault> {
        tracing::warn!(build = id, %fault, "the statement about a build was not written, it is tried again");
        let pause = FIRST_PAUSE * f64::from(1 << failures.clamp(0, 10) as i32);
        let until = Time::from_epoch(self.hub.now() + pause.min(3600.0))?;
        let mut tx = self.hub.db.begin_write().await?;
        sql::put_off(&mut tx, id, turn, Some(until), &fault.message).await?;
        Ok(tx.commit().await?)
    }

    /// Leaves a build for which there is nothing to say.
    async fn leave(&self, id: i64, turn: i64, reason: &str) -> Result<(), Fault> {
        let mut tx = self.hub.db.begin_write().await?;
        sql::put_off(&mut tx, id, turn, None, reason).await?;
        Ok(tx.commit().await?)
    }

    async fn write(&self, id: i64, turn: i64) -> Result<(), Fault> {
        let mut call = self.hub.reading();
        let facts = gather::gather(&mut call, id).await?;
        call.tx.rollback().await?;
        let Some(facts) = facts.filter(|facts| facts.build.state == BuildState::Complete) else {
            return self.leave(id, turn, "the build is not complete").await;
        };
        if facts.rpms.is_empty() && facts.archives.is_empty() {
            return self.leave(id, turn, "the build has no files").await;
        }
        let mut call = self.hub.reading();
        let done = self.place(&mut call, id, turn, facts).await;
        if let Ok(true) = done {
            return call.commit().await;
        }
        // It comes again if it is still due; what lies where the build was is taken away.
        let Call { tx, files, .. } = call;
        tx.rollback().await?;
        files.abandon(&self.hub).await;
        done.and_then(|_| Err(Fault::lock("the build has gone elsewhere")))
    }

    /// Writes the files and enters them, unless the build is gone or elsewhere by then; tells whether it is there.
    async fn place(
        &self,
        call: &mut Call,
        id: i64,
        turn: i64,
        facts: Facts,
    ) -> Result<bool, Fault> {
        let dir = self.hub.paths.build(facts.build.at());
        let to = Path::new(&dir).join(DIR);
        let files = [BILL, ENVELOPE].map(|name| to.join(name));
        let plan = Placement { written: files.to_vec(), ..Placement::default() };
        let (key, web_url) = (self.key.clone(), self.hub.config.web_url.clone());
        let store = self.hub.store.clone();
        let made = Arc::new(OnceLock::new());
        let told = made.clone();
        let write = move || {
            // It is told once.
            let _ = told.set(put(&store, &facts, &key, &web_url, &to)?);
            Ok(())
        };
        let journal = place::carry_out(call, id, plan, write).await?;
        let Some(written) = made.get() else {
            return Err(Fault::unexpected("a statement was not told of"));
        };
        toji_db::build::lock(&mut call.tx, id).await?;
        let now = build::by_id(call, id).await?;
        let now = now.filter(|build| build.state == BuildState::Complete);
        if now.is_none_or(|build| self.hub.paths.build(build.at()) != dir) {
            return Ok(false);
        }
        let time = Time::from_epoch(self.hub.now())?;
        sql::written(&mut call.tx, id, turn, time, written).await?;
        for (path, (size, sha256)) in files.iter().zip([&written.bill, &written.envelope]) {
            let path = files::below(&self.hub, path);
            toji_db::journal::set_digest(&mut call.tx, &path, *size, sha256).await?;
        }
        if let Some(journal) = journal {
            toji_db::journal::commit(&mut call.tx, journal).await?;
        }
        Ok(true)
    }
}

/// Looks at the files, and writes bill and envelope beside them.
fn put(
    store: &Store,
    facts: &Facts,
    key: &SigningKey,
    web_url: &str,
    to: &Path,
) -> Result<Written, Error> {
    let wrong = |error: toji_attest::Error| Error::io(to)(std::io::Error::other(error));
    let seen: Vec<Seen> =
        facts.rpms.iter().map(|rpm| look(store, rpm)).collect::<Result<_, _>>()?;
    let bill = bill::bill(facts, &seen, web_url).map_err(wrong)?;
    let bill_sha256 = hex::encode(Sha256::digest(&bill));
    let statement = compose::compose(facts, &seen, web_url, &bill_sha256);
    let statement = statement.to_json().map_err(wrong)?;
    let envelope = Envelope::sign(&statement, key).to_json().map_err(wrong)?;
    // Of an earlier writer, which ended in the middle.
    toji_store::sweep([to.join(BILL).as_path(), to.join(ENVELOPE).as_path()])?;
    store.write_durably(&to.join(BILL), bill.as_bytes())?;
    store.write_durably(&to.join(ENVELOPE), envelope.as_bytes())?;
    let size = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    Ok(Written {
        keyid: key.public().id(),
        envelope: (size(&envelope), hex::encode(Sha256::digest(&envelope))),
        bill: (size(&bill), bill_sha256),
    })
}

/// Reads a package's header; its digest is computed where an earlier hub has kept none.
fn look(store: &Store, rpm: &Rpm) -> Result<Seen, Error> {
    let path = Path::new(&rpm.path);
    let file = store.open(path)?;
    let broken = |error| Error::io(path)(std::io::Error::other(error));
    let package = Package::read(&mut BufReader::new(file), &Limits::default()).map_err(broken)?;
    let sha256 = match &rpm.sha256 {
        Some(known) => known.clone(),
        None => store.hash(path, &[Algorithm::Sha256])?.0.pop().unwrap_or_default(),
    };
    let header = package.header();
    let text = |tag| header.text(tag).map(|text| text.into_owned()).filter(|text| !text.is_empty());
    Ok(Seen {
        sha256,
        header_sha256: hex::encode(Sha256::digest(header.as_bytes())),
        license: text(tag::LICENSE),
        vendor: text(tag::VENDOR),
        summary: text(tag::SUMMARY),
    })
}
