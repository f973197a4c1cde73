//! Directory listings of the file store.

use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rustix::fs::{AtFlags, FileType};
use toji_types::calendar::minute_of;

use crate::files::Root;

/// What must be escaped in one part of a path.
const PATH_PART: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    // A name before a colon would be taken for a scheme, and a backslash for a slash.
    .add(b':')
    .add(b'\\')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}');

struct Entry {
    name: String,
    is_dir: bool,
    size: u64,
    modified: i64,
}

/// The listing of an open directory; `path` is relative to the root.
pub(crate) async fn page(root: Root, dir: std::fs::File, path: &str) -> Response {
    let place = path.trim_end_matches('/').to_owned();
    let read = tokio::task::spawn_blocking(move || entries(&root, &dir, &place)).await;
    let entries = match read {
        Ok(Ok(entries)) => entries,
        Ok(Err(error)) => {
            tracing::warn!(%error, path, "cannot list a directory");
            return axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        Err(_) => return axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    answer(path, &entries)
}

/// The listing of a directory of an object store.
pub(crate) fn of_items(path: &str, items: Vec<toji_store::Item>) -> Response {
    let since = |time: std::time::SystemTime| time.duration_since(std::time::UNIX_EPOCH).ok();
    let entry = |item: toji_store::Item| Entry {
        name: item.name().to_owned(),
        is_dir: item.kind == toji_store::Kind::Dir,
        size: item.size,
        modified: item.modified.and_then(since).map_or(0, |since| since.as_secs() as i64),
    };
    let mut entries: Vec<Entry> = items.into_iter().map(entry).collect();
    entries.retain(|entry| !entry.name.starts_with('.'));
    entries.sort_by(|a, b| (!a.is_dir, &a.name).cmp(&(!b.is_dir, &b.name)));
    answer(path, &entries)
}

fn answer(path: &str, entries: &[Entry]) -> Response {
    let mut response = Html(render(path, entries)).into_response();
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn entries(root: &Root, dir: &std::fs::File, place: &str) -> std::io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for item in rustix::fs::Dir::read_from(dir)? {
        let item = item?;
        let name = item.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let Ok(mut stat) = rustix::fs::statat(dir, item.file_name(), flags) else { continue };
        let path = format!("{place}/{name}");
        let path = path.trim_start_matches('/');
        if FileType::from_raw_mode(stat.st_mode).is_symlink() {
            // A link whose target is gone, or is not served, is left out.
            let Ok(target) = root.look(path) else { continue };
            stat = target;
        }
        let kind = FileType::from_raw_mode(stat.st_mode);
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let size =
            toji_store::packed::content_length(&name, size, || root.file(path).map_err(Into::into));
        entries.push(Entry { name, is_dir: kind.is_dir(), size, modified: stat.st_mtime });
    }
    entries.sort_by(|a, b| (!a.is_dir, &a.name).cmp(&(!b.is_dir, &b.name)));
    Ok(entries)
}

fn render(path: &str, entries: &[Entry]) -> String {
    let title = format!("/{}", path.trim_end_matches('/'));
    let title = escape(&title);
    let mut rows = String::new();
    if !path.trim_matches('/').is_empty() {
        rows.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for entry in entries {
        let slash = if entry.is_dir { "/" } else { "" };
        let link = utf8_percent_encode(&entry.name, PATH_PART);
        let name = escape(&entry.name);
        let date = minute_of(entry.modified);
        let size = if entry.is_dir { "-".to_owned() } else { entry.size.to_string() };
        rows.push_str(&format!(
            "<tr><td><a href=\"{link}{slash}\">{name}{slash}</a></td>\
             <td>{date}</td><td class=\"n\">{size}</td></tr>\n"
        ));
    }
    let empty = if entries.is_empty() { "<p>This directory is empty.</p>\n" } else { "" };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Index of {title}</title>\n<style>\
         body{{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;\
         color:#1d2430}}h1{{font-size:1.2rem}}table{{border-collapse:collapse;width:100%}}\
         td{{padding:.15rem .8rem .15rem 0;font-variant-numeric:tabular-nums;vertical-align:top}}\
         h1,td:first-child{{overflow-wrap:anywhere}}td+td{{white-space:nowrap}}\
         td.n{{text-align:right}}a{{color:#0b57a4;text-decoration:none}}\
         a:hover{{text-decoration:underline}}</style></head>\n\
         <body><h1>Index of {title}</h1>\n<table>{rows}</table>\n{empty}</body></html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        let entry = Entry { name: "<b>\"x\" %".into(), is_dir: false, size: 1, modified: 0 };
        let page = render("work/<i>", &[entry]);
        assert!(!page.contains("<b>") && !page.contains("<i>"));
        assert!(page.contains("%3Cb%3E%22x%22%20%25"));
    }
}
