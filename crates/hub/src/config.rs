//! Options of the hub, with the names, meanings and defaults of Koji's `hub.conf`.

pub mod messages;
pub mod plugins;
pub mod relays;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What a plugin's own file says: options by name in small letters, by section.
pub type PluginOptions = BTreeMap<String, BTreeMap<String, String>>;

/// The options that the hub's rules read.
#[derive(Clone, Debug)]
pub struct Config {
    /// `KojiDir`: the root of the file store.
    pub topdir: PathBuf,
    /// `KojiWebURL`: where the web pages are, for links in messages.
    pub web_url: String,
    /// `EmailDomain`: the domain of users' addresses.
    pub email_domain: String,
    /// `NotifyOnSuccess`: also send messages for builds that succeed.
    pub notify_on_success: bool,
    /// `DisableNotifications`: send no messages at all.
    pub disable_notifications: bool,
    /// `LoginCreatesUser`: a verified identity without an account gets one.
    pub login_creates_user: bool,
    /// `CheckClientIP`: a session may be used from the address that opened it only.
    pub check_client_ip: bool,
    /// `MaxRequestLength`: the size of a request in bytes.
    pub max_request_length: usize,
    /// `LockOut`: only administrators may call.
    pub lock_out: bool,
    /// `ServerOffline`, with `OfflineMessage`: every call gets this text as its fault.
    pub offline: Option<String>,
    /// `SessionRenewalTimeout`, in minutes; 0 turns renewal off.
    pub session_renewal_timeout: i64,
    /// `MissingPolicyOk`: a policy that is not defined allows.
    pub missing_policy_ok: bool,
    /// `MaxNameLengthInternal` for tags, targets, hosts, channels and the like; 0 is no limit.
    pub max_name_length: usize,
    /// `RegexNameInternal`: what such names consist of.
    pub name_pattern: String,
    /// `RegexUserName`: what user names consist of.
    pub user_pattern: String,
    /// `HostPrincipalFormat`: principal of a new host, with `%s` for its name.
    pub host_principal_format: Option<String>,
    /// Who may log in with a verified identity, and as whom.
    pub logins: LoginOptions,
    /// `VerbosePolicy` (and `KojiDebug`): a refusal names the rule that caused it.
    pub verbose_policy: bool,
    /// `RPMDefaultChecksums`: the checksums that are computed unless others are asked for.
    pub rpm_default_checksums: Vec<String>,
    /// `Plugins`: names of the plugins that are on.
    pub plugins: Vec<String>,
    /// `PluginPath`: the folders with plugins that are not built in.
    pub plugin_path: Vec<PathBuf>,
    /// The files in `plugins/` beside `hub.conf`, by name without `.conf`.
    pub plugin_options: BTreeMap<String, PluginOptions>,
    /// `EnableMaven`.
    pub enable_maven: bool,
    /// `EnableWin`.
    pub enable_win: bool,
    /// `[policy]`: the text of each configured policy, by name.
    pub policies: Vec<(String, String)>,
    /// Options of side tags.
    pub sidetag: plugins::SidetagOptions,
    /// `save_failed_tree.conf`: methods of tasks whose buildroots may be kept, `*` for all; nothing
    /// where there is no such file.
    pub save_failed_tree: Option<Vec<String>>,
    /// `protonmsg.conf`, if the plugin is on and the file names a broker.
    pub messages: Option<messages::MessageOptions>,
    /// `BuilderCredentialLifetime` (Toji's own), in seconds: how long a builder's credential is good.
    pub builder_credential_lifetime: f64,
    /// `MaxTaskUpload` (Toji's own), in bytes: what a task may upload with a token.
    pub max_task_upload: i64,
    /// `ProvenanceKey` (Toji's own): the file with the key that signs provenance; nothing for none.
    pub provenance_key: Option<PathBuf>,
    /// `ObjectVolumes` (Toji's own): the volumes that are in object stores.
    pub object_volumes: Vec<toji_store::s3::S3>,
    /// `VerifySignatures` (Toji's own): signatures that are added must verify with a known key.
    pub verify_signatures: bool,
    /// `Relays` (Toji's own): brokers that get messages.
    pub relays: Vec<relays::Relay>,
    /// `EventsKept` (Toji's own), in the file in hours: how many seconds events are kept for readers that come back.
    pub events_kept: f64,
    /// `PresenceTrust` (Toji's own): how long a hub on PostgreSQL works on files without the database's word that others see
    /// it live.
    pub presence_trust: Duration,
    /// How the store is scrubbed in the background.
    pub scrub: ScrubOptions,
    /// Scheduler and repository options.
    pub scheduler: SchedulerOptions,
    /// Repository options.
    pub repo: RepoOptions,
}

/// The options of the scrub, Toji's own.
#[derive(Clone, Debug)]
pub struct ScrubOptions {
    /// `ScrubInterval`, in the file in days: seconds from one scrub's beginning to the next; nothing for none.
    pub interval: Option<f64>,
    /// `ScrubRate`: bytes per second at most; nothing for no limit.
    pub rate: Option<u64>,
    /// `FileChecksums`: types of sums that scans keep of each file beside SHA-256.
    pub checksums: Vec<String>,
}

impl Default for ScrubOptions {
    fn default() -> Self {
        ScrubOptions { interval: None, rate: Some(20_000_000), checksums: Vec::new() }
    }
}

/// The options of logins by Kerberos and by client certificates.
#[derive(Clone, Debug)]
pub struct LoginOptions {
    /// `AllowedKrbRealms`: realms of principals; nothing means any.
    pub allowed_realms: Option<Vec<String>>,
    /// `ProxyPrincipals`: principals that may log in other users.
    pub proxy_principals: Vec<String>,
    /// `ProxyDNs`: subjects of certificates that may log in other users.
    pub proxy_dns: Vec<String>,
    /// `AllowProxyAuthType`: such logins may name another way of authentication than their own.
    pub allow_proxy_auth_type: bool,
    /// `DNUsernameComponent`: the part of a certificate's subject that is the user's name.
    pub dn_username_component: String,
}

/// The `[scheduler]` options; all times in seconds.
#[derive(Clone, Debug)]
pub struct SchedulerOptions {
    /// `MaxJobs`: open tasks on a host that states no number.
    pub max_jobs: i64,
    /// `CapacityOvercommit`: load above a host's capacity that still takes a task.
    pub capacity_overcommit: f64,
    /// `ReadyTimeout`: a host that has not reported for this long gets no tasks.
    pub ready_timeout: f64,
    /// `AssignTimeout`: an assigned task that is not opened for this long is freed.
    pub assign_timeout: f64,
    /// `SoftRefusalTimeout`: a soft refusal holds for this long.
    pub soft_refusal_timeout: f64,
    /// `HostTimeout`: tasks of a host that has not reported for this long are freed.
    pub host_timeout: f64,
    /// `FairShares` (Toji's own): channels and users share the hosts evenly within a priority.
    pub fair_shares: bool,
    /// `CriticalPath` (Toji's own): within a build, what is expected to take longest goes first.
    pub critical_path: bool,
    /// `LostTimeout` (Toji's own): tasks of a host whose live connection has broken off for this long are freed.
    pub lost_timeout: f64,
    /// `Heartbeat` (Toji's own): period of the heartbeats on live connections.
    pub heartbeat: f64,
    /// `LeaseTime` (Toji's own): how long the hub that schedules may be silent before another one does.
    pub lease_time: f64,
    /// `MaxTaskResult` (Toji's own): bytes of the text that a builder may report as the end of a task.
    pub max_result: i64,
    /// `Max…Pressure` and the like (Toji's own): bounds beyond which a host gets no further task.
    pub limits: crate::live::Limits,
    /// `RunInterval`: the slow fallback between runs when no signal comes.
    pub run_interval: f64,
    /// `TaskReturns` (Toji's own): how often builders may give a task back because something of theirs failed.
    pub task_returns: i64,
    /// `ReturnPause` (Toji's own): the pause after the first time; it doubles each time.
    pub return_pause: f64,
}

/// The `[repo]` options.
#[derive(Clone, Debug)]
pub struct RepoOptions {
    /// `MaxRepoTasks`: newRepo tasks at a time.
    pub max_repo_tasks: i64,
    /// `MaxRepoTasksMaven`: those among them for tags with Maven.
    pub max_repo_tasks_maven: i64,
    /// `RepoRetries`: tries of a failed request.
    pub repo_retries: i64,
    /// `RequestCleanTime`, in minutes: finished requests are kept for this long.
    pub request_clean_time: i64,
    /// `RepoLag`, in seconds: age of changes that a request accepts without an event.
    pub repo_lag: i64,
    /// `RepoAutoLag`, in seconds: the same for automatic requests.
    pub repo_auto_lag: i64,
    /// `RepoLagWindow`, in seconds: rounding of the moments that lag gives.
    pub repo_lag_window: i64,
    /// `RepoQueueUser`: owner of the tasks that the queue makes.
    pub repo_queue_user: String,
    /// `DebuginfoTags`: patterns of tags whose repositories have debuginfo by default.
    pub debuginfo_tags: Vec<String>,
    /// `SourceTags`: the same for source packages.
    pub source_tags: Vec<String>,
    /// `SeparateSourceTags`: the same for source packages in a repository of their own.
    pub separate_source_tags: Vec<String>,
    /// `AllowNewRepo`: the call `newRepo` may be used.
    pub allow_new_repo: bool,
    /// Toji's own: tags that targets build in always get a current repository, without being asked.
    pub auto_build_tags: bool,
    /// `SignDistRepo` (Toji's own): the command that signs `repomd.xml` of dist repositories; nothing for none.
    pub sign_dist: Vec<String>,
    /// kojira's `init_timeout`, in seconds: a repository that is not made by then is a problem.
    pub init_timeout: f64,
    /// kojira's `repo_lifetime`, in seconds: age at which one that is out of date expires.
    pub repo_lifetime: f64,
    /// kojira's `dist_repo_lifetime`, in seconds: the same for repositories for distribution.
    pub dist_repo_lifetime: f64,
    /// kojira's `expired_repo_lifetime`, in seconds: how long after that it is deleted.
    pub expired_repo_lifetime: f64,
    /// kojira's `ignore_stray_repos`: directories of repositories that the database does not know stay.
    pub ignore_stray_repos: bool,
    /// kojira's `ignore_other_volumes`: only on the default volume files are removed.
    pub ignore_other_volumes: bool,
    /// kojira's `check_external_repos`: whether to look at external repositories for changes.
    pub check_external_repos: bool,
    /// kojira's `ignore_tags` before 1.35: patterns of tags that get no repository without a request.
    pub ignore_tags: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            topdir: "/mnt/koji".into(),
            web_url: "http://localhost.localdomain/koji".into(),
            email_domain: "example.com".into(),
            notify_on_success: true,
            disable_notifications: false,
            login_creates_user: true,
            check_client_ip: true,
            max_request_length: 4_194_304,
            lock_out: false,
            offline: None,
            session_renewal_timeout: 1440,
            missing_policy_ok: true,
            max_name_length: 256,
            name_pattern: r"^[A-Za-z0-9/_.+-]+$".into(),
            user_pattern: r"^[A-Za-z0-9/_.@-]+$".into(),
            host_principal_format: None,
            logins: LoginOptions::default(),
            verbose_policy: false,
            rpm_default_checksums: vec!["md5".into(), "sha256".into()],
            plugins: Vec::new(),
            plugin_path: vec!["/usr/lib/koji-hub-plugins".into()],
            plugin_options: BTreeMap::new(),
            enable_maven: false,
            enable_win: false,
            policies: Vec::new(),
            sidetag: plugins::SidetagOptions::default(),
            save_failed_tree: None,
            messages: None,
            builder_credential_lifetime: 30.0 * 86_400.0,
            max_task_upload: 1 << 40,
            provenance_key: None,
            object_volumes: Vec::new(),
            verify_signatures: false,
            relays: Vec::new(),
            events_kept: 7.0 * 86_400.0,
            presence_trust: toji_db::presence::TRUST,
            scrub: ScrubOptions::default(),
            scheduler: SchedulerOptions::default(),
            repo: RepoOptions::default(),
        }
    }
}

impl Default for LoginOptions {
    fn default() -> Self {
        LoginOptions {
            allowed_realms: None,
            proxy_principals: Vec::new(),
            proxy_dns: Vec::new(),
            allow_proxy_auth_type: false,
            dn_username_component: "CN".into(),
        }
    }
}

impl Default for SchedulerOptions {
    fn default() -> Self {
        SchedulerOptions {
            max_jobs: 15,
            capacity_overcommit: 5.0,
            ready_timeout: 180.0,
            assign_timeout: 300.0,
            soft_refusal_timeout: 900.0,
            host_timeout: 900.0,
            fair_shares: true,
            critical_path: true,
            lost_timeout: 20.0,
            heartbeat: 10.0,
            lease_time: 7.0,
            max_result: 1 << 20,
            limits: crate::live::Limits::default(),
            run_interval: 60.0,
            task_returns: 4,
            return_pause: 15.0,
        }
    }
}

impl SchedulerOptions {
    /// Period of the heartbeats that both sides of a live connection send.
    pub fn heartbeat(&self) -> Duration {
        Duration::from_secs_f64(self.heartbeat.clamp(0.1, 3600.0))
    }

    /// A builder that is silent for so long is taken for gone: it has left out two heartbeats.
    pub fn silence(&self) -> Duration {
        self.heartbeat().mul_f64(2.5)
    }

    /// How long after its connection has broken off a builder's tasks are surely others': a silent builder is noticed,
    /// waited for, and the scheduler has run.
    pub fn abandon(&self) -> Duration {
        let lost = Duration::from_secs_f64(self.lost_timeout.clamp(0.0, 86_400.0));
        self.silence() + lost + self.heartbeat().mul_f64(1.5)
    }
}

impl Default for RepoOptions {
    fn default() -> Self {
        RepoOptions {
            max_repo_tasks: 10,
            max_repo_tasks_maven: 2,
            repo_retries: 3,
            request_clean_time: 1440,
            repo_lag: 3600,
            repo_auto_lag: 7200,
            repo_lag_window: 600,
            repo_queue_user: "kojira".into(),
            debuginfo_tags: Vec::new(),
            source_tags: Vec::new(),
            separate_source_tags: Vec::new(),
            allow_new_repo: true,
            auto_build_tags: true,
            sign_dist: Vec::new(),
            init_timeout: 7200.0,
            repo_lifetime: 7.0 * 86_400.0,
            dist_repo_lifetime: 7.0 * 86_400.0,
            expired_repo_lifetime: 7.0 * 86_400.0,
            ignore_stray_repos: false,
            ignore_other_volumes: false,
            check_external_repos: true,
            ignore_tags: Vec::new(),
        }
    }
}
