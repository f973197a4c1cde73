//! Object stores that speak S3, as volumes: keys are the paths that the files would have in a directory.

mod copy;
mod guard;
mod read;
mod sign;
mod write;

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use futures::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path as Key;
use object_store::{
    BackoffConfig, ClientOptions, ObjectMeta, ObjectStore as _, ObjectStoreExt as _, RetryConfig,
};

pub use read::Reader;
pub use sign::Ticket;
pub use write::Way;

use crate::path::normalize;
use crate::{Error, Item, Kind, Result};

/// Parts of uploads are so long, in bytes; what is shorter goes up in one request.
const PART: usize = 16 << 20;
/// How often a writing is begun anew after a fault that the client library does not try again.
const TRIES: usize = 4;
/// The shortest part that S3 allows, in bytes.
const LEAST_PART: usize = 5 << 20;

/// Where a bucket is, and how to talk to its server.
#[derive(Clone)]
pub struct Options {
    /// The name of the volume.
    pub name: String,
    /// The server's URL; nothing for Amazon's in the region.
    pub endpoint: Option<String>,
    /// The URL under which clients reach the server, where it is another one.
    pub public_endpoint: Option<String>,
    /// The region; most other servers take any.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// What all keys begin with; empty, or a path.
    pub prefix: String,
    /// Whether the bucket is a part of the host's name and not of the path.
    pub virtual_host: bool,
    /// Who the hub is to the server.
    pub credentials: Credentials,
    /// Whether readers are sent to the server, and not served by the hub.
    pub redirect: bool,
    /// Whether uploads go straight to it, by tickets.
    pub uploads: bool,
    /// For how long links that the hub gives out are good.
    pub link_lifetime: Duration,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often a request is tried again.
    pub retries: usize,
    /// The length of parts of uploads, in bytes.
    pub part_size: usize,
}

/// A key and its secret; they are never shown.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The key's id.
    pub key_id: String,
    /// Its secret.
    pub secret: String,
    /// The token of a session, for credentials that pass.
    pub token: Option<String>,
}

impl Options {
    /// A bucket with the usual limits.
    pub fn new(name: impl Into<String>, bucket: impl Into<String>) -> Self {
        Options {
            name: name.into(),
            endpoint: None,
            public_endpoint: None,
            region: "us-east-1".to_owned(),
            bucket: bucket.into(),
            prefix: String::new(),
            virtual_host: false,
            credentials: Credentials::default(),
            redirect: true,
            uploads: false,
            link_lifetime: Duration::from_secs(3600),
            timeout: Duration::from_secs(60),
            retries: 6,
            part_size: PART,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Options { name, endpoint, bucket, prefix, .. } = self;
        write!(f, "S3 volume {name}: {endpoint:?} {bucket}/{prefix}")
    }
}

/// A volume in a bucket. Clones share their connections.
#[derive(Clone, Debug)]
pub struct S3 {
    options: Arc<Options>,
    store: AmazonS3,
    /// The same, but completing an upload fails if something has come to its key.
    fresh: AmazonS3,
    /// Signs links for clients.
    signer: AmazonS3,
}

/// The threads that talk to object stores; callers wait for them.
fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).thread_name("object-store").enable_all();
        #[expect(clippy::expect_used, reason = "a process that can start no thread cannot go on")]
        builder.build().expect("threads for object stores")
    })
}

/// Does the work on those threads, and waits for it.
fn wait<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> std::io::Result<T> {
    let (done, result) = std::sync::mpsc::sync_channel(1);
    runtime().spawn(async move { done.send(work.await).is_ok() });
    result.recv().map_err(|_| std::io::Error::other("the work with an object store ended early"))
}

impl S3 {
    /// The volume that the options describe; the server is not asked yet.
    ///
    /// # Errors
    /// When the options are no description of a bucket.
    pub fn new(mut options: Options) -> Result<Self> {
        // It is installed once in a process; whoever comes first is right.
        let _ = rustls::crypto::ring::default_provider().install_default();
        options.part_size = options.part_size.max(LEAST_PART);
        options.prefix = normalize(&options.prefix)?;
        let store = builder(&options, options.endpoint.as_deref(), false)?;
        let fresh = builder(&options, options.endpoint.as_deref(), true)?;
        let public = options.public_endpoint.as_deref().or(options.endpoint.as_deref());
        let signer = builder(&options, public, false)?;
        Ok(S3 { options: Arc::new(options), store, fresh, signer })
    }

    /// The volume's name.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Whether readers are sent to the server.
    pub fn redirects(&self) -> bool {
        self.options.redirect
    }

    /// Whether uploads go straight to it, by tickets.
    pub fn takes_uploads(&self) -> bool {
        self.options.uploads
    }

    /// For how long links and tickets are good.
    pub fn link_lifetime(&self) -> Duration {
        self.options.link_lifetime
    }

    /// Whether the bucket answers.
    ///
    /// # Errors
    /// Why it does not.
    pub fn reach(&self) -> Result<()> {
        self.any(&self.key("")?).map(drop)
    }

    fn key(&self, path: &str) -> Result<Key> {
        let path = normalize(path)?;
        let full = match (self.options.prefix.as_str(), path.as_str()) {
            ("", path) => path.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, path) => format!("{prefix}/{path}"),
        };
        // As it is: nothing is escaped in keys, so that they are Koji's paths for everybody.
        Key::parse(&full).map_err(|_| Error::Path(path))
    }

    /// The length of the key of a path, in bytes.
    pub(crate) fn key_length(&self, path: &str) -> Result<usize> {
        Ok(self.key(path)?.as_ref().len())
    }

    /// The path of a key in this volume.
    fn path(&self, key: &Key) -> String {
        let key = key.as_ref();
        let below = key.strip_prefix(self.options.prefix.as_str()).unwrap_or(key);
        below.trim_start_matches('/').to_owned()
    }

    fn shown(&self, path: &str) -> String {
        format!("{}:{path}", self.options.name)
    }

    fn error(&self, path: &str, error: object_store::Error) -> Error {
        use std::io::ErrorKind;
        let kind = match &error {
            object_store::Error::NotFound { .. } => ErrorKind::NotFound,
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => ErrorKind::PermissionDenied,
            object_store::Error::AlreadyExists { .. } => {
                return Error::Exists(self.shown(path));
            }
            _ => ErrorKind::Other,
        };
        Error::io(self.shown(path))(std::io::Error::new(kind, error))
    }

    /// Does something with a clone of the client, and waits for it.
    fn ask<T, F>(&self, path: &str, work: impl FnOnce(AmazonS3) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        let done = wait(work(self.store.clone())).map_err(Error::io(self.shown(path)))?;
        done.map_err(|e| self.error(path, e))
    }

    fn head(&self, path: &str, key: &Key) -> Result<Option<ObjectMeta>> {
        let key = key.clone();
        match self.ask(path, |store| async move { store.head(&key).await }) {
            Err(error) if error.is_missing() => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// An object of this very name.
    fn listed(&self, path: &str, key: &Key) -> Result<Option<ObjectMeta>> {
        let (prefix, key) = (key.as_ref().to_owned(), key.clone());
        let found = self.ask(path, |store| async move {
            let options = PaginatedListOptions { max_keys: Some(1), ..Default::default() };
            store.list_paginated(Some(&prefix), options).await
        })?;
        // Of all names that begin so, itself comes first.
        Ok(found.result.objects.into_iter().find(|meta| meta.location == key))
    }

    /// Whether there is anything below a key.
    fn any(&self, key: &Key) -> Result<bool> {
        let below = key.clone();
        self.ask(key.as_ref(), |store| async move {
            let first = store.list(Some(&below)).try_next().await?;
            Ok(first.is_some())
        })
    }

    fn of(&self, meta: ObjectMeta) -> Item {
        Item {
            path: self.path(&meta.location),
            kind: Kind::File,
            size: meta.size,
            modified: Some(SystemTime::from(meta.last_modified)),
        }
    }
}

impl crate::Volume for S3 {
    fn item(&self, path: &str) -> Result<Option<Item>> {
        let path = normalize(path)?;
        let key = self.key(&path)?;
        // Asked by a listing, as some servers fail when they are asked for a directory by its name.
        if !path.is_empty()
            && let Some(meta) = self.listed(&path, &key)?
        {
            return Ok(Some(self.of(meta)));
        }
        // A directory is what something lies in; the root is there if the bucket is.
        let dir = self.any(&key)? || path.is_empty();
        Ok(dir.then_some(Item { path, kind: Kind::Dir, size: 0, modified: None }))
    }

    fn list(&self, path: &str) -> Result<Vec<Item>> {
        let key = self.key(path)?;
        let found =
            self.ask(path, |store| async move { store.list_with_delimiter(Some(&key)).await })?;
        let dirs = found.common_prefixes.iter().map(|prefix| {
            let path = self.path(prefix);
            Item { path, kind: Kind::Dir, size: 0, modified: None }
        });
        let mut items: Vec<Item> = dirs.collect();
        items.extend(found.objects.into_iter().map(|meta| self.of(meta)));
        items.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(items)
    }

    fn open(&self, path: &str) -> Result<Box<dyn std::io::Read + Send>> {
        Ok(Box::new(self.reader(path)?))
    }

    fn put(&self, path: &str, content: &[u8]) -> Result<()> {
        self.upload(path, &mut std::io::Cursor::new(content), Way::Replace, "")
    }

    fn link(&self, path: &str, _: &std::path::Path) -> Result<()> {
        Err(Error::Path(format!("{} cannot be a link", self.shown(path))))
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.remove_all(path)
    }

    fn walk(&self, path: &str) -> Result<Vec<Item>> {
        let key = self.key(path)?;
        let found = self.ask(path, |store| async move {
            store.list(Some(&key)).try_collect::<Vec<ObjectMeta>>().await
        })?;
        let mut items: Vec<Item> = found.into_iter().map(|meta| self.of(meta)).collect();
        items.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(items)
    }
}

fn builder(options: &Options, endpoint: Option<&str>, fresh: bool) -> Result<AmazonS3> {
    let client = ClientOptions::new()
        .with_allow_http(endpoint.is_some_and(|url| url.starts_with("http://")))
        .with_timeout(options.timeout)
        .with_connect_timeout(options.timeout.min(Duration::from_secs(10)));
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(10),
        base: 2.0,
    };
    let retry = RetryConfig {
        backoff,
        max_retries: options.retries,
        retry_timeout: Duration::from_secs(180),
    };
    let mut builder = AmazonS3Builder::new()
        .with_region(&options.region)
        .with_bucket_name(&options.bucket)
        .with_access_key_id(&options.credentials.key_id)
        .with_secret_access_key(&options.credentials.secret)
        .with_virtual_hosted_style_request(options.virtual_host)
        .with_checksum_algorithm(Checksum::SHA256)
        // The library takes an answer that has the name of an error in it for one, and such answers have the keys in them.
        .with_disable_bulk_delete(true)
        .with_client_options(client)
        .with_retry(retry)
        .with_http_connector(guard::Connector::new(runtime().handle().clone(), fresh));
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    if let Some(token) = &options.credentials.token {
        builder = builder.with_token(token);
    }
    let wrong = |e| Error::io(&options.name)(std::io::Error::other(e));
    builder.build().map_err(wrong)
}
