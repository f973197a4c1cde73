//! Templates, the style sheet and the script, and how a page is answered.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use minijinja::Environment;

use crate::Site;
use crate::error::PageError;

/// The templates, parsed.
#[allow(clippy::expect_used)]
fn templates() -> Environment<'static> {
    let mut env = Environment::new();
    for (name, source) in SOURCES {
        env.add_template(name, source).expect("a built-in template parses (tested)");
    }
    env.add_filter("bytes", bytes);
    env.add_filter("moment", moment);
    env
}

const SOURCES: &[(&str, &str)] = &[
    ("base.html", include_str!("templates/base.html")),
    ("macros.html", include_str!("templates/macros.html")),
    ("home.html", include_str!("templates/home.html")),
    ("builds.html", include_str!("templates/builds.html")),
    ("build.html", include_str!("templates/build.html")),
    ("tasks.html", include_str!("templates/tasks.html")),
    ("task.html", include_str!("templates/task.html")),
    ("error.html", include_str!("templates/error.html")),
    ("log.html", include_str!("templates/log.html")),
    ("tags.html", include_str!("templates/tags.html")),
    ("tag.html", include_str!("templates/tag.html")),
    ("repo.html", include_str!("templates/repo.html")),
    ("repos.html", include_str!("templates/repos.html")),
    ("hosts.html", include_str!("templates/hosts.html")),
    ("api.html", include_str!("templates/api.html")),
    ("call.html", include_str!("templates/call.html")),
];

/// A size for people: `1.4 MB`.
fn bytes(size: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut size = size;
    let mut unit = 0;
    while size >= 1000.0 && unit < units.len() - 1 {
        size /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{size:.0} B") } else { format!("{size:.1} {}", units[unit]) }
}

/// A moment in seconds since 1970 for people.
fn moment(seconds: f64) -> String {
    toji_types::calendar::minute_of(seconds as i64)
}

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(templates);

/// Fills a template; scripts from elsewhere never run on these pages.
pub(crate) fn page(name: &str, context: minijinja::Value) -> Result<Response, minijinja::Error> {
    let html = TEMPLATES.get_template(name)?.render(context)?;
    let mut response = Html(html).into_response();
    harden(response.headers_mut());
    Ok(response)
}

impl Site {
    /// A page of a template.
    pub(crate) fn page(
        &self,
        name: &str,
        context: minijinja::Value,
    ) -> Result<Response, PageError> {
        Ok(page(name, context)?)
    }
}

fn harden(headers: &mut HeaderMap) {
    let policy = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
}

/// The style sheet.
pub(crate) async fn style() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/css"), (header::CACHE_CONTROL, "max-age=3600")];
    (headers, include_str!("templates/style.css"))
}

/// The script that shows a log while it is written.
pub(crate) async fn script() -> impl IntoResponse {
    javascript(include_str!("templates/live.js"))
}

/// The script that shows a page anew when the hub tells of a change.
pub(crate) async fn follow_script() -> impl IntoResponse {
    javascript(include_str!("templates/follow.js"))
}

/// The script that sends the examples of the reference.
pub(crate) async fn try_script() -> impl IntoResponse {
    javascript(include_str!("templates/try.js"))
}

/// The icon of the pages.
pub(crate) async fn icon() -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "max-age=86400")];
    (headers, include_str!("templates/icon.svg"))
}

fn javascript(text: &'static str) -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, "text/javascript"), (header::CACHE_CONTROL, "max-age=3600")];
    (headers, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_parses() {
        assert_eq!(templates().templates().count(), SOURCES.len());
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes(999.0), "999 B");
        assert_eq!(bytes(1_400_000.0), "1.4 MB");
    }
}
