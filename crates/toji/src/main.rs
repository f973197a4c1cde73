//! The one binary of Toji.

mod admin;
mod backup;
mod builder;
mod carrier;
mod checksum;
mod conf;
mod explain;
mod fetch;
mod fsck;
mod gc;
mod hub;
mod keys;
mod log;
mod login;
mod manual;
mod migrate;
mod mock_config;
mod parts;
mod place;
mod policy;
mod provenance;
mod rebuild_compare;
mod repo;
mod reproduce;
mod restore;
mod shell;
mod signatures;
mod signer;
mod solve;
mod up;
mod verify;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use log::Log;

/// The system's allocator keeps what repositories of large tags took for a moment, once for each thread.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
    /// Serve a hub, configured by Koji's hub.conf.
    Hub(hub::Options),
    /// Build tasks of a hub, configured by Koji's kojid.conf.
    Builder(builder::Options),
    /// Enrol and revoke builders.
    Admin(admin::Options),
    /// Keep repositories for hubs that run with --no-repod.
    Repod(hub::RepodOptions),
    /// Bring a database up to date, take over a Koji hub's, or hand it back.
    Migrate(migrate::Options),
    /// Collect garbage: unused builds, old rows and side tags, configured by koji-gc.conf.
    Gc(Box<gc::Options>),
    /// Compare database and store in both directions, explain each difference, mend what is safe.
    Fsck(fsck::Options),
    /// Read every file of the store: compute sums that are missing, compare those that are known.
    Checksum(checksum::Options),
    /// Take points at which database and store agree, while others work; list, verify and prune them.
    Backup(backup::Options),
    /// Put a point of a backup into an empty database and an empty directory, and compare.
    Restore(restore::Options),
    /// Add, list, export and remove the public keys that signatures of packages are verified with.
    Keys(keys::Options),
    /// Tell who has signed packages, verify that, and ask signers for signatures.
    Signatures(signatures::Options),
    /// Sign packages for a hub, with a key that the hub does not have.
    Signer(Box<signer::Options>),
    /// Check policies, explain a decision, try changed policies on past decisions.
    Policy(policy::Options),
    /// Print the mock configuration of a tag's buildroot.
    MockConfig(Box<mock_config::Options>),
    /// Watch tasks, and all below them, until they are finished: fails if one of them did.
    #[command(visible_alias = "watch-tasks")]
    WatchTask(Box<watch::task::Options>),
    /// Show the logs of tasks while they are written.
    WatchLogs(watch::logs::Options),
    /// Wait for a repository of a tag, with certain builds if wanted.
    WaitRepo(Box<watch::repo::Options>),
    /// Tell why a task failed.
    Explain(explain::Options),
    /// Fetch the signed provenance of a build, or the keys that have signed.
    Provenance(provenance::Options),
    /// Fetch the bill of materials of a build and of its buildroots.
    Sbom(provenance::BillOptions),
    /// Check files by their provenance, without a hub, and print what was built from what.
    Verify(verify::Options),
    /// Build a finished build again from its lockfiles and compare: fails and names what differs if that is not the same.
    RebuildCompare(rebuild_compare::Options),
    /// Do a build of a hub again on this machine: its packages from the lockfile, its macros, its commands.
    Reproduce(reproduce::Options),
    /// Run commands in the kept buildroot of a failed task, on its builder.
    Shell(shell::Options),
    /// Ask the dependency solver: what would be installed, why, and what depends on what.
    Solve(solve::Options),
    /// Make, change, merge, check and compare repositories of plain directories, without a hub.
    Repo(repo::Options),
    /// Write the manual pages of all commands, and of the hub's configuration.
    Manual(manual::Options),
    /// Print the script by which a shell completes command lines.
    Completion(manual::CompletionOptions),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = Log::start();
    // Two providers can be in one program; the choice must be made before the first TLS connection.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let result = match cli.command {
        Command::Up(options) => up::run(options, &log),
        Command::Hub(options) => hub::run(options, &log),
        Command::Builder(options) => builder::run(options),
        Command::Admin(options) => admin::run(options),
        Command::Repod(options) => hub::run_repod(options, &log),
        Command::Migrate(options) => migrate::run(&options),
        Command::Gc(options) => gc::run(*options),
        Command::Fsck(options) => fsck::run(&options),
        Command::Checksum(options) => checksum::run(options),
        Command::Backup(options) => backup::run(options),
        Command::Restore(options) => restore::run(&options),
        Command::Keys(options) => keys::run(&options),
        Command::Signatures(options) => signatures::run(&options),
        Command::Signer(options) => signer::run(&options),
        Command::Policy(options) => policy::run(options),
        Command::MockConfig(options) => mock_config::run(&options),
        Command::WatchTask(options) => watch::task::run(&options),
        Command::WatchLogs(options) => watch::logs::run(&options),
        Command::WaitRepo(options) => watch::repo::run(&options),
        Command::Explain(options) => explain::run(options),
        Command::Provenance(options) => provenance::run(options),
        Command::Sbom(options) => provenance::run_bill(options),
        Command::Verify(options) => verify::run(&options),
        Command::RebuildCompare(options) => rebuild_compare::run(&options),
        Command::Reproduce(options) => reproduce::run(options),
        Command::Shell(options) => shell::run(&options),
        Command::Solve(options) => solve::run(options),
        Command::Repo(options) => repo::run(options),
        Command::Manual(options) => manual::run(&options, Cli::command()),
        Command::Completion(options) => manual::run_completion(&options, Cli::command()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<repo::Exit>() => {
            ExitCode::from(error.downcast_ref().map_or(1, |exit: &repo::Exit| exit.0))
        }
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
