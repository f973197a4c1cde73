//! Plugins that are programs: one message for each line, JSON, on their input and output.
//!
//! | from the hub | from the program |
//! |---|---|
//! | `{"hello": {"version": 1, "settings": {…}}}` | `{"manifest": {…}}` |
//! | `{"event": {"kind": "callback", "name": "preTag", "args": […]}}` | `{"done": value}`, `{"error": "text"}` or `{"fault": {"code": 1000, "message": "text"}}` |
//! | `{"result": value}` or `{"fault": {…}}` | before that, any number of `{"call": {"method": "getTag", "args": […], "keywords": {…}}}` |
//!
//! A process handles one event after the other. Idle ones are kept; one that fails, is slow or
//! breaks the protocol is killed with all that it started.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal};
use toji_value::{Args, Fault, Map, Value, map};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::{Error, Event, Host, Limits, Manifest, Place, Settings};

/// Where programs look for others.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program, and the idle processes of it.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    file: PathBuf,
    settings: Settings,
    limits: Limits,
    idle: Mutex<Vec<Process>>,
}

impl Program {
    pub(crate) fn new(name: &str, file: PathBuf, settings: Settings, limits: Limits) -> Self {
        Program { name: name.to_owned(), file, settings, limits, idle: Mutex::default() }
    }

    /// Starts a process to ask what the plugin takes part in.
    pub(crate) async fn manifest(&self) -> Result<Manifest, Error> {
        let starting = Limits::default().time.min(self.limits.time);
        let (process, manifest) = limited(starting, self.start(None)).await?;
        self.keep(process);
        Ok(manifest)
    }

    pub(crate) async fn run<H: Host>(&self, event: Event, host: &mut H) -> Result<Value, Error> {
        limited(self.limits.time, async {
            let mut process = match self.take() {
                Some(process) => process,
                None => self.start(None).await?.0,
            };
            let answer = process.converse(event, host, self.limits.message).await;
            if !matches!(answer, Err(Error::Protocol(_) | Error::Limit(_) | Error::Io { .. })) {
                self.keep(process);
            }
            answer
        })
        .await
    }

    /// Runs a process for one event alone; it is gone afterwards, with all that it started.
    pub(crate) async fn run_at<H: Host>(
        &self,
        event: Event,
        host: &mut H,
        place: Place,
    ) -> Result<Value, Error> {
        limited(self.limits.time, async {
            let (mut process, _) = self.start(Some(place)).await?;
            process.converse(event, host, self.limits.message).await
        })
        .await
    }

    async fn start(&self, place: Option<Place>) -> Result<(Process, Manifest), Error> {
        let failed = |source| Error::Io { name: self.name.clone(), source };
        let (dir, log) = match place {
            Some(Place { dir, log }) => (dir, Stdio::from(log)),
            None => (PathBuf::from("/"), Stdio::inherit()),
        };
        let mut child = Command::new(&self.file)
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8")
            .env("HOME", &dir)
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let limit = Rlimit { current: Some(self.limits.memory), maximum: Some(self.limits.memory) };
        rustix::process::prlimit(group, Resource::As, limit)
            .map_err(|error| failed(error.into()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::Protocol("no pipes to the program".to_owned()));
        };
        let mut process = Process { child, group, input, output: BufReader::new(output) };
        let settings = Value::from(self.settings.clone());
        let hello = map! { "hello" => map! { "version" => 1, "settings" => settings } };
        process.send(&hello.into()).await?;
        let said = process.receive(self.limits.message).await?;
        let wrong = |text| Error::Manifest { name: self.name.clone(), text };
        let manifest = said.get("manifest").ok_or_else(|| {
            wrong(format!(
                "the program did not tell its manifest: {}",
                Value::from(said.clone()).repr()
            ))
        })?;
        Ok((process, Manifest::from_value(manifest).map_err(wrong)?))
    }

    fn take(&self) -> Option<Process> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut process) = idle.pop() {
            if matches!(process.child.try_wait(), Ok(None)) {
                return Some(process);
            }
        }
        None
    }

    fn keep(&self, process: Process) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.limits.idle {
            idle.push(process);
        }
    }
}

/// Gives up after the longest time; the process is dropped with the future, and so is killed.
async fn limited<T>(
    time: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(time, work).await.unwrap_or(Err(Error::TooSlow(time)))
}

#[derive(Debug)]
struct Process {
    child: Child,
    group: Option<Pid>,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // The group lives as long as anything the program started.
        if let Some(group) = self.group {
            rustix::process::kill_process_group(group, Signal::KILL).ok();
        }
    }
}

impl Process {
    async fn converse<H: Host>(
        &mut self,
        event: Event,
        host: &mut H,
        limit: usize,
    ) -> Result<Value, Error> {
        let event = map! {
            "kind" => event.kind.name(), "name" => event.name, "args" => Value::Array(event.args),
        };
        self.send(&map! { "event" => event }.into()).await?;
        loop {
            let mut said = self.receive(limit).await?;
            if let Some(call) = said.get("call") {
                let reply = match answer(call, host).await? {
                    Ok(value) => map! { "result" => value },
                    Err(fault) => map! {
                        "fault" => map! { "code" => i64::from(fault.code), "message" => fault.message },
                    },
                };
                self.send(&reply.into()).await?;
                continue;
            }
            if let Some(fault) = said.get("fault") {
                let code = fault.get("code").as_int().and_then(|code| i32::try_from(code).ok());
                let code = code.unwrap_or(toji_value::code::GENERIC);
                let message = fault.get("message").display();
                return Err(Error::Fault(Fault { code, message }));
            }
            if let Some(error) = said.get("error") {
                return Err(Error::Failed(error.display()));
            }
            return said.remove("done").ok_or_else(|| {
                Error::Protocol(format!("unexpected message: {}", Value::from(said).repr()))
            });
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), Error> {
        let mut line = message.to_json().to_string();
        line.push('\n');
        let gone = |error| Error::Protocol(format!("cannot write to the program: {error}"));
        self.input.write_all(line.as_bytes()).await.map_err(gone)?;
        self.input.flush().await.map_err(gone)
    }

    /// Reads one line; a program that says more than `limit` at once breaks the protocol.
    async fn receive(&mut self, limit: usize) -> Result<Map, Error> {
        let mut line = Vec::new();
        loop {
            let gone = |error| Error::Protocol(format!("cannot read from the program: {error}"));
            let part = self.output.fill_buf().await.map_err(gone)?;
            if part.is_empty() {
                return Err(Error::Protocol("the program ended".to_owned()));
            }
            let end = part.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(part.len(), |at| at + 1);
            line.extend_from_slice(&part[..used]);
            self.output.consume(used);
            if line.len() > limit {
                return Err(Error::Limit(format!("a message is longer than {limit} bytes")));
            }
            if end.is_some() {
                break;
            }
        }
        match serde_json::from_slice(&line).map(Value::from_json) {
            Ok(Value::Struct(map)) => Ok(map),
            Ok(_) => Err(Error::Protocol("a message is not a JSON object".to_owned())),
            Err(error) => Err(Error::Protocol(format!("a message is not JSON: {error}"))),
        }
    }
}

async fn answer<H: Host>(call: &Value, host: &mut H) -> Result<Result<Value, Fault>, Error> {
    let wrong = || Error::Protocol(format!("not a call: {}", call.repr()));
    let method = call.get("method").as_str().ok_or_else(wrong)?;
    let positional = match call.get("args") {
        Value::Nil => Vec::new(),
        Value::Array(items) => items.clone(),
        _ => return Err(wrong()),
    };
    let keywords = match call.get("keywords") {
        Value::Nil => Map::new(),
        Value::Struct(map) => map.clone(),
        _ => return Err(wrong()),
    };
    Ok(host.call(method, Args { positional, keywords }).await)
}
