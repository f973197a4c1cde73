//! What a reader sees when a page cannot be made.

use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use minijinja::context;
use toji_value::Fault;

use crate::render;

/// A page that cannot be made.
pub(crate) enum PageError {
    /// The object does not exist; the text says which.
    NotFound(String),
    /// The address does not say what the page needs.
    Address(QueryRejection),
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

impl From<QueryRejection> for PageError {
    fn from(rejection: QueryRejection) -> Self {
        PageError::Address(rejection)
    }
}

/// The answer for addresses that are no page.
pub(crate) async fn no_page() -> PageError {
    PageError::NotFound("There is no such page.".to_owned())
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            PageError::NotFound(text) => (StatusCode::NOT_FOUND, "Not found", text),
            PageError::Address(rejection) => {
                (StatusCode::BAD_REQUEST, "That did not work", rejection.body_text())
            }
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
        match render::page("error.html", context! { title, text => &text }) {
            Ok(page) => (status, page).into_response(),
            Err(error) => {
                tracing::error!(%error, "a template failed");
                (status, text).into_response()
            }
        }
    }
}
