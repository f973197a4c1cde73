//! The one binary of Toji.

mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A build system for RPM distributions.
#[derive(Parser)]
#[command(name = "toji", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything in one process: hub, builder, repositories and web pages.
    Up(up::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("TOJI_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    // Two providers can be in one program; the choice must be made before the first TLS connection.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let result = match cli.command {
        Command::Up(options) => up::run(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
