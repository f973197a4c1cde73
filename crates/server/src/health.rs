//! Liveness, readiness and metrics.

use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use toji_db::outbox::Lag;

use crate::{Shared, crowd};

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
            let statements = shared.hub.db.statement_count();
            text.push_str(&format!(
                "# HELP toji_database_statements_total Statements run by this process.\n\
                 # TYPE toji_database_statements_total counter\n\
                 toji_database_statements_total {statements}\n"
            ));
            let requests = shared.requests.load(Ordering::Relaxed);
            let readers = crate::events::WATCHERS - shared.watchers.available_permits();
            text.push_str(&format!(
                "# HELP toji_requests_total Requests that this process got, also by gRPC.\n\
                 # TYPE toji_requests_total counter\n\
                 toji_requests_total {requests}\n\
                 # HELP toji_event_readers Readers of events that are connected to this process.\n\
                 # TYPE toji_event_readers gauge\n\
                 toji_event_readers {readers}\n"
            ));
            let [short, long] = crowd::waiting();
            text.push_str(&format!(
                "# HELP toji_anonymous_calls_waiting Calls without a login that wait for their turn, by what such calls take.\n\
                 # TYPE toji_anonymous_calls_waiting gauge\n\
                 toji_anonymous_calls_waiting{{lane=\"short\"}} {short}\n\
                 toji_anonymous_calls_waiting{{lane=\"long\"}} {long}\n"
            ));
            builders(&shared, &mut text);
            match toji_db::outbox::lags(&mut tx).await {
                Ok(lags) => relays(&lags, shared.hub.now(), &mut text),
                Err(error) => tracing::warn!(%error, "cannot tell how far relays are behind"),
            }
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "cannot count tasks");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// How far the relays to message brokers are behind.
fn relays(lags: &[Lag], now: f64, text: &mut String) {
    text.push_str(
        "# HELP toji_relay_waiting_events Events that a relay has not looked at or sent yet.\n\
         # TYPE toji_relay_waiting_events gauge\n",
    );
    let named =
        |lag: &Lag| lag.name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    for lag in lags {
        let (name, entries) = (named(lag), lag.entries);
        text.push_str(&format!("toji_relay_waiting_events{{relay=\"{name}\"}} {entries}\n"));
    }
    text.push_str(
        "# HELP toji_relay_waiting_seconds How long the oldest of these events has waited.\n\
         # TYPE toji_relay_waiting_seconds gauge\n",
    );
    for lag in lags {
        let waited = lag.since.map_or(0.0, |since| (now - since).max(0.0));
        let name = named(lag);
        text.push_str(&format!("toji_relay_waiting_seconds{{relay=\"{name}\"}} {waited:.1}\n"));
    }
}

/// What connected builders say of themselves.
fn builders(shared: &Shared, text: &mut String) {
    let hosts = shared.hub.live.hosts();
    text.push_str(&format!(
        "# HELP toji_builders_connected Builders with a live connection to this process.\n\
         # TYPE toji_builders_connected gauge\n\
         toji_builders_connected {}\n\
         # HELP toji_builder What a connected builder says of itself: load in weights, pressure in percent, the load average for each processor.\n\
         # TYPE toji_builder gauge\n",
        hosts.len()
    ));
    for (host, said) in hosts {
        let r = said.resources;
        let whole = |n: Option<i64>| n.map(|n| n as f64);
        for (name, value) in [
            ("ready", Some(f64::from(u8::from(said.ready)))),
            ("load", Some(said.load)),
            ("cpu_pressure", r.cpu_pressure),
            ("memory_pressure", r.memory_pressure),
            ("io_pressure", r.io_pressure),
            ("load_average", r.load_average),
            ("memory_free_mib", whole(r.memory_free_mib)),
            ("disk_free_mib", whole(r.disk_free_mib)),
        ] {
            if let Some(value) = value {
                text.push_str(&format!(
                    "toji_builder{{host=\"{host}\",what=\"{name}\"}} {value}\n"
                ));
            }
        }
    }
}
