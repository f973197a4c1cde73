//! The entry for fuzzers: everything that is read from outside and is not XML-RPC.

use toji_value::{Map, map};

use crate::{Client, Event, Options, profile, watch};

/// Reads arbitrary bytes as a configuration file, as a stream of events, and as a message of each bus.
///
/// # Panics
/// When a stream reads otherwise in pieces than at once.
pub fn fuzz(data: &[u8]) {
    profile::fuzz(data);
    watch::fuzz(data);
    let Ok(client) = Client::new("http://127.0.0.1:1/kojihub", Options::default()) else { return };
    let (kind, body) = data.split_at(data.len().min(24));
    let kind = String::from_utf8_lossy(kind);
    let (kind, _) = kind.split_once('\n').unwrap_or((&kind, ""));
    let headers = [Map::new(), map! {"type" => kind}];
    for headers in &headers {
        if let Ok(event) = Event::parse(kind, headers, body, &client) {
            let _ = (event.url(), event.build().map(|build| (build.task_id(), build.nvr())));
            if let Event::TaskState { task, .. } = event {
                let _ =
                    (task.tag(), task.target(), task.package(), task.arches(), task.is_scratch());
                let _ = (task.build_id(), task.started(), task.source());
            }
        }
    }
}
