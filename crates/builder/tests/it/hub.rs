//! A hub of one host for tests: tasks in memory, uploads and published files in a directory.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as UrlPath, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::{get, post};
use sha2::{Digest as _, Sha256};
use toji_proto::builder::builder_server;
use toji_proto::builder::{
    Assigned, Cancelled, FromBuilder, ToBuilder, Welcome, Woken, to_builder,
};
use toji_proto::tonic::{self, Request, Response, Status, Streaming};
use toji_value::{Args, Fault, Map, Value, list, map};
use toji_xmlrpc::{Limits, parse_call, parse_response, write_fault, write_response};
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;

pub(crate) const FREE: i64 = 0;
pub(crate) const OPEN: i64 = 1;
pub(crate) const CLOSED: i64 = 2;
pub(crate) const CANCELED: i64 = 3;
pub(crate) const ASSIGNED: i64 = 4;
pub(crate) const FAILED: i64 = 5;

#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) method: String,
    pub(crate) request: Vec<Value>,
    pub(crate) state: i64,
    pub(crate) parent: Option<i64>,
    pub(crate) arch: String,
    pub(crate) label: Option<String>,
    pub(crate) result: Option<String>,
    waits: Vec<i64>,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) tasks: BTreeMap<i64, Task>,
    /// Every call that changes something beyond tasks, with its arguments.
    pub(crate) calls: Vec<(String, Args)>,
    pub(crate) extra: Map,
    pub(crate) groups: Value,
    stream: Option<mpsc::Sender<Result<ToBuilder, Status>>>,
    /// Live connections until now.
    pub(crate) attached: usize,
    /// Whether the hub says nothing over them.
    pub(crate) mute: bool,
}

pub(crate) struct Hub {
    pub(crate) topdir: PathBuf,
    pub(crate) inner: Mutex<Inner>,
    changed: Notify,
    live: bool,
}

impl Hub {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("lock")
    }

    /// Serves; returns the hub and its URL.
    pub(crate) async fn start(topdir: &Path, live: bool) -> (Arc<Hub>, String) {
        let hub = Arc::new(Hub {
            topdir: topdir.to_owned(),
            inner: Mutex::default(),
            changed: Notify::new(),
            live,
        });
        let plain = Router::new()
            .route("/kojihub", post(kojihub))
            .route("/kojifiles/{*path}", get(published))
            .with_state(hub.clone());
        let service = builder_server::BuilderServer::new(Live(hub.clone()));
        let routes = tonic::service::Routes::new(service).into_axum_router().merge(plain);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let url = format!("http://{}/kojihub", listener.local_addr().expect("address"));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (hub, url)
    }

    pub(crate) fn submit(&self, method: &str, request: Vec<Value>) -> i64 {
        self.add(method, request, None, &Map::new())
    }

    fn add(&self, method: &str, request: Vec<Value>, parent: Option<i64>, opts: &Map) -> i64 {
        let mut inner = self.lock();
        let label = opts.str("label").map(str::to_owned);
        let known = inner.tasks.iter().find(|(_, t)| t.parent == parent && t.label == label);
        if let Some((id, _)) = known.filter(|_| label.is_some()) {
            return *id;
        }
        let id = inner.tasks.len() as i64 + 1;
        let arch = opts.str("arch").unwrap_or("noarch").to_owned();
        let task = Task {
            method: method.into(),
            request,
            state: ASSIGNED,
            parent,
            arch,
            label,
            result: None,
            waits: vec![],
        };
        inner.tasks.insert(id, task);
        inner.tell(to_builder::Message::Assigned(Assigned {
            task_id: id,
            method: method.to_owned(),
        }));
        id
    }

    pub(crate) fn cancel(&self, id: i64) {
        let mut inner = self.lock();
        inner.tasks.get_mut(&id).expect("task").state = CANCELED;
        inner.tell(to_builder::Message::Cancelled(Cancelled { task_id: id }));
    }

    /// Waits until the task has ended, and returns it.
    pub(crate) async fn ended(&self, id: i64) -> Task {
        let ended =
            self.until(|inner| [CLOSED, CANCELED, FAILED].contains(&inner.tasks[&id].state));
        ended.await;
        self.lock().tasks[&id].clone()
    }

    pub(crate) async fn until(&self, what: impl Fn(&Inner) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(120), async {
            loop {
                let changed = self.changed.notified();
                if what(&self.lock()) {
                    return;
                }
                changed.await;
            }
        });
        assert!(waited.await.is_ok(), "{:#?}", self.lock().tasks);
    }

    pub(crate) fn upload(&self, path: &str, data: &[u8]) {
        let file = self.topdir.join("work").join(path);
        std::fs::create_dir_all(file.parent().expect("parent")).expect("directory");
        std::fs::write(file, data).expect("file");
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.topdir.join("work").join(path)).unwrap_or_default()
    }

    fn end(&self, id: i64, state: i64, result: Value) -> Result<Value, Fault> {
        let mut inner = self.lock();
        let task = inner.tasks.get_mut(&id).ok_or_else(|| Fault::generic("no task"))?;
        if task.state != OPEN {
            return Err(Fault::generic(format!("task {id} is not open")));
        }
        task.state = state;
        task.result = Some(result.display());
        if let Some(parent) = task.parent {
            inner.tell(to_builder::Message::Woken(Woken { task_id: parent }));
        }
        Ok(Value::Nil)
    }

    fn result(&self, id: i64) -> Result<Value, Fault> {
        let text = self.lock().tasks[&id].result.clone();
        let text = text.ok_or_else(|| Fault::generic(format!("Task {id} is canceled")))?;
        parse_response(text.as_bytes(), &Limits::RESPONSE).expect("response")
    }

    fn run(&self, method: &str, args: &Args) -> Result<Value, Fault> {
        let arg = |n: usize| args.positional.get(n).cloned().unwrap_or_default();
        let id = || arg(0).as_int().unwrap_or(0);
        let name = |value: Value| value.display();
        Ok(match method {
            "login" | "subsession" => {
                Value::Struct(map! {"session-id" => 1, "session-key" => "k", "header-auth" => true})
            }
            "multiCall" => {
                let calls = arg(0);
                let run = |call: &Value| {
                    let params = call.get("params").as_array().unwrap_or_default().to_vec();
                    let name = call.get("methodName").display();
                    match self.run(&name, &Args::decode(params)) {
                        Ok(value) => list![value],
                        Err(fault) => Value::Struct(
                            map! {"faultCode" => fault.code, "faultString" => fault.message},
                        ),
                    }
                };
                Value::Array(calls.as_array().unwrap_or_default().iter().map(run).collect())
            }
            "host.getID" => 1.into(),
            "host.getHost" => Value::Struct(
                map! {"id" => 1, "name" => "b1", "arches" => std::env::consts::ARCH, "capacity" => 8.0, "enabled" => true},
            ),
            "listBuildroots" => list![],
            "getTaskInfo" => self.info(id()),
            "host.getTasks" => self.list(ASSIGNED),
            "host.getHostTasks" => self.list(OPEN),
            "host.freeTasks" => {
                for task in arg(0).as_array().unwrap_or_default() {
                    let id = task.as_int().expect("id");
                    self.lock().tasks.get_mut(&id).expect("task").state = FREE;
                }
                Value::Nil
            }
            "host.openTask" => {
                let mut inner = self.lock();
                let task = inner.tasks.get_mut(&id()).expect("task");
                if task.state != ASSIGNED {
                    return Ok(Value::Nil);
                }
                task.state = OPEN;
                true.into()
            }
            "host.closeTask" => self.end(id(), CLOSED, arg(1))?,
            "host.failTask" => self.end(id(), FAILED, arg(1))?,
            "host.subtask" => {
                let Value::Array(request) = arg(1) else { return Err(Fault::generic("request")) };
                self.add(&name(arg(0)), request, arg(2).as_int(), &args.keywords).into()
            }
            "host.taskSetWait" => {
                let ids = arg(1)
                    .as_array()
                    .unwrap_or_default()
                    .iter()
                    .filter_map(Value::as_int)
                    .collect();
                self.lock().tasks.get_mut(&id()).expect("task").waits = ids;
                Value::Nil
            }
            "host.taskWait" => {
                let inner = self.lock();
                let ended = |id: &i64| [CLOSED, CANCELED, FAILED].contains(&inner.tasks[id].state);
                let (done, left): (Vec<i64>, Vec<i64>) =
                    inner.tasks[&id()].waits.iter().partition(|id| ended(id));
                list![done, left]
            }
            "host.taskWaitResults" => {
                let mut all = Vec::new();
                for task in arg(1).as_array().unwrap_or_default() {
                    all.push(list![task.clone(), self.result(task.as_int().expect("id"))?]);
                }
                Value::Array(all)
            }
            "getTaskResult" => self.result(id())?,
            "repoInfo" | "repo.request" => {
                let repo = map! {"id" => 1, "tag_id" => 2, "tag_name" => "t-build", "state" => 1, "create_event" => 5};
                if method == "repoInfo" {
                    repo.into()
                } else {
                    map! {"repo" => repo, "request" => Value::Nil}.into()
                }
            }
            "getBuildConfig" | "getTag" => {
                let extra = self.lock().extra.clone();
                Value::Struct(
                    map! {"id" => 2, "name" => "t-build", "arches" => std::env::consts::ARCH, "extra" => extra},
                )
            }
            "getBuildTarget" if arg(0).as_str() == Some("t") => Value::Struct(
                map! {"name" => "t", "build_tag" => 2, "build_tag_name" => "t-build", "dest_tag" => 3, "dest_tag_name" => "t"},
            ),
            "getTagGroups" => self.lock().groups.clone(),
            "getExternalRepoList" => Value::Array(Vec::new()),
            "getPackageConfig" if name(arg(1)) != "unlisted" => {
                Value::Struct(map! {"blocked" => false, "extra_arches" => ""})
            }
            "host.newBuildRoot" => 77.into(),
            "host.initBuild" => 900.into(),
            "getLastEvent" => Value::Struct(map! {"id" => 6}),
            "checkUpload" => self.check_upload(&name(arg(0)), &name(arg(1))),
            // Toji's own calls: this hub has no more than Koji's.
            "host.uploadToken" | "host.returnTask" => {
                return Err(Fault::generic(format!("Invalid method: {method}")));
            }
            _ => {
                self.lock().calls.push((method.to_owned(), args.clone()));
                Value::Nil
            }
        })
    }

    fn info(&self, id: i64) -> Value {
        let inner = self.lock();
        let task = &inner.tasks[&id];
        let host = if task.state == FREE { Value::Nil } else { Value::Int(1) };
        Value::Struct(map! {
            "id" => id, "method" => &task.method, "request" => task.request.clone(), "state" => task.state,
            "host_id" => host, "arch" => &task.arch, "owner" => 1, "channel_id" => 1,
        })
    }

    fn list(&self, state: i64) -> Value {
        let inner = self.lock();
        let tasks = inner.tasks.iter().filter(|(_, task)| task.state == state);
        Value::Array(tasks.map(|(id, t)| {
            let alert = t.waits.iter().any(|w| [CLOSED, FAILED].contains(&inner.tasks[w].state));
            map! {"id" => *id, "state" => state, "host_id" => 1, "weight" => 1.0, "waiting" => false, "alert" => alert}.into()
        }).collect())
    }

    fn check_upload(&self, path: &str, name: &str) -> Value {
        match std::fs::read(self.topdir.join("work").join(path).join(name)) {
            Ok(data) => Value::Struct(
                map! {"size" => data.len(), "hexdigest" => hex::encode(Sha256::digest(&data))},
            ),
            Err(_) => Value::Nil,
        }
    }

    fn take_upload(&self, query: &HashMap<String, String>, body: &[u8]) -> Value {
        let path = format!("{}/{}", query["filepath"], query["filename"]);
        let mut data = std::fs::read(self.topdir.join("work").join(&path)).unwrap_or_default();
        data.truncate(query["offset"].parse().expect("offset"));
        data.extend_from_slice(body);
        self.upload(&path, &data);
        let sum = body.iter().fold((1u32, 0u32), |(a, b), byte| {
            let a = (a + u32::from(*byte)) % 65521;
            (a, (b + a) % 65521)
        });
        Value::Struct(
            map! {"size" => body.len(), "hexdigest" => format!("{:08x}", sum.1 << 16 | sum.0)},
        )
    }
}

impl Inner {
    fn tell(&self, message: to_builder::Message) {
        if let Some(stream) = &self.stream {
            let _ = stream.try_send(Ok(ToBuilder { message: Some(message) }));
        }
    }
}

async fn kojihub(
    State(hub): State<Arc<Hub>>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> HttpResponse {
    let mut out = Vec::new();
    let answer = if query.is_empty() {
        let (method, params) = parse_call(&body, &Limits::CALL).expect("call");
        hub.run(&method, &Args::decode(params))
    } else {
        Ok(hub.take_upload(&query, &body))
    };
    match answer {
        Ok(value) => write_response(&value, &mut out),
        Err(fault) => write_fault(&fault, &mut out),
    }
    hub.changed.notify_waiters();
    out.into_response()
}

async fn published(
    State(hub): State<Arc<Hub>>,
    UrlPath(path): UrlPath<String>,
    headers: HeaderMap,
) -> HttpResponse {
    let Ok(data) = std::fs::read(hub.topdir.join(path)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let range = headers.get("Range").map(|v| v.to_str().expect("text").to_owned());
    let Some((from, to)) = range.as_deref().and_then(|r| r.strip_prefix("bytes=")?.split_once('-'))
    else {
        return data.into_response();
    };
    let from: usize = from.parse().expect("number");
    let to = to.parse().map_or(data.len(), |to: usize| data.len().min(to + 1));
    (StatusCode::PARTIAL_CONTENT, data[from..to].to_vec()).into_response()
}

/// The live connection.
struct Live(Arc<Hub>);

#[tonic::async_trait]
impl builder_server::Builder for Live {
    type AttachStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<ToBuilder, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<FromBuilder>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        if !self.0.live {
            return Err(Status::unimplemented("no live connections here"));
        }
        let mut incoming = request.into_inner();
        let (sender, receiver) = mpsc::channel(100);
        let welcome = to_builder::Message::Welcome(Welcome {
            host_id: 1,
            heartbeat_ms: 1000,
            keeps_status: false,
            abandon_ms: 0,
        });
        let _ = sender.send(Ok(ToBuilder { message: Some(welcome) })).await;
        let beats = sender.clone();
        let hub = self.0.clone();
        tokio::spawn(async move {
            while let Ok(Some(_)) = incoming.message().await {
                if hub.lock().mute {
                    continue;
                }
                let beat = to_builder::Message::Heartbeat(Default::default());
                let _ = beats.send(Ok(ToBuilder { message: Some(beat) })).await;
            }
        });
        let mut inner = self.0.lock();
        inner.stream = Some(sender);
        inner.attached += 1;
        drop(inner);
        self.0.changed.notify_waiters();
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

impl Inner {
    pub(crate) fn is_live(&self) -> bool {
        self.stream.is_some()
    }
}
