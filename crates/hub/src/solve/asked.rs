//! Whose packages a question is about: a tag's, now or at an event, a repository's, or those of URLs.

use toji_db::Row;
use toji_types::RepoState;
use toji_types::arch::canonical;
use toji_value::{Fault, FromValue, Value};

use crate::Call;
use crate::lookup::{self, fit};

/// Most repositories that a caller may name by URLs.
const URLS: usize = 8;

/// Longest of their names and URLs, in bytes.
const LENGTH: usize = 1024;

/// Whose packages a question is about.
pub struct Asked {
    pub(super) from: From,
    pub(super) arch: String,
}

/// Where they are.
pub(super) enum From {
    /// In a tag, now or at an event.
    Tag { tag: Value, event: Option<i64> },
    /// In a tag at the event of its repository.
    Repo(i64),
    /// Elsewhere: names and URLs, the first one before the others.
    Urls(Vec<(String, String)>),
}

impl Asked {
    /// Reads what a caller has said; `tag` may also be a struct of `repo_id` or of `urls`.
    ///
    /// # Errors
    /// `ParameterError` for an event that is none, `GenericError` for URLs that are not taken.
    pub fn new(tag: Value, arch: String, event: Value) -> Result<Self, Fault> {
        let from = match (tag.get("repo_id"), tag.get("urls")) {
            (Value::Nil, Value::Nil) => From::Tag { event: lookup::event(&event)?, tag },
            (id, Value::Nil) => From::Repo(fit(i64::from_value(id.clone())?)),
            (_, urls) => From::Urls(named(urls)?),
        };
        Ok(Self { from, arch: installed_arch(&arch).to_owned() })
    }

    pub(super) fn of_tag(tag: i64, arch: &str, event: i64) -> Self {
        let from = From::Tag { tag: tag.into(), event: Some(event) };
        Self { from, arch: installed_arch(arch).to_owned() }
    }

    /// A tag as it is; the arch is one of a pool.
    pub(super) fn now(tag: i64, arch: String) -> Self {
        Self { from: From::Tag { tag: tag.into(), event: None }, arch }
    }

    /// The tag and the event.
    pub(super) async fn place(&self, call: &mut Call) -> Result<(Value, Option<i64>), Fault> {
        match &self.from {
            From::Tag { tag, event } => Ok((tag.clone(), *event)),
            From::Repo(id) => {
                let missing = || Fault::generic(format!("No such repo: {id}"));
                let repo = toji_db::repo::get(&mut call.tx, *id).await?.ok_or_else(missing)?;
                let state = RepoState::try_from(repo.get::<i64>("state")?).ok();
                if !matches!(state, Some(RepoState::Ready | RepoState::Expired)) {
                    let name = state.map_or("unknown", |state| state.name());
                    return Err(Fault::generic(format!("Requested repo ({id}) is {name}")));
                }
                if !is_plain(&repo) {
                    let text = format!("repo {id} has other packages than its tag");
                    return Err(Fault::generic(text));
                }
                Ok((repo.value("tag_id").clone(), Some(repo.get("create_event")?)))
            }
            From::Urls(_) => Err(Fault::generic("repositories elsewhere have no groups")),
        }
    }
}

/// Whether a repository (`dist`, `opts`) has what its tag has: none for distribution, no debuginfo.
pub(super) fn is_plain(repo: &Row) -> bool {
    !repo.value("dist").truthy() && !repo.value("opts").get("debuginfo").truthy()
}

/// The arch whose packages a buildroot of an arch gets: of those that have several, the newest.
fn installed_arch(arch: &str) -> &str {
    match canonical(arch) {
        "i386" => "i686",
        "armhfp" => "armv7hl",
        _ => arch,
    }
}

/// A list of URLs, or a struct of names and URLs.
fn named(urls: &Value) -> Result<Vec<(String, String)>, Fault> {
    let text = |value: &Value| String::from_value(value.clone());
    let all: Vec<(String, String)> = match urls {
        Value::Struct(map) => map
            .iter()
            .map(|(id, url)| Ok((id.to_owned(), text(url)?)))
            .collect::<Result<_, Fault>>()?,
        list => {
            let list = Vec::<Value>::from_value(list.clone())?;
            let numbered = (1..).zip(&list);
            numbered
                .map(|(n, url)| Ok((format!("repo{n}"), text(url)?)))
                .collect::<Result<_, Fault>>()?
        }
    };
    if all.is_empty() || all.len() > URLS {
        return Err(Fault::generic(format!("there may be 1 to {URLS} URLs")));
    }
    all.into_iter()
        .map(|(id, url)| {
            let web = url.starts_with("https://") || url.starts_with("http://");
            let odd = |c: char| c.is_whitespace() || c.is_control();
            if !web || url.contains(odd) || url.contains('@') || url.len().max(id.len()) > LENGTH {
                return Err(Fault::generic(format!("not the URL of a repository: {url:.200}")));
            }
            Ok((id, url.trim_end_matches('/').to_owned()))
        })
        .collect()
}
