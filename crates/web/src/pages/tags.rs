//! Tags: the listing, and one tag with its inheritance and latest builds.

use axum::extract::{Query, State};
use axum::response::Response;
use minijinja::context;
use serde::Deserialize;
use toji_value::{Map, Value, map};

use super::Paging;
use crate::Site;
use crate::error::PageError;
use crate::view::{build_word, template_value, with_states};

pub(crate) async fn list(
    State(site): State<Site>,
    Query(paging): Query<Paging>,
) -> Result<Response, PageError> {
    let options = map! { "queryOpts" => paging.options("name") };
    let answer = site.call("listTags", vec![], options).await?;
    let mut tags: Vec<minijinja::Value> =
        answer.as_array().unwrap_or_default().iter().map(template_value).collect();
    let (previous, next) = paging.cut(&mut tags);
    site.page("tags.html", context! { title => "Tags", tags, previous, next })
}

#[derive(Deserialize)]
pub(crate) struct Id {
    #[serde(rename = "tagID")]
    tag_id: String,
}

pub(crate) async fn one(
    State(site): State<Site>,
    Query(id): Query<Id>,
) -> Result<Response, PageError> {
    let wanted = id.tag_id.parse().map_or(Value::from(id.tag_id.clone()), Value::Int);
    let tag = site.call("getTag", vec![wanted], Map::new()).await?;
    let Some(tag_id) = tag.get("id").as_int() else {
        return Err(PageError::NotFound(format!("There is no tag {}.", id.tag_id)));
    };
    let parents = site.call("getFullInheritance", vec![tag_id.into()], Map::new()).await?;
    let latest = map! { "latest" => true, "inherit" => true };
    let builds = site.call("listTagged", vec![tag_id.into()], latest).await?;
    let repo = site.call("getRepo", vec![tag_id.into()], Map::new()).await?;
    site.page(
        "tag.html",
        context! {
            title => tag.get("name").display(),
            tag => template_value(&tag),
            parents => template_value(&parents),
            builds => with_states(builds, build_word),
            repo => template_value(&repo),
        },
    )
}
