//! `/api/provenance/keys`: the public keys that have signed provenance, in PEM.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::Shared;

pub(crate) async fn keys(State(shared): State<Shared>) -> Response {
    match toji_hub::statement::keys_as_pem(&shared.hub).await {
        Ok(text) => ([(header::CONTENT_TYPE, "application/x-pem-file")], text).into_response(),
        Err(fault) => {
            tracing::warn!(%fault, "cannot read the keys of provenance");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
