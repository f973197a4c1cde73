//! Objects that are little more than a name.

use toji_value::{Value, map};

use super::{Task, object};
use crate::{Client, Error, args};

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident, $page:literal;)*) => {
        $(
            object! { $(#[$doc])* $name }

            impl $name {
                /// The number.
                pub fn id(&self) -> Option<i64> {
                    self.info.int("id")
                }

                /// The name.
                pub fn name(&self) -> Option<&str> {
                    self.info.str("name")
                }

                /// The page in the web UI.
                pub fn url(&self) -> Option<String> {
                    self.client.page($page, self.id())
                }
            }
        )*
    };
}

named! {
    /// A package.
    Package, "packageinfo?packageID";
    /// A tag.
    Tag, "taginfo?tagID";
    /// A build target.
    Target, "buildtargetinfo?targetID";
    /// A channel, to which hosts and tasks belong.
    Channel, "channelinfo?channelID";
    /// A host that builds.
    Host, "hostinfo?hostID";
    /// A user.
    User, "userinfo?userID";
}

impl Channel {
    /// The hosts of the channel; only those that are enabled, if asked for.
    pub async fn hosts(&self, enabled: bool) -> Result<Vec<Host>, Error> {
        let mut args = args!(; "channelID" => self.id());
        if enabled {
            args.keywords.insert("enabled", true);
        }
        let answer = self.client.call("listHosts", args).await?;
        self.client.objects("listHosts", answer, Host::new)
    }

    /// The channel's tasks in one of these states, as they will be taken.
    pub async fn tasks(&self, states: &[toji_types::TaskState]) -> Result<Vec<Task>, Error> {
        let states = states.iter().map(|state| Value::Int(state.number())).collect();
        let wanted = map! { "channel_id" => self.id(), "state" => Value::Array(states) };
        self.client.tasks(wanted, map! { "order" => "priority,create_time" }).await
    }

    /// The weight of tasks that the channel's enabled hosts can take together.
    pub async fn total_capacity(&self) -> Result<f64, Error> {
        let hosts = self.hosts(true).await?;
        Ok(hosts.iter().filter_map(|host| host.get("capacity").as_f64()).sum())
    }
}

/// Any of the objects that have a page in the web UI.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Object {
    /// A build.
    Build(super::Build),
    /// A task.
    Task(Task),
    /// A package.
    Package(Package),
    /// A tag.
    Tag(Tag),
    /// A build target.
    Target(Target),
    /// A channel.
    Channel(Channel),
    /// A host.
    Host(Host),
    /// A user.
    User(User),
}

impl Client {
    /// The object that a page of the web UI shows; nothing when the URL is none of such a page, or there is no such object.
    pub async fn from_web(&self, url: &str) -> Result<Option<Object>, Error> {
        let Some((page, id)) = reqwest::Url::parse(url).ok().as_ref().and_then(page) else {
            return Ok(None);
        };
        Ok(match page {
            "buildinfo" => self.build(id).await?.map(Object::Build),
            "taskinfo" => self.task(id).await?.map(Object::Task),
            "packageinfo" => self.package(id).await?.map(Object::Package),
            "taginfo" => self.tag(id).await?.map(Object::Tag),
            "buildtargetinfo" => self.target(id).await?.map(Object::Target),
            "channelinfo" => self.channel(id).await?.map(Object::Channel),
            "hostinfo" => self.host(id).await?.map(Object::Host),
            _ => self.user(id).await?.map(Object::User),
        })
    }
}

/// The page and the number in its query.
fn page(url: &reqwest::Url) -> Option<(&'static str, i64)> {
    const PAGES: [(&str, &str); 8] = [
        ("buildinfo", "buildID"),
        ("taskinfo", "taskID"),
        ("packageinfo", "packageID"),
        ("taginfo", "tagID"),
        ("buildtargetinfo", "targetID"),
        ("channelinfo", "channelID"),
        ("hostinfo", "hostID"),
        ("userinfo", "userID"),
    ];
    let last = url.path_segments()?.next_back()?;
    let (page, key) = PAGES.into_iter().find(|(page, _)| *page == last)?;
    let (_, id) = url.query_pairs().find(|(name, _)| name == key)?;
    Some((page, id.parse().ok()?))
}
