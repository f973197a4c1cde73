//! Files of volumes in object stores: readers are sent there, or served from there.

use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use toji_store::s3::S3;
use toji_store::{Item, Kind, Volume as _};

use super::answer::{self, Opened};
use super::body::Source;
use super::{moved, not_found};
use crate::{Shared, listing};

/// What is asked for; the request itself cannot be kept while one waits.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) url_path: String,
}

/// What is at a path in an object store.
enum Found {
    /// Where a reader gets it.
    Link(String),
    /// The content, for the hub to send.
    File(Opened),
    /// What lies in a directory.
    Dir(Vec<Item>),
}

/// The answer, if the path leads into an object store and something is there.
pub(super) async fn answer(shared: &Shared, path: &str, asked: &Asked) -> Option<Response> {
    let store = shared.hub.store.clone();
    if !store.has_remote() {
        return None;
    }
    let (method, wanted) = (asked.method.clone(), path.to_owned());
    let found = tokio::task::spawn_blocking(move || {
        let (volume, below) = store.resolve(&wanted)?;
        Some(look(volume, &below, &method))
    });
    let found = match found.await {
        Ok(found) => found?,
        Err(error) => Err(toji_store::Error::io(path)(std::io::Error::other(error))),
    };
    Some(match found {
        Ok(None) => not_found(),
        Ok(Some(Found::Link(url))) => sent_to(&url),
        Ok(Some(Found::File(opened))) => {
            if path.ends_with('/') {
                return Some(not_found());
            }
            answer::answer(opened, path, &asked.method, &asked.headers, None)
        }
        Ok(Some(Found::Dir(_))) if !asked.url_path.ends_with('/') => {
            moved(&format!("{}/", asked.url_path))
        }
        Ok(Some(Found::Dir(items))) => listing::of_items(path, items),
        Err(error) => {
            tracing::warn!(%error, path, "an object store does not answer");
            (StatusCode::BAD_GATEWAY, "the object store does not answer\n").into_response()
        }
    })
}

fn look(volume: &S3, path: &str, method: &Method) -> toji_store::Result<Option<Found>> {
    let Some(item) = volume.item(path)? else { return Ok(None) };
    Ok(Some(match item.kind {
        Kind::Dir => Found::Dir(volume.list(path)?),
        // A link is good for one method, and whoever asks for the head gets all that a head has from here.
        _ if volume.redirects() && method == Method::GET => Found::Link(volume.link_to(path)?),
        _ => {
            let reader = volume.reader(path)?;
            let (size, modified) = (reader.size(), item.modified);
            Found::File(Opened {
                source: Source::Far(Arc::new(Mutex::new(reader))),
                size,
                modified,
            })
        }
    }))
}

fn sent_to(url: &str) -> Response {
    // The place is for now only: the link ends, and the build may move.
    let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
    let headers = response.headers_mut();
    if let Ok(url) = HeaderValue::from_str(url) {
        headers.insert(header::LOCATION, url);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
