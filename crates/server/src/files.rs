//! `/kojifiles`: the file store as plain files, with ranges, validators and directory listings.

use std::io::{Read as _, Seek as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use toji_store::packed::{Content, is_log};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::{Shared, listing};

/// The most of a packed file that is read at a time, in bytes.
const PIECE: u64 = 256 << 10;

/// The directory that is served; paths are resolved inside it by the kernel.
#[derive(Clone)]
pub(crate) struct Root(Arc<OwnedFd>);

impl Root {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Root(Arc::new(rustix::fs::open(path, flags, Mode::empty())?)))
    }

    /// Opens `path` below the root; a link out of the root leads back to it.
    pub(crate) fn file(&self, path: &str) -> rustix::io::Result<std::fs::File> {
        let path = if path.is_empty() { "." } else { path };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        toji_store::open_inside(&*self.0, path, flags, Mode::empty(), inside).map(Into::into)
    }
}

/// Answers GET and HEAD below `/kojifiles`.
pub(crate) async fn handle(State(shared): State<Shared>, request: Request) -> Response {
    let url_path = request.uri().path().to_owned();
    let raw = url_path.strip_prefix("/kojifiles").unwrap_or_default().trim_start_matches('/');
    let Ok(path) = percent_encoding::percent_decode_str(raw).decode_utf8() else {
        return (StatusCode::BAD_REQUEST, "the path is not UTF-8\n").into_response();
    };
    if path.contains('\0') || hidden(&path) {
        return not_found();
    }
    let opened = {
        let (root, path) = (shared.files.clone(), path.clone().into_owned());
        tokio::task::spawn_blocking(move || {
            let file = root.file(path.trim_end_matches('/'))?;
            let metadata = file.metadata()?;
            let (mut size, mut packed) = (metadata.len(), None);
            if metadata.is_file() && is_log(&path) {
                let content = Content::new(file.try_clone()?)?;
                size = content.length()?;
                packed = Some(content).filter(Content::is_packed);
            }
            std::io::Result::Ok((Opened { file, packed, size }, metadata))
        })
        .await
    };
    let (opened, metadata) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return refusal(&error),
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    if metadata.is_dir() {
        if !url_path.ends_with('/') {
            return Redirect::permanent(&format!("{url_path}/")).into_response();
        }
        return listing::page(opened.file, &path).await;
    }
    if !metadata.is_file() {
        return not_found();
    }
    send(opened, &metadata, &path, request.method(), request.headers()).await
}

/// A file that is to be sent.
struct Opened {
    file: std::fs::File,
    /// Its content, if that is compressed on the disk.
    packed: Option<Content>,
    /// The length of its content, in bytes.
    size: u64,
}

impl Opened {
    /// A part of the content, as a body; nothing if it cannot be read.
    async fn part(self, start: u64, length: u64) -> Option<Body> {
        if let Some(mut content) = self.packed {
            let (out, pieces) = tokio::sync::mpsc::channel(2);
            tokio::task::spawn_blocking(move || {
                let begun = content.seek(std::io::SeekFrom::Start(start));
                let mut left = begun.map(|_| content.take(length));
                loop {
                    let mut piece = Vec::new();
                    let read = match &mut left {
                        Ok(left) => left.take(PIECE).read_to_end(&mut piece),
                        Err(_) => return,
                    };
                    let goes_on = match read {
                        Ok(0) => false,
                        Ok(_) => out.blocking_send(Ok(bytes::Bytes::from(piece))).is_ok(),
                        Err(error) => {
                            let _ = out.blocking_send(Err(error));
                            false
                        }
                    };
                    if !goes_on {
                        return;
                    }
                }
            });
            return Some(Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(pieces)));
        }
        let mut file = tokio::fs::File::from_std(self.file);
        if start > 0 && file.seek(std::io::SeekFrom::Start(start)).await.is_err() {
            return None;
        }
        let stream = ReaderStream::with_capacity(AsyncReadExt::take(file, length), 128 << 10);
        Some(Body::from_stream(stream))
    }
}

/// Names that belong to the hub and not to its readers.
fn hidden(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('.') && part.len() > 1)
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "not found\n").into_response()
}

fn refusal(error: &std::io::Error) -> Response {
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => not_found(),
        std::io::ErrorKind::PermissionDenied => StatusCode::FORBIDDEN.into_response(),
        _ => {
            tracing::warn!(%error, "cannot open a file of the store");
            not_found()
        }
    }
}

async fn send(
    file: Opened,
    metadata: &std::fs::Metadata,
    path: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Response {
    let size = file.size;
    let modified = metadata.modified().ok().and_then(|m| m.duration_since(UNIX_EPOCH).ok());
    let modified = modified.unwrap_or(Duration::ZERO);
    let etag = format!("\"{:x}-{:x}\"", size, modified.as_nanos());
    let date = listing::http_date(modified.as_secs());
    let mut response = Response::new(Body::empty());
    let out = response.headers_mut();
    set(out, header::ETAG, &etag);
    set(out, header::LAST_MODIFIED, &date);
    set(out, header::CACHE_CONTROL, caching(path));
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if not_modified(headers, &etag, &date) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    let (start, length) = match range(headers, size, &etag, &date) {
        Range::Whole => (0, size),
        Range::Part(start, length) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let text = format!("bytes {start}-{}/{size}", start + length - 1);
            set(response.headers_mut(), header::CONTENT_RANGE, &text);
            (start, length)
        }
        Range::Unsatisfiable => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{size}"));
            return response;
        }
    };
    set(response.headers_mut(), header::CONTENT_LENGTH, &length.to_string());
    if method != Method::HEAD && length > 0 {
        let Some(body) = file.part(start, length).await else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        *response.body_mut() = body;
    }
    response
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Files named by their checksum never change; packages change only when they are signed anew;
/// everything else (repomd.xml, growing logs) must be asked for each time.
fn caching(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let checksum_named = name
        .split('-')
        .next()
        .is_some_and(|hash| hash.len() >= 32 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
    if path.contains("/repodata/") && checksum_named {
        "public, max-age=31536000, immutable"
    } else if path.starts_with("packages/") && name.ends_with(".rpm") {
        "public, max-age=86400"
    } else {
        "no-cache"
    }
}

/// Nothing of the store may run as a page of this site, so HTML is sent as plain text.
fn content_type(path: &str) -> &'static str {
    // Logs of earlier runs of a task have a number behind their names.
    let number = |end: &str| !end.is_empty() && end.bytes().all(|b| b.is_ascii_digit());
    if path.rsplit_once(".log.").is_some_and(|(_, end)| number(end)) {
        return "text/plain; charset=utf-8";
    }
    match path.rsplit('.').next().unwrap_or_default() {
        "rpm" => "application/x-rpm",
        "log" | "txt" | "cfg" | "spec" | "html" | "htm" | "ks" | "svg" => {
            "text/plain; charset=utf-8"
        }
        "xml" => "application/xml",
        "json" => "application/json",
        "gz" => "application/gzip",
        "zst" => "application/zstd",
        _ => "application/octet-stream",
    }
}

fn not_modified(headers: &HeaderMap, etag: &str, date: &str) -> bool {
    if let Some(wanted) = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()) {
        let strip = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        return wanted.split(',').any(|tag| tag.trim() == "*" || strip(tag) == etag);
    }
    headers.get(header::IF_MODIFIED_SINCE).is_some_and(|v| v.as_bytes() == date.as_bytes())
}

#[derive(Debug, PartialEq)]
enum Range {
    Whole,
    Part(u64, u64),
    Unsatisfiable,
}

/// The single byte range asked for; several ranges are answered with the whole file (RFC 9110
/// 14.2 allows it).
fn range(headers: &HeaderMap, size: u64, etag: &str, date: &str) -> Range {
    let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    if text(header::IF_RANGE).is_some_and(|wanted| wanted != etag && wanted != date) {
        return Range::Whole;
    }
    let Some(spec) = text(header::RANGE).and_then(|r| r.strip_prefix("bytes=")) else {
        return Range::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else { return Range::Whole };
    if spec.contains(',') {
        return Range::Whole;
    }
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), _) if first >= size => Range::Unsatisfiable,
        (Ok(first), Ok(last)) if last < first => Range::Whole,
        (Ok(first), Ok(last)) => Range::Part(first, last.min(size - 1) - first + 1),
        (Ok(first), Err(_)) if last.is_empty() => Range::Part(first, size - first),
        (Err(_), Ok(suffix)) if first.is_empty() && suffix > 0 && size > 0 => {
            let length = suffix.min(size);
            Range::Part(size - length, length)
        }
        (Err(_), Ok(_)) if first.is_empty() => Range::Unsatisfiable,
        _ => Range::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range_text: &'static str) -> Range {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static(range_text));
        range(&headers, 100, "\"e\"", "date")
    }

    #[test]
    fn ranges() {
        assert_eq!(asked("bytes=0-9"), Range::Part(0, 10));
        assert_eq!(asked("bytes=90-"), Range::Part(90, 10));
        assert_eq!(asked("bytes=-5"), Range::Part(95, 5));
        assert_eq!(asked("bytes=95-1000"), Range::Part(95, 5));
        assert_eq!(asked("bytes=100-"), Range::Unsatisfiable);
        assert_eq!(asked("bytes=5-2"), Range::Whole);
        assert_eq!(asked("bytes=1-2,4-5"), Range::Whole);
        assert_eq!(asked("lines=1-2"), Range::Whole);
    }

    #[test]
    fn links_do_not_leave_the_root() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("inside"), "in").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("absolute")).unwrap();
        std::os::unix::fs::symlink("../../../../etc/passwd", dir.path().join("up")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        assert!(root.file("inside").is_ok());
        for path in ["absolute", "up", "../../../etc/passwd", "/etc/passwd"] {
            assert!(root.file(path).is_err(), "{path} should not lead outside");
        }
    }
}
