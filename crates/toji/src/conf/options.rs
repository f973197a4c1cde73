//! The options of `hub.conf`, one line for each: what it sets, or why it cannot be honoured.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::{Conf, Ini};

/// What an option does.
enum Effect {
    Text(fn(&mut Conf, String)),
    Flag(fn(&mut Conf, bool)),
    Number(fn(&mut Conf, i64)),
    /// Text in which mistakes are possible.
    Parsed(fn(&mut Conf, &str) -> anyhow::Result<()>),
    /// A limit of the process, set at the start.
    Limit,
    /// Not honoured, which is told unless the value is one of these.
    Told(&'static [&'static str], &'static str),
}

use Effect::{Flag, Limit, Number, Parsed, Text, Told};

/// Koji's options, section `[hub]`.
const HUB: &[(&str, Effect)] = &[
    ("DBName", Text(|c, v| c.database.name = Some(v))),
    ("DBUser", Text(|c, v| c.database.user = Some(v))),
    ("DBHost", Text(|c, v| c.database.host = Some(v))),
    ("DBPort", Number(|c, v| c.database.port = Some(v))),
    ("DBPass", Text(|c, v| c.database.password = Some(v))),
    ("DBConnectionString", Text(|c, v| c.database.connection = Some(v))),
    ("KojiDir", Text(|c, v| c.hub.topdir = v.into())),
    ("KojiWebURL", Text(|c, v| c.hub.web_url = v)),
    ("EmailDomain", Text(|c, v| c.hub.email_domain = v)),
    ("NotifyOnSuccess", Flag(|c, v| c.hub.notify_on_success = v)),
    ("DisableNotifications", Flag(|c, v| c.hub.disable_notifications = v)),
    ("ProxyPrincipals", Text(|c, v| c.hub.logins.proxy_principals = list(&v, ','))),
    ("ProxyDNs", Text(|c, v| c.hub.logins.proxy_dns = list(&v, '|'))),
    ("AllowProxyAuthType", Flag(|c, v| c.hub.logins.allow_proxy_auth_type = v)),
    ("DNUsernameComponent", Text(|c, v| c.hub.logins.dn_username_component = v)),
    ("AllowedKrbRealms", Text(|c, v| c.hub.logins.allowed_realms = realms(&v))),
    ("HostPrincipalFormat", Text(|c, v| c.hub.host_principal_format = Some(v))),
    ("AuthPrincipal", Text(|c, v| c.front.principal = Some(v).filter(|v| !v.is_empty()))),
    ("AuthKeytab", Text(|c, v| c.front.keytab = path(v))),
    (
        "DisableURLSessions",
        Told(
            TRUE,
            "sessions in URLs end up in logs and are never accepted; clients older than 1.31 cannot log in",
        ),
    ),
    (
        "DisableGSSAPIProxyDNFallback",
        Told(TRUE, "ProxyDNs are for certificates only; list principals in ProxyPrincipals"),
    ),
    ("CheckClientIP", Flag(|c, v| c.hub.check_client_ip = v)),
    ("LoginCreatesUser", Flag(|c, v| c.hub.login_creates_user = v)),
    ("SessionRenewalTimeout", Number(|c, v| c.hub.session_renewal_timeout = v)),
    ("Plugins", Text(|c, v| c.hub.plugins = words(&v))),
    (
        "PluginPath",
        Text(|c, v| c.hub.plugin_path = list(&v, ':').into_iter().map(Into::into).collect()),
    ),
    (
        "KojiDebug",
        Flag(|c, v| {
            c.debug = v;
            c.hub.verbose_policy |= v;
        }),
    ),
    ("KojiTraceback", Told(&["", "none"], "callers get no tracebacks; they are in the log")),
    ("VerbosePolicy", Flag(|c, v| c.hub.verbose_policy |= v)),
    ("LogLevel", Parsed(log_level)),
    ("LogFormat", Told(&[], "the log has a format of its own")),
    ("MissingPolicyOk", Flag(|c, v| c.hub.missing_policy_ok = v)),
    ("EnableMaven", Flag(|c, v| c.hub.enable_maven = v)),
    ("EnableWin", Flag(|c, v| c.hub.enable_win = v)),
    ("RLIMIT_AS", Limit),
    ("RLIMIT_CORE", Limit),
    ("RLIMIT_CPU", Limit),
    ("RLIMIT_DATA", Limit),
    ("RLIMIT_FSIZE", Limit),
    ("RLIMIT_MEMLOCK", Limit),
    ("RLIMIT_NOFILE", Limit),
    ("RLIMIT_NPROC", Limit),
    ("RLIMIT_OFILE", Limit),
    ("RLIMIT_RSS", Limit),
    ("RLIMIT_STACK", Limit),
    (
        "MemoryWarnThreshold",
        Told(&["", "0", "5000"], "requests share one process; watch its memory from outside"),
    ),
    (
        "MaxRequestLength",
        Parsed(|c, v| {
            c.hub.max_request_length = v.parse().context("must be a number of bytes")?;
            if c.hub.max_request_length == 0 {
                c.hub.max_request_length = usize::MAX;
            }
            Ok(())
        }),
    ),
    ("LockOut", Flag(|c, v| c.hub.lock_out = v)),
    ("ServerOffline", Flag(|c, v| c.offline = v)),
    ("OfflineMessage", Text(|c, v| c.offline_message = Some(v))),
    (
        "MaxNameLengthInternal",
        Parsed(|c, v| {
            c.hub.max_name_length = v.parse().context("must be a length")?;
            Ok(())
        }),
    ),
    ("RegexNameInternal", Text(|c, v| c.hub.name_pattern = v)),
    ("RegexUserName", Text(|c, v| c.hub.user_pattern = v)),
    ("RPMDefaultChecksums", Text(|c, v| c.hub.rpm_default_checksums = words(&v))),
    ("MaxJobs", Number(|c, v| c.hub.scheduler.max_jobs = v)),
    ("CapacityOvercommit", Number(|c, v| c.hub.scheduler.capacity_overcommit = v as f64)),
    ("ReadyTimeout", Number(|c, v| c.hub.scheduler.ready_timeout = v as f64)),
    ("AssignTimeout", Number(|c, v| c.hub.scheduler.assign_timeout = v as f64)),
    ("SoftRefusalTimeout", Number(|c, v| c.hub.scheduler.soft_refusal_timeout = v as f64)),
    ("HostTimeout", Number(|c, v| c.hub.scheduler.host_timeout = v as f64)),
    ("RunInterval", Number(|c, v| c.hub.scheduler.run_interval = v as f64)),
    ("TaskReturns", Number(|c, v| c.hub.scheduler.task_returns = v)),
    ("ReturnPause", Number(|c, v| c.hub.scheduler.return_pause = v as f64)),
    ("BuilderCredentialLifetime", Number(|c, v| c.hub.builder_credential_lifetime = v as f64)),
    ("MaxTaskUpload", Number(|c, v| c.hub.max_task_upload = v)),
    ("MaxRepoTasks", Number(|c, v| c.hub.repo.max_repo_tasks = v)),
    ("MaxRepoTasksMaven", Number(|c, v| c.hub.repo.max_repo_tasks_maven = v)),
    ("RepoRetries", Number(|c, v| c.hub.repo.repo_retries = v)),
    ("RequestCleanTime", Number(|c, v| c.hub.repo.request_clean_time = v)),
    ("AllowNewRepo", Flag(|c, v| c.hub.repo.allow_new_repo = v)),
    ("RepoLag", Number(|c, v| c.hub.repo.repo_lag = v)),
    ("RepoAutoLag", Number(|c, v| c.hub.repo.repo_auto_lag = v)),
    ("RepoLagWindow", Number(|c, v| c.hub.repo.repo_lag_window = v)),
    ("RepoQueueUser", Text(|c, v| c.hub.repo.repo_queue_user = v)),
    ("DebuginfoTags", Text(|c, v| c.hub.repo.debuginfo_tags = words(&v))),
    ("SourceTags", Text(|c, v| c.hub.repo.source_tags = words(&v))),
    ("SeparateSourceTags", Text(|c, v| c.hub.repo.separate_source_tags = words(&v))),
];

const TRUE: &[&str] = &["1", "yes", "true", "on"];
/// Options that need no word.
const ANY: &[&str] = &["*"];

/// Takes the sections `[hub]` and `[policy]`.
pub(super) fn take(conf: &mut Conf, ini: &Ini) -> anyhow::Result<()> {
    for (name, value) in ini.section("hub") {
        let found = HUB.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
        let Some((known, effect)) = found else {
            conf.warnings.push(format!("{name} is not an option of the hub"));
            continue;
        };
        apply(conf, known, effect, value).with_context(|| format!("option {known}"))?;
    }
    conf.hub.policies = ini.section("policy").into_iter().collect();
    Ok(())
}

fn apply(conf: &mut Conf, name: &str, effect: &Effect, value: String) -> anyhow::Result<()> {
    match effect {
        Text(set) => set(conf, value),
        Flag(set) => set(conf, truth(&value)?),
        Number(set) => set(conf, value.parse().context("must be a whole number")?),
        Parsed(set) => set(conf, &value)?,
        Limit if value.is_empty() => {}
        Limit => conf.limits.push((name.to_owned(), value)),
        Told(quiet, reason) => {
            let small = value.to_lowercase();
            if *quiet != ANY && !quiet.contains(&small.as_str()) {
                conf.warnings.push(format!("{name} is not honoured: {reason}"));
            }
        }
    }
    Ok(())
}

/// Truth as Python's `configparser` reads it.
pub(super) fn truth(value: &str) -> anyhow::Result<bool> {
    match value.to_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Ok(true),
        "0" | "no" | "false" | "off" => Ok(false),
        _ => bail!("must be yes or no"),
    }
}

/// The parts of a list, without the empty ones.
pub(super) fn list(value: &str, separator: char) -> Vec<String> {
    let parts = value.split(separator).map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

pub(super) fn words(value: &str) -> Vec<String> {
    value.split_whitespace().map(str::to_owned).collect()
}

fn realms(value: &str) -> Option<Vec<String>> {
    (value.trim() != "*").then(|| list(value, ','))
}

/// `LogLevel` is one level, or `logger:level` pairs of which only Koji knows the loggers.
fn log_level(conf: &mut Conf, value: &str) -> anyhow::Result<()> {
    for part in value.split_whitespace() {
        let (logger, level) = part.split_once(':').unwrap_or(("", part));
        let level = match level {
            "DEBUG" => "debug",
            "INFO" => "info",
            "WARNING" => "warn",
            "ERROR" | "CRITICAL" => "error",
            _ => bail!("{level} is not a level"),
        };
        if matches!(logger, "" | "koji") {
            conf.log = Some(level);
        } else {
            let text = format!("LogLevel of {logger} is not honoured: set TOJI_LOG instead");
            conf.warnings.push(text);
        }
    }
    Ok(())
}

/// Toji's own options, section `[toji]`, which a Koji hub passes over.
const OWN: &[(&str, Effect)] = &[
    (
        "ObjectVolumes",
        Parsed(|c, v| {
            #[expect(
                clippy::disallowed_methods,
                reason = "credentials, as other clients take them"
            )]
            let environment = |name: &str| std::env::var(name).ok();
            c.hub.object_volumes = super::volumes::read(Path::new(v.trim()), environment)?;
            Ok(())
        }),
    ),
    (
        "Listen",
        Parsed(|c, v| {
            c.front.listen = Some(v.parse().context("must be ADDRESS:PORT")?);
            Ok(())
        }),
    ),
    (
        "ListenTLS",
        Parsed(|c, v| {
            c.front.listen_tls = Some(v.parse().context("must be ADDRESS:PORT")?);
            Ok(())
        }),
    ),
    ("TLSCertificate", Text(|c, v| c.front.certificate = path(v))),
    ("TLSKey", Text(|c, v| c.front.key = path(v))),
    ("TLSClientCA", Text(|c, v| c.front.client_ca = path(v))),
    ("TLSClientCRL", Text(|c, v| c.front.client_crl = path(v))),
    (
        "TLSClientCertificates",
        Parsed(|c, v| {
            c.front.require_certificate = match v.to_lowercase().as_str() {
                "optional" => false,
                "required" => true,
                _ => bail!("must be optional or required"),
            };
            Ok(())
        }),
    ),
    (
        "TrustedProxies",
        Parsed(|c, v| {
            let parts = v.split([',', ' ', '\n']).filter(|part| !part.is_empty());
            c.front.proxies = parts.map(str::parse).collect::<Result<_, _>>()?;
            Ok(())
        }),
    ),
    (
        "TrustedIdentity",
        Parsed(|c, v| {
            for word in list(&v.to_lowercase(), ',') {
                match word.as_str() {
                    "kerberos" => c.front.trust_kerberos = true,
                    "certificate" => c.front.trust_certificate = true,
                    _ => bail!("must be kerberos, certificate or both"),
                }
            }
            Ok(())
        }),
    ),
    (
        "DatabaseConnections",
        Parsed(|c, v| {
            c.connections = Some(v.parse().context("must be a number")?);
            Ok(())
        }),
    ),
    ("FairShares", Flag(|c, v| c.hub.scheduler.fair_shares = v)),
    ("CriticalPath", Flag(|c, v| c.hub.scheduler.critical_path = v)),
    ("LostTimeout", Number(|c, v| c.hub.scheduler.lost_timeout = v as f64)),
    ("Heartbeat", Number(|c, v| c.hub.scheduler.heartbeat = v as f64)),
    ("LeaseTime", Number(|c, v| c.hub.scheduler.lease_time = v as f64)),
    ("MaxTaskResult", Number(|c, v| c.hub.scheduler.max_result = v)),
    ("MaxCPUPressure", Number(|c, v| c.hub.scheduler.limits.cpu_pressure = v as f64)),
    ("MaxMemoryPressure", Number(|c, v| c.hub.scheduler.limits.memory_pressure = v as f64)),
    ("MaxIOPressure", Number(|c, v| c.hub.scheduler.limits.io_pressure = v as f64)),
    ("MaxLoadAverage", Number(|c, v| c.hub.scheduler.limits.load_average = v as f64)),
    ("MinFreeMemory", Number(|c, v| c.hub.scheduler.limits.memory_free_mib = v)),
    ("MinFreeDisk", Number(|c, v| c.hub.scheduler.limits.disk_free_mib = v)),
    ("FileChecksums", Text(|c, v| c.hub.scrub.checksums = words(&v))),
    (
        "ScrubInterval",
        Number(|c, v| c.hub.scrub.interval = Some(v as f64 * 86_400.0).filter(|s| *s > 0.0)),
    ),
    (
        "PresenceTrust",
        Number(|c, v| c.hub.presence_trust = Duration::from_secs(v.clamp(1, 60).unsigned_abs())),
    ),
    ("ScrubRate", Number(|c, v| c.hub.scrub.rate = u64::try_from(v).ok().filter(|v| *v > 0))),
    (
        "Relays",
        Parsed(|c, v| {
            c.hub.relays = super::relays::read(Path::new(v.trim()))?;
            Ok(())
        }),
    ),
    ("EventsKept", Number(|c, v| c.hub.events_kept = v.max(1) as f64 * 3600.0)),
    ("VerifySignatures", Flag(|c, v| c.hub.verify_signatures = v)),
    ("ProvenanceKey", Text(|c, v| c.hub.provenance_key = path(v))),
    ("AutoBuildTags", Flag(|c, v| c.hub.repo.auto_build_tags = v)),
    ("IgnoreTags", Text(|c, v| c.hub.repo.ignore_tags = words(&v))),
    ("RepoInitTimeout", Number(|c, v| c.hub.repo.init_timeout = v as f64)),
    ("RepoLifetime", Number(|c, v| c.hub.repo.repo_lifetime = v as f64)),
    ("DistRepoLifetime", Number(|c, v| c.hub.repo.dist_repo_lifetime = v as f64)),
    ("ExpiredRepoLifetime", Number(|c, v| c.hub.repo.expired_repo_lifetime = v as f64)),
    ("IgnoreStrayRepos", Flag(|c, v| c.hub.repo.ignore_stray_repos = v)),
    ("IgnoreOtherVolumes", Flag(|c, v| c.hub.repo.ignore_other_volumes = v)),
    ("CheckExternalRepos", Flag(|c, v| c.hub.repo.check_external_repos = v)),
    ("KojiraConfig", Parsed(|c, v| super::kojira::read(c, std::path::Path::new(&v)))),
    (
        "SignDistRepo",
        Text(|c, v| c.hub.repo.sign_dist = v.split_whitespace().map(str::to_owned).collect()),
    ),
];

fn path(value: String) -> Option<PathBuf> {
    (!value.is_empty()).then(|| value.into())
}

/// Takes the section `[toji]`; here an unknown name is a mistake.
pub(super) fn take_own(conf: &mut Conf, ini: &Ini) -> anyhow::Result<()> {
    for (name, value) in ini.section("toji") {
        let found = OWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
        let Some((known, effect)) = found else { bail!("{name} is not an option of [toji]") };
        apply(conf, known, effect, value).with_context(|| format!("option {known}"))?;
    }
    Ok(())
}
