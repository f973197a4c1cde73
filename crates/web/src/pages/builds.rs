//! Builds: the listing, and one build with its packages and logs.

use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use serde::Deserialize;
use toji_value::{Map, Value, map};

use super::{Asked, Paging, query};
use crate::Site;
use crate::error::PageError;
use crate::view::{build_word, template_value, with_state, with_states};

pub(crate) async fn list(
    State(site): State<Site>,
    Asked(paging): Asked<Paging>,
) -> Result<Response, PageError> {
    let mut filter = map! { "queryOpts" => paging.options("-build_id") };
    if let Some(state) = paging.state {
        filter.insert("state", state);
    }
    let mut builds = with_states(site.call("listBuilds", vec![], filter).await?, build_word);
    let (previous, next) = paging.cut(&mut builds);
    let state = paging.state;
    let events = paging.is_first().then_some("kinds=build.state");
    site.page("builds.html", context! { title => "Builds", builds, previous, next, state, events })
}

#[derive(Deserialize)]
pub(crate) struct Id {
    #[serde(rename = "buildID")]
    build_id: String,
}

pub(crate) async fn one(
    State(site): State<Site>,
    Asked(id): Asked<Id>,
) -> Result<Response, PageError> {
    // The number, or the name-version-release, as people type it.
    let wanted = id.build_id.parse().map_or(Value::from(id.build_id.clone()), Value::Int);
    let build = site.call("getBuild", vec![wanted], Map::new()).await?;
    let Some(build_id) = build.get("id").as_int() else {
        return Err(PageError::NotFound(format!("There is no build {}.", id.build_id)));
    };
    let rpms = site.call("listBuildRPMs", vec![build_id.into()], Map::new()).await?;
    let logs = site.call("getBuildLogs", vec![build_id.into()], Map::new()).await?;
    let tags = site.call("listTags", vec![build_id.into()], Map::new()).await?;
    let nvr = build.get("nvr").display();
    // Finished ones get and lose tags.
    let package = build.get("package_name").display();
    let events = format!("kinds=build.state,build.tag,build.untag&packages={}", query(&package));
    site.page(
        "build.html",
        context! {
            title => nvr,
            build => with_state(build, build_word),
            rpms => template_value(&rpms),
            logs => template_value(&logs),
            tags => template_value(&tags),
            events,
        },
    )
}
