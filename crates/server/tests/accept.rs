//! The listener goes on when a connection cannot be accepted: out of file descriptors for a while.

use axum::Router;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use toji_bus::Bus;
use toji_db::Db;
use toji_hub::{Config, Hub};
use toji_server::{Front, Listeners, Options, Site};
use toji_testkit::{Engine, run_on};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Asks whether the hub is alive.
async fn alive(address: std::net::SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[test]
fn the_acceptor_stays_alive_on_accept_errors() {
    run_on(Engine::Sqlite, starved);
}

async fn starved(db: Db) {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { topdir: dir.path().to_owned(), ..Config::default() };
    let hub = Hub::new(db, Bus::new(), config);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let site = Site { hub, pages: Router::new(), front: Front::default() };
    let listeners = Listeners { plain: Some(listener), tls: None };
    tokio::spawn(toji_server::serve(
        site.fixed(),
        listeners,
        Options::default(),
        std::future::pending::<()>(),
    ));
    assert!(alive(address).await.unwrap().starts_with("HTTP/1.1 200"));
    // Both ends of a connection are of this process: with a limit of what is open now and a bit, clients
    // get their descriptor and the server has none left for its side.
    let before = getrlimit(Resource::Nofile);
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let mut clients: Vec<TcpStream> = Vec::new();
    setrlimit(Resource::Nofile, Rlimit { current: Some(open + 21), ..before }).unwrap();
    while let Ok(client) = TcpStream::connect(address).await {
        clients.push(client);
    }
    assert!(clients.len() >= 10, "{} connections", clients.len());
    setrlimit(Resource::Nofile, before).unwrap();
    drop(clients);
    let answer = tokio::time::timeout(std::time::Duration::from_secs(60), alive(address)).await;
    assert!(answer.expect("an answer in time").unwrap().starts_with("HTTP/1.1 200"));
}
