//! Uploads of a task's files by token: several parts at a time, resumed, SHA-256 from end to end.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Method, StatusCode, Url};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::transport::{chain, transport};
use crate::upload::digest_of;
use crate::{Client, Error, Uploaded};

/// The length of a part, in bytes; what is shorter is sent at once.
const PART: u64 = 8 << 20;
/// How many parts are on the way at a time.
const PARALLEL: usize = 4;

impl Client {
    /// Uploads a file of a task to `name` in the task's directory, with the token that the task's host has got.
    ///
    /// Parts that arrived in an earlier attempt are not sent again.
    ///
    /// # Errors
    /// [`Error::Status`] when the hub refuses the token or the file.
    pub async fn upload_for_task(
        &self,
        file: &Path,
        task: i64,
        name: &str,
        token: &str,
    ) -> Result<Uploaded, Error> {
        let failed = |source| Error::File { path: file.to_owned(), source };
        let (size, sha256) = digest_of(file).await.map_err(failed)?;
        let url = self.upload_url(task, name, size, &sha256)?;
        let sending = Sending { client: self, url, token };
        let mut resumed = 0;
        if size <= PART {
            sending.part(file, 0, size).await?;
        } else {
            let (complete, received) = sending.state().await?;
            resumed = if complete { size } else { received.iter().map(|part| part.1).sum() };
            let all = (0..size.div_ceil(PART)).map(|n| (n * PART, PART.min(size - n * PART)));
            let missing = all.filter(|part| !complete && !received.contains(part));
            let send = |(offset, length)| sending.part(file, offset, length);
            let sent = stream::iter(missing.map(send)).buffer_unordered(PARALLEL);
            sent.try_collect::<()>().await?;
            sending.exchange(Method::POST, None, Bytes::new()).await?;
        }
        Ok(Uploaded { size, sha256, resumed })
    }

    fn upload_url(&self, task: i64, name: &str, size: u64, sha256: &str) -> Result<Url, Error> {
        let mut url = self.shared.hub.clone();
        let base = url.path().trim_end_matches('/').trim_end_matches("/kojihub").to_owned();
        url.set_path(&base);
        {
            let mut path = url
                .path_segments_mut()
                .map_err(|()| Error::Settings("the hub's URL cannot be extended".to_owned()))?;
            path.pop_if_empty().extend(["api", "uploads", &task.to_string()]);
            path.extend(name.split('/'));
        }
        url.query_pairs_mut().append_pair("size", &size.to_string()).append_pair("sha256", sha256);
        Ok(url)
    }
}

/// One file on its way.
struct Sending<'a> {
    client: &'a Client,
    url: Url,
    token: &'a str,
}

impl Sending<'_> {
    async fn part(&self, file: &Path, offset: u64, length: u64) -> Result<(), Error> {
        let failed = |source| Error::File { path: file.to_owned(), source };
        let mut source = tokio::fs::File::open(file).await.map_err(failed)?;
        source.seek(std::io::SeekFrom::Start(offset)).await.map_err(failed)?;
        let mut data = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        source.take(length).read_to_end(&mut data).await.map_err(failed)?;
        self.exchange(Method::PUT, Some(offset), data.into()).await.map(drop)
    }

    /// Whether the file is there, and which parts of it are.
    async fn state(&self) -> Result<(bool, Vec<(u64, u64)>), Error> {
        let answer = self.exchange(Method::GET, None, Bytes::new()).await?;
        let wrong = |what: String| Error::Answer { call: "upload".to_owned(), what };
        let answer: serde_json::Value =
            serde_json::from_slice(&answer).map_err(|e| wrong(e.to_string()))?;
        let parts = answer["received"].as_array().into_iter().flatten();
        let parts = parts.filter_map(|part| Some((part[0].as_u64()?, part[1].as_u64()?)));
        Ok((answer["complete"] == true, parts.collect()))
    }

    /// Sends until there is an answer.
    async fn exchange(
        &self,
        method: Method,
        offset: Option<u64>,
        body: Bytes,
    ) -> Result<Bytes, Error> {
        let options = &self.client.shared.options;
        let mut failures = 0;
        loop {
            let error = match self.once(method.clone(), offset, body.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_transient() && failures < options.max_retries => error,
                Err(error) => return Err(error),
            };
            failures += 1;
            tracing::info!(url = self.url.path(), error = chain(&error), "uploading again");
            let pause = if failures == 1 { Duration::ZERO } else { options.retry_interval };
            tokio::time::sleep(pause).await;
        }
    }

    async fn once(&self, method: Method, offset: Option<u64>, body: Bytes) -> Result<Bytes, Error> {
        let mut url = self.url.clone();
        let mut digest = None;
        if let Some(offset) = offset {
            url.query_pairs_mut().append_pair("offset", &offset.to_string());
            digest = Some(hex::encode(Sha256::digest(&body)));
        }
        let http = &self.client.shared.http;
        let mut request = http.request(method, url.clone()).bearer_auth(self.token).body(body);
        if let Some(digest) = digest {
            request = request.header("x-part-sha256", digest);
        }
        let sent = request.timeout(self.client.shared.options.timeout).send().await;
        let response = sent.map_err(|e| transport(&url, e))?;
        let status = response.status();
        if status.is_success() {
            return response.bytes().await.map_err(|e| transport(&url, e));
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            url.set_query(None);
            return Err(Error::Status { url: url.into(), status: status.as_u16() });
        }
        let text = response.text().await.unwrap_or_default();
        let what = format!("{} ({status})", text.trim());
        Err(Error::Answer { call: "upload".to_owned(), what })
    }
}
