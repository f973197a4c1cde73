//! Reading koji-gc.conf.

use std::path::Path;

use anyhow::Context as _;
use toji_hub::gc::Options;

use super::Post;
use crate::conf::Ini;

/// The options of a koji-gc.conf, and how it sends mail.
pub(crate) fn read(file: &Path) -> anyhow::Result<(Options, Post)> {
    let shown = || format!("failed to read {}", file.display());
    let mut ini = Ini::default();
    ini.merge(&std::fs::read_to_string(file).with_context(shown)?).with_context(shown)?;
    let main = ini.section("main");
    let mut options = Options::read(&main, &ini.section("prune")).with_context(shown)?;
    if ini.sections().any(|name| name == "signed-copies") {
        options.read_signed(&ini.section("signed-copies")).with_context(shown)?;
    }
    if let Some(template) = main.get("email_template") {
        let text = std::fs::read_to_string(template);
        options.template =
            Some(text.with_context(|| format!("failed to read the template {template}"))?);
    }
    let text = |name: &str| main.get(name).filter(|value| !value.is_empty()).cloned();
    let host = text("smtp_host").unwrap_or_else(|| "localhost".to_owned());
    let server =
        toji_builder::MailServer { host, user: text("smtp_user"), password: text("smtp_pass") };
    Ok((options, Post::new(server)))
}

/// What a hub does that was given no koji-gc.conf: it compresses logs of this age, in seconds.
pub(crate) fn logs_alone(age: f64) -> (Options, Post) {
    let server = toji_builder::MailServer { host: String::new(), user: None, password: None };
    (Options::logs_alone(age), Post::new(server))
}
