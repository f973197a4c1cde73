//! `toji gc`: garbage collection by hand or by a timer, configured by koji-gc.conf.

mod conf;
mod post;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use toji_bus::Bus;
use toji_db::Db;
use toji_hub::Hub;
use toji_hub::gc::{Action, Run};

pub(crate) use conf::{logs_alone, read};
pub(crate) use post::Post;

/// What `toji gc` can be told; times are like `5 days`.
#[derive(Args)]
pub(crate) struct Options {
    /// What to do: all but `salvage` if nothing is named. `salvage` is part of `delete`.
    #[arg(value_enum)]
    actions: Vec<Named>,
    /// Configuration in the format of Koji's koji-gc.conf.
    #[arg(short, long, value_name = "FILE", default_value = "/etc/koji-gc/koji-gc.conf")]
    config: PathBuf,
    /// The hub's configuration, which says where database and files are.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    hub_config: Option<PathBuf>,
    /// The data directory of `toji up`, instead of a hub's configuration.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Database, instead of the one of the configuration or the data directory.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Change nothing; tell what would be done with each build, and why.
    #[arg(short = 'n', long, visible_alias = "test")]
    dry_run: bool,
    /// Tell also what stays, and why.
    #[arg(short, long)]
    verbose: bool,
    /// Tell the owners nothing.
    #[arg(long)]
    no_mail: bool,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    sweep: Sweep,
}

/// Options of koji-gc that stand above the file's.
#[derive(Args)]
struct Limits {
    /// Prune only tags like this; may be given again.
    #[arg(long = "tag", visible_alias = "tag-filter", value_name = "PATTERN")]
    tags: Vec<String>,
    /// Prune no tags like this.
    #[arg(long, value_name = "PATTERN")]
    ignore_tags: Vec<String>,
    /// Look only at packages like this.
    #[arg(long = "pkg", visible_aliases = ["package", "pkg-filter"], value_name = "PATTERN")]
    packages: Vec<String>,
    /// Prune tags like this although they are locked.
    #[arg(long, value_name = "PATTERN")]
    bypass_locks: Vec<String>,
    /// Delete at once what leaves its last tag.
    #[arg(long)]
    purge: bool,
    /// How long a build must have been unused before it goes to the trash.
    #[arg(long, value_name = "TIME")]
    delay: Option<String>,
    /// How long a build stays in the trash.
    #[arg(long, value_name = "TIME")]
    grace_period: Option<String>,
    /// Patterns of keys whose signatures protect nothing.
    #[arg(long, value_name = "KEYS")]
    unprotected_keys: Option<String>,
    /// The tag that is the trash.
    #[arg(long, value_name = "TAG")]
    trashcan_tag: Option<String>,
    /// How old a log must be to be compressed.
    #[arg(long, value_name = "TIME")]
    compress_logs: Option<String>,
    /// The volume for builds that nothing has used for long.
    #[arg(long, value_name = "VOLUME")]
    archive_volume: Option<String>,
    /// How long no tag must have held such a build, and no buildroot had it.
    #[arg(long, value_name = "TIME")]
    archive_age: Option<String>,
}

/// Options of koji-sweep-db and koji-sidetag-cleanup; ages in days.
#[derive(Args)]
struct Sweep {
    /// Sessions that nobody has used for so long go.
    #[arg(long, value_name = "DAYS", default_value_t = 1.0)]
    sessions_age: f64,
    /// Sessions that began so long ago go.
    #[arg(long, value_name = "DAYS")]
    sessions_absolute_age: Option<f64>,
    /// Reservations of content generators go after so long.
    #[arg(long, value_name = "DAYS", default_value_t = 1.0)]
    reservations_age: f64,
    /// Lines of the scheduler's log go after so long.
    #[arg(long, value_name = "DAYS", default_value_t = 7.0)]
    logs_age: f64,
    /// Tasks that told of taggings go after so long; never without this.
    #[arg(long, value_name = "DAYS", num_args = 0..=1, default_missing_value = "730")]
    tag_notifications: Option<f64>,
    /// Tasks of scratch builds go after so long; never without this.
    #[arg(long, value_name = "DAYS", num_args = 0..=1, default_missing_value = "730")]
    scratch_builds: Option<f64>,
    /// Buildroots that nothing names go.
    #[arg(long)]
    buildroots: bool,
    /// Side tags without builds go after so long.
    #[arg(long, value_name = "DAYS", default_value_t = 1.0)]
    empty_delay: f64,
    /// Side tags go after so long.
    #[arg(long, value_name = "DAYS", default_value_t = 30.0)]
    old_delay: f64,
    /// Side tags without a new build go after so long.
    #[arg(long, value_name = "DAYS", default_value_t = 10.0)]
    inactive_delay: f64,
}

/// The actions by the names that koji-gc has for them.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Named {
    /// Take builds out of tags by policy.
    Prune,
    /// Move builds that nothing uses to the trash.
    Trash,
    /// Delete what was in the trash for long enough.
    Delete,
    /// Take builds that are used again out of the trash.
    Salvage,
    /// Delete old sessions, reservations, logs and the like.
    SweepDb,
    /// Remove side tags that nobody uses.
    SidetagCleanup,
    /// Remove signed copies of builds that are latest in no tag; without a name only if the file says how.
    SignedCopies,
    /// Compress old logs of builds and ended tasks; without a name only with --compress-logs, here or in the file.
    CompressLogs,
    /// Make compressed logs what they were, for programs that read them without the hub.
    ExpandLogs,
    /// Move builds that nothing has held or used for long to the volume of --archive-volume; without a name only if that is given, here or in the file.
    ArchiveBuilds,
    /// Remove what uploads have left in object stores: what nothing leads to for two days.
    Uploads,
}

impl From<Named> for Action {
    fn from(named: Named) -> Action {
        match named {
            Named::Prune => Action::Prune,
            Named::Trash => Action::Trash,
            Named::Delete => Action::Delete,
            Named::Salvage => Action::Salvage,
            Named::SweepDb => Action::Sweep,
            Named::SidetagCleanup => Action::SideTags,
            Named::SignedCopies => Action::SignedCopies,
            Named::CompressLogs => Action::CompressLogs,
            Named::ExpandLogs => Action::ExpandLogs,
            Named::ArchiveBuilds => Action::ArchiveBuilds,
            Named::Uploads => Action::Uploads,
        }
    }
}

const DAY: f64 = 86_400.0;

impl Options {
    /// The options of the file, with those of the command line above them.
    fn rules(&self) -> anyhow::Result<(toji_hub::gc::Options, Post)> {
        let (mut rules, mut post) = read(&self.config)?;
        let limits = &self.limits;
        for (list, given) in [
            (&mut rules.tag_filter, &limits.tags),
            (&mut rules.ignore_tags, &limits.ignore_tags),
            (&mut rules.pkg_filter, &limits.packages),
            (&mut rules.bypass_locks, &limits.bypass_locks),
        ] {
            if !given.is_empty() {
                list.clone_from(given);
            }
        }
        for (name, given) in [
            ("delay", &limits.delay),
            ("grace_period", &limits.grace_period),
            ("unprotected_keys", &limits.unprotected_keys),
            ("trashcan_tag", &limits.trashcan_tag),
            ("compress_logs", &limits.compress_logs),
            ("archive_volume", &limits.archive_volume),
            ("archive_age", &limits.archive_age),
        ] {
            if let Some(value) = given {
                rules.set(name, value)?;
            }
        }
        rules.purge |= limits.purge;
        rules.mail &= !self.no_mail;
        let sweep = &self.sweep;
        rules.sweep = toji_hub::gc::options::Sweep {
            sessions: sweep.sessions_age * DAY,
            sessions_absolute: sweep.sessions_absolute_age.map(|days| days * DAY),
            reservations: sweep.reservations_age * DAY,
            logs: sweep.logs_age * DAY,
            tag_notifications: sweep.tag_notifications.map(|days| days * DAY),
            scratch: sweep.scratch_builds.map(|days| days * DAY),
            buildroots: sweep.buildroots,
        };
        rules.side_tags.empty = Some(sweep.empty_delay * DAY);
        rules.side_tags.old = Some(sweep.old_delay * DAY);
        rules.side_tags.inactive = Some(sweep.inactive_delay * DAY);
        rules.side_tags.ignore.clone_from(&rules.ignore_tags);
        post.verbose = self.verbose;
        Ok((rules, post))
    }

    async fn hub(&self) -> anyhow::Result<Hub> {
        let Some(data) = &self.data else {
            return crate::hub::open_by(self.hub_config.clone(), self.database.as_deref()).await;
        };
        let data = std::path::absolute(data).context("failed to find the data directory")?;
        let own = || format!("sqlite:{}", data.join("toji.db").display());
        let url = self.database.clone().unwrap_or_else(own);
        let options = toji_db::Options::default();
        let db = Db::open(&url, &options).await.context("failed to open the database")?;
        Ok(Hub::new(db, Bus::new(), crate::conf::of_data(&data)?))
    }
}

/// Collects garbage once.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let (rules, post) = options.rules()?;
    let mut actions: Vec<Action> = options.actions.iter().copied().map(Action::from).collect();
    if actions.is_empty() {
        actions = rules.actions();
    }
    crate::hub::runtime()?.block_on(async {
        let hub = options.hub().await?;
        post.watch_signals();
        let run = Run { hub: &hub, options: &rules, dry: options.dry_run, watch: &post };
        for action in actions {
            let taken = run.take(action).await;
            taken.map_err(|fault| anyhow::anyhow!("{action:?}: {}", fault.message))?;
        }
        Ok(())
    })
}
