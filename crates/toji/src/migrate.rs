//! `toji migrate`: brings a database up to date, takes over a Koji hub's, hands it back.

use anyhow::{Context as _, bail};
use toji_db::Db;
use toji_db::takeover::{self, Report, State};

/// What `toji migrate` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Database: `postgres://…` (one of a Koji hub of 1.33 to 1.36 is taken over in place), or `sqlite:PATH`.
    #[arg(long, value_name = "URL")]
    database: String,
    /// Say what the database is, what would be done and what stands against it; change nothing.
    #[arg(long, group = "what")]
    check: bool,
    /// Verify a database that was taken over; change nothing.
    #[arg(long, group = "what")]
    verify: bool,
    /// Take back everything that a take-over added, and compare with what was there before.
    #[arg(long, group = "what")]
    revert: bool,
}

/// Runs the command and ends.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    runtime.block_on(async {
        let db = Db::open(&options.database, &toji_db::Options::default())
            .await
            .context("failed to open the database")?;
        let done = act(&db, options).await;
        db.close().await;
        done
    })
}

async fn act(db: &Db, options: &Options) -> anyhow::Result<()> {
    if options.revert {
        takeover::revert(db, &tell).await.context("nothing was changed")?;
        say("The database is Koji's again.");
        return Ok(());
    }
    let report = takeover::check(db).await.context("failed to read the database")?;
    if options.check || options.verify {
        return describe(&report, options.verify);
    }
    match &report.state {
        State::Koji(version) => {
            say(&format!("A database of Koji {version}. Taking it over:"));
            takeover::run(db, &tell).await.context("failed to take the database over")?;
            say(
                "Taken over. A Koji hub may go on working on it; `toji migrate --revert` hands it back.",
            );
        }
        State::TakenOver(..) => {
            takeover::run(db, &tell).await.context("failed to finish the take-over")?;
            db.migrate().await.context("failed to bring the schema up to date")?;
            say("Taken over before, and up to date.");
        }
        State::Unfit => return describe(&report, false),
        State::Empty | State::Own => {
            db.migrate().await.context("failed to bring the schema up to date")?;
            say("The schema is up to date.");
        }
    }
    Ok(())
}

/// Says in plain words what was found.
fn describe(report: &Report, verify: bool) -> anyhow::Result<()> {
    match &report.state {
        State::Empty => say("An empty database: `toji migrate` makes the tables."),
        State::Own => say("A database of Toji's own."),
        State::Koji(version) => say(&format!("A database of Koji {version}.")),
        State::TakenOver(version, true) => {
            say(&format!("A database of Koji {version}, taken over."));
        }
        State::TakenOver(version, false) => say(&format!(
            "A database of Koji {version}, taken over; some indexes are still to be made: run `toji migrate` again."
        )),
        State::Unfit => say("Not a database that can be used or taken over."),
    }
    if verify && !matches!(report.state, State::TakenOver(..)) {
        bail!("it was not taken over, there is nothing to verify");
    }
    list("To be done:", &report.steps);
    list("To know:", &report.notes);
    list("In the way:", &report.problems);
    if !report.problems.is_empty() {
        bail!("the database cannot be taken over as it is");
    }
    Ok(())
}

fn list(title: &str, lines: &[String]) {
    if !lines.is_empty() {
        say(title);
        lines.iter().for_each(|line| tell(line));
    }
}

fn tell(line: &str) {
    say(&format!("  - {line}"));
}

#[expect(clippy::print_stdout, reason = "the command's own output")]
fn say(line: &str) {
    println!("{line}");
}
