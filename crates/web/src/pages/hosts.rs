//! Hosts: the builders and what they carry.

use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use toji_value::Map;

use crate::Site;
use crate::error::PageError;
use crate::view::template_value;

pub(crate) async fn list(State(site): State<Site>) -> Result<Response, PageError> {
    let hosts = site.call("listHosts", vec![], Map::new()).await?;
    site.page("hosts.html", context! { title => "Hosts", hosts => template_value(&hosts) })
}
