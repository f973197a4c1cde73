//! Messages about what happens on a hub, from any of the buses that carry them, as one type.

use toji_types::{BuildState, TaskState};
use toji_value::{Map, Value};

use crate::{Build, Client, Error, Task};

/// The longest message, in bytes.
const LONGEST: usize = 16 << 20;

/// Why a message is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Too long to be one of a hub's.
    #[error("the message is too long")]
    TooLong,
    /// The body is no JSON object.
    #[error("the message's body is no JSON object")]
    Body,
    /// A member that this kind of message has is not there, or not what it should be.
    #[error("a message of the kind {kind} without {member}")]
    Missing {
        /// The kind of message.
        kind: &'static str,
        /// The member.
        member: &'static str,
    },
}

/// What happened on a hub.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A build is in another state.
    BuildState {
        /// The build, as far as the message tells of it.
        build: Build,
        /// The state before; none for a new build.
        old: Option<BuildState>,
        /// The state now.
        new: BuildState,
    },
    /// A task is in another state.
    TaskState {
        /// The task, as far as the message tells of it.
        task: Task,
        /// The state before; none for a new task.
        old: Option<TaskState>,
        /// The state now.
        new: TaskState,
    },
    /// A build got a tag.
    Tag(Tagging),
    /// A build lost a tag.
    Untag(Tagging),
    /// A build or a part of it was imported.
    Import {
        /// The build.
        build: Build,
        /// What was imported: `build`, `rpm`, `maven`, …
        what: String,
    },
    /// The making of a repository was begun.
    RepoInit(Repository),
    /// A repository is made.
    RepoDone(Repository),
    /// A package was signed.
    RpmSign {
        /// The package.
        rpm: Map,
        /// Its build.
        build: Build,
        /// The key's name or number.
        key: String,
    },
    /// The list of a tag's packages changed.
    PackageList {
        /// The tag's name.
        tag: String,
        /// The package's name.
        package: String,
        /// What was done: `add`, `block`, `set owner`, …
        action: String,
        /// Who did it, where the bus tells.
        user: Option<String>,
    },
    /// A draft became a build.
    Promote {
        /// The build.
        build: Build,
        /// Who did it.
        user: Option<String>,
    },
    /// Anything else, such as what plugins tell.
    Other {
        /// The type, topic or kind.
        name: String,
        /// The whole.
        body: Map,
    },
}

/// A build that got or lost a tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Tagging {
    /// The build.
    pub build: Build,
    /// The tag's name.
    pub tag: String,
    /// Who did it.
    pub user: Option<String>,
}

/// A repository that is being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Its number.
    pub id: i64,
    /// The name of its tag.
    pub tag: String,
    /// The task that makes it, where the bus tells.
    pub task_id: Option<i64>,
}

/// How a bus names things.
#[derive(Clone, Copy, PartialEq)]
enum Bus {
    /// The plugins `protonmsg` and `messagebus`: a header says the type, the body has the callback's arguments.
    Callback,
    /// The plugin `koji-fedoramessaging`: the topic says the type, the body has members of its own.
    Fedora,
    /// Toji's own events.
    Own,
}

impl Event {
    /// Reads a message.
    ///
    /// `topic` is the routing key or address it came by (`org.fedoraproject.prod.buildsys.tag`,
    /// `topic://koji.build.complete`, Toji's `build.state`), `headers` are its properties. Which bus it came by shows in
    /// them: a header `type` is of `protonmsg` or `messagebus`, `buildsys.` in the topic of `koji-fedoramessaging`.
    ///
    /// ```
    /// use toji_client::{Client, Event, Map, Options};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hub = Client::new("http://koji.example.com/kojihub", Options::default())?;
    /// let topic = "org.fedoraproject.prod.buildsys.tag";
    /// let body = br#"{"build_id": 7, "name": "bash", "version": "5.3", "release": "1", "tag": "f43", "user": "alice"}"#;
    /// let Event::Tag(tagging) = Event::parse(topic, &Map::new(), body, &hub)? else { panic!("a tag") };
    /// assert_eq!(tagging.tag, "f43");
    /// assert_eq!(tagging.build.nvr().as_deref(), Some("bash-5.3-1"));
    /// assert_eq!(tagging.build.url().as_deref(), Some("http://koji.example.com/koji/buildinfo?buildID=7"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the body is not what such a message has.
    pub fn parse(
        topic: &str,
        headers: &Map,
        body: &[u8],
        client: &Client,
    ) -> Result<Event, MessageError> {
        if body.len() > LONGEST {
            return Err(MessageError::TooLong);
        }
        let json = serde_json::from_slice(body).map_err(|_| MessageError::Body)?;
        let Value::Struct(body) = Value::from_json(json) else { return Err(MessageError::Body) };
        if let Some(kind) = headers.str("type") {
            return read(Bus::Callback, kind, body, client);
        }
        match topic.split_once("buildsys.") {
            Some((_, kind)) => read(Bus::Fedora, kind, body, client),
            None => read(Bus::Own, topic, body, client),
        }
    }

    /// One of Toji's own kinds, of a hub that was asked for it.
    pub(crate) fn own(kind: &str, body: Map, client: &Client) -> Result<Event, MessageError> {
        read(Bus::Own, kind, body, client)
    }

    /// The page in the web UI of what it happened to.
    pub fn url(&self) -> Option<String> {
        match self {
            Event::TaskState { task, .. } => task.url(),
            Event::RepoInit(_) | Event::RepoDone(_) | Event::PackageList { .. } => None,
            other => other.build()?.url(),
        }
    }

    /// The build that it happened to.
    pub fn build(&self) -> Option<&Build> {
        match self {
            Event::BuildState { build, .. }
            | Event::Import { build, .. }
            | Event::RpmSign { build, .. }
            | Event::Promote { build, .. } => Some(build),
            Event::Tag(tagging) | Event::Untag(tagging) => Some(&tagging.build),
            _ => None,
        }
    }

    /// The name of the user who did it, or owns what it happened to; asked of the cache and of the hub where the message
    /// has a number only.
    pub async fn user(&self) -> Result<Option<String>, Error> {
        let (name, id, client) = match self {
            Event::Tag(t) | Event::Untag(t) => (t.user.clone(), None, t.build.client()),
            Event::Promote { user, build } => (user.clone(), None, build.client()),
            Event::PackageList { user, .. } => return Ok(user.clone()),
            Event::TaskState { task, .. } => {
                let name = task.info().str("owner_name").map(str::to_owned);
                (name, task.owner_id(), task.client())
            }
            other => match other.build() {
                Some(build) => {
                    let name = build.owner_name().map(str::to_owned);
                    (name, build.info().int("owner_id"), build.client())
                }
                None => return Ok(None),
            },
        };
        match (name, id) {
            (None, Some(id)) => client.names().user(id).await,
            (name, _) => Ok(name),
        }
    }

    /// The name of the tag that it is about; asked of the cache and of the hub where the message has a number only.
    pub async fn tag(&self) -> Result<Option<String>, Error> {
        match self {
            Event::Tag(tagging) | Event::Untag(tagging) => Ok(Some(tagging.tag.clone())),
            Event::RepoInit(repo) | Event::RepoDone(repo) => Ok(Some(repo.tag.clone())),
            Event::PackageList { tag, .. } => Ok(Some(tag.clone())),
            Event::TaskState { task, .. } => match task.tag() {
                Value::Str(name) => Ok(Some(name)),
                Value::Int(id) => task.client().names().tag(id).await,
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }
}

fn read(bus: Bus, kind: &str, body: Map, client: &Client) -> Result<Event, MessageError> {
    let say = Said { body: &body, client };
    Ok(match (bus, kind) {
        (Bus::Callback, "BuildStateChange") => say.build_state("info", "BuildStateChange")?,
        (Bus::Fedora, "build.state.change") => say.build_state("", "build.state.change")?,
        (Bus::Own, "build.state") => say.build_state("", "build.state")?,
        (Bus::Callback, "TaskStateChange") | (Bus::Fedora, "task.state.change") => {
            say.task_state("info")?
        }
        (Bus::Own, "task.state") => say.task_state("")?,
        (Bus::Callback, "Tag") => Event::Tag(say.tagging("build")?),
        (Bus::Callback, "Untag") => Event::Untag(say.tagging("build")?),
        (Bus::Fedora, "tag") | (Bus::Own, "build.tag") => Event::Tag(say.tagging("")?),
        (Bus::Fedora, "untag") | (Bus::Own, "build.untag") => Event::Untag(say.tagging("")?),
        (Bus::Callback, "RepoInit") | (Bus::Fedora | Bus::Own, "repo.init") => {
            Event::RepoInit(say.repository()?)
        }
        (Bus::Callback, "RepoDone") | (Bus::Fedora | Bus::Own, "repo.done") => {
            Event::RepoDone(say.repository()?)
        }
        (Bus::Callback, "Import") => {
            Event::Import { build: say.build("build"), what: say.text("Import", "type")? }
        }
        (Bus::Callback, "RPMSign") | (Bus::Fedora, "rpm.sign") => Event::RpmSign {
            rpm: body.value("rpm").as_struct().cloned().unwrap_or_default(),
            build: say.build("build"),
            key: say.text("RPMSign", "sigkey")?,
        },
        (Bus::Callback, "PackageListChange")
        | (Bus::Fedora, "package.list.change")
        | (Bus::Own, "package.list") => Event::PackageList {
            tag: say.text("PackageListChange", "tag")?,
            package: say.text("PackageListChange", "package")?,
            action: say.text("PackageListChange", "action")?,
            user: say.name("user"),
        },
        (Bus::Callback, "BuildPromote") => {
            Event::Promote { build: say.build("build"), user: say.name("user") }
        }
        _ => Event::Other { name: kind.to_owned(), body },
    })
}

/// What a message says.
struct Said<'a> {
    body: &'a Map,
    client: &'a Client,
}

impl Said<'_> {
    /// A member that is a name, or a struct with one.
    fn name(&self, member: &str) -> Option<String> {
        let value = self.body.value(member);
        value.as_str().or_else(|| value.get("name").as_str()).map(str::to_owned)
    }

    fn text(&self, kind: &'static str, member: &'static str) -> Result<String, MessageError> {
        self.name(member).ok_or(MessageError::Missing { kind, member })
    }

    /// The struct of a member; without a member the body itself.
    fn part(&self, member: &str) -> Map {
        match member {
            "" => self.body.clone(),
            member => self.body.value(member).as_struct().cloned().unwrap_or_default(),
        }
    }

    /// A build with the hub's names for its members.
    fn build(&self, member: &str) -> Build {
        let mut info = self.part(member);
        if let Some(owner) = info.str("owner").map(str::to_owned) {
            info.insert("owner_name", owner);
        }
        Build::new(info, self.client)
    }

    fn build_state(&self, member: &str, kind: &'static str) -> Result<Event, MessageError> {
        let state = |member: &str| match self.body.value(member) {
            Value::Str(name) => BuildState::from_name(name),
            number => BuildState::try_from(number.as_int()?).ok(),
        };
        let new = state("new").ok_or(MessageError::Missing { kind, member: "new" })?;
        let mut info = self.build(member).info().clone();
        // What the message tells of the build may be older than the change.
        info.insert("state", new.number());
        Ok(Event::BuildState { build: Build::new(info, self.client), old: state("old"), new })
    }

    fn task_state(&self, member: &str) -> Result<Event, MessageError> {
        let state = |member: &str| match self.body.value(member) {
            Value::Str(name) => TaskState::from_name(name),
            number => TaskState::try_from(number.as_int()?).ok(),
        };
        let missing = MessageError::Missing { kind: "TaskStateChange", member: "new" };
        let new = state("new").ok_or(missing)?;
        let mut info = self.part(member);
        for name in ["id", "method"] {
            if info.value(name).is_nil() {
                info.insert(name, self.body.value(name));
            }
        }
        if let Some(owner) = self.body.str("owner") {
            info.insert("owner_name", owner);
        }
        info.insert("state", new.number());
        Ok(Event::TaskState { task: Task::new(info, self.client), old: state("old"), new })
    }

    fn tagging(&self, member: &str) -> Result<Tagging, MessageError> {
        Ok(Tagging {
            build: self.build(member),
            tag: self.text("Tag", "tag")?,
            user: self.name("user"),
        })
    }

    fn repository(&self) -> Result<Repository, MessageError> {
        let repo = self.body.value("repo");
        let missing = |member| MessageError::Missing { kind: "Repo", member };
        let id = self.body.int("repo_id").or_else(|| repo.get("id").as_int());
        let tag = self.name("tag").or_else(|| repo.get("tag_name").as_str().map(str::to_owned));
        Ok(Repository {
            id: id.ok_or_else(|| missing("repo_id"))?,
            tag: tag.ok_or_else(|| missing("tag"))?,
            task_id: self.body.int("task_id").or_else(|| repo.get("task_id").as_int()),
        })
    }
}
