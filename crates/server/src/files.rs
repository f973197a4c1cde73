//! `/kojifiles`: the file store as plain files, with ranges, validators and directory listings.

mod answer;
mod body;
mod far;
mod range;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use toji_store::packed::{Content, is_log};

use self::answer::{Opened, answer};
use self::body::Source;
use crate::socket::Parts;
use crate::{Shared, listing};

/// Readers may not leave the root: a link out of it leads back to it.
const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

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
        toji_store::open_inside(&*self.0, named(path), READ, Mode::empty(), INSIDE).map(Into::into)
    }

    /// What the system knows of `path` below the root.
    pub(crate) fn look(&self, path: &str) -> rustix::io::Result<rustix::fs::Stat> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let found = toji_store::open_inside(&*self.0, named(path), flags, Mode::empty(), INSIDE)?;
        rustix::fs::fstat(found)
    }

    /// The same as [`Root::file`] without waiting for a disk; nothing where it must be waited for, and with old kernels.
    fn file_now(&self, path: &str) -> Option<rustix::io::Result<std::fs::File>> {
        let flags = INSIDE | ResolveFlags::CACHED;
        match rustix::fs::openat2(&*self.0, named(path), READ, Mode::empty(), flags) {
            Err(Errno::AGAIN | Errno::INVAL) => None,
            answer => Some(answer.map(Into::into)),
        }
    }
}

fn named(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

/// Whether a request is one that [`handle`] answers.
pub(crate) fn asked_for(request: &Request) -> bool {
    let rest = request.uri().path().strip_prefix("/kojifiles");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        && matches!(*request.method(), Method::GET | Method::HEAD)
}

/// Answers GET and HEAD below `/kojifiles`.
pub(crate) async fn handle(State(shared): State<Shared>, request: Request) -> Response {
    let url_path = request.uri().path();
    let raw = url_path.strip_prefix("/kojifiles").unwrap_or_default().trim_start_matches('/');
    let Ok(path) = percent_encoding::percent_decode_str(raw).decode_utf8() else {
        return (StatusCode::BAD_REQUEST, "the path is not UTF-8\n").into_response();
    };
    if path.contains('\0') || hidden(&path) {
        return not_found();
    }
    let (file, metadata) = match open(&shared.files, &path).await {
        Ok(opened) => opened,
        Err(error) => {
            // What a link leads into an object store for is not there for the system.
            let asked = far::Asked {
                method: request.method().clone(),
                headers: request.headers().clone(),
                url_path: url_path.to_owned(),
            };
            return match far::answer(&shared, &path, &asked).await {
                Some(response) => response,
                None => refusal(&error),
            };
        }
    };
    if metadata.is_dir() {
        if !url_path.ends_with('/') {
            return moved(&format!("{url_path}/"));
        }
        return listing::page(shared.files.clone(), file, &path).await;
    }
    if !metadata.is_file() || path.ends_with('/') {
        return not_found();
    }
    let opened = match content(file, metadata, &path).await {
        Ok(opened) => opened,
        Err(error) => return refusal(&error),
    };
    let parts = request.extensions().get::<Parts>().cloned();
    answer(opened, &path, request.method(), request.headers(), parts)
}

/// Opens what a path names, at once if the system has it in memory.
async fn open(root: &Root, path: &str) -> std::io::Result<(std::fs::File, std::fs::Metadata)> {
    let path = path.trim_end_matches('/');
    if let Some(file) = root.file_now(path) {
        let file = file?;
        let metadata = file.metadata()?;
        return Ok((file, metadata));
    }
    let (root, path) = (root.clone(), path.to_owned());
    let opened = tokio::task::spawn_blocking(move || {
        let file = root.file(&path)?;
        let metadata = file.metadata()?;
        std::io::Result::Ok((file, metadata))
    });
    opened.await.map_err(std::io::Error::other)?
}

/// The content of a file; logs may be compressed on the disk.
async fn content(
    file: std::fs::File,
    metadata: std::fs::Metadata,
    path: &str,
) -> std::io::Result<Opened> {
    let plain = |file| Source::Plain(Arc::new(file));
    if !is_log(path) {
        let modified = metadata.modified().ok();
        return Ok(Opened { source: plain(file), size: metadata.len(), modified });
    }
    let content = tokio::task::spawn_blocking(move || Content::new(file));
    let content = content.await.map_err(std::io::Error::other)??;
    let size = content.length()?;
    let source = match content.into_plain() {
        Ok(file) => plain(file),
        Err(packed) => Source::Packed(Arc::new(Mutex::new(packed))),
    };
    Ok(Opened { source, size, modified: metadata.modified().ok() })
}

/// A directory is at its name with a slash; all clients know this status.
fn moved(place: &str) -> Response {
    let mut response = StatusCode::MOVED_PERMANENTLY.into_response();
    if let Ok(place) = HeaderValue::from_str(place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
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

/// Reads a `Range` header, for fuzzers.
///
/// # Panics
/// When a part is not one of the file.
pub(crate) fn fuzz(value: &str) {
    for size in [0, 1, 1000, u64::MAX] {
        if let range::Asked::Parts(parts) = range::asked(value, size) {
            assert!(
                parts.iter().all(|part| part.start < part.end && part.end <= size),
                "{parts:?}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
