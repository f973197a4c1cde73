//! The doors that speak JSON: JSON-RPC, and the calls as plain resources of HTTP.

mod get;
pub(crate) mod openapi;
pub(crate) mod resource;
pub(crate) mod rpc;

use axum::response::Response;
use bytes::Bytes;
use toji_value::json::{self, Json, Limits};
use toji_value::{Pieces, Value};

use crate::door;
use crate::reply::Document;

pub(crate) const KIND: &str = "application/json";

/// The value of a document; the text says what is wrong with it.
async fn parse(document: Bytes) -> Result<Value, String> {
    let size = document.len();
    let parsed = door::off_thread(size, move || json::parse(&document, &Limits::CALL)).await;
    match parsed {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(fault) => Err(fault.message),
    }
}

fn document(value: Value) -> Document {
    Document::new(Vec::new(), Pieces::new(value, Json, b"\n"))
}

fn answer(value: Value, gzip: bool) -> Response {
    document(value).answer(KIND, gzip)
}
