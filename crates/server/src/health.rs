//! Liveness, readiness and metrics.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::Shared;

/// The process answers.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// The database answers, too.
pub(crate) async fn ready(State(shared): State<Shared>) -> Response {
    let mut tx = shared.hub.db.begin();
    match toji_db::event::last(&mut tx, None).await {
        Ok(_) => "ready\n".into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response()
        }
    }
}

/// Figures in the text format of Prometheus.
pub(crate) async fn metrics(State(shared): State<Shared>) -> Response {
    let mut tx = shared.hub.db.begin();
    match toji_db::metrics::tasks_by_state(&mut tx).await {
        Ok(counts) => {
            let mut text = String::from(
                "# HELP koji_tasks Tasks that are not finished, by state.\n\
                 # TYPE koji_tasks gauge\n",
            );
            for (state, count) in counts {
                text.push_str(&format!("koji_tasks{{state=\"{state}\"}} {count}\n"));
            }
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "cannot count tasks");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
