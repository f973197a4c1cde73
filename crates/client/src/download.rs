//! Downloads: streamed, resumed after a failure, checked before the file appears under its name.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use reqwest::{StatusCode, Url};
use sha2::{Digest as _, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::transport::{chain, check, transport};
use crate::{Client, Error, Watcher};

/// What to download and what it must be.
#[derive(Clone, Debug, Default)]
pub struct Download<'a> {
    /// An absolute URL, or a path below the hub's published files.
    pub url: &'a str,
    /// The expected length in bytes, if known.
    pub size: Option<u64>,
    /// The expected SHA-256 in hexadecimal digits, if known.
    pub sha256: Option<&'a str>,
    /// Who is told how far it is.
    pub watcher: Watcher,
}

impl Client {
    /// Downloads to `file`; the directory must be there. Returns the SHA-256 in hexadecimal digits.
    ///
    /// A part that an earlier attempt left in `file` + `.part` is used when it still fits.
    pub async fn download(&self, what: &Download<'_>, file: &Path) -> Result<String, Error> {
        let url = self.published(what.url)?;
        let mut name = file.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        let options = &self.shared.options;
        let mut failures = 0;
        let digest = loop {
            match self.fetch(&url, &part, what).await.and_then(|got| fits(what, &url, got)) {
                Ok(digest) => break digest,
                Err(error) => {
                    let stale = matches!(error, Error::Mismatch { .. });
                    if stale {
                        remove(&part).await?;
                    }
                    // A stale part explains one mismatch, not a second.
                    let again = if stale { failures == 0 } else { error.is_transient() };
                    if !again || failures >= options.max_retries.min(options.download_retries) {
                        return Err(error);
                    }
                    failures += 1;
                    tracing::info!(url = url.path(), error = chain(&error), "downloading again");
                    let pause = if failures == 1 { Duration::ZERO } else { options.retry_interval };
                    tokio::time::sleep(pause).await;
                }
            }
        };
        let failed = |source| Error::File { path: file.to_owned(), source };
        tokio::fs::rename(&part, file).await.map_err(failed)?;
        Ok(digest)
    }

    /// Reads a published file into memory; at most `limit` bytes.
    pub async fn fetch_bytes(&self, url: &str, limit: usize) -> Result<Vec<u8>, Error> {
        let url = self.published(url)?;
        let response = self.get(&url, 0).await?;
        crate::conditional::body(&url, response, limit).await
    }

    /// Reads the beginning of a published file; less than `length` bytes when the file is shorter.
    pub async fn fetch_prefix(&self, url: &str, length: usize) -> Result<Vec<u8>, Error> {
        let url = self.published(url)?;
        let last = length.saturating_sub(1);
        let get = self.shared.http.get(url.clone()).header("Range", format!("bytes=0-{last}"));
        let response = get.send().await.map_err(|e| transport(&url, e))?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(Vec::new());
        }
        check(&url, &response)?;
        let mut body = Vec::new();
        let mut stream = response.bytes_stream();
        while body.len() < length
            && let Some(chunk) = stream.next().await
        {
            body.extend_from_slice(&chunk.map_err(|e| transport(&url, e))?);
        }
        body.truncate(length);
        Ok(body)
    }

    pub(crate) fn published(&self, url: &str) -> Result<Url, Error> {
        let wrong = |e| Error::Settings(format!("URL '{url}': {e}"));
        if url.contains("://") {
            return Url::parse(url).map_err(wrong);
        }
        let mut base = self.shared.files.clone();
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&format!("{path}/{}", url.trim_start_matches('/')));
        Ok(base)
    }

    async fn get(&self, url: &Url, from: u64) -> Result<reqwest::Response, Error> {
        let mut get = self.shared.http.get(url.clone());
        if from > 0 {
            get = get.header("Range", format!("bytes={from}-"));
        }
        let response = get.send().await.map_err(|e| transport(url, e))?;
        if response.status() != StatusCode::RANGE_NOT_SATISFIABLE {
            check(url, &response)?;
        }
        Ok(response)
    }

    /// Fetches what is missing in `part`; returns length and digest of the whole.
    async fn fetch(
        &self,
        url: &Url,
        part: &Path,
        what: &Download<'_>,
    ) -> Result<(u64, String), Error> {
        let failed = |source| Error::File { path: part.to_owned(), source };
        let (mut length, mut sha256) = digest_of(part).await.map_err(failed)?;
        let response = self.get(url, length).await?;
        let status = response.status();
        if status == StatusCode::RANGE_NOT_SATISFIABLE {
            // The part is the whole file, or not of this file; the caller's comparison tells.
            return Ok((length, hex::encode(sha256.finalize())));
        }
        let append = status == StatusCode::PARTIAL_CONTENT;
        if !append {
            (length, sha256) = (0, Sha256::new());
        }
        let mut watch = what.watcher.begin(what.size);
        watch.total = watch.total.or_else(|| Some(length + response.content_length()?));
        watch.at(length);
        let mut open = OpenOptions::new();
        open.create(true).append(append).write(true).truncate(!append);
        let mut file = open.open(part).await.map_err(failed)?;
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|e| transport(url, e))?;
            file.write_all(&chunk).await.map_err(failed)?;
            sha256.update(&chunk);
            length += chunk.len() as u64;
            watch.at(length);
        }
        file.flush().await.map_err(failed)?;
        Ok((length, hex::encode(sha256.finalize())))
    }
}

fn fits(what: &Download<'_>, url: &Url, got: (u64, String)) -> Result<String, Error> {
    let wrong = |property: &str, expected: String, found: String| {
        Err(Error::Mismatch { what: format!("{property} of {}", url.path()), expected, found })
    };
    let (length, digest) = got;
    if let Some(size) = what.size.filter(|size| *size != length) {
        return wrong("size", size.to_string(), length.to_string());
    }
    match what.sha256 {
        Some(expected) if !expected.eq_ignore_ascii_case(&digest) => {
            wrong("sha256", expected.to_owned(), digest)
        }
        _ => Ok(digest),
    }
}

async fn digest_of(part: &Path) -> std::io::Result<(u64, Sha256)> {
    let mut sha256 = Sha256::new();
    let mut length = 0;
    let mut file = match File::open(part).await {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok((0, sha256)),
        Err(e) => return Err(e),
    };
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut buffer).await?;
        if n == 0 {
            return Ok((length, sha256));
        }
        sha256.update(&buffer[..n]);
        length += n as u64;
    }
}

async fn remove(part: &Path) -> Result<(), Error> {
    match tokio::fs::remove_file(part).await {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::File { path: part.to_owned(), source: e })
        }
        _ => Ok(()),
    }
}
