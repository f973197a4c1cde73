//! `toji policy`: checks policies, explains a decision, tries changed policies on past ones.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use toji_bus::Bus;
use toji_db::Db;
use toji_hub::plugin::Plugins;
use toji_hub::policy::past;
use toji_hub::{Call, Config, Hub, policy};
use toji_policy::{Outcome, PolicySet, Verdict};
use toji_value::{Fault, Map, Value};

use crate::hub::{files, runtime};

/// What `toji policy` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
    /// Configuration in the format of Koji's hub.conf, found as for `toji hub`.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Database, `postgres://…` or `sqlite:PATH`, instead of the one in the configuration.
    #[arg(long, global = true, value_name = "URL")]
    database: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Read the policies and say what is wrong with them; needs no database.
    Check,
    /// Say what a policy answers to given data, and why; changes nothing.
    Explain(Explain),
    /// Run changed policies over the last decisions in the database and print what would differ.
    Simulate(Simulate),
}

#[derive(clap::Args)]
struct Explain {
    /// Name of the policy: tag, channel, volume …
    policy: String,
    /// What the policy is told; a VALUE is JSON, or else text.
    #[arg(value_name = "NAME=VALUE")]
    data: Vec<String>,
    /// A build, by name or number.
    #[arg(long)]
    build: Option<String>,
    /// A tag, by name or number.
    #[arg(long)]
    tag: Option<String>,
    /// A task in the database, whose data are taken.
    #[arg(long)]
    task: Option<i64>,
    /// The user who asks, by name or number.
    #[arg(long)]
    user: Option<String>,
}

#[derive(clap::Args)]
struct Simulate {
    /// A hub.conf with the changed [policy] section.
    #[arg(long, value_name = "FILE")]
    changed: PathBuf,
    /// How many decisions of each policy.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    last: i64,
    /// Only these policies; all that differ from the present ones without it.
    policies: Vec<String>,
}

/// Runs a command and prints its result.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let conf = files(options.config.clone()).read()?;
        let database = options.database.as_deref();
        match options.command {
            Command::Check => check(&conf.hub).await,
            Command::Explain(explain) => {
                let url = conf.database(database)?;
                let mut call = open(conf.hub, &url).await?;
                let told = explain.answer(&mut call).await;
                println!("{}", told.map_err(failure)?);
                end(call).await
            }
            Command::Simulate(simulate) => {
                let url = conf.database(database)?;
                let changed = files(Some(simulate.changed.clone())).read()?.hub;
                let present = conf.hub.policies.clone();
                let mut call = open(conf.hub, &url).await?;
                simulate.print(&mut call, &present, &changed).await?;
                end(call).await
            }
        }
    })
}

fn failure(fault: Fault) -> anyhow::Error {
    anyhow::anyhow!("{}", fault.message)
}

async fn check(config: &Config) -> anyhow::Result<()> {
    let plugins = Plugins::load(config).await.map_err(failure)?;
    let policies = policy::load(config, &plugins).map_err(failure)?;
    for name in policies.names() {
        let own = config.policies.iter().any(|(other, _)| other == name);
        let actions = policies.get(name).map(toji_policy::RuleSet::all_actions);
        let actions = actions.unwrap_or_default().join(" ");
        println!("{name}: {} {actions}", if own { "configured:" } else { "default:" });
    }
    Ok(())
}

/// A hub on the database as it is, and a call of its own; it is never committed.
async fn open(config: Config, url: &str) -> anyhow::Result<Call> {
    let db =
        Db::open(url, &toji_db::Options::default()).await.context("failed to open the database")?;
    let hub = Hub::start(db, Bus::new(), config).await.map_err(failure)?;
    hub.policies.as_ref().map_err(|fault| failure(fault.clone()))?;
    Ok(hub.reading())
}

async fn end(call: Call) -> anyhow::Result<()> {
    call.tx.rollback().await.context("failed to end the transaction")
}

/// Numbers are numbers, everything else is a name.
fn named(text: &str) -> Value {
    text.parse().map_or_else(|_| Value::from(text), Value::Int)
}

impl Explain {
    async fn data(&self, call: &mut Call) -> Result<Map, Fault> {
        let mut data = match self.task {
            Some(id) => past::of_task(call, id).await?,
            None => Map::new(),
        };
        for (name, value) in [("build", &self.build), ("tag", &self.tag), ("user_id", &self.user)] {
            if let Some(text) = value {
                data.insert(name, named(text));
            }
        }
        for pair in &self.data {
            let (name, text) = pair
                .split_once('=')
                .ok_or_else(|| Fault::generic(format!("not NAME=VALUE: {pair}")))?;
            let json = serde_json::from_str(text).map(Value::from_json);
            data.insert(name.to_owned(), json.unwrap_or_else(|_| Value::from(text)));
        }
        Ok(data)
    }

    async fn answer(&self, call: &mut Call) -> Result<String, Fault> {
        let data = self.data(call).await?;
        let shown = Value::from(data.clone()).repr();
        let outcome = call.evaluate(&self.policy, &policy::data(&data.into())?).await?;
        Ok(format!("data: {shown}\n{}", explained(outcome.as_ref(), call)))
    }
}

fn explained(outcome: Option<&Outcome>, call: &Call) -> String {
    let missing_ok = call.hub.config.missing_policy_ok;
    let verdict = match outcome {
        Some(outcome) => Verdict::from_outcome(outcome, "deny"),
        None => PolicySet::missing(missing_ok),
    };
    let steps = outcome.map(Outcome::explain).unwrap_or_default();
    let answer = match outcome.map(Outcome::action) {
        Some(Some(action)) if verdict.invalid => action.to_owned(),
        _ if verdict.allowed => "allowed".to_owned(),
        _ => "denied".to_owned(),
    };
    let reason = match verdict.reason.as_str() {
        "" => String::new(),
        _ if verdict.invalid => String::new(),
        reason => format!(" ({reason})"),
    };
    format!("{steps}\nanswer: {answer}{reason}").trim_start().to_owned()
}

impl Simulate {
    async fn print(
        &self,
        call: &mut Call,
        present: &[(String, String)],
        changed: &Config,
    ) -> anyhow::Result<()> {
        let hub = call.hub.clone();
        let config = Config { policies: changed.policies.clone(), ..hub.config.clone() };
        let other = policy::load(&config, &hub.plugins).map_err(failure)?;
        let text = |all: &[(String, String)], name: &str| {
            all.iter().find(|(other, _)| other == name).map(|(_, text)| text.clone())
        };
        let wanted: Vec<&str> = match self.policies.as_slice() {
            [] => past::POLICIES
                .iter()
                .copied()
                .filter(|name| text(present, name) != text(&changed.policies, name))
                .collect(),
            names => names.iter().map(String::as_str).collect(),
        };
        if wanted.is_empty() {
            println!("no policy differs");
        }
        for name in wanted {
            let done = past::simulate(call, &other, name, self.last).await.map_err(failure)?;
            let (count, differences) = done;
            println!("{name}: {count} decisions, {} would differ", differences.len());
            for found in differences {
                println!("  {}", found.what);
                for (word, answer) in [("now", &found.before), ("then", &found.after)] {
                    println!("    {word}: {}{}", answer.action(), rule(answer));
                }
            }
        }
        Ok(())
    }
}

fn rule(answer: &past::Answer) -> String {
    match answer {
        past::Answer::Outcome(outcome) if outcome.action().is_some() => {
            let line = outcome.matches.last().and_then(|m| m.trace.last()).map_or(0, |t| t.line);
            format!("  [line {line}: {}]", outcome.last_rule())
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(named("17"), Value::Int(17));
        assert_eq!(named("f40"), Value::from("f40"));
        assert_eq!(toji_value::map! { "a" => named("-1") }.int("a"), Some(-1));
    }
}
