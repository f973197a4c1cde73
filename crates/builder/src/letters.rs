//! The messages about builds and taggings: heads, in which people's filters look, and text.

pub(crate) mod build;
pub(crate) mod tagging;

use toji_mail::Letter;
use toji_value::Value;

use crate::context::Context;
use crate::failure::{Failure, Result};

/// Sends a message and tells to whom; nothing when no mail server is configured.
///
/// # Errors
/// When the mail server cannot be reached or does not take the message.
pub(crate) async fn send(task: &Context, mut letter: Letter) -> Result<Option<Vec<String>>> {
    let config = task.config();
    if config.mail.host.is_empty() {
        return Ok(None);
    }
    letter.from.clone_from(&config.from_addr);
    let sent = config.mail.send(&letter).await;
    Ok(Some(sent.map_err(|error| Failure::generic(error.to_string()))?.to))
}

/// Lines `name: value`, the values below each other.
fn fields(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default() + 2;
    let line = |(name, value): &(&str, String)| format!("{:width$}{value}\n", format!("{name}:"));
    pairs.iter().map(line).collect()
}

/// Name, version and release of a build.
fn label(build: &Value) -> String {
    let text = |key: &str| build.get(key).display();
    let name = if build.get("package_name").truthy() { "package_name" } else { "name" };
    format!("{}-{}-{}", text(name), text("version"), text("release"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn values_stand_below_each_other() {
        let pairs = [("a", "1".to_owned()), ("long", "2".to_owned())];
        assert_eq!(super::fields(&pairs), "a:    1\nlong: 2\n");
    }
}
