//! The client for scripts: each call returns when it is done.
//!
//! ```no_run
//! # fn main() -> Result<(), toji_client::Error> {
//! use toji_client::{Profile, blocking::Client};
//!
//! let hub = Client::connect(&Profile::load("koji")?)?;
//! if let Some(build) = hub.build("bash-5.2.26-1")? {
//!     println!("{:?} {:?}", build.url(), hub.wait(build.tags())?);
//! }
//! # Ok(())
//! # }
//! ```

use std::path::Path;
use std::sync::Arc;

use futures::StreamExt as _;
use toji_api::Rpc;
use toji_value::{FromValue, Map, Value};
use tokio::runtime::{Builder, Runtime};

use crate::{
    Build, Download, Error, Events, IntoArgs, LogPiece, Logs, Numbered, Options, Profile, Task,
    TaskChange, Upload, Uploaded, WaitRepo, Wanted,
};

/// A connection to a hub that waits. Clones share the session.
///
/// Not for use within an asynchronous program: what waits there would hold up others, and panics.
#[derive(Clone)]
pub struct Client {
    inner: crate::Client,
    runtime: Arc<Runtime>,
}

impl Client {
    /// See [`crate::Client::new`].
    pub fn new(url: &str, options: Options) -> Result<Client, Error> {
        let runtime = runtime()?;
        Ok(Client { inner: crate::Client::new(url, options)?, runtime })
    }

    /// See [`crate::Client::of_profile`].
    pub fn of_profile(profile: &Profile) -> Result<Client, Error> {
        let runtime = runtime()?;
        Ok(Client { inner: crate::Client::of_profile(profile)?, runtime })
    }

    /// See [`crate::Client::connect`].
    pub fn connect(profile: &Profile) -> Result<Client, Error> {
        let runtime = runtime()?;
        let inner = runtime.block_on(crate::Client::connect(profile))?;
        Ok(Client { inner, runtime })
    }

    /// The asynchronous client, which has everything that this one has no method for.
    pub fn inner(&self) -> &crate::Client {
        &self.inner
    }

    /// Waits for anything that the asynchronous client or its objects do: `hub.wait(build.tags())`.
    pub fn wait<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// See [`crate::Client::login`].
    pub fn login(&self, user: &str, password: &str) -> Result<(), Error> {
        self.wait(self.inner.login(user, password))
    }

    /// See [`crate::Client::logout`].
    pub fn logout(&self) -> Result<(), Error> {
        self.wait(self.inner.logout())
    }

    /// See [`crate::Client::call`].
    pub fn call(&self, method: &str, args: impl IntoArgs) -> Result<Value, Error> {
        self.wait(self.inner.call(method, args))
    }

    /// See [`crate::Client::call_rpc`].
    pub fn call_rpc<R>(&self, rpc: R) -> Result<R::Output, Error>
    where
        R: Rpc,
        R::Output: FromValue,
    {
        self.wait(self.inner.call_rpc(rpc))
    }

    /// See [`crate::Client::multicall`]; `hub.wait(calls.run())` sends it.
    pub fn multicall(&self) -> crate::Multicall<'_> {
        self.inner.multicall()
    }

    /// See [`crate::Client::build`].
    pub fn build(&self, build: impl Into<Value>) -> Result<Option<Build>, Error> {
        self.wait(self.inner.build(build))
    }

    /// See [`crate::Client::task`].
    pub fn task(&self, id: i64) -> Result<Option<Task>, Error> {
        self.wait(self.inner.task(id))
    }

    /// Anything that the asynchronous client gives as a stream, one after the other: `hub.each(hub.inner().events(wanted))`.
    pub fn each<T>(&self, mut stream: Events<T>) -> impl Iterator<Item = Result<T, Error>> {
        let runtime = self.runtime.clone();
        std::iter::from_fn(move || runtime.block_on(stream.next()))
    }

    /// See [`crate::Client::events`].
    pub fn events(&self, wanted: Wanted) -> impl Iterator<Item = Result<Numbered, Error>> {
        self.each(self.inner.events(wanted))
    }

    /// See [`crate::Client::watch_tasks`].
    pub fn watch_tasks(&self, ids: &[i64]) -> impl Iterator<Item = Result<Task, Error>> {
        self.each(self.inner.watch_tasks(ids))
    }

    /// See [`crate::Client::watch_trees`].
    pub fn watch_trees(&self, ids: &[i64]) -> impl Iterator<Item = Result<TaskChange, Error>> {
        self.each(self.inner.watch_trees(ids))
    }

    /// See [`crate::Client::follow_logs`].
    pub fn follow_logs(
        &self,
        tasks: &[i64],
        wanted: Logs,
    ) -> impl Iterator<Item = Result<LogPiece, Error>> {
        self.each(self.inner.follow_logs(tasks, wanted))
    }

    /// See [`crate::Client::wait_task`].
    pub fn wait_task(&self, id: i64) -> Result<Task, Error> {
        self.wait(self.inner.wait_task(id))
    }

    /// See [`crate::Client::wait_repo`].
    pub fn wait_repo(&self, wanted: WaitRepo) -> Result<Map, Error> {
        self.wait(self.inner.wait_repo(wanted))
    }

    /// See [`crate::Client::upload`].
    pub fn upload(&self, file: &Path, to: &Upload<'_>) -> Result<Uploaded, Error> {
        self.wait(self.inner.upload(file, to))
    }

    /// See [`crate::Client::download`].
    pub fn download(&self, what: &Download<'_>, file: &Path) -> Result<String, Error> {
        self.wait(self.inner.download(what, file))
    }
}

fn runtime() -> Result<Arc<Runtime>, Error> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map(Arc::new).map_err(|error| Error::Settings(format!("no runtime: {error}")))
}
