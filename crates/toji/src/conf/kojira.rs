//! Reading kojira.conf, for the options that `[toji]` has by other names.

use std::path::Path;

use anyhow::{Context as _, bail};

use super::{Conf, Ini};

/// Options that are for kojira's own work and its session with the hub.
const ITS_OWN: [&str; 26] = [
    "topdir",
    "server",
    "user",
    "password",
    "logfile",
    "principal",
    "keytab",
    "cert",
    "serverca",
    "ccache",
    "verbose",
    "debug",
    "offline_retry",
    "offline_retry_interval",
    "retry_interval",
    "max_retries",
    "no_ssl_verify",
    "max_delete_processes",
    "sleeptime",
    "recheck_period",
    "reference_recheck_period",
    "delete_batch_size",
    "no_repo_effective_age",
    "queue_file",
    "recent_tasks_lifetime",
    "krb_rdns",
];

/// Options that are the hub's since Koji 1.35, with their names there.
const THE_HUBS: [(&str, &str); 7] = [
    ("debuginfo_tags", "DebuginfoTags"),
    ("source_tags", "SourceTags"),
    ("separate_source_tags", "SeparateSourceTags"),
    ("max_repo_tasks", "MaxRepoTasks"),
    ("repo_tasks_limit", "MaxRepoTasks"),
    ("max_repo_tasks_maven", "MaxRepoTasksMaven"),
    ("with_src", "SourceTags"),
];

/// Takes the options of a kojira.conf.
pub(super) fn read(conf: &mut Conf, file: &Path) -> anyhow::Result<()> {
    let shown = || format!("failed to read {}", file.display());
    let mut ini = Ini::default();
    ini.merge(&std::fs::read_to_string(file).with_context(shown)?).with_context(shown)?;
    take(conf, &ini).with_context(shown)
}

fn take(conf: &mut Conf, ini: &Ini) -> anyhow::Result<()> {
    let section = ini.section("kojira");
    // The newer of two names for the same goes first.
    let newer = section.contains_key("expired_repo_lifetime");
    for (name, value) in &section {
        let value = value.trim();
        let seconds =
            || value.parse::<u32>().map(f64::from).with_context(|| format!("option {name}"));
        let repo = &mut conf.hub.repo;
        match name.as_str() {
            "repo_lifetime" => repo.repo_lifetime = seconds()?,
            "dist_repo_lifetime" => repo.dist_repo_lifetime = seconds()?,
            "expired_repo_lifetime" => repo.expired_repo_lifetime = seconds()?,
            "deleted_repo_lifetime" if newer => {}
            "deleted_repo_lifetime" => repo.expired_repo_lifetime = seconds()?,
            "init_timeout" => repo.init_timeout = seconds()?,
            "ignore_stray_repos" => repo.ignore_stray_repos = flag(name, value)?,
            "ignore_other_volumes" => repo.ignore_other_volumes = flag(name, value)?,
            "check_external_repos" => repo.check_external_repos = flag(name, value)?,
            "ignore_tags" => {
                repo.ignore_tags = value.split_whitespace().map(str::to_owned).collect();
            }
            own if ITS_OWN.contains(&own) => {}
            other => match THE_HUBS.iter().find(|(name, _)| *name == other) {
                Some((_, hubs)) => conf
                    .warnings
                    .push(format!("kojira's {other} is passed over: {hubs} of hub.conf counts")),
                None => bail!("{other} is not an option of kojira"),
            },
        }
    }
    Ok(())
}

fn flag(name: &str, value: &str) -> anyhow::Result<bool> {
    super::options::truth(value).with_context(|| format!("option {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> anyhow::Result<Conf> {
        let (mut conf, mut ini) = (Conf::default(), Ini::default());
        ini.merge(text)?;
        take(&mut conf, &ini).map(|()| conf)
    }

    #[test]
    fn lifetimes_and_switches() {
        let conf = taken(
            "[kojira]\nserver=http://x\nrepo_lifetime = 60\ndist_repo_lifetime = 70\ndeleted_repo_lifetime = 80\n\
             ignore_stray_repos = yes\ncheck_external_repos=false\nignore_tags = a* b\nsource_tags = x\n",
        )
        .unwrap();
        let repo = &conf.hub.repo;
        assert_eq!(
            (repo.repo_lifetime, repo.dist_repo_lifetime, repo.expired_repo_lifetime),
            (60.0, 70.0, 80.0)
        );
        assert!(repo.ignore_stray_repos && !repo.check_external_repos);
        assert_eq!(repo.ignore_tags, ["a*", "b"]);
        assert_eq!(conf.warnings.len(), 1);
        let both = taken("[kojira]\nexpired_repo_lifetime = 5\ndeleted_repo_lifetime = 80\n");
        assert_eq!(both.unwrap().hub.repo.expired_repo_lifetime, 5.0);
        assert!(taken("[kojira]\nnonsense = 1\n").is_err());
        assert!(taken("[kojira]\nrepo_lifetime = soon\n").is_err());
    }
}
