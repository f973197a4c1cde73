//! Options of what comes as a plugin with a Koji hub, with the names of the plugins' own files.

use super::Config;
use super::messages::MessageOptions;

/// `sidetag.conf`, section `sidetag`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SidetagOptions {
    /// `remove_empty`: a side tag goes with its last build.
    pub remove_empty: bool,
    /// `allowed_suffixes`: endings of names that may be asked for.
    pub allowed_suffixes: Vec<String>,
    /// `name_template`: the name, with `{basetag}` and `{tag_id}`.
    pub name_template: String,
    /// `trigger_new_repo`: ask for a repository of each new side tag.
    pub trigger_new_repo: bool,
}

impl Default for SidetagOptions {
    fn default() -> Self {
        SidetagOptions {
            remove_empty: false,
            allowed_suffixes: Vec::new(),
            name_template: "{basetag}-side-{tag_id}".into(),
            trigger_new_repo: false,
        }
    }
}

impl SidetagOptions {
    /// The options that a file sets; `option` gives the text of one by name.
    ///
    /// # Errors
    /// The name of an option that is no truth value.
    pub fn read(option: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let truth = |name: &str, default| match option(name) {
            None => Ok(default),
            Some(text) => truth(&text).ok_or_else(|| name.to_owned()),
        };
        let default = SidetagOptions::default();
        let suffixes = option("allowed_suffixes").unwrap_or_default();
        Ok(SidetagOptions {
            remove_empty: truth("remove_empty", default.remove_empty)?,
            allowed_suffixes: suffixes
                .split(',')
                .filter(|suffix| !suffix.is_empty())
                .map(str::to_owned)
                .collect(),
            name_template: option("name_template").unwrap_or(default.name_template),
            trigger_new_repo: truth("trigger_new_repo", default.trigger_new_repo)?,
        })
    }

    /// The name of a side tag.
    pub fn name(&self, base: &str, id: i64, suffix: Option<&str>) -> String {
        let name = self.name_template.replace("{tag_id}", &id.to_string());
        let name = name.replace("{basetag}", base);
        match suffix.filter(|suffix| !suffix.is_empty()) {
            Some(suffix) => format!("{name}-{suffix}"),
            None => name,
        }
    }
}

/// A truth value as Python's `configparser` reads it.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Some(true),
        "0" | "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

impl Config {
    /// Takes what the files of plugins say into the options that the hub's rules read.
    ///
    /// # Errors
    /// File, section and name of an option that is wrong.
    pub fn take_plugin_options(&mut self) -> Result<(), String> {
        let option = |file: &str, section: &str, name: &str| {
            self.plugin_options.get(file)?.get(section)?.get(name).cloned()
        };
        let sidetag = SidetagOptions::read(|name| option("sidetag", "sidetag", name));
        let allowed = option("save_failed_tree", "permissions", "allowed_methods");
        self.sidetag = sidetag.map_err(|name| format!("sidetag.conf, [sidetag]: {name}"))?;
        if self.plugins.iter().any(|name| name == "protonmsg") {
            let file = self.plugin_options.get("protonmsg").cloned().unwrap_or_default();
            let messages = MessageOptions::read(&file);
            self.messages = messages.map_err(|name| format!("protonmsg.conf: {name}"))?;
        }
        if let Some(methods) = allowed {
            self.save_failed_tree = Some(methods.split(',').map(str::to_owned).collect());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_the_plugin_reads_them() {
        let read = |pairs: &'static [(&str, &str)]| {
            SidetagOptions::read(move |name| {
                let found = pairs.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let found = read(&[("remove_empty", "On"), ("allowed_suffixes", "a,b")]).unwrap();
        assert!(found.remove_empty && !found.trigger_new_repo);
        assert_eq!(found.allowed_suffixes, ["a", "b"]);
        assert_eq!(found.name("f40", 7, Some("a")), "f40-side-7-a");
        assert_eq!(read(&[("remove_empty", "perhaps")]), Err("remove_empty".to_owned()));
    }
}
