//! The client: logins and calls.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::Url;
use toji_api::Rpc;
use toji_gssapi::Keys;
use toji_value::{Args, FromValue, Value, code};
use toji_xmlrpc::write_call;
use tokio::sync::{Mutex, MutexGuard};

use crate::login;
use crate::session::{Credentials, State};
use crate::transport::{self, Reply, Request};
use crate::{Error, IntoArgs, Multicall, Options, Session, args};

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
    pub(crate) http: reqwest::Client,
    pub(crate) options: Options,
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
        let files = match &options.topurl {
            Some(topurl) => parse(topurl)?,
            None => {
                let mut files = hub.clone();
                let base = hub.path().trim_end_matches('/').trim_end_matches("/kojihub");
                files.set_path(&format!("{base}/kojifiles"));
                files
            }
        };
        let http = transport::http(&[&hub, &files], &options)?;
        let shared = Arc::new(Shared { hub, files, http, options });
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
        state.begin(session("subsession", &answer)?);
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
        self.send(|headers| self.rpc(method, args.clone(), headers)).await.map(|reply| reply.value)
    }

    /// Makes a declared call.
    pub async fn call_rpc<R>(&self, rpc: R) -> Result<R::Output, Error>
    where
        R: Rpc,
        R::Output: FromValue,
    {
        let name = R::SIGNATURE.name;
        let answer = self.call(name, rpc.into_args()).await?;
        R::Output::from_value(answer)
            .map_err(|fault| Error::Answer { call: name.to_owned(), what: fault.message })
    }

    /// Starts a list of calls that the hub runs in one transaction.
    pub fn multicall(&self) -> Multicall<'_> {
        Multicall::new(self)
    }

    /// Sends a request with the next call number; an expired session is renewed once.
    pub(crate) async fn send(
        &self,
        make: impl Fn(Vec<(&'static str, String)>) -> Request,
    ) -> Result<Reply, Error> {
        let mut state = self.state.lock().await;
        let begun = state.session.is_some();
        if let Some(above) = state.above.take().filter(|_| !begun) {
            let begun = Box::pin(above.call("subsession", ())).await;
            let begun = begun.and_then(|answer| session("subsession", &answer));
            state.above = Some(above);
            state.begin(begun?);
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
        let reply = transport::exchange(&shared.http, &request, &shared.options).await?;
        state.begin(session("login", &reply.value)?);
        Ok(())
    }

    pub(crate) fn rpc(
        &self,
        name: &str,
        args: Args,
        headers: Vec<(&'static str, String)>,
    ) -> Request {
        let mut body = Vec::with_capacity(512);
        write_call(name, &args.encode(), &mut body);
        Request {
            name: name.to_owned(),
            url: self.shared.hub.clone(),
            content_type: "text/xml",
            headers,
            body: Bytes::from(body),
        }
    }
}

fn session(call: &str, answer: &Value) -> Result<Session, Error> {
    Session::from_answer(answer)
        .ok_or_else(|| Error::Answer { call: call.to_owned(), what: "no session in it".to_owned() })
}
