//! The start page: what runs now, what was built last.

use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use toji_value::{Value, list, map};

use crate::Site;
use crate::error::PageError;
use crate::view::{self, build_word, with_states};

pub(crate) async fn page(State(site): State<Site>) -> Result<Response, PageError> {
    let live = map! { "state" => list![0, 1, 4], "parent" => Value::Nil, "decode" => true };
    let order = map! { "limit" => 15, "order" => "-id" };
    let tasks =
        site.call("listTasks", vec![live.into(), order.into()], toji_value::Map::new()).await?;
    let newest = map! { "limit" => 15, "order" => "-build_id" };
    let builds = site.call("listBuilds", vec![], map! { "queryOpts" => newest }).await?;
    site.page(
        "home.html",
        context! {
            title => "Overview",
            events => "kinds=task.state,build.state",
            tasks => view::tasks(tasks),
            builds => with_states(builds, build_word),
        },
    )
}
