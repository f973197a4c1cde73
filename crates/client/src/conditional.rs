//! Conditional downloads: a published file only if it is another one than before (RFC 9110, section 13).

use futures::StreamExt as _;
use reqwest::header::{
    ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{StatusCode, Url};

use crate::transport::{check, transport};
use crate::{Client, Error};

/// What a server has said about the state of a file, to be asked with again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileState {
    /// `ETag`, as it came.
    pub etag: Option<String>,
    /// `Last-Modified`, as it came.
    pub modified: Option<String>,
}

impl FileState {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| Some(headers.get(name)?.to_str().ok()?.to_owned());
        Self { etag: text(ETAG), modified: text(LAST_MODIFIED) }
    }

    /// The conditions; the date counts only where there is no tag (section 13.1.3).
    fn condition(&self) -> Option<(HeaderName, &str)> {
        let tag = self.etag.as_deref().map(|tag| (IF_NONE_MATCH, tag));
        tag.or(self.modified.as_deref().map(|date| (IF_MODIFIED_SINCE, date)))
    }
}

impl Client {
    /// Reads a published file of at most `limit` bytes into memory, with its state; `None` if it is still as it was in the
    /// given state.
    ///
    /// # Errors
    /// When the file cannot be had, or is longer.
    pub async fn fetch_if(
        &self,
        url: &str,
        limit: usize,
        before: &FileState,
    ) -> Result<Option<(Vec<u8>, FileState)>, Error> {
        let url = self.published(url)?;
        let mut get = self.shared.http.get(url.clone());
        let condition = before.condition();
        if let Some((name, value)) = &condition {
            get = get.header(name, *value);
        }
        let response = get.send().await.map_err(|e| transport(&url, e))?;
        if condition.is_some() && response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        check(&url, &response)?;
        let state = FileState::of(response.headers());
        Ok(Some((body(&url, response, limit).await?, state)))
    }
}

/// A whole answer of at most `limit` bytes.
pub(crate) async fn body(
    url: &Url,
    response: reqwest::Response,
    limit: usize,
) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk.map_err(|e| transport(url, e))?);
        if body.len() > limit {
            return Err(Error::Mismatch {
                what: format!("size of {}", url.path()),
                expected: format!("at most {limit}"),
                found: "more".to_owned(),
            });
        }
    }
    Ok(body)
}
