//! Uploads that go straight to an object store: leave for them, and taking over what has come.

use toji_bus::Topic;
use toji_store::s3::S3;
use toji_store::{Area, Incoming};
use toji_value::{Fault, Value, map};

use super::{Place, store_fault};
use crate::{Call, Hub};

/// What a caller says of a file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Its directory below the work directory.
    pub(crate) path: String,
    /// Its name.
    pub(crate) name: String,
    /// Its length in bytes.
    pub(crate) size: i64,
    /// Whether a file that is there is replaced.
    pub(crate) overwrite: bool,
}

impl File {
    fn size(&self) -> Result<u64, Fault> {
        u64::try_from(self.size).map_err(|_| Fault::parameter("a file has no such size"))
    }
}

/// Leave to bring a file, or why it cannot be brought.
///
/// # Errors
/// As for any upload; when the task would have uploaded too much.
pub(crate) async fn begin(
    call: &mut Call,
    file: File,
    sha256: Option<String>,
    volume: Option<String>,
) -> Result<Value, Fault> {
    let user_id = call.login()?.user_id;
    let place = super::place(call, &file.path, &file.name, volume.as_deref(), true).await?;
    let no = |reason: &str| Ok(map! { "direct" => false, "reason" => reason }.into());
    let store = call.hub.store.clone();
    let found = match &volume {
        Some(name) => store.remote(name).filter(|volume| volume.takes_uploads()),
        None => store.for_uploads(),
    };
    let Some(found) = found.cloned() else { return no("no object store takes uploads") };
    if file.name.ends_with(".log") {
        // They are followed while they grow.
        return no("it is a log");
    }
    let size = file.size()?;
    let Some(sha256) = sha256 else {
        return Ok(map! { "direct" => true, "volume" => found.name() }.into());
    };
    checked(&sha256)?;
    let mut bytes = [0; 16];
    call.hub.random.fill(&mut bytes);
    let mark = hex::encode(bytes);
    let lifetime = found.link_lifetime().as_secs_f64();
    let name = found.name().to_owned();
    let upload = Incoming { path: place.path.clone(), mark, size, sha256 };
    let (hub, overwrite) = (call.hub.clone(), file.overwrite);
    let ended = call.now() + lifetime;
    // The store is asked, and nobody is to wait for that with a connection to the database.
    call.tx.rest();
    let asked = upload.clone();
    let ticket = blocking(move || {
        let area = Area::new(&place.root);
        place.claim(&area, user_id)?;
        free(&hub, &area, &place, overwrite)?;
        room(&hub, &place, &found, size)?;
        found.upload_ticket(&asked).map_err(store_fault)
    })
    .await?;
    let ticket = match ticket {
        Ok(ticket) => ticket,
        Err(reason) => return no(reason),
    };
    let headers: toji_value::Map =
        ticket.headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    Ok(map! {
        "direct" => true, "volume" => &name, "ticket" => format!("{}@{name}", upload.mark),
        "method" => "PUT", "url" => ticket.url, "headers" => headers, "expire_ts" => ended,
    }
    .into())
}

/// Takes over what has come.
///
/// # Errors
/// As for any upload; when nothing has come, or something else than was announced.
pub(crate) async fn finish(
    call: &mut Call,
    file: File,
    ticket: String,
    sha256: String,
) -> Result<Value, Fault> {
    let user_id = call.login()?.user_id;
    let place = super::place(call, &file.path, &file.name, None, true).await?;
    checked(&sha256)?;
    let size = file.size()?;
    let wrong = || Fault::parameter("the ticket is none of this hub's");
    let (mark, volume) = ticket.split_once('@').ok_or_else(wrong)?;
    let volume = call.hub.store.remote(volume).filter(|volume| volume.takes_uploads());
    let volume = volume.cloned().ok_or_else(wrong)?;
    let upload = Incoming { path: place.path.clone(), mark: mark.to_owned(), size, sha256 };
    let (hub, task_id) = (call.hub.clone(), place.task_id);
    // A long file is read to its end, and nobody is to wait for that with a connection to the database.
    call.tx.rest();
    blocking(move || {
        let area = Area::new(&place.root);
        place.claim(&area, user_id)?;
        room(&hub, &place, &volume, size)?;
        let staged = hub.store.stage(&volume, &area, &upload, file.overwrite);
        staged.map_err(|error| match error.is_missing() {
            true => Fault::generic(format!("nothing has come for {}", upload.path)),
            false => store_fault(error),
        })
    })
    .await?;
    if let Some(task_id) = task_id {
        call.signal(Topic::Task(task_id));
    }
    Ok(true.into())
}

fn checked(sha256: &str) -> Result<(), Fault> {
    let hexadecimal = sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    match sha256.len() == 64 && hexadecimal {
        true => Ok(()),
        false => Err(Fault::parameter("sha256 is 64 hexadecimal digits")),
    }
}

/// Refuses what would replace a file that stays, before it is sent.
fn free(hub: &Hub, area: &Area, place: &Place, overwrite: bool) -> Result<(), Fault> {
    let path = area.root().join(&place.path);
    let shown = || path.display().to_string();
    match super::open::is_upload(&hub.store, &path) {
        None => Ok(()),
        Some(true) if overwrite => Ok(()),
        Some(false) if overwrite => Err(store_fault(toji_store::Error::NotAFile(shown()))),
        Some(_) => Err(store_fault(toji_store::Error::Exists(shown()))),
    }
}

/// Refuses more than a task may upload in all.
fn room(hub: &Hub, place: &Place, volume: &S3, size: u64) -> Result<(), Fault> {
    let Some(task_id) = place.task_id else { return Ok(()) };
    let dir = hub.paths.taskrelpath(task_id);
    let most = u64::try_from(hub.config.max_task_upload).unwrap_or(0);
    let here = super::parts::used(&Area::new(&place.root), &dir, &place.path);
    let there = toji_store::uploaded(volume, &dir, &place.path);
    let used = here.and_then(|here| Ok(here.saturating_add(there?))).map_err(store_fault)?;
    if used.saturating_add(size) > most {
        let text = format!("the task may upload {most} bytes, with this file it would be more");
        return Err(Fault::generic(text));
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Fault::unexpected(e.to_string()))?
}
