//! Uploads: a file in pieces, each confirmed by a checksum, the whole by SHA-256.

use std::path::Path;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use toji_value::Value;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::adler32::Adler32;
use crate::transport::{Reply, Request};
use crate::{Client, Error, Watcher, args};

/// Where an upload goes, below the hub's `work` directory.
#[derive(Clone, Debug, Default)]
pub struct Upload<'a> {
    /// The directory.
    pub path: &'a str,
    /// The file's name in it.
    pub name: &'a str,
    /// Whether a file that is there is replaced.
    pub overwrite: bool,
    /// Whether to go on where an earlier upload of the same file stopped.
    pub resume: bool,
    /// The volume; none means the default one.
    pub volume: Option<&'a str>,
    /// Who is told how far it is.
    pub watcher: Watcher,
}

/// What was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the whole, confirmed by the hub, in hexadecimal digits.
    pub sha256: String,
    /// How many bytes were there before (see [`Upload::resume`]).
    pub resumed: u64,
}

impl Client {
    /// Uploads a local file: straight to the hub's object store where it has one for that (see [`Client::upload_direct`]),
    /// otherwise in pieces. What lies there in pieces already is resumed in pieces.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the hub has not got what was sent.
    pub async fn upload(&self, file: &Path, to: &Upload<'_>) -> Result<Uploaded, Error> {
        let failed = |source| Error::File { path: file.to_owned(), source };
        let begun = to.resume && !self.check(to, "adler32", Some(0)).await?.is_nil();
        if !begun && let Some(done) = self.upload_direct(file, to).await? {
            return Ok(done);
        }
        let mut source = tokio::fs::File::open(file).await.map_err(failed)?;
        let (mut sha256, mut adler32) = (Sha256::new(), Adler32::new());
        let resumed = match to.resume {
            true => self.resume_point(&mut source, &mut sha256, to).await.map_err(|e| match e {
                Resume::Local(e) => failed(e),
                Resume::Remote(e) => e,
            })?,
            false => 0,
        };
        let mut offset = resumed;
        let total = source.metadata().await.map_err(failed)?.len();
        let watch = to.watcher.begin(Some(total));
        watch.at(offset);
        let block = self.shared.options.upload_blocksize.max(1);
        loop {
            let mut piece = Vec::with_capacity(block);
            let limit = u64::try_from(block).unwrap_or(u64::MAX);
            (&mut source).take(limit).read_to_end(&mut piece).await.map_err(failed)?;
            // An empty file needs one request too.
            if piece.is_empty() && offset > 0 {
                break;
            }
            let last = piece.len() < block;
            sha256.update(&piece);
            adler32.update(&piece);
            let length = piece.len() as u64;
            self.upload_piece(piece.into(), offset, to).await?;
            offset += length;
            watch.at(offset);
            if last {
                break;
            }
        }
        let sha256 = hex::encode(sha256.finalize());
        match self.confirm(to, offset, "sha256", &sha256).await {
            // Old hubs know the checksum of the pieces only.
            Err(error) if unknown_sum(&error) && resumed == 0 => {
                self.confirm(to, offset, "adler32", &adler32.hex()).await?;
            }
            confirmed => confirmed?,
        }
        Ok(Uploaded { size: offset, sha256, resumed })
    }

    /// Uploads one piece at `offset` bytes; the hub confirms it by its checksum.
    pub async fn upload_piece(
        &self,
        data: Bytes,
        offset: u64,
        to: &Upload<'_>,
    ) -> Result<(), Error> {
        let mut url = self.shared.hub.clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("filename", to.name).append_pair("filepath", to.path);
            query.append_pair("fileverify", "adler32").append_pair("offset", &offset.to_string());
            if to.overwrite {
                query.append_pair("overwrite", "1");
            }
            if let Some(volume) = to.volume {
                query.append_pair("volume", volume);
            }
        }
        let reply: Reply = self
            .send(|mark| {
                let mut url = url.clone();
                mark.write(&mut url);
                Request {
                    name: "rawUpload".to_owned(),
                    url,
                    content_type: "application/octet-stream",
                    headers: mark.headers,
                    body: data.clone(),
                }
            })
            .await?;
        let place = format!("{}/{} at {offset}", to.path, to.name);
        same(&format!("size of {place}"), &data.len().to_string(), &reply.value, "size")?;
        same(&format!("checksum of {place}"), &Adler32::of(&data), &reply.value, "hexdigest")?;
        if reply.retried {
            tracing::info!(place, "uploaded after a retry");
        }
        Ok(())
    }

    /// Compares the uploaded file with what was sent.
    async fn confirm(
        &self,
        to: &Upload<'_>,
        size: u64,
        algorithm: &str,
        digest: &str,
    ) -> Result<(), Error> {
        let answer = self.check(to, algorithm, None).await?;
        let place = format!("{}/{}", to.path, to.name);
        same(&format!("size of {place}"), &size.to_string(), &answer, "size")?;
        same(&format!("{algorithm} of {place}"), digest, &answer, "hexdigest")
    }

    async fn check(
        &self,
        to: &Upload<'_>,
        verify: &str,
        tail: Option<i64>,
    ) -> Result<Value, Error> {
        let mut args = args!(to.path, to.name; "verify" => verify);
        if let Some(tail) = tail {
            args.keywords.insert("tail", tail);
        }
        if let Some(volume) = to.volume {
            args.keywords.insert("volume", volume);
        }
        self.call("checkUpload", args).await
    }

    /// How much of the file is on the hub already; leaves the file and the digest at that place.
    async fn resume_point(
        &self,
        source: &mut tokio::fs::File,
        sha256: &mut Sha256,
        to: &Upload<'_>,
    ) -> Result<u64, Resume> {
        let there = match self.check(to, "sha256", None).await {
            Err(error) if unknown_sum(&error) => return Ok(0),
            there => there.map_err(Resume::Remote)?,
        };
        let Some(size) = there.get("size").as_int().and_then(|size| u64::try_from(size).ok())
        else {
            return Ok(0);
        };
        let mut ours = Sha256::new();
        let mut left = size;
        let mut buffer = vec![0; 1 << 16];
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(buffer.len()).min(buffer.len());
            let n = source.read(&mut buffer[..want]).await.map_err(Resume::Local)?;
            if n == 0 {
                break;
            }
            ours.update(&buffer[..n]);
            left -= n as u64;
        }
        let digest = hex::encode(ours.clone().finalize());
        if left == 0 && there.get("hexdigest").as_str() == Some(digest.as_str()) {
            *sha256 = ours;
            return Ok(size);
        }
        source.rewind().await.map_err(Resume::Local)?;
        Ok(0)
    }
}

/// Whether the hub does not know the kind of checksum.
fn unknown_sum(error: &Error) -> bool {
    error.fault().is_some_and(|fault| fault.message.contains("verify type"))
}

enum Resume {
    Local(std::io::Error),
    Remote(Error),
}

/// Compares a member of an answer; sizes also come as text from old hubs.
fn same(what: &str, expected: &str, answer: &Value, key: &str) -> Result<(), Error> {
    let found = answer.get(key).display();
    if found == expected {
        return Ok(());
    }
    Err(Error::Mismatch { what: what.to_owned(), expected: expected.to_owned(), found })
}

/// The length of a file in bytes, and its SHA-256.
pub(crate) async fn digest_of(file: &Path) -> std::io::Result<(u64, String)> {
    let mut source = tokio::fs::File::open(file).await?;
    let mut sha256 = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut size = 0;
    loop {
        let n = source.read(&mut buffer).await?;
        if n == 0 {
            return Ok((size, hex::encode(sha256.finalize())));
        }
        sha256.update(&buffer[..n]);
        size += n as u64;
    }
}
