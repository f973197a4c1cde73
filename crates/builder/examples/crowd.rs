//! Many builders in one process, for the benchmark of the dispatch: `crowd SERVER COUNT PASSWORD WORKDIR`.
//!
//! Their users are `crowd-0`, `crowd-1`, …; they end when the standard input does.

use toji_builder::{Builder, CancellationToken, Config};

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
        builders.spawn(Builder::run(config, shutdown.clone()));
    }
    let end_of_input = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink());
    tokio::select! {
        _ = end_of_input => {}
        Some(ended) = builders.join_next() => { ended??; }
    }
    shutdown.cancel();
    while let Some(ended) = builders.join_next().await {
        ended??;
    }
    Ok(())
}
