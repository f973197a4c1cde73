//! Makes many calls, for the benchmark of clients: `calls URL FIRST COUNT one|side|batch`.
//!
//! One after the other, sixteen side by side, or as multicalls of a thousand. Each call is `getBuild`, and each answer is looked at.

use std::time::Instant;

use futures::StreamExt as _;
use toji_client::{Client, Error, Options, args};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, first, count, how] = &words[..] else { return Err("URL FIRST COUNT HOW".into()) };
    let (first, count): (i64, i64) = (first.parse()?, count.parse()?);
    let hub = Client::new(url, Options::default())?;
    let begin = Instant::now();
    let right = match how.as_str() {
        "side" => {
            let calls = (0..count).map(|at| one(&hub, first + at));
            let found = futures::stream::iter(calls).buffer_unordered(16);
            found.fold(0, async |sum, found| sum + i64::from(matches!(found, Ok(true)))).await
        }
        "batch" => {
            let mut calls = hub.multicall().batch(1000);
            for at in 0..count {
                calls.add("getBuild", args!(first + at));
            }
            let found = calls.send().await?;
            let ids = found.into_iter().filter_map(|one| one.ok()?.get("id").as_int());
            ids.zip(first..).filter(|(found, wanted)| found == wanted).count() as i64
        }
        _ => {
            let mut right = 0;
            for at in 0..count {
                right += i64::from(one(&hub, first + at).await?);
            }
            right
        }
    };
    if right != count {
        return Err(format!("{right} of {count} answers are right").into());
    }
    println!("{}", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Whether the hub answers with the build that was asked for.
async fn one(hub: &Client, id: i64) -> Result<bool, Error> {
    let build = hub.call("getBuild", args!(id)).await?;
    Ok(build.get("id").as_int() == Some(id))
}
