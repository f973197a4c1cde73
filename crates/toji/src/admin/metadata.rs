//! `toji admin metadata`: the job that makes the repository metadata of older RPMs.

use toji_client::{Client, args};
use toji_value::Value;

use super::say;

/// What the job can be told.
#[derive(clap::Args)]
pub(super) struct Options {
    /// Halt the job; it goes on where it is with `--resume`.
    #[arg(long, conflicts_with = "resume")]
    pause: bool,
    /// Let the job go on.
    #[arg(long)]
    resume: bool,
    /// Read at most so many RPMs in a second; 0 for no limit.
    #[arg(long, value_name = "NUMBER")]
    rate: Option<i64>,
    /// Read so many RPMs at a time.
    #[arg(long, value_name = "NUMBER")]
    workers: Option<i64>,
    /// Look again at everything, also at RPMs that could not be read.
    #[arg(long)]
    retry: bool,
    /// Name at most so many of the RPMs that could not be read.
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    failures: i64,
}

/// Changes what is asked for, and tells how far the job is.
pub(super) async fn run(hub: &Client, options: Options) -> anyhow::Result<()> {
    let Options { pause, resume, rate, workers, retry, failures } = options;
    let paused = (pause || resume).then_some(pause);
    if paused.is_some() || rate.is_some() || workers.is_some() || retry {
        let call = args!(paused, rate, workers, retry);
        hub.call("repo.setMetadataJob", call).await?;
    }
    let now = hub.call("repo.metadataJob", (failures,)).await?;
    report(&now).iter().for_each(|line| say(line));
    Ok(())
}

fn report(now: &Value) -> Vec<String> {
    let number = |key: &str| now.get(key).as_int().unwrap_or(0);
    let (looked, of) = (number("looked"), number("of"));
    let percent = if of > 0 { looked * 100 / of } else { 100 };
    let rate = match now.get("rate").as_int() {
        Some(rate) => format!("at most {rate} in a second"),
        None => "as many as possible".to_owned(),
    };
    let mut lines = vec![
        format!("{}: looked at {looked} of {of} RPMs ({percent} %)", now.get("state").display()),
        format!(
            "made: {}, not readable: {}, {rate}, {} at a time",
            number("made"),
            number("failed"),
            number("workers")
        ),
    ];
    if let Some(seconds) = left(now) {
        lines.push(format!("left: about {} minutes", seconds.div_euclid(60) + 1));
    }
    for failure in now.get("failures").as_array().unwrap_or_default() {
        let text = |key: &str| failure.get(key).display();
        lines.push(format!("{}: {}", text("nvra"), text("reason")));
    }
    lines
}

/// Seconds that are left if it goes on as before.
fn left(now: &Value) -> Option<i64> {
    let (looked, of) = (now.get("looked").as_int()?, now.get("of").as_int()?);
    let gone = now.get("updated_ts").as_f64()? - now.get("started_ts").as_f64()?;
    let working = now.get("state").as_str() == Some("working");
    (working && looked > 0 && gone > 0.0)
        .then(|| (gone / looked as f64 * (of - looked) as f64) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use toji_value::{list, map};

    #[test]
    fn lines_for_people() {
        let failure = map! { "nvra" => "a-1-1.noarch", "reason" => "gone" };
        let mut now = map! {
            "state" => "working", "looked" => 25, "of" => 100, "made" => 20, "failed" => 1,
            "failures" => list![failure], "rate" => 50, "workers" => 2, "started_ts" => 100.0, "updated_ts" => 200.0,
        };
        assert_eq!(
            report(&now.clone().into()),
            [
                "working: looked at 25 of 100 RPMs (25 %)",
                "made: 20, not readable: 1, at most 50 in a second, 2 at a time",
                "left: about 6 minutes",
                "a-1-1.noarch: gone"
            ]
        );
        now.extend(map! { "state" => "done", "looked" => 100, "rate" => Value::Nil, "failures" => list![] });
        assert_eq!(report(&now.into()).len(), 2);
    }
}
