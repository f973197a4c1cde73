//! The web pages: what is being built, what was built, and the live log of a task.
//!
//! Pages read only through the hub's calls (see [`Backend`]); their addresses are Koji's, so that
//! the links which clients print lead here.

mod error;
mod live;
mod pages;
mod render;
mod view;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use toji_value::{Args, Fault, Value};

/// A future of a [`Backend`].
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the pages need of the hub.
pub trait Backend: Send + Sync {
    /// Runs a call as an anonymous caller.
    fn call<'a>(&'a self, method: &'a str, args: Args) -> BoxFuture<'a, Result<Value, Fault>>;

    /// Gives a waiter for changes of a task: its state, or more of its logs.
    fn watch_task(&self, task_id: i64) -> Box<dyn Waiter>;

    /// Completes when the server shuts down: long answers end then.
    fn draining(&self) -> BoxFuture<'static, ()>;
}

/// Waits for the next change; changes since the last wait count.
pub trait Waiter: Send {
    /// Returns after the next change.
    fn wait(&mut self) -> BoxFuture<'_, ()>;
}

/// What all pages share.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) backend: Arc<dyn Backend>,
}

/// The pages below `/koji`.
pub fn router(backend: Arc<dyn Backend>) -> Router {
    let site = Site { backend };
    Router::new()
        .route("/", get(|| async { axum::response::Redirect::temporary("/koji/") }))
        .route("/koji", get(pages::home::page))
        .route("/koji/", get(pages::home::page))
        .route("/koji/index", get(pages::home::page))
        .route("/koji/builds", get(pages::builds::list))
        .route("/koji/buildinfo", get(pages::builds::one))
        .route("/koji/tasks", get(pages::tasks::list))
        .route("/koji/taskinfo", get(pages::tasks::one))
        .route("/koji/getfile", get(live::file))
        .route("/koji/watchlog", get(live::log))
        .route("/koji/tags", get(pages::tags::list))
        .route("/koji/taginfo", get(pages::tags::one))
        .route("/koji/repos", get(pages::repos::list))
        .route("/koji/repoinfo", get(pages::repos::one))
        .route("/koji/hosts", get(pages::hosts::list))
        .route("/koji/api", get(pages::api::list))
        .route("/koji/api/{name}", get(pages::api::one))
        .route("/koji/static/follow.js", get(render::follow_script))
        .route("/koji/static/try.js", get(render::try_script))
        .route("/koji/static/style.css", get(render::style))
        .route("/koji/static/live.js", get(render::script))
        .route("/koji/static/icon.svg", get(render::icon))
        // Browsers ask for this where no page names another: for listings and for files.
        .route("/favicon.ico", get(render::icon))
        .route("/koji/{*rest}", get(error::no_page))
        .with_state(site)
}

impl Site {
    /// Runs a call with positional arguments and keywords.
    pub(crate) async fn call(
        &self,
        method: &str,
        positional: Vec<Value>,
        keywords: toji_value::Map,
    ) -> Result<Value, error::PageError> {
        Ok(self.backend.call(method, Args { positional, keywords }).await?)
    }
}
