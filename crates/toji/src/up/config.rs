//! The hub's options: those of a single machine, over them `hub.conf` in the data directory, over it the command line.

use std::path::Path;

use anyhow::Context as _;
use toji_hub::Config;

use super::Options;
use super::data::Dir;
use crate::Log;
use crate::conf::{self, Conf, Files};

/// Gathers the options; database and file root are those of the data directory in any case.
pub(super) fn read(options: &Options, data: &Dir, url: &str, log: &Log) -> anyhow::Result<Config> {
    let base = Config {
        web_url: format!("{url}/koji"),
        enable_maven: true,
        enable_win: true,
        provenance_key: Some(data.provenance_key()),
        save_failed_tree: Some(vec!["buildArch".to_owned()]),
        ..Config::default()
    };
    let file = data.hub_conf();
    let conf = match file.exists() {
        true => Files::find(Some(file), |_| None).read_over(base)?,
        false => Conf::without_file(base),
    };
    crate::hub::adopt(&conf, log);
    conf.apply_limits();
    let mut config = conf.hub;
    config.topdir = data.topdir();
    if let Some(domain) = &options.email_domain {
        config.email_domain.clone_from(domain);
    }
    if let Some(dir) = &options.plugin_dir {
        add_plugins(&mut config, dir)?;
    }
    Ok(config)
}

/// Tells the builder of this process of the same plugins.
pub(super) fn share_plugins(
    options: &Options,
    builder: &mut toji_builder::Config,
) -> anyhow::Result<()> {
    let Some(dir) = &options.plugin_dir else { return Ok(()) };
    let dir = std::path::absolute(dir).context("failed to find the plugins")?;
    builder.plugins = toji_plugin::names(&dir).context("failed to find the plugins")?;
    builder.plugin_path = vec![dir.clone()];
    builder.plugin_dir = Some(dir);
    Ok(())
}

/// Adds all plugins of a directory, in the order of their names, with the settings beside them.
fn add_plugins(config: &mut Config, dir: &Path) -> anyhow::Result<()> {
    let failed = || format!("failed to read {}", dir.display());
    let found = toji_plugin::names(dir).with_context(failed)?;
    let new = found.into_iter().filter(|name| !config.plugins.contains(name));
    let new: Vec<String> = new.collect();
    config.plugins.extend(new);
    config.plugin_path.insert(0, std::path::absolute(dir).with_context(failed)?);
    conf::take_plugin_options(config, dir)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_of_plugins_is_taken_whole() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, mode: u32| {
            let file = dir.path().join(name);
            std::fs::write(&file, "[a]\nb = c\n").unwrap();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        write("two.rhai", 0o644);
        write("one", 0o755);
        write("one.conf", 0o644);
        write("README", 0o644);
        let mut config = Config { plugins: vec!["echo".to_owned()], ..Config::default() };
        add_plugins(&mut config, dir.path()).unwrap();
        assert_eq!(config.plugins, ["echo", "one", "two"]);
        assert_eq!(config.plugin_options["one"]["a"]["b"], "c");
        assert!(add_plugins(&mut config, &dir.path().join("none")).is_err());
    }
}
