//! `toji admin`: what administrators do with builders and with the store, by calls of the hub.

mod metadata;

use anyhow::{Context as _, bail};
use toji_client::{Client, args};
use toji_value::Value;

use crate::login::Login;

/// What `toji admin` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    deed: Deed,
    #[command(flatten)]
    login: Login,
}

#[derive(clap::Subcommand)]
enum Deed {
    /// Make a token with which one new builder enrols; it is printed once and kept nowhere.
    #[command(name = "builder-token")]
    MakeToken(Token),
    /// List the tokens for new builders, used ones included.
    #[command(name = "builder-tokens")]
    Tokens,
    /// Take back a token that nobody has used.
    #[command(name = "builder-token-drop")]
    DropToken {
        /// The token's number.
        id: i64,
    },
    /// End a builder's sessions and credentials at once and give its tasks to others; it must enrol anew.
    #[command(name = "builder-revoke")]
    Revoke {
        /// The name of the host.
        name: String,
    },
    /// Revoke a builder, disable its host and take it out of all channels.
    #[command(name = "builder-remove")]
    Remove {
        /// The name of the host.
        name: String,
    },
    /// Show, halt or speed up the job that makes the repository metadata of RPMs that an older hub has imported.
    Metadata(metadata::Options),
}

#[derive(clap::Args)]
struct Token {
    /// Arches of the new host.
    #[arg(long, value_name = "ARCHES", required = true, value_delimiter = ',')]
    arches: Vec<String>,
    /// Channels that it takes tasks from.
    #[arg(long, value_name = "CHANNELS", default_value = "default", value_delimiter = ',')]
    channels: Vec<String>,
    /// How long the token is good: a number of seconds, or with `m`, `h` or `d` behind it.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = seconds)]
    expires: i64,
    /// The load that the host takes.
    #[arg(long, value_name = "NUMBER", default_value_t = 2.0)]
    capacity: f64,
    /// The only name that the host may take; with it, a host that exists may begin anew.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

fn seconds(text: &str) -> Result<i64, String> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let factor = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 1,
    };
    let number: i64 =
        number.parse().map_err(|_| "a number of seconds, or 10m, 2h, 3d".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "too long".to_owned())
}

/// Does the deed and ends.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("failed to start the runtime")?.block_on(async {
        let hub = options.login.log_in().await?;
        let done = act(&hub, options.deed).await;
        hub.logout().await.ok();
        done
    })
}

async fn act(hub: &Client, deed: Deed) -> anyhow::Result<()> {
    match deed {
        Deed::MakeToken(token) => {
            let call = args!(
                token.arches, token.channels, token.expires, token.capacity; "name" => token.name
            );
            let made = hub.call("createBuilderToken", call).await?;
            say(made.get("token").as_str().context("the hub made no token")?);
        }
        Deed::Tokens => {
            let tokens = hub.call("listBuilderTokens", ()).await?;
            tokens.as_array().unwrap_or_default().iter().for_each(show);
        }
        Deed::DropToken { id } => {
            if !hub.call("dropBuilderToken", (id,)).await?.truthy() {
                bail!("no token {id} that is not used");
            }
        }
        Deed::Revoke { name } => revoke(hub, &name, false).await?,
        Deed::Remove { name } => revoke(hub, &name, true).await?,
        Deed::Metadata(options) => metadata::run(hub, options).await?,
    }
    Ok(())
}

async fn revoke(hub: &Client, name: &str, remove: bool) -> anyhow::Result<()> {
    let tasks = hub.call("revokeBuilder", args!(name; "remove" => remove)).await?;
    let tasks = tasks.as_array().unwrap_or_default().iter().map(Value::display);
    let tasks: Vec<String> = tasks.collect();
    say(&format!("{name} was {}", if remove { "removed" } else { "revoked" }));
    if !tasks.is_empty() {
        say(&format!("tasks that others get: {}", tasks.join(" ")));
    }
    Ok(())
}

fn show(token: &Value) {
    let text = |key: &str| match token.get(key) {
        Value::Nil => "-".to_owned(),
        value => value.display(),
    };
    let state = if token.get("used_ts").is_nil() { "unused" } else { "used" };
    say(&format!(
        "{} {state} name={} arches={} channels={} by={} expires={} host={}",
        text("id"),
        text("name"),
        text("arches").replace(' ', ","),
        text("channels").replace(' ', ","),
        text("created_by"),
        text("expire_ts"),
        text("host_id")
    ));
}

#[expect(clippy::print_stdout, reason = "the command's own output")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_have_units() {
        assert_eq!(
            ["90", "90s", "2m", "1h", "3d"].map(seconds),
            [90, 90, 120, 3600, 259_200].map(Ok)
        );
        for wrong in ["", "h", "1w", "99999999999999999d"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
