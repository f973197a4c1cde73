//! The client: logins and calls.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::Url;
use toji_api::Rpc;
use toji_gssapi::Keys;
use toji_value::{Args, FromValue, Value, code};
use toji_xmlrpc::write_call;
use tokio::sync::{Mutex, MutexGuard};

use crate::session::{Credentials, Mark, State};
use crate::transport::{self, Reply, Request};
use crate::{Error, IntoArgs, Multicall, Options, Session, args};
use crate::{call, login};

/// A connection to a hub; clones share the session.
///
/// Calls with a session are sent one at a time, in the order of their call numbers. Whoever wants
/// to call side by side takes a [`Client::subsession`] for each.
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
    state: Arc<Mutex<State>>,
}

/// What does not change, shared with subsessions.
pub(crate) struct Shared {
    pub(crate) hub: Url,
    pub(crate) files: Url,
    /// The web UI, without a slash at the end.
    pub(crate) web: String,
    pub(crate) http: reqwest::Client,
    pub(crate) options: Options,
    /// Until when uploads that go straight to an object store are not asked for.
    without_direct: std::sync::Mutex<Option<std::time::Instant>>,
}

impl Shared {
    /// Asks for no such uploads until then.
    pub(crate) fn no_direct(&self, until: std::time::Instant) {
        *self.without_direct.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Some(until);
    }

    pub(crate) fn is_without_direct(&self) -> bool {
        let until = self.without_direct.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        until.is_some_and(|until| std::time::Instant::now() < until)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.hub_url()).finish()
    }
}

impl Client {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Settings`] when the URL or the certificates cannot be used.
    pub fn new(url: &str, options: Options) -> Result<Client, Error> {
        let parse = |text: &str| {
            Url::parse(text).map_err(|e| Error::Settings(format!("URL '{text}': {e}")))
        };
        let hub = parse(url)?;
        let beside = |name: &str| {
            let mut url = hub.clone();
            let base = hub.path().trim_end_matches('/').trim_end_matches("/kojihub");
            url.set_path(&format!("{base}/{name}"));
            url
        };
        let files = match &options.topurl {
            Some(topurl) => parse(topurl)?,
            None => beside("kojifiles"),
        };
        let web = options.weburl.clone().unwrap_or_else(|| beside("koji").into());
        let web = web.trim_end_matches('/').to_owned();
        let http = transport::http(&[&hub, &files], &options)?;
        let shared =
            Arc::new(Shared { hub, files, web, http, options, without_direct: Default::default() });
        Ok(Client { shared, state: Arc::default() })
    }

    /// The URL below which the hub publishes files.
    pub fn files_url(&self) -> &str {
        self.shared.files.as_str().trim_end_matches('/')
    }

    /// Logs in with a password; the session is renewed by itself when it expires.
    pub async fn login(&self, user: &str, password: &str) -> Result<(), Error> {
        self.log_in(Credentials::Password(user.to_owned(), password.to_owned())).await
    }

    /// Logs in with the certificate of [`Options::cert`]; the session is renewed by itself when it expires.
    pub async fn login_with_certificate(&self) -> Result<(), Error> {
        self.log_in(Credentials::Certificate).await
    }

    /// Logs in by Kerberos with the keys of a keytab; the session is renewed by itself when it expires.
    pub async fn login_with_keytab(&self, keys: Keys) -> Result<(), Error> {
        self.log_in(Credentials::Keytab(keys)).await
    }

    /// Logs in by Kerberos with the tickets that the user has (`kinit`), those of `principal` if one is named; the session is
    /// renewed by itself when it expires.
    pub async fn login_with_tickets(&self, principal: Option<&str>) -> Result<(), Error> {
        self.log_in(Credentials::Tickets(principal.map(str::to_owned))).await
    }

    /// Logs in with a token, for hubs behind a web server that knows it (`Authorization: Bearer`); the session is renewed by
    /// itself when it expires.
    ///
    /// # Errors
    /// [`Error::Settings`] when the hub is elsewhere and the connection is not encrypted.
    pub async fn login_with_token(&self, token: &str) -> Result<(), Error> {
        self.log_in(Credentials::Token(token.to_owned())).await
    }

    async fn log_in(&self, credentials: Credentials) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        *state = State::default();
        state.credentials = Some(credentials.clone());
        self.begin(&mut state, credentials, args!()).await
    }

    /// Has later logins of this client use another password; the session goes on.
    pub async fn replace_password(&self, new: &str) {
        let mut state = self.state.lock().await;
        if let Some(Credentials::Password(_, password)) = &mut state.credentials {
            new.clone_into(password);
        }
    }

    /// Makes this the only session of the user that may work, which ends others if `force` is set.
    pub async fn exclusive(&self, force: bool) -> Result<(), Error> {
        self.call("exclusiveSession", args!(; "force" => force)).await?;
        self.state.lock().await.exclusive = true;
        Ok(())
    }

    /// A client with a session of its own below this one, for calls side by side.
    pub async fn subsession(&self) -> Result<Client, Error> {
        let answer = self.call("subsession", ()).await?;
        let mut state = State::default();
        state.begin("subsession", &answer)?;
        state.credentials = self.state.lock().await.credentials.clone();
        Ok(Client { shared: self.shared.clone(), state: Arc::new(Mutex::new(state)) })
    }

    /// Like [`Client::subsession`], but the session is begun by the first call that needs it.
    pub async fn later_subsession(&self) -> Client {
        let mut state = State::default();
        state.credentials = self.state.lock().await.credentials.clone();
        state.above = Some(self.clone());
        Client { shared: self.shared.clone(), state: Arc::new(Mutex::new(state)) }
    }

    /// Ends the session; without one nothing happens.
    pub async fn logout(&self) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        if state.session.is_none() {
            return Ok(());
        }
        let request = self.rpc("logout", Args::default(), state.number());
        *state = State::default();
        let once = Options { max_retries: 0, ..self.shared.options.clone() };
        match transport::exchange(&self.shared.http, &request, &once).await {
            // An exclusive session of somebody else has ended this one already.
            Err(Error::Fault(fault)) if fault.code == code::AUTH_EXPIRED => Ok(()),
            other => other.map(drop),
        }
    }

    /// The hub's URL.
    pub fn hub_url(&self) -> &str {
        self.shared.hub.as_str()
    }

    /// The URL of the web UI.
    pub fn web_url(&self) -> &str {
        &self.shared.web
    }

    /// The settings that this client was made with.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// The current session, if logged in.
    pub async fn session(&self) -> Option<Session> {
        self.state.lock().await.session.clone()
    }

    /// Where the hub publishes files.
    pub fn files(&self) -> &str {
        self.shared.files.as_str()
    }

    /// Makes a call by name.
    pub async fn call(&self, method: &str, args: impl IntoArgs) -> Result<Value, Error> {
        let args = args.into_args();
        self.send(|mark| self.rpc(method, args.clone(), mark)).await.map(|reply| reply.value)
    }

    /// Makes a declared call: [`crate::api`] has a type for each of them.
    ///
    /// ```no_run
    /// # async fn example(client: toji_client::Client) -> Result<(), toji_client::Error> {
    /// use toji_client::api::build::{GetAverageBuildDuration, ListBuilds};
    ///
    /// let seconds: Option<f64> = client.call_rpc(GetAverageBuildDuration::new("bash")).await?;
    /// let builds = ListBuilds { state: 1.into(), ..ListBuilds::new() };
    /// println!("{seconds:?} {:?}", client.call_rpc(builds).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call_rpc<R>(&self, rpc: R) -> Result<R::Output, Error>
    where
        R: Rpc,
        R::Output: FromValue,
    {
        let name = R::SIGNATURE.name;
        let answer = self.call(name, call::needed(rpc)).await?;
        R::Output::from_value(answer)
            .map_err(|fault| Error::Answer { call: name.to_owned(), what: fault.message })
    }

    /// Starts a list of calls that the hub runs in one transaction.
    pub fn multicall(&self) -> Multicall<'_> {
        Multicall::new(self)
    }

    /// Sends a request with the next call number; an expired session is renewed once.
    pub(crate) async fn send(&self, make: impl Fn(Mark) -> Request) -> Result<Reply, Error> {
        let mut state = self.state.lock().await;
        let begun = state.session.is_some();
        if let Some(above) = state.above.take().filter(|_| !begun) {
            let begun = Box::pin(above.call("subsession", ())).await;
            state.above = Some(above);
            state.begin("subsession", &begun?)?;
        }
        let request = make(state.number());
        let shared = &self.shared;
        if state.session.is_none() {
            drop(state);
            return transport::exchange(&shared.http, &request, &shared.options).await;
        }
        match transport::exchange(&shared.http, &request, &shared.options).await {
            Err(Error::Fault(fault))
                if fault.code == code::AUTH_EXPIRED && state.credentials.is_some() =>
            {
                self.renew(&mut state).await?;
                let request = make(state.number());
                transport::exchange(&shared.http, &request, &shared.options).await
            }
            other => other,
        }
    }

    async fn renew(&self, state: &mut MutexGuard<'_, State>) -> Result<(), Error> {
        let credentials = state.credentials.clone().ok_or(Error::NotLoggedIn)?;
        let exclusive = state.exclusive;
        self.begin(state, credentials, args!(; "renew" => true, "exclusive" => exclusive)).await
    }

    async fn begin(
        &self,
        state: &mut MutexGuard<'_, State>,
        credentials: Credentials,
        args: Args,
    ) -> Result<(), Error> {
        let request = login::request(self, credentials, args, state.number()).await?;
        let shared = &self.shared;
        let options = Options { timeout: shared.options.auth_timeout, ..shared.options.clone() };
        let reply = transport::exchange(&shared.http, &request, &options).await?;
        state.begin("login", &reply.value)
    }

    pub(crate) fn rpc(&self, name: &str, args: Args, mark: Mark) -> Request {
        let mut body = Vec::with_capacity(512);
        write_call(name, &args.encode(), &mut body);
        let mut url = self.shared.hub.clone();
        mark.write(&mut url);
        Request {
            name: name.to_owned(),
            url,
            content_type: "text/xml",
            headers: mark.headers,
            body: Bytes::from(body),
        }
    }
}
