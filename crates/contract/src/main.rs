//! Serves recorded data of a Koji hub, so that answers can be compared; see `./x contract`.

mod api;
#[path = "../../client/tests/recorded/story.rs"]
mod client_story;
mod database;
mod dataset;
mod fileroot;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use toji_client::{Client, Options};

#[derive(Parser)]
#[command(name = "toji-contract", arg_required_else_help = true)]
/// Answers of a real Koji hub, and Toji's beside them.
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Load a recorded data set into a fresh database and file root and serve it until interrupted.
    Serve(serve::Options),
    /// Read from a hub with the recorded data what the client library's tests read from a Koji hub's answers.
    Client {
        /// The hub's URL.
        url: String,
    },
    /// Compare the declared calls with the kept list and protocol; with --write, write them.
    Api {
        /// The kept list: an object of names and their parameters.
        file: PathBuf,
        /// The kept protocol: hub.proto.
        proto: PathBuf,
        /// Write the files instead of comparing.
        #[arg(long)]
        write: bool,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("TOJI_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let result = match cli.command {
        Command::Serve(options) => serve::run(options),
        Command::Client { url } => client(&url),
        Command::Api { file, proto, write: true } => api::write(&file, &proto),
        Command::Api { file, proto, write: false } => api::check(&file, &proto),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the client library's story.
fn client(url: &str) -> anyhow::Result<()> {
    let weburl = Some(client_story::WEB.to_owned());
    let hub = Client::new(url, Options { weburl, ..Options::default() })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime
        .block_on(async {
            client_story::builds(&hub).await?;
            client_story::tasks(&hub).await?;
            client_story::pages(&hub).await
        })
        .map_err(|error| anyhow::anyhow!(error))
}
