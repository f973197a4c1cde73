//! What a hub keeps, as objects: the members that it sends, times, pages in the web UI, and what can be asked further.

mod build;
mod label;
mod named;
mod task;

pub use build::Build;
pub use named::{Channel, Host, Object, Package, Tag, Target, User};
pub use task::Task;

use toji_api::Rpc;
use toji_value::{Map, Value};

use crate::{Client, Error};

/// Makes the type of an object: what the hub sent, and the connection to ask further.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name {
            info: toji_value::Map,
            client: crate::Client,
        }

        impl $name {
            /// The object for what a hub or a message says of it.
            pub fn new(info: toji_value::Map, client: &crate::Client) -> Self {
                Self { info, client: client.clone() }
            }

            /// A member by the hub's name for it; nil when there is none.
            pub fn get(&self, member: &str) -> &toji_value::Value {
                self.info.value(member)
            }

            /// Everything that the hub sent.
            pub fn info(&self) -> &toji_value::Map {
                &self.info
            }

            /// The connection that it came by.
            pub fn client(&self) -> &crate::Client {
                &self.client
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.info).finish()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.info == other.info
            }
        }
    };
}
pub(crate) use object;

impl Client {
    /// A build by number or name-version-release.
    pub async fn build(&self, build: impl Into<Value>) -> Result<Option<Build>, Error> {
        self.one(toji_api::build::GetBuild::new(build), Build::new).await
    }

    /// The builds that a query finds: `ListBuilds { state: 1.into(), ..ListBuilds::new() }`.
    pub async fn builds(&self, query: toji_api::build::ListBuilds) -> Result<Vec<Build>, Error> {
        self.many(query, Build::new).await
    }

    /// The builds that are tagged, the latest of each package only if asked for.
    pub async fn tagged(&self, tag: impl Into<Value>, latest: bool) -> Result<Vec<Build>, Error> {
        let query = toji_api::tagged::ListTagged {
            latest: latest.into(),
            ..toji_api::tagged::ListTagged::new(tag)
        };
        self.many(query, Build::new).await
    }

    /// A task with its request.
    pub async fn task(&self, id: i64) -> Result<Option<Task>, Error> {
        let query =
            toji_api::task::GetTaskInfo { request: true, ..toji_api::task::GetTaskInfo::new(id) };
        self.one(query, Task::new).await
    }

    /// The tasks that fit, with their requests; both structs are those of the call `listTasks`.
    pub async fn tasks(&self, mut wanted: Map, query: Map) -> Result<Vec<Task>, Error> {
        wanted.insert("decode", true);
        let args = vec![Value::Struct(wanted), Value::Struct(query)];
        let answer = self.call("listTasks", args).await?;
        self.objects("listTasks", answer, Task::new)
    }

    /// A package by number or name.
    pub async fn package(&self, package: impl Into<Value>) -> Result<Option<Package>, Error> {
        self.one(toji_api::package::GetPackage::new(package), Package::new).await
    }

    /// A tag by number or name.
    pub async fn tag(&self, tag: impl Into<Value>) -> Result<Option<Tag>, Error> {
        self.one(toji_api::tag::GetTag::new(tag), Tag::new).await
    }

    /// A build target by number or name.
    pub async fn target(&self, target: impl Into<Value>) -> Result<Option<Target>, Error> {
        self.one(toji_api::target::GetBuildTarget::new(target), Target::new).await
    }

    /// A channel by number or name.
    pub async fn channel(&self, channel: impl Into<Value>) -> Result<Option<Channel>, Error> {
        self.one(toji_api::host::GetChannel::new(channel), Channel::new).await
    }

    /// A host by number or name.
    pub async fn host(&self, host: impl Into<Value>) -> Result<Option<Host>, Error> {
        self.one(toji_api::host::GetHost::new(host), Host::new).await
    }

    /// A user by number, name or principal.
    pub async fn user(&self, user: impl Into<Value>) -> Result<Option<User>, Error> {
        let all = toji_api::user::GetUser::new();
        self.one(toji_api::user::GetUser { user_info: user.into(), ..all }, User::new).await
    }

    async fn one<R: Rpc<Output = Value>, T>(
        &self,
        query: R,
        new: impl Fn(Map, &Client) -> T,
    ) -> Result<Option<T>, Error> {
        match self.call_rpc(query).await? {
            Value::Struct(info) => Ok(Some(new(info, self))),
            Value::Nil => Ok(None),
            _ => Err(unexpected(R::SIGNATURE.name, "not a struct")),
        }
    }

    async fn many<R: Rpc<Output = Value>, T>(
        &self,
        query: R,
        new: impl Fn(Map, &Client) -> T,
    ) -> Result<Vec<T>, Error> {
        self.objects(R::SIGNATURE.name, self.call_rpc(query).await?, new)
    }

    /// The objects of a list of structs.
    pub(crate) fn objects<T>(
        &self,
        call: &str,
        answer: Value,
        new: impl Fn(Map, &Client) -> T,
    ) -> Result<Vec<T>, Error> {
        let Value::Array(items) = answer else { return Err(unexpected(call, "not a list")) };
        let one = |item| match item {
            Value::Struct(info) => Ok(new(info, self)),
            _ => Err(unexpected(call, "not a list of structs")),
        };
        items.into_iter().map(one).collect()
    }

    /// The address of a page in the web UI.
    pub(crate) fn page(&self, page: &str, id: Option<i64>) -> Option<String> {
        Some(format!("{}/{page}={}", self.web_url(), id?))
    }
}

pub(crate) fn unexpected(call: &str, what: &str) -> Error {
    Error::Answer { call: call.to_owned(), what: what.to_owned() }
}
