//! External repositories, and which tags use them.

mod usage;

use toji_api::external_repo::*;
use toji_bus::Topic;
use toji_db::QueryOpts;
use toji_db::external_repo as rows;
use toji_db::lookup::{self, Names};
use toji_value::{Fault, Map, Value, map};

use crate::dispatch::Handle;
use crate::{Call, check, listing, target};

/// An external repository.
struct Repo {
    id: i64,
    name: String,
    url: String,
}

impl Repo {
    fn to_map(&self) -> Map {
        map! { "id" => self.id, "name" => &self.name, "url" => &self.url }
    }
}

async fn find(call: &mut Call, info: &Value, event: Option<i64>) -> Result<Option<Repo>, Fault> {
    let row = rows::find(&mut call.tx, &target::key(info)?, event).await?;
    row.map(|row| Ok(Repo { id: row.get("id")?, name: row.get("name")?, url: row.get("url")? }))
        .transpose()
}

async fn need(call: &mut Call, info: &Value, event: Option<i64>) -> Result<Repo, Fault> {
    find(call, info, event).await?.ok_or_else(|| missing(info))
}

/// The external repository that a caller wants to change, held until the end of the call.
async fn hold(call: &mut Call, info: &Value) -> Result<Repo, Fault> {
    let entry = call.hold(Names::ExternalRepo, info).await?.ok_or_else(|| missing(info))?;
    find(call, &Value::Int(entry.id), None).await?.ok_or_else(|| missing(info))
}

fn missing(info: &Value) -> Fault {
    Fault::generic(format!("No such repo: {}", info.display()))
}

/// The only external repository there is: what Koji answers who names none.
async fn only(call: &mut Call, event: Option<i64>, strict: bool) -> Result<Value, Fault> {
    let all = rows::list(&mut call.tx, None, None, event, &QueryOpts::default()).await?;
    match all.as_array().unwrap_or_default() {
        [] if strict => Err(missing(&Value::Nil)),
        [] => Ok(Value::Nil),
        [repo] => Ok(repo.clone()),
        _ => Err(Fault::generic("More than one repo in the result.")),
    }
}

fn tell(call: &mut Call, kind: &str, id: i64) {
    call.signal(Topic::Repositories);
    call.emit(kind, &format!("external_repo:{id}"), map! { "external_repo_id" => id });
}

async fn refuse_known(call: &mut Call, name: &Value) -> Result<(), Fault> {
    if find(call, name, None).await?.is_none() {
        return Ok(());
    }
    let text = format!("An external repo named \"{}\" already exists", name.display());
    Err(Fault::generic(text))
}

/// The address with a slash at its end.
fn with_slash(url: &str) -> String {
    if url.ends_with('/') { url.to_owned() } else { format!("{url}/") }
}

impl Handle for CreateExternalRepo {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let rules = call.names()?;
        let name = rules.internal(&self.name)?;
        refuse_known(call, &self.name).await?;
        let url = with_slash(check::text(&self.url)?);
        let id = call.find_or_make(Names::ExternalRepo, &self.name).await?.id;
        lookup::hold(&mut call.tx, Names::ExternalRepo, id).await?;
        refuse_known(call, &self.name).await?;
        let actor = call.actor()?;
        rows::configure(&mut call.tx, id, &url, actor).await?;
        tell(call, "external_repo.create", id);
        Ok(Repo { id, name: name.to_owned(), url }.to_map().into())
    }
}

impl Handle for EditExternalRepo {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let repo = hold(call, &self.info).await?;
        if self.name.truthy() && self.name.as_str() != Some(&repo.name) {
            let rules = call.names()?;
            let name = rules.internal(&self.name)?;
            if let Some(row) = lookup::by_name(&mut call.tx, Names::ExternalRepo, name).await? {
                let id: i64 = row.get("id")?;
                let text = format!("name \"{name}\" is already taken by external repo {id}");
                return Err(Fault::generic(text));
            }
            lookup::rename(&mut call.tx, Names::ExternalRepo, repo.id, name).await?;
        }
        if self.url.truthy() && self.url.as_str() != Some(&repo.url) {
            let url = with_slash(check::text(&self.url)?);
            let actor = call.actor()?;
            rows::configure(&mut call.tx, repo.id, &url, actor).await?;
        }
        tell(call, "external_repo.edit", repo.id);
        Ok(Value::Nil)
    }
}

impl Handle for DeleteExternalRepo {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let repo = hold(call, &self.info).await?;
        let actor = call.actor()?;
        rows::delete(&mut call.tx, repo.id, actor).await?;
        tell(call, "external_repo.delete", repo.id);
        Ok(Value::Nil)
    }
}

impl Handle for ListExternalRepos {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let key = match &self.info {
            Value::Nil => None,
            info => Some(target::key(info)?),
        };
        let url = check::text_opt(&self.url)?.filter(|url| !url.is_empty());
        let event = crate::lookup::event(&self.event)?;
        let opts = listing::options(&self.query_opts)?;
        Ok(rows::list(&mut call.tx, key.as_ref(), url, event, &opts).await?)
    }
}

impl Handle for GetExternalRepo {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let event = crate::lookup::event(&self.event)?;
        if self.info.is_nil() {
            return only(call, event, self.strict).await;
        }
        match find(call, &self.info, event).await? {
            Some(repo) => Ok(repo.to_map().into()),
            None if self.strict => Err(missing(&self.info)),
            None => Ok(Value::Nil),
        }
    }
}
