//! What pages say beyond the declaration of a command: exit codes, files, environment, and which pages are near.

use clap::Command;

use super::guide::HUB_CONF;

type Entries = Vec<(String, String)>;
type Fixed = &'static [(&'static str, &'static str)];

/// Commands whose exit code says more than that they failed, and what.
const EXITS: &[(&[&str], Fixed)] = &[
    (
        &["fsck", "checksum-scan", "backup-create", "backup-verify", "restore"],
        &[
            ("0", "Everything was looked at, and nothing is wrong."),
            ("1", "Something is missing, damaged or different; each finding was told."),
            ("2", "It could not be done, or was interrupted before its end; or wrong usage."),
        ],
    ),
    (
        &["repo-check", "repo-diff"],
        &[
            ("0", "Nothing was found."),
            ("1", "Something was found, and told; or it could not be read."),
            ("2", "Wrong usage."),
        ],
    ),
    (
        &["repo-create"],
        &[
            ("0", "The repository was made."),
            ("1", "It was not."),
            (
                "2",
                "It was made without packages that cannot be read, with --error-exit-val; or wrong usage.",
            ),
        ],
    ),
    (
        &["watch-task"],
        &[
            ("0", "All tasks that were named were finished without a fault."),
            ("1", "One of them failed or was canceled, or the watching was interrupted."),
            ("2", "Wrong usage."),
        ],
    ),
    (
        &["wait-repo"],
        &[
            ("0", "There is such a repository."),
            ("1", "There was none in time, there will be none, or the waiting was interrupted."),
            ("2", "Wrong usage."),
        ],
    ),
];

const USUAL_EXITS: Fixed = &[
    ("0", "It was done."),
    ("1", "It failed; the reason is on standard error."),
    ("2", "Wrong usage."),
];

/// Commands that people use together, or one instead of another.
const NEAR: &[&[&str]] = &[
    &["up", "hub", "repod", "builder", "admin"],
    &["watch-task", "watch-logs", "wait-repo", "explain", "shell"],
    &["migrate", "gc", "fsck", "checksum", "backup", "restore"],
    &["keys", "signatures", "signer"],
    &["provenance", "sbom", "verify", "rebuild-compare", "reproduce"],
    &["policy", "solve", "mock-config", "repo"],
    &["manual", "completion"],
];

fn owned(entries: &[(&str, &str)]) -> Entries {
    entries.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// The exit codes of a page's command.
pub(super) fn exits(page: &str) -> Entries {
    let name = page.strip_prefix("toji-").unwrap_or_default();
    let own = EXITS.iter().find(|(names, _)| names.contains(&name)).map(|(_, codes)| *codes);
    owned(own.unwrap_or(USUAL_EXITS))
}

fn has(command: &Command, id: &str) -> bool {
    command.get_arguments().any(|arg| arg.get_id() == id)
}

/// Whether the command reads a hub.conf where it is told nothing else: an option for it without a default.
fn reads_hub_conf(command: &Command) -> bool {
    command.get_arguments().any(|arg| {
        let config = arg.get_id() == "config" && arg.get_default_values().is_empty();
        config || arg.get_id() == "hub_config"
    })
}

/// Files that the command looks for by itself.
pub(super) fn files(command: &Command) -> Entries {
    let mut entries = Entries::new();
    let mut add = |all: &[(&str, &str)]| entries.extend(owned(all));
    if reads_hub_conf(command) {
        add(&[
            ("/etc/koji-hub/hub.conf", "The hub's configuration."),
            ("/etc/koji-hub/hub.conf.d/*.conf", "Read before it, by name; it overrides them."),
        ]);
    }
    match command.get_name() {
        "hub" => add(&[
            ("/etc/koji-hub/plugins/NAME.conf", "Options of a plugin."),
            (
                "/etc/koji-hub/provenance.key",
                "The key that signs provenance, made at the first start, unless ProvenanceKey names another.",
            ),
        ]),
        "builder" => add(&[
            ("/etc/kojid/kojid.conf", "The builder's configuration, as Koji's kojid has it."),
            (
                "/etc/kojid/client.crt",
                "The certificate to log in with, unless cert names another; used if it is there.",
            ),
            ("/etc/kojid/kojid.keytab", "The keytab to log in with, unless keytab names another."),
        ]),
        "gc" => add(&[("/etc/koji-gc/koji-gc.conf", "What to collect, and when.")]),
        "up" => add(&[(
            "DIR/hub.conf",
            "Options of the hub and its plugins, if it is there; DIR is that of --data.",
        )]),
        "reproduce" => add(&[("~/.cache/toji", "Packages that were fetched.")]),
        _ => {}
    }
    if has(command, "profile") {
        add(&[
            (
                "/etc/koji.conf.d/*.conf, /etc/koji.conf",
                "Profiles of all users, as the stock client has them: a section for each, with server, weburl, topurl, authtype, cert, serverca and others.",
            ),
            (
                "~/.koji/config.d/*.conf, ~/.koji/config",
                "The user's own profiles, which override those.",
            ),
        ]);
    }
    entries
}

/// Variables that change what the command does.
pub(super) fn environment(command: &Command) -> Entries {
    let mut entries = Entries::new();
    let mut add = |all: &[(&str, &str)]| entries.extend(owned(all));
    if reads_hub_conf(command) {
        add(&[
            ("KOJI_HUB_CONFIG", "The hub's configuration, unless an option names it."),
            ("KOJI_HUB_CONFIGDIR", "The directory of what is read before it."),
            ("PGPASSFILE, PGSERVICE, PGSSLMODE, …", "libpq's variables, for PostgreSQL."),
        ]);
    }
    if command.get_name() == "reproduce" {
        add(&[("XDG_CACHE_HOME", "The directory for caches, instead of ~/.cache.")]);
    }
    if has(command, "profile") {
        add(&[("HOME", "Where the user's profiles are.")]);
    }
    add(&[(
        "TOJI_LOG",
        "How detailed the log on standard error is: error, warn, info (the default), debug or trace, also for single parts, as in info,toji_hub=debug.",
    )]);
    entries
}

/// Pages near to that of a command: those of its group, and of the files that it reads.
pub(super) fn beside(words: &[&str], command: &Command) -> Vec<(String, u8)> {
    let name = words.join("-");
    let group = NEAR.iter().find(|group| group.contains(&name.as_str())).copied();
    let others = group.unwrap_or_default().iter().filter(|other| **other != name);
    let mut pages: Vec<(String, u8)> = others.map(|other| (format!("toji-{other}"), 1)).collect();
    if words.is_empty() || reads_hub_conf(command) {
        pages.push((HUB_CONF.to_owned(), 5));
    }
    pages
}

/// The commands that are named here, so that a test can compare them with those that exist.
#[cfg(test)]
pub(super) fn named() -> impl Iterator<Item = &'static str> {
    let exits = EXITS.iter().flat_map(|(names, _)| names.iter().copied());
    exits.chain(NEAR.iter().flat_map(|group| group.iter().copied()))
}
