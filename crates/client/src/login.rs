//! The request that begins a session, for each way to log in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use toji_value::Args;

use crate::session::Credentials;
use crate::transport::Request;
use crate::{Client, Error};

/// The login call; `args` has what is said beside who logs in.
///
/// # Errors
/// [`Error::Settings`] when there is no ticket for the hub.
pub(crate) async fn request(
    client: &Client,
    credentials: Credentials,
    mut args: Args,
    mut headers: Vec<(&'static str, String)>,
) -> Result<Request, Error> {
    let keys = match credentials {
        Credentials::Password(user, password) => {
            args.positional = vec![user.into(), password.into()];
            return Ok(client.rpc("login", args, headers));
        }
        Credentials::Certificate => None,
        Credentials::Keytab(keys) => Some(keys),
    };
    if let Some(keys) = keys {
        let host = client.shared.hub.host_str().unwrap_or_default().to_owned();
        let asked = tokio::task::spawn_blocking(move || toji_gssapi::message(&keys, &host)).await;
        let message = asked.map_err(|error| Error::Settings(error.to_string()))?;
        let message = message.map_err(|error| Error::Settings(error.to_string()))?;
        headers.push(("Authorization", format!("Negotiate {}", STANDARD.encode(message))));
    }
    let mut request = client.rpc("sslLogin", args, headers);
    let path = format!("{}/ssllogin", request.url.path().trim_end_matches('/'));
    request.url.set_path(&path);
    Ok(request)
}
