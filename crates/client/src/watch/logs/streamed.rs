//! Logs of a hub that sends them as they grow: `/api/tasks/ID/logs`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::asked::Asked;
use super::{LogPiece, Logs, Places};
use crate::watch::sse::{Found, Lines};
use crate::watch::{Body, Events, Source, feed, pause, stream};
use crate::{Client, Error};

/// The volume of logs that are being written.
const VOLUME: &str = "DEFAULT";

/// Whether the hub sends logs.
pub(super) async fn is_offered(client: &Client, task: i64) -> Result<bool, Error> {
    match client.open_stream(&address(client, task, &Logs::default(), &Places::new())).await {
        Ok(_) => Ok(true),
        // What is wrong shows when it is asked for.
        Err(Error::Status { .. }) => Ok(false),
        Err(error) if error.is_transient() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The pieces of one task's logs until it has ended.
pub(super) fn follow(client: &Client, task: i64, wanted: &Logs) -> Events<LogPiece> {
    let state = Following {
        client: client.clone(),
        task,
        wanted: wanted.clone(),
        places: Places::new(),
        open: None,
        failures: 0,
        rest: None,
    };
    stream(state)
}

struct Following {
    client: Client,
    task: i64,
    wanted: Logs,
    places: Places,
    open: Option<(Body, Lines)>,
    failures: u32,
    /// What is left after the end: logs on other volumes, or no longer on the hub's disk.
    rest: Option<Box<Asked>>,
}

impl Source for Following {
    type Item = LogPiece;

    async fn next(&mut self) -> Result<Option<LogPiece>, Error> {
        loop {
            if let Some(rest) = &mut self.rest {
                return rest.next().await;
            }
            if self.failures > 1 && self.open.is_none() {
                tokio::time::sleep(pause(self.failures, &self.client)).await;
            }
            match self.step().await {
                Ok(Some(found)) if found.kind == "end" => self.finish(),
                Ok(Some(found)) => {
                    self.failures = 0;
                    if let Some(piece) = self.piece(&found)? {
                        return Ok(Some(piece));
                    }
                }
                Ok(None) => {}
                // The task is not there, or not any more: the calls tell.
                Err(Error::Status { status: 404, .. }) => self.finish(),
                Err(error) => {
                    self.open = None;
                    self.failures += 1;
                    if !error.is_transient() || self.failures > self.client.options().max_retries {
                        return Err(error);
                    }
                }
            }
        }
    }
}

impl Following {
    fn finish(&mut self) {
        let places = std::mem::take(&mut self.places);
        self.rest = Some(Box::new(Asked::rest(&self.client, self.task, &self.wanted, places)));
    }

    async fn step(&mut self) -> Result<Option<Found>, Error> {
        let Some((body, lines)) = &mut self.open else {
            let url = address(&self.client, self.task, &self.wanted, &self.places);
            self.open = Some((self.client.open_stream(&url).await?, Lines::default()));
            return Ok(None);
        };
        if let Some(found) = lines.next() {
            return Ok(Some(found));
        }
        feed(body, lines, &self.client.shared.hub).await?;
        Ok(None)
    }

    fn piece(&mut self, found: &Found) -> Result<Option<LogPiece>, Error> {
        if found.kind != "log" {
            return Ok(None);
        }
        let wrong = || crate::object::unexpected("logs", "a piece that cannot be read");
        let said: serde_json::Value = serde_json::from_str(&found.data).map_err(|_| wrong())?;
        let log = said["log"].as_str().ok_or_else(wrong)?.to_owned();
        let run = said["run"].as_u64().and_then(|run| u32::try_from(run).ok()).ok_or_else(wrong)?;
        let offset = said["offset"].as_u64().ok_or_else(wrong)?;
        let data =
            STANDARD.decode(said["data"].as_str().ok_or_else(wrong)?).map_err(|_| wrong())?;
        let end = offset.checked_add(data.len() as u64).ok_or_else(wrong)?;
        let volume = VOLUME.to_owned();
        self.places.insert((log.clone(), volume.clone()), (run, end));
        Ok(Some(LogPiece { task: self.task, log, volume, offset, data: data.into() }))
    }
}

/// Where a task's logs are, from the given places on.
fn address(client: &Client, task: i64, wanted: &Logs, places: &Places) -> reqwest::Url {
    let mut url = client.beside_hub(&format!("api/tasks/{task}/logs"));
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("follow", "1");
        if let Some(log) = &wanted.log {
            query.append_pair("log", log);
        }
        if !places.is_empty() {
            let at = places.iter().map(|((log, _), (run, offset))| format!("{run}:{offset}:{log}"));
            query.append_pair("at", &at.collect::<Vec<_>>().join("\n"));
        }
    }
    url
}
