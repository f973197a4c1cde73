//! Many builders in one process, for the benchmark of the dispatch: `crowd SERVER COUNT PASSWORD WORKDIR`.
//!
//! Their users are `crowd-0`, `crowd-1`, …; SIGTERM ends them.

use toji_builder::{Builder, CancellationToken, Config};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [server, count, password, workdir] = words.as_slice() else {
        return Err("usage: crowd SERVER COUNT PASSWORD WORKDIR".into());
    };
    let shutdown = CancellationToken::new();
    let mut builders = tokio::task::JoinSet::new();
    for n in 0..count.parse::<usize>()? {
        let user = format!("crowd-{n}");
        let mut config = Config::new(server, &user, password, format!("{workdir}/{user}"));
        config.minspace = 0;
        config.max_load = 0.0;
        builders.spawn(Builder::run(config, shutdown.clone()));
    }
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminated.recv() => {}
        Some(ended) = builders.join_next() => { ended??; }
    }
    shutdown.cancel();
    while let Some(ended) = builders.join_next().await {
        ended??;
    }
    Ok(())
}
