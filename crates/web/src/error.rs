//! What a reader sees when a page cannot be made.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use toji_value::Fault;

/// A page that cannot be made.
pub(crate) enum PageError {
    /// The object does not exist; the text says which.
    NotFound(String),
    /// A call failed.
    Fault(Fault),
    /// A template failed: a defect.
    Template(minijinja::Error),
}

impl From<Fault> for PageError {
    fn from(fault: Fault) -> Self {
        PageError::Fault(fault)
    }
}

impl From<minijinja::Error> for PageError {
    fn from(error: minijinja::Error) -> Self {
        PageError::Template(error)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            PageError::NotFound(text) => (StatusCode::NOT_FOUND, "Not found", text),
            PageError::Fault(fault) if fault.code >= 1000 => {
                (StatusCode::BAD_REQUEST, "That did not work", fault.message)
            }
            PageError::Fault(fault) => {
                tracing::error!(text = fault.message, "a page's call failed");
                let text = "The hub could not answer. Its log tells more.".to_owned();
                (StatusCode::INTERNAL_SERVER_ERROR, "Error", text)
            }
            PageError::Template(error) => {
                tracing::error!(%error, "a template failed");
                let text = "The page could not be made. The log tells more.".to_owned();
                (StatusCode::INTERNAL_SERVER_ERROR, "Error", text)
            }
        };
        let html = format!(
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <link rel=\"stylesheet\" href=\"/koji/static/style.css\"></head><body><main>\
             <h1>{title}</h1><p>{}</p><p><a href=\"/koji/\">Back to the start</a></p>\
             </main></body></html>",
            minijinja::HtmlEscape(&text)
        );
        (status, Html(html)).into_response()
    }
}
