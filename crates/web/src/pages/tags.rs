//! Tags: the listing, and one tag with its inheritance and latest builds.

use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use serde::Deserialize;
use toji_value::{Map, Value, map};

use super::{Asked, Paging};
use crate::Site;
use crate::error::PageError;
use crate::view::{build_word, template_value, with_states};

pub(crate) async fn list(
    State(site): State<Site>,
    Asked(paging): Asked<Paging>,
) -> Result<Response, PageError> {
    let options = map! { "queryOpts" => paging.options("name") };
    let answer = site.call("listTags", vec![], options).await?;
    let mut tags: Vec<minijinja::Value> =
        answer.as_array().unwrap_or_default().iter().map(template_value).collect();
    let (previous, next) = paging.cut(&mut tags);
    site.page("tags.html", context! { title => "Tags", tags, previous, next })
}

/// What changes a tag's page: what is tagged there and in those that it inherits, and its repositories.
const EVENTS: &str = "kinds=build.tag,build.untag,repo.init,repo.state,repo.done";

#[derive(Deserialize)]
pub(crate) struct Id {
    #[serde(rename = "tagID")]
    tag_id: String,
}

impl Id {
    /// The tag by its number, or its name, as people type it.
    pub(super) async fn tag(&self, site: &Site) -> Result<(i64, Value), PageError> {
        let wanted = self.tag_id.parse().map_or(Value::from(self.tag_id.clone()), Value::Int);
        let tag = site.call("getTag", vec![wanted], Map::new()).await?;
        let id = tag.get("id").as_int();
        let id =
            id.ok_or_else(|| PageError::NotFound(format!("There is no tag {}.", self.tag_id)))?;
        Ok((id, tag))
    }
}

pub(crate) async fn one(
    State(site): State<Site>,
    Asked(id): Asked<Id>,
) -> Result<Response, PageError> {
    let (tag_id, tag) = id.tag(&site).await?;
    let parents = site.call("getFullInheritance", vec![tag_id.into()], Map::new()).await?;
    // A filter has a hundred names at most.
    let inherited = parents.as_array().unwrap_or_default().iter();
    let inherited = inherited.filter_map(|parent| parent.get("parent_id").as_int()).take(99);
    let tags: Vec<String> =
        [tag_id].into_iter().chain(inherited).map(|id| id.to_string()).collect();
    let events = format!("{EVENTS}&tags={}", tags.join(","));
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
            events,
        },
    )
}
