//! Volumes: where the files of builds are.

use std::path::Path;

use toji_api::catalog::*;
use toji_db::catalog;
use toji_db::lookup::Names;
use toji_value::{Fault, Value};

use crate::Call;
use crate::dispatch::Handle;

impl Handle for ListVolumes {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        Ok(Value::Array(catalog::volumes(&mut call.tx).await?))
    }
}

impl Handle for GetVolume {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        match call.find(Names::Volume, &self.volume).await? {
            Some(entry) => Ok(entry.into()),
            None if self.strict => {
                Err(Fault::generic(format!("No such volume: {}", self.volume.display())))
            }
            None => Ok(Value::Nil),
        }
    }
}

impl Handle for AddVolume {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let rules = call.names()?;
        let name = rules.internal(&self.name)?;
        // A name with a slash could lead out of the directory of volumes.
        if name.contains('/') || name.starts_with('.') {
            return Err(Fault::generic("please create the volume directory first"));
        }
        match call.hub.store.remote(name).cloned() {
            Some(volume) => {
                let reached = crate::files::blocking(move || volume.reach()).await;
                reached.map_err(|fault| {
                    Fault::generic(format!("volume {name} does not answer: {}", fault.message))
                })?;
            }
            None => {
                let dir = call.hub.paths.volumedir(Some(name));
                check_dir(Path::new(&dir), Path::new(call.hub.paths.topdir())).await?;
            }
        }
        if self.strict && call.find(Names::Volume, &self.name).await?.is_some() {
            return Err(Fault::generic(format!("volume {name} already exists")));
        }
        Ok(call.find_or_make(Names::Volume, &self.name).await?.into())
    }
}

/// Demands the directory of a volume, and in it the link `toplink` to the root of all files, which
/// is made if it is missing.
async fn check_dir(dir: &Path, top: &Path) -> Result<(), Fault> {
    let is_dir = tokio::fs::metadata(dir).await.is_ok_and(|found| found.is_dir());
    if !is_dir {
        return Err(Fault::generic("please create the volume directory first"));
    }
    let link = dir.join("toplink");
    let shown = link.display();
    match tokio::fs::symlink_metadata(&link).await {
        Ok(found) if found.is_symlink() => {
            let Ok(target) = tokio::fs::canonicalize(&link).await else {
                return Err(Fault::generic(format!("Broken volume toplink: {shown}")));
            };
            let top = tokio::fs::canonicalize(top).await;
            if top.is_ok_and(|top| top == target) {
                return Ok(());
            }
            Err(Fault::generic(format!("Invalid volume toplink: {shown}")))
        }
        Ok(_) => Err(Fault::generic(format!("Not a symlink: {shown}"))),
        Err(_) => {
            let made = tokio::fs::symlink(top, &link).await;
            made.map_err(|error| Fault::generic(format!("failed to link {shown}: {error}")))
        }
    }
}

impl Handle for RemoveVolume {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let entry = call.need(Names::Volume, &self.volume).await?;
        if catalog::volume_in_use(&mut call.tx, entry.id).await? {
            return Err(Fault::generic(format!("volume {} has build references", entry.name)));
        }
        catalog::remove_volume(&mut call.tx, entry.id).await?;
        Ok(Value::Nil)
    }
}
