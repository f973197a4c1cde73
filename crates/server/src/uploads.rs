//! `/api/uploads/TASK/PATH?size=&sha256=`: files of a task in parts, with the token that the task's host has got.
//!
//! GET tells what has arrived, PUT with `offset` and the header `x-part-sha256` brings a part, POST puts the whole
//! file in its place. A file of one part is in its place after its PUT.

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;
use toji_hub::upload::parts::Announced;
use toji_value::{Fault, code};

use crate::Shared;

/// What the URL says of the file.
#[derive(Debug, Deserialize)]
pub(crate) struct About {
    size: u64,
    sha256: String,
    #[serde(default)]
    offset: u64,
}

pub(crate) async fn handle(
    State(shared): State<Shared>,
    Path((task_id, path)): Path<(i64, String)>,
    Query(about): Query<About>,
    request: Request,
) -> Response {
    match answer(&shared, task_id, path, about, request).await {
        Ok(response) => response,
        Err(fault) => refusal(&fault),
    }
}

async fn answer(
    shared: &Shared,
    task_id: i64,
    path: String,
    about: About,
    request: Request,
) -> Result<Response, Fault> {
    let token = bearer(request.headers()).ok_or_else(|| Fault::auth("an upload needs a token"))?;
    let file = Announced { task_id, path, size: about.size, sha256: about.sha256 };
    let upload = shared.hub.part_upload(token, file).await?;
    match *request.method() {
        Method::PUT => {
            let digest = request.headers().get("x-part-sha256").and_then(|v| v.to_str().ok());
            let digest = digest.ok_or_else(|| Fault::parameter("a part needs x-part-sha256"))?;
            let digest = digest.to_owned();
            let body = Box::pin(request.into_body().into_data_stream());
            let complete = upload.write(about.offset, digest, body).await?;
            Ok(Json(json!({ "complete": complete })).into_response())
        }
        Method::POST => {
            upload.complete(&shared.hub).await?;
            Ok(Json(json!({ "complete": true })).into_response())
        }
        _ => {
            let (complete, received) = upload.state().await?;
            Ok(Json(json!({ "complete": complete, "received": received })).into_response())
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn refusal(fault: &Fault) -> Response {
    let status = match fault.code {
        code::AUTH | code::ACTION_NOT_ALLOWED => StatusCode::FORBIDDEN,
        code::UNEXPECTED => StatusCode::INTERNAL_SERVER_ERROR,
        code::OFFLINE => StatusCode::SERVICE_UNAVAILABLE,
        code::PARAMETER => StatusCode::BAD_REQUEST,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, format!("{}\n", fault.message)).into_response()
}
