//! The client against a small hub over real HTTP.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use sha2::{Digest as _, Sha256};
use toji_client::{Client, Download, Error, Options, Upload, args};
use toji_value::{Fault, Value, code, list, map};
use toji_xmlrpc::{Limits, parse_call, write_fault, write_response};

/// What the hub does with the next requests, before it answers properly.
enum Trouble {
    Status(u16),
    Fault(Fault),
}

#[derive(Default)]
struct Hub {
    trouble: Mutex<VecDeque<Trouble>>,
    /// Method (or `upload`) and call number of every request.
    seen: Mutex<Vec<(String, Option<i64>)>>,
    /// Sessions in the URL, and what was shown at a login.
    queries: Mutex<Vec<String>>,
    uploads: Mutex<Vec<u8>>,
    published: Vec<u8>,
}

impl Hub {
    fn seen(&self) -> Vec<(String, Option<i64>)> {
        std::mem::take(&mut self.seen.lock().expect("lock"))
    }

    fn trouble(&self, trouble: Trouble) {
        self.trouble.lock().expect("lock").push_back(trouble);
    }

    fn run(&self, method: &str, params: &[Value]) -> Result<Value, Fault> {
        match method {
            // Hubs before 1.31 know nothing of headers.
            "login" if params[0].as_str() == Some("old") => {
                Ok(Value::Struct(map! {"session-id" => 6, "session-key" => "6-k"}))
            }
            "login" | "sslLogin" => Ok(Value::Struct(
                map! {"session-id" => 7, "session-key" => "7-k", "header-auth" => true},
            )),
            "subsession" => Ok(Value::Struct(
                map! {"session-id" => 8, "session-key" => "8-k", "header-auth" => true},
            )),
            "echo" => Ok(Value::Array(params.to_vec())),
            "big" => Ok(Value::from("x".repeat(100_000))),
            "multiCall" => {
                let calls = params[0].as_array().expect("list");
                let run = |call: &Value| {
                    let name = call.get("methodName").as_str().expect("name");
                    match self.run(name, call.get("params").as_array().expect("params")) {
                        Ok(value) => list![value],
                        Err(fault) => Value::Struct(
                            map! {"faultCode" => fault.code, "faultString" => fault.message},
                        ),
                    }
                };
                Ok(Value::Array(calls.iter().map(run).collect()))
            }
            "checkUpload" => {
                let data = self.uploads.lock().expect("lock");
                let digest = hex::encode(Sha256::digest(&*data));
                if data.is_empty() {
                    return Ok(Value::Nil);
                }
                Ok(Value::Struct(map! {"size" => data.len(), "hexdigest" => digest}))
            }
            _ => Err(Fault::generic(format!("Invalid method: {method}"))),
        }
    }
}

fn respond(answer: Result<Value, Fault>) -> Response {
    let mut out = Vec::new();
    match answer {
        Ok(value) => write_response(&value, &mut out),
        Err(fault) => write_fault(&fault, &mut out),
    }
    if out.len() < 10_000 {
        return out.into_response();
    }
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&out).expect("memory");
    ([(header::CONTENT_ENCODING, "gzip")], packer.finish().expect("memory")).into_response()
}

async fn kojihub(
    State(hub): State<Arc<Hub>>,
    Query(query): Query<std::collections::HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let number = headers.get("Koji-Session-Callnum").map(|v| v.to_str().unwrap().parse().unwrap());
    let session = ["session-id", "session-key", "callnum"].map(|name| query.get(name).cloned());
    if let [Some(id), Some(key), Some(callnum)] = session {
        hub.queries.lock().expect("lock").push(format!("{id} {key} {callnum}"));
    }
    if let Some(text) = headers.get("Authorization") {
        hub.queries.lock().expect("lock").push(text.to_str().unwrap().to_owned());
    }
    let call =
        (!query.contains_key("filename")).then(|| parse_call(&body, &Limits::CALL).expect("call"));
    let name = call.as_ref().map_or("upload", |(method, _)| method).to_owned();
    hub.seen.lock().expect("lock").push((name, number));
    match hub.trouble.lock().expect("lock").pop_front() {
        Some(Trouble::Status(status)) => {
            return StatusCode::from_u16(status).unwrap().into_response();
        }
        Some(Trouble::Fault(fault)) => return respond(Err(fault)),
        None => {}
    }
    let Some((method, params)) = call else {
        let offset: usize = query["offset"].parse().expect("offset");
        let mut data = hub.uploads.lock().expect("lock");
        data.truncate(offset);
        assert_eq!(data.len(), offset);
        data.extend_from_slice(&body);
        let mut sum = (1u32, 0u32);
        for byte in &body {
            sum.0 = (sum.0 + u32::from(*byte)) % 65521;
            sum.1 = (sum.1 + sum.0) % 65521;
        }
        let digest = format!("{:08x}", sum.1 << 16 | sum.0);
        return respond(Ok(Value::Struct(map! {"size" => body.len(), "hexdigest" => digest})));
    };
    respond(hub.run(&method, &params))
}

async fn published(State(hub): State<Arc<Hub>>, headers: HeaderMap) -> Response {
    if let Some(Trouble::Status(status)) = hub.trouble.lock().expect("lock").pop_front() {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let range = headers.get("Range").map(|v| v.to_str().unwrap().to_owned());
    hub.seen.lock().expect("lock").push((range.clone().unwrap_or_default(), None));
    match range.and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()) {
        Some(from) if from >= hub.published.len() => {
            StatusCode::RANGE_NOT_SATISFIABLE.into_response()
        }
        Some(from) => (StatusCode::PARTIAL_CONTENT, hub.published[from..].to_vec()).into_response(),
        None => hub.published.clone().into_response(),
    }
}

fn quick() -> Options {
    Options {
        retry_interval: Duration::from_millis(1),
        offline_retry_interval: Duration::from_millis(1),
        offline_retry: true,
        max_retries: 3,
        upload_blocksize: 1000,
        ..Options::default()
    }
}

async fn start() -> (Arc<Hub>, Client) {
    let published_data = (0..5000u32).flat_map(u32::to_le_bytes).collect();
    let hub = Arc::new(Hub { published: published_data, ..Hub::default() });
    let routes = Router::new()
        .route("/kojihub", post(kojihub))
        .route("/kojihub/ssllogin", post(kojihub))
        .route("/kojifiles/a.rpm", get(published))
        .with_state(hub.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (hub, Client::new(&format!("http://{address}/kojihub"), quick()).expect("client"))
}

fn numbers(seen: Vec<(String, Option<i64>)>) -> Vec<Option<i64>> {
    seen.into_iter().map(|(_, number)| number).collect()
}

#[tokio::test]
async fn arguments_reach_the_hub() {
    let (hub, client) = start().await;
    let answer = client.call("echo", args!(1, "x"; "latest" => true)).await.expect("call");
    assert_eq!(answer, list![1, "x", map! {"latest" => true, "__starstar" => true}]);
    assert_eq!(client.call("echo", (1, Value::Nil)).await.expect("call"), list![1, Value::Nil]);
    assert_eq!(client.call("big", ()).await.expect("gzip").as_str().map(str::len), Some(100_000));
    assert_eq!(numbers(hub.seen()), [None, None, None]);
    let fault = client.call("nothing", ()).await.expect_err("no such call");
    assert_eq!(fault.fault().map(|f| f.code), Some(code::GENERIC));
}

#[tokio::test]
async fn numbers_are_in_order_and_kept_over_retries() {
    let (hub, client) = start().await;
    client.login("kojiadmin", "secret").await.expect("login");
    hub.seen();
    let calls = (0..50).map(|i| client.call("echo", (i,)));
    for result in futures::future::join_all(calls).await {
        result.expect("call");
    }
    let expected: Vec<_> = (0..50).map(Some).collect();
    assert_eq!(numbers(hub.seen()), expected);
    hub.trouble(Trouble::Status(503));
    hub.trouble(Trouble::Fault(Fault::offline("soon")));
    client.call("echo", (1,)).await.expect("retried");
    client.call("echo", (2,)).await.expect("next");
    assert_eq!(numbers(hub.seen()), [Some(50), Some(50), Some(50), Some(51)]);
    (0..4).for_each(|_| hub.trouble(Trouble::Status(500)));
    let error = client.call("echo", (1,)).await.expect_err("too many");
    assert!(matches!(error, Error::Status { status: 500, .. }), "{error}");
    assert_eq!(hub.seen().len(), 4);
    hub.trouble(Trouble::Status(404));
    assert!(client.call("echo", (1,)).await.is_err());
    assert_eq!(hub.seen().len(), 1);
}

#[tokio::test]
async fn an_expired_session_is_renewed_once() {
    let (hub, client) = start().await;
    client.login("kojiadmin", "secret").await.expect("login");
    let sub = client.subsession().await.expect("subsession");
    hub.seen();
    hub.trouble(Trouble::Fault(Fault::auth_expired("old")));
    sub.call("echo", (1,)).await.expect("renewed");
    let names: Vec<_> =
        hub.seen().into_iter().map(|(name, n)| (name, n.expect("number"))).collect();
    assert_eq!(names, [("echo".into(), 0), ("login".into(), 1), ("echo".into(), 0)]);
    hub.trouble(Trouble::Fault(Fault::auth_expired("old")));
    hub.trouble(Trouble::Fault(Fault::auth("locked")));
    assert!(sub.call("echo", (1,)).await.is_err());
}

#[tokio::test]
async fn a_lost_connection_is_made_again() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let server = tokio::spawn(async move {
        let mut first = vec![0; 4096];
        let (mut socket, _) = listener.accept().await.expect("accept");
        let _ = socket.read(&mut first).await.expect("read");
        drop(socket);
        let (mut socket, _) = listener.accept().await.expect("accept");
        let _ = socket.read(&mut first).await.expect("read");
        let mut body = Vec::new();
        write_response(&Value::Int(1), &mut body);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        socket.write_all(head.as_bytes()).await.expect("write");
        socket.write_all(&body).await.expect("write");
    });
    let client = Client::new(&format!("http://{address}/kojihub"), quick()).expect("client");
    assert_eq!(client.call("x", ()).await.expect("answer"), Value::Int(1));
    server.await.expect("server");
}

#[tokio::test]
async fn multicalls_keep_order_and_faults() {
    let (hub, client) = start().await;
    let mut calls = client.multicall().batch(2);
    assert_eq!(calls.add("echo", (1,)), 0);
    calls.add("nothing", ());
    calls.add("echo", (3,));
    let results = calls.send().await.expect("send");
    assert_eq!(results[0], Ok(list![1]));
    assert_eq!(results[1], Err(Fault::generic("Invalid method: nothing")));
    assert_eq!(results[2], Ok(list![3]));
    assert_eq!(hub.seen().len(), 2);
    let mut calls = client.multicall();
    calls.add("nothing", ());
    assert!(matches!(calls.strict().await, Err(Error::Fault(_))));
}

#[tokio::test]
async fn uploads_go_in_pieces_and_resume() {
    let (hub, client) = start().await;
    client.login("kojiadmin", "secret").await.expect("login");
    let data: Vec<u8> = (0..2500u32).map(|i| (i % 251) as u8).collect();
    let dir = tempfile::tempdir().expect("directory");
    let file = dir.path().join("a.src.rpm");
    std::fs::write(&file, &data).expect("write");
    let to = Upload { path: "cli-build/1", name: "a.src.rpm", resume: true, ..Upload::default() };
    let done = client.upload(&file, &to).await.expect("upload");
    assert_eq!((done.size, done.resumed), (2500, 0));
    assert_eq!(done.sha256, hex::encode(Sha256::digest(&data)));
    assert_eq!(*hub.uploads.lock().expect("lock"), data);
    hub.uploads.lock().expect("lock").truncate(1700);
    hub.seen();
    assert_eq!(client.upload(&file, &to).await.expect("resumed").resumed, 1700);
    assert_eq!(hub.seen().iter().filter(|(name, _)| name == "upload").count(), 1);
    assert_eq!(*hub.uploads.lock().expect("lock"), data);
    hub.uploads.lock().expect("lock")[0] ^= 1;
    assert_eq!(client.upload(&file, &to).await.expect("again").resumed, 0);
    assert_eq!(*hub.uploads.lock().expect("lock"), data);
}

#[tokio::test]
async fn a_piece_that_broke_off_may_hold_its_file_for_a_while() {
    let (hub, client) = start().await;
    client.login("kojiadmin", "secret").await.expect("login");
    let to = Upload { path: "tasks/1/1", name: "a.rpm", overwrite: true, ..Upload::default() };
    let locked = || Trouble::Fault(Fault::lock("a.rpm is locked"));
    hub.trouble(Trouble::Status(502));
    hub.trouble(locked());
    hub.trouble(locked());
    client.upload_piece("text".into(), 0, &to).await.expect("tried again");
    assert_eq!(*hub.uploads.lock().expect("lock"), b"text");
    // Without an attempt before it, somebody else writes there.
    hub.trouble(locked());
    let error = client.upload_piece("more".into(), 4, &to).await.expect_err("another's");
    assert_eq!(error.fault().map(|f| f.code), Some(code::LOCK));
}

#[tokio::test]
async fn downloads_resume_and_are_checked() {
    let (hub, client) = start().await;
    let dir = tempfile::tempdir().expect("directory");
    let file = dir.path().join("a.rpm");
    let part = dir.path().join("a.rpm.part");
    let digest = hex::encode(Sha256::digest(&hub.published));
    let what =
        Download { url: "a.rpm", size: Some(20_000), sha256: Some(&digest), ..Download::default() };
    hub.trouble(Trouble::Status(502));
    assert_eq!(client.download(&what, &file).await.expect("download"), digest);
    std::fs::write(&part, &hub.published[..1234]).expect("write");
    hub.seen();
    client.download(&what, &file).await.expect("resumed");
    assert_eq!(hub.seen(), [("bytes=1234-".to_owned(), None)]);
    std::fs::write(&part, [7; 1234]).expect("write");
    client.download(&what, &file).await.expect("a wrong part is thrown away");
    std::fs::remove_file(&file).expect("remove");
    let wrong = Download { sha256: Some("00"), ..what };
    assert!(matches!(client.download(&wrong, &file).await, Err(Error::Mismatch { .. })));
    assert!(!file.exists() && !part.exists());
    assert_eq!(client.fetch_bytes("a.rpm", 20_000).await.expect("fetch"), hub.published);
    assert!(client.fetch_bytes("a.rpm", 100).await.is_err());
}

#[tokio::test]
async fn old_hubs_read_the_session_in_the_url() {
    let (hub, client) = start().await;
    client.login("old", "secret").await.expect("login");
    client.call("echo", (1,)).await.expect("call");
    let to = Upload { path: "cli-build/x", name: "f", ..Upload::default() };
    client.upload_piece(vec![1; 10].into(), 0, &to).await.expect("upload");
    assert_eq!(*hub.queries.lock().expect("lock"), ["6 6-k 0", "6 6-k 1"]);
    assert_eq!(numbers(hub.seen()), [None, Some(0), Some(1)]);
}

#[tokio::test]
async fn tokens_are_shown_at_the_login_only() {
    let (hub, client) = start().await;
    client.login_with_token("t0ken").await.expect("login");
    client.call("echo", (1,)).await.expect("call");
    assert_eq!(*hub.queries.lock().expect("lock"), ["Bearer t0ken"]);
    assert_eq!(client.session().await.map(|session| session.id), Some(7));
    let far = Client::new("http://hub.example.com/kojihub", quick()).expect("client");
    let refused = far.login_with_token("t0ken").await.expect_err("in the clear");
    assert!(matches!(refused, Error::Settings(_)), "{refused}");
}
