//! The file with the key that signs: made at the first start, for its owner's eyes only.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use toji_attest::{SEED, SigningKey};
use toji_store::Error;

use crate::Random;

/// Reads the key; where there is no file, a new key is made of `random` and kept there.
///
/// # Errors
/// What the operating system refuses, a file that others may read, and one that is no key.
pub fn open(path: &Path, random: &dyn Random) -> Result<SigningKey, Error> {
    let text = match File::open(path) {
        Ok(file) => read(path, file)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path, random)?,
        Err(error) => return Err(Error::io(path)(error)),
    };
    SigningKey::from_pem(&text).map_err(|error| Error::io(path)(io::Error::other(error)))
}

fn read(path: &Path, mut file: File) -> Result<String, Error> {
    let mode = file.metadata().map_err(Error::io(path))?.mode();
    if mode & 0o077 != 0 {
        let open = format!("others than its owner can read it (its mode is {:o})", mode & 0o777);
        return Err(Error::io(path)(io::Error::other(open)));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(Error::io(path))?;
    Ok(text)
}

/// Writes a new key, or reads the one that somebody else has written meanwhile.
fn make(path: &Path, random: &dyn Random) -> Result<String, Error> {
    let mut seed = [0; SEED];
    random.fill(&mut seed);
    let text = SigningKey::make(&seed);
    let mut name = [0; 8];
    random.fill(&mut name);
    // whole or not there: a key that was half written would be lost with all that it has signed
    let fresh = path.with_extension(format!("{}.new", hex::encode(name)));
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(Error::io(dir))?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(Error::io(&fresh))?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| std::fs::hard_link(&fresh, path));
    std::fs::remove_file(&fresh).map_err(Error::io(&fresh))?;
    match linked {
        Ok(()) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read(path, File::open(path).map_err(Error::io(path))?)
        }
        Err(error) => Err(Error::io(path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::SystemRandom;

    #[test]
    fn a_key_is_made_once_and_kept_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/provenance.key");
        let key = open(&path, &SystemRandom).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(open(&path, &SystemRandom).unwrap().public(), key.public());
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(open(&path, &SystemRandom).is_err(), "a key that others read");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "no key").unwrap();
        assert!(open(&path, &SystemRandom).is_err(), "a text that is no key");
    }
}
