//! Many readers of events in one process, for the benchmarks.
//!
//! `watchers all HUB TASKS LOGS REPOS TASK TAG` watches a task TASKS times, follows its logs LOGS times and waits REPOS times for a
//! repository of a tag, each with a client of its own, until SIGTERM.
//! `watchers latency HUB COUNT USER PASSWORD CALLS` reads all events over COUNT connections while CALLS tags are made,
//! and prints how long after the call was answered, and after it was sent, each reader had each event, in milliseconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use toji_client::{Client, Error, Logs, Options, WaitRepo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["all", hub, tasks, logs, repos, task, tag] => {
            let counts = [tasks.parse()?, logs.parse()?, repos.parse()?];
            all(hub, counts, task.parse()?, tag).await
        }
        ["latency", hub, count, user, password, calls] => {
            latency(hub, count.parse()?, (user, password), calls.parse()?).await
        }
        _ => Err("usage: watchers all|latency HUB COUNT …".into()),
    }
}

async fn all(hub: &str, counts: [usize; 3], task: i64, tag: &str) -> Result<(), Failure> {
    let mut watching = tokio::task::JoinSet::new();
    let [tasks, logs, repos] = counts;
    for _ in 0..tasks {
        let client = Client::new(hub, Options::default())?;
        watching.spawn(async move { end(client.watch_trees(&[task])).await });
    }
    for _ in 0..logs {
        let client = Client::new(hub, Options::default())?;
        let wanted = Logs { below: true, ..Logs::default() };
        watching.spawn(async move { end(client.follow_logs(&[task], wanted)).await });
    }
    for _ in 0..repos {
        let client = Client::new(hub, Options::default())?;
        let wanted = WaitRepo { tag: tag.into(), ..WaitRepo::default() };
        watching.spawn(async move { end(client.watch_repo(wanted)).await });
    }
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminated.recv() => Ok(()),
        Some(ended) = watching.join_next() => {
            ended??;
            Err("a watcher ended".into())
        }
    }
}

/// When each reader had the event of each tag.
type Heard = Arc<Mutex<HashMap<String, Vec<Instant>>>>;

/// Reads a stream to its end.
async fn end<T>(mut stream: toji_client::Events<T>) -> Result<(), Error> {
    while let Some(item) = stream.next().await {
        item?;
    }
    Ok(())
}

async fn latency(
    hub: &str,
    count: usize,
    login: (&str, &str),
    calls: usize,
) -> Result<(), Failure> {
    let address = hub.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let heard = Heard::default();
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await?;
        let request = "GET /api/events?kinds=tag.* HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request.as_bytes()).await?;
        // The first line says that the hub tells from now on.
        let mut buffer = vec![0; 1 << 14];
        let mut begin = Vec::new();
        while !begin.windows(7).any(|part| part == b"retry: ") {
            let n = stream.read(&mut buffer).await?;
            begin.extend_from_slice(&buffer[..n]);
            if n == 0 {
                return Err("the hub ends the stream".into());
            }
        }
        readers.spawn(read(stream, heard.clone(), calls));
    }
    let client = Client::new(hub, Options::default())?;
    client.login(login.0, login.1).await?;
    let mut made = Vec::new();
    for n in 0..calls {
        let name = format!("latency{n}");
        let sent = Instant::now();
        client.call("createTag", (name.as_str(),)).await?;
        made.push((name, sent, Instant::now()));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while let Some(read) = readers.join_next().await {
        read??;
    }
    let heard = heard.lock().map_err(|_| "a reader failed")?;
    let (mut answered, mut asked, mut took) = (Vec::new(), Vec::new(), Vec::new());
    for (name, sent, done) in made {
        took.push((done - sent).as_secs_f64() * 1e3);
        for at in &heard[&name] {
            answered.push(at.saturating_duration_since(done).as_secs_f64() * 1e3);
            asked.push((*at - sent).as_secs_f64() * 1e3);
        }
    }
    let events = answered.len();
    println!(
        "{{\"events\": {events}, \"after_answer_p50_ms\": {:.3}, \"after_answer_p99_ms\": {:.3}, \
         \"after_request_p50_ms\": {:.3}, \"after_request_p99_ms\": {:.3}, \"call_p50_ms\": {:.3}}}",
        quantile(&mut answered, 0.5),
        quantile(&mut answered, 0.99),
        quantile(&mut asked, 0.5),
        quantile(&mut asked, 0.99),
        quantile(&mut took, 0.5),
    );
    Ok(())
}

/// Reads until it has heard of all tags.
async fn read(mut stream: TcpStream, heard: Heard, calls: usize) -> Result<(), Failure> {
    let (mut text, mut buffer, mut seen) = (Vec::new(), vec![0; 1 << 12], 0);
    while seen < calls {
        let n = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut buffer)).await??;
        let now = Instant::now();
        if n == 0 {
            return Err("the hub ends the stream".into());
        }
        text.extend_from_slice(&buffer[..n]);
        while let Some(end) = text.windows(2).position(|part| part == b"\n\n") {
            let event = String::from_utf8_lossy(&text[..end]).into_owned();
            text.drain(..end + 2);
            let Some(at) = event.find("\"latency") else { continue };
            let name: String = event[at + 1..].chars().take_while(|c| *c != '"').collect();
            heard.lock().map_err(|_| "another reader failed")?.entry(name).or_default().push(now);
            seen += 1;
        }
    }
    Ok(())
}

fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(((values.len().max(1) - 1) as f64 * q).round() as usize).copied().unwrap_or(f64::NAN)
}
