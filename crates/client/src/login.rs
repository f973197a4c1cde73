//! The request that begins a session, for each way to log in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use toji_value::Args;

use crate::session::{Credentials, Mark};
use crate::transport::Request;
use crate::{Client, Error, Profile};

/// The login call; `args` has what is said beside who logs in.
///
/// # Errors
/// [`Error::Settings`] when there is no ticket for the hub.
pub(crate) async fn request(
    client: &Client,
    credentials: Credentials,
    mut args: Args,
    mut mark: Mark,
) -> Result<Request, Error> {
    let hub = &client.shared.hub;
    let host = hub.host_str().unwrap_or_default().to_owned();
    let authorization = match credentials {
        Credentials::Password(user, password) => {
            args.positional = vec![user.into(), password.into()];
            return Ok(client.rpc("login", args, mark));
        }
        Credentials::Certificate => None,
        Credentials::Keytab(keys) => {
            Some(negotiate(move || toji_gssapi::message(&keys, &host)).await?)
        }
        Credentials::Tickets(principal) => {
            let ask = move || toji_gssapi::message_by_tickets(principal.as_deref(), &host);
            Some(negotiate(ask).await?)
        }
        Credentials::Token(token) => {
            if hub.scheme() != "https" && !is_here(&host) {
                let text = "a token is sent over https only";
                return Err(Error::Settings(text.to_owned()));
            }
            Some(format!("Bearer {token}"))
        }
    };
    mark.headers.extend(authorization.map(|text| ("Authorization", text)));
    let mut request = client.rpc("sslLogin", args, mark);
    let path = format!("{}/ssllogin", request.url.path().trim_end_matches('/'));
    request.url.set_path(&path);
    Ok(request)
}

/// Whether a host is this machine, so that nobody listens on the way.
fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || address.is_ok_and(|a: std::net::IpAddr| a.is_loopback())
}

/// Asks the realm for a message, on a thread that may wait.
async fn negotiate(
    ask: impl FnOnce() -> Result<Vec<u8>, toji_gssapi::Error> + Send + 'static,
) -> Result<String, Error> {
    let asked = tokio::task::spawn_blocking(ask).await;
    let message = asked.map_err(|error| Error::Settings(error.to_string()))?;
    let message = message.map_err(|error| Error::Settings(error.to_string()))?;
    Ok(format!("Negotiate {}", STANDARD.encode(message)))
}

impl Client {
    /// A client for a profile; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Settings`] or [`Error::File`] when URLs or certificates cannot be used.
    pub fn of_profile(profile: &Profile) -> Result<Client, Error> {
        Client::new(&profile.server, profile.connection()?)
    }

    /// A client for a profile, logged in; see [`Client::login_as`]. Certificates and Kerberos go over https, whatever the
    /// profile's URL says, as with the stock client.
    ///
    /// # Errors
    /// As [`Client::of_profile`], and when the hub refuses the login.
    pub async fn connect(profile: &Profile) -> Result<Client, Error> {
        let server = match profile.server.strip_prefix("http://") {
            Some(rest) if Way::of(profile)?.shows_identity() => format!("https://{rest}"),
            _ => profile.server.clone(),
        };
        let client = Client::new(&server, profile.connection()?)?;
        client.login_as(profile).await?;
        Ok(client)
    }

    /// Logs in as the stock client would with a profile: with the certificate if there is one, else with name and password if
    /// the profile has them, else by Kerberos. With `noauth` nothing is sent.
    ///
    /// Beyond the stock client, `authtype = token` logs in with the text in the file that the option `token` names.
    ///
    /// # Errors
    /// When the profile lacks something, there is no ticket, or the hub refuses the login.
    pub async fn login_as(&self, profile: &Profile) -> Result<(), Error> {
        let option = |name: &str| profile.options.get(name).filter(|text| !text.is_empty());
        let needed = |name: &str| {
            let missing = || Error::Settings(format!("the profile has no option '{name}'"));
            option(name).ok_or_else(missing)
        };
        match Way::of(profile)? {
            Way::Nobody => Ok(()),
            Way::Certificate => self.login_with_certificate().await,
            Way::Password => self.login(needed("user")?, needed("password")?).await,
            Way::Token => {
                let file = needed("token")?;
                let failed = |source| Error::File { path: file.into(), source };
                let token = tokio::fs::read_to_string(file).await.map_err(failed)?;
                self.login_with_token(token.trim()).await
            }
            Way::Kerberos => match (&profile.principal, &profile.keytab) {
                (Some(principal), Some(keytab)) => {
                    let (principal, keytab) = (principal.clone(), keytab.into());
                    let keys = crate::Keys { principal, keytab, ccache: None };
                    self.login_with_keytab(keys).await
                }
                (principal, _) => self.login_with_tickets(principal.as_deref()).await,
            },
        }
    }
}

/// How a profile logs in.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Nobody,
    Certificate,
    Password,
    Token,
    Kerberos,
}

impl Way {
    fn of(profile: &Profile) -> Result<Way, Error> {
        let named = profile.options.get("user").is_some_and(|user| !user.is_empty());
        Ok(match profile.authtype.as_deref() {
            Some("noauth") => Way::Nobody,
            _ if profile.by_certificate() => Way::Certificate,
            Some("password") => Way::Password,
            None if named => Way::Password,
            Some("token") => Way::Token,
            None | Some("kerberos" | "gssapi") => Way::Kerberos,
            Some(other) => {
                return Err(Error::Settings(format!("authtype '{other}' is not known")));
            }
        })
    }

    fn shows_identity(self) -> bool {
        matches!(self, Way::Certificate | Way::Kerberos)
    }
}
