//! Connections that say nothing, say it slowly, or do not listen.

use std::time::Duration;

use axum::Router;
use toji_bus::Bus;
use toji_db::Db;
use toji_hub::{Config, Hub};
use toji_server::{Front, Listeners, Options, Patience, Site};
use toji_testkit::{Engine, run_on};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ALIVE: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n";

#[test]
fn the_patience_with_connections_ends() {
    run_on(Engine::Sqlite, patience);
}

/// Reads one answer to [`ALIVE`].
async fn answered(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    while !answer.ends_with(b"ok\n") {
        let n = stream.read(&mut part).await.unwrap();
        assert!(n > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..n]);
    }
    String::from_utf8(answer).unwrap()
}

/// Waits until the server closes the connection.
async fn closed(stream: &mut TcpStream) {
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut [0])).await;
    assert!(matches!(read.expect("the connection stays open"), Ok(0) | Err(_)));
}

async fn patience(db: Db) {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { topdir: dir.path().to_owned(), ..Config::default() };
    let hub = Hub::new(db, Bus::new(), config);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let site = Site { hub, pages: Router::new(), front: Front::default() };
    let (head, idle) = (Duration::from_millis(200), Duration::from_secs(4));
    let (ping, pong) = (Duration::from_millis(100), Duration::from_millis(300));
    let patience = Patience { head, idle, ping, pong };
    let listeners = Listeners { plain: Some(listener), tls: None };
    tokio::spawn(toji_server::serve(
        site.fixed(),
        listeners,
        Options { patience, ..Options::default() },
        std::future::pending::<()>(),
    ));
    let connect = || async { TcpStream::connect(address).await.unwrap() };
    let (mut silent, mut idle, mut slow) = (connect().await, connect().await, connect().await);
    for stream in [&mut idle, &mut slow] {
        stream.write_all(ALIVE).await.unwrap();
        assert!(answered(stream).await.starts_with("HTTP/1.1 200"));
    }
    // The head of a second request, which does not go on.
    slow.write_all(&ALIVE[..20]).await.unwrap();
    closed(&mut slow).await;
    // A client of HTTP/2 that is not there any more: it acknowledges no ping.
    let mut dead = connect().await;
    dead.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut said = Vec::new();
    let read = dead.read_to_end(&mut said);
    let read = tokio::time::timeout(Duration::from_secs(60), read).await;
    drop(read.expect("the connection stays open"));
    // A frame of eight bytes and kind 6.
    assert!(said.windows(4).any(|part| part == [0, 0, 8, 6]), "{said:?}");
    // A connection that was idle for longer than that still works, but not for ever.
    idle.write_all(ALIVE).await.unwrap();
    assert!(answered(&mut idle).await.starts_with("HTTP/1.1 200"));
    closed(&mut silent).await;
    closed(&mut idle).await;
}
