//! `/kojifiles` on the wire: bytes, ranges and conditions, beside nginx with the same files.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use toji_bus::Bus;
use toji_db::Db;
use toji_hub::{Config, Hub};
use toji_server::{Front, Listeners, Options, Site};
use toji_testkit::{Engine, run_on};

/// Bytes that tell their place: no two parts of eight are equal.
fn content(length: usize) -> Vec<u8> {
    (0..length as u64 / 8)
        .flat_map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes())
        .collect()
}

/// Serves a directory until the test ends.
async fn served(db: Db, dir: &Path) -> SocketAddr {
    let config = Config { topdir: dir.to_owned(), ..Config::default() };
    let hub = Hub::new(db, Bus::new(), config);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let site = Site { hub, pages: Router::new(), front: Front::default() };
    let listeners = Listeners { plain: Some(listener), tls: None };
    let forever = std::future::pending::<()>();
    tokio::spawn(toji_server::serve(site.fixed(), listeners, Options::default(), forever));
    address
}

/// What came back.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut own = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        own.next().map(|(_, value)| value.trim())
    }
}

fn read_answer(stream: &mut TcpStream, with_body: bool) -> Answer {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer { status, head, body: Vec::new() };
    let length = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
    if with_body && ![304, 204].contains(&status) {
        answer.body = vec![0; length];
        stream.read_exact(&mut answer.body).unwrap();
    }
    answer
}

/// Asks over a connection of its own; `lines` are headers.
fn ask(address: SocketAddr, method: &str, path: &str, lines: &[String]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: files\r\n{lines}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    read_answer(&mut stream, method != "HEAD")
}

/// A test against a served directory, on a thread of its own so that the server goes on.
fn with_files(test: impl FnOnce(SocketAddr, &Path) + Send + Clone + 'static) {
    run_on(Engine::Sqlite, |db| async move {
        let dir = tempfile::tempdir().unwrap();
        let address = served(db, dir.path()).await;
        let path = dir.path().to_owned();
        tokio::task::spawn_blocking(move || test(address, &path)).await.unwrap();
    });
}

#[test]
fn bytes_arrive_as_they_are() {
    with_files(|address, dir| {
        for (name, length) in
            [("empty", 0), ("tiny", 8), ("small", 65_536), ("more", 65_544), ("large", 9_000_000)]
        {
            std::fs::write(dir.join(name), content(length)).unwrap();
        }
        // A hole is read from no disk, and is zeros.
        std::fs::File::create(dir.join("hole")).unwrap().set_len(1_000_000).unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        // Asked for all at once: the answers come one after the other.
        let names = ["large", "tiny", "empty", "large", "small", "hole", "more", "large"];
        let requests: String = names
            .iter()
            .map(|name| format!("GET /kojifiles/{name} HTTP/1.1\r\nHost: files\r\n\r\n"))
            .collect();
        stream.write_all(requests.as_bytes()).unwrap();
        for name in names {
            let answer = read_answer(&mut stream, true);
            assert_eq!(answer.status, 200, "{name}");
            assert!(answer.body == std::fs::read(dir.join(name)).unwrap(), "{name}");
        }
        let large = content(9_000_000);
        let range =
            |value: &str| ask(address, "GET", "/kojifiles/large", &[format!("Range: {value}")]);
        let answer = range("bytes=1000001-7000001");
        assert!(answer.body == large[1_000_001..=7_000_001]);
        assert_eq!(answer.header("content-range"), Some("bytes 1000001-7000001/9000000"));
        let answer = range("bytes=5-9,8000000-8999998,200000-400000,-1");
        assert_eq!(answer.status, 206);
        let kind = answer.header("content-type").unwrap();
        let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let mut expected = Vec::new();
        for (first, last) in
            [(5, 9), (8_000_000, 8_999_998), (200_000, 400_000), (8_999_999, 8_999_999)]
        {
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\
                 Content-Range: bytes {first}-{last}/9000000\r\n\r\n"
            );
            expected.extend_from_slice(head.as_bytes());
            expected.extend_from_slice(&large[first..=last]);
        }
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert!(answer.body == expected);
    });
}

/// HTTP/2 copies what it sends into frames of its own: no place for a part of a file may come there.
#[test]
fn bytes_arrive_as_they_are_over_http_2() {
    with_files(|address, dir| {
        let large = content(3_000_000);
        std::fs::write(dir.join("large"), &large).unwrap();
        std::fs::write(dir.join("small"), &large[..5000]).unwrap();
        for (path, range, expected) in [
            ("large", "0-2999999", &large[..]),
            ("small", "0-4999", &large[..5000]),
            ("large", "1000001-2000001", &large[1_000_001..=2_000_001]),
        ] {
            let got = Command::new("curl")
                .args(["-sS", "--fail", "--http2-prior-knowledge", "--max-time", "60", "-r", range])
                .args(["-w", "%{stderr}%{http_version}"])
                .arg(format!("http://{address}/kojifiles/{path}"))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&got.stderr);
            assert!(got.status.success() && said == "2", "{said}");
            assert!(got.stdout == expected, "{path} {range}");
        }
    });
}

#[test]
fn slow_readers_and_shrinking_files() {
    with_files(|address, dir| {
        let path = dir.join("large");
        let large = content(32 << 20);
        std::fs::write(&path, &large).unwrap();
        let request = b"GET /kojifiles/large HTTP/1.1\r\nHost: files\r\n\r\n";
        // Readers of several speeds at once, each with a connection.
        let readers: Vec<_> = [1 << 12, 70_001, 1 << 20]
            .map(|piece| {
                std::thread::spawn(move || {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.write_all(request).unwrap();
                    let length =
                        read_answer(&mut stream, false).header("content-length").map(str::to_owned);
                    let mut left: usize = length.unwrap().parse().unwrap();
                    let (mut body, mut buffer) = (Vec::new(), vec![0; piece]);
                    while left > 0 {
                        let read = stream.read(&mut buffer).unwrap();
                        assert!(read > 0, "the answer ended early");
                        body.extend_from_slice(&buffer[..read]);
                        left -= read;
                    }
                    body
                })
            })
            .into();
        for reader in readers {
            assert!(reader.join().unwrap() == large);
        }
        // What cannot be sent any more ends the connection; nothing else comes in its place.
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request).unwrap();
        read_answer(&mut stream, false);
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(16 << 20).unwrap();
        let mut body = Vec::new();
        let _ = stream.read_to_end(&mut body);
        assert!(body.len() < large.len() && body == large[..body.len()], "{} bytes", body.len());
        // What grows while it is sent is sent as long as it was.
        std::fs::write(&path, &large).unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request).unwrap();
        let head = read_answer(&mut stream, false);
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(b"more", 32 << 20).unwrap();
        let mut body = vec![0; head.header("content-length").unwrap().parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        assert!(body == large);
    });
}

/// A running nginx that serves a directory below `/kojifiles/`.
struct Nginx {
    process: Child,
    address: SocketAddr,
}

impl Nginx {
    fn start(dir: &Path, root: &Path) -> Nginx {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let (at, root) = (dir.display(), root.display());
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
            .concat();
        let config = format!(
            "{user} daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\n\
             events {{}}\nhttp {{ {temporary} access_log off; sendfile on;\n\
             default_type application/octet-stream;\n\
             server {{ listen 127.0.0.1:{port}; location /kojifiles/ {{ alias {root}/; autoindex on; }} }} }}\n"
        );
        std::fs::write(dir.join("nginx.conf"), config).unwrap();
        let program =
            ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|p| Path::new(p).exists());
        let process = Command::new(program.expect("nginx is installed"))
            .args(["-p", dir.to_str().unwrap(), "-c", dir.join("nginx.conf").to_str().unwrap()])
            .args(["-e", dir.join("error.log").to_str().unwrap()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(30), "nginx does not serve");
            std::thread::yield_now();
        }
        Nginx { process, address }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The parts of a multipart body, as (range, bytes).
fn parts(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    let Some(kind) = answer
        .header("content-type")
        .and_then(|k| k.strip_prefix("multipart/byteranges; boundary="))
    else {
        return Vec::new();
    };
    // What is read here has no such line within its parts, nor bytes that are no ASCII.
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let mut found = Vec::new();
    for part in text.split(&format!("--{kind}")).skip(1) {
        let Some((head, body)) = part.split_once("\r\n\r\n") else { continue };
        let range = head.lines().find_map(|l| l.strip_prefix("Content-Range: ")).unwrap();
        found.push((range.to_owned(), body.strip_suffix("\r\n").unwrap().into()));
    }
    found
}

#[test]
fn odd_requests_are_answered_as_nginx_does() {
    with_files(|address, dir| {
        std::fs::create_dir(dir.join("sub")).unwrap();
        let text: String = (0..2000).map(|n| format!("{n:05}\n")).collect();
        std::fs::write(dir.join("file.bin"), &text).unwrap();
        std::fs::write(dir.join("empty.bin"), "").unwrap();
        std::fs::write(dir.join("sub/a b%&<'\u{e9}.bin"), "odd").unwrap();
        let own = tempfile::tempdir().unwrap();
        let nginx = Nginx::start(own.path(), dir);
        let plain = |address| ask(address, "GET", "/kojifiles/file.bin", &[]);
        let (mine, theirs) = (plain(address), plain(nginx.address));
        assert_eq!(mine.header("last-modified"), theirs.header("last-modified"));
        for answer in [&mine, &theirs] {
            let tag = answer.header("etag").unwrap();
            assert!(tag.starts_with('"') && tag.ends_with('"'), "a strong tag: {tag}");
        }
        let date = mine.header("last-modified").unwrap().to_owned();
        let long = format!("Range: bytes={}", vec!["0-0"; 100].join(","));
        let cases: Vec<(&str, &str, Vec<String>)> = vec![
            ("GET", "file.bin", vec![]),
            ("HEAD", "file.bin", vec![]),
            ("POST", "file.bin", vec!["Content-Length: 0".into()]),
            ("PUT", "file.bin", vec!["Content-Length: 0".into()]),
            ("DELETE", "file.bin", vec![]),
            ("GET", "file.bin/", vec![]),
            ("GET", "file.bin?query=1", vec![]),
            ("GET", "none.bin", vec![]),
            ("GET", "sub", vec![]),
            ("HEAD", "sub/", vec![]),
            ("GET", "./file.bin", vec![]),
            ("GET", "%66ile.bin", vec![]),
            ("GET", "sub/a%20b%25%26%3C%27%C3%A9.bin", vec![]),
            ("GET", "empty.bin", vec![]),
            ("GET", "empty.bin", vec!["Range: bytes=-5".into()]),
            ("GET", "file.bin", vec!["Range: bytes=0-4".into()]),
            ("HEAD", "file.bin", vec!["Range: bytes=0-4".into()]),
            ("GET", "file.bin", vec!["Range: bytes=11999-".into()]),
            ("GET", "file.bin", vec!["Range: bytes=-6".into()]),
            ("GET", "file.bin", vec!["Range: bytes=-60000".into()]),
            ("GET", "file.bin", vec!["Range: bytes=100-60000".into()]),
            ("GET", "file.bin", vec!["Range: bytes=12000-".into()]),
            ("GET", "file.bin", vec!["Range: bytes=-0".into()]),
            ("GET", "file.bin", vec!["Range: bytes= 5 - 9 ".into()]),
            ("GET", "file.bin", vec!["Range: bytes=6-11,0-5".into()]),
            ("GET", "file.bin", vec!["Range: bytes=0-5,20000-".into()]),
            ("GET", "file.bin", vec!["Range: bytes=0-5, 6-11, -6".into()]),
            ("GET", "file.bin", vec!["Range: bytes=20000-,30000-".into()]),
            ("GET", "file.bin", vec!["Range: bytes=0-,0-".into()]),
            ("GET", "file.bin", vec![long]),
            ("GET", "file.bin", vec!["Range: lines=0-5".into()]),
            ("GET", "file.bin", vec!["Range: bytes=0-5".into(), format!("If-Range: {date}")]),
            ("GET", "file.bin", vec!["Range: bytes=0-5".into(), "If-Range: @".into()]),
            ("GET", "file.bin", vec!["Range: bytes=0-5".into(), "If-Range: W/@".into()]),
            ("GET", "file.bin", vec!["Range: bytes=0-5".into(), "If-Range: \"other\"".into()]),
            ("GET", "file.bin", vec!["Range: bytes=0-5".into(), "If-None-Match: @".into()]),
            ("GET", "file.bin", vec!["If-None-Match: @".into()]),
            ("HEAD", "file.bin", vec!["If-None-Match: @".into()]),
            ("GET", "file.bin", vec!["If-None-Match: W/@".into()]),
            ("GET", "file.bin", vec!["If-None-Match: \"x\", @".into()]),
            ("GET", "file.bin", vec!["If-None-Match: *".into()]),
            (
                "GET",
                "file.bin",
                vec!["If-None-Match: \"x\"".into(), format!("If-Modified-Since: {date}")],
            ),
            ("GET", "file.bin", vec![format!("If-Modified-Since: {date}")]),
            ("GET", "file.bin", vec!["If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT".into()]),
            ("GET", "file.bin", vec!["If-Modified-Since: nonsense".into()]),
            ("GET", "file.bin", vec!["If-Match: @".into()]),
            ("GET", "file.bin", vec!["If-Match: *".into()]),
            ("GET", "file.bin", vec!["If-Match: \"x\"".into()]),
            ("GET", "file.bin", vec![format!("If-Unmodified-Since: {date}")]),
            ("GET", "file.bin", vec!["If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT".into()]),
        ];
        let mut wrong = Vec::new();
        for (method, path, lines) in cases {
            let answers = [(address, &mine), (nginx.address, &theirs)].map(|(address, plain)| {
                let tag = plain.header("etag").unwrap();
                let lines: Vec<String> = lines.iter().map(|line| line.replace('@', tag)).collect();
                ask(address, method, &format!("/kojifiles/{path}"), &lines)
            });
            let said = |answer: &Answer| {
                let fine = answer.status < 300;
                let place = answer.header("location").map(|l| {
                    l.replace(&format!("http://files:{}", nginx.address.port()), "")
                        .replace("http://files", "")
                });
                let kind = if parts(answer).is_empty() { "" } else { "parts" };
                let length = answer
                    .header("content-length")
                    .filter(|_| fine && kind.is_empty() && !path.ends_with('/'));
                (
                    answer.status,
                    place,
                    answer.header("content-range").map(str::to_owned),
                    length.map(str::to_owned),
                    kind,
                )
            };
            let [mine, theirs] = &answers;
            let what = format!("{method} {path} {lines:?}");
            if said(mine) != said(theirs) {
                wrong.push(format!("{what}\n{:?}\n{:?}", said(mine), said(theirs)));
                continue;
            }
            assert_eq!(parts(mine), parts(theirs), "{what}");
            if mine.status < 300 && parts(mine).is_empty() && !path.ends_with('/') {
                assert!(mine.body == theirs.body, "{what}");
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    });
}

#[test]
fn where_the_answers_differ() {
    with_files(|address, dir| {
        std::fs::write(dir.join("file"), "0123456789").unwrap();
        std::fs::write(dir.join(".hidden"), "secret").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.join("link")).unwrap();
        let get = |path: &str, lines: &[String]| ask(address, "GET", path, lines);
        // nginx answers 416; the standard lets a server pass over what it cannot read, as Apache does.
        for value in ["bytes=5-2", "bytes=x-y", "bytes=1-2-3"] {
            let answer = get("/kojifiles/file", &[format!("Range: {value}")]);
            assert_eq!((answer.status, answer.body.len()), (200, 10), "{value}");
        }
        // Neither what belongs to the hub nor what is outside.
        for path in [
            "/kojifiles/.hidden",
            "/kojifiles/link",
            "/kojifiles/../etc/passwd",
            // nginx resolves these before it looks; clients do so before they ask.
            "/kojifiles/none/../file",
            "/kojifiles/none%2F..%2Ffile",
            // nginx answers 400.
            "/kojifiles/file%00",
            "/kojifiles/%2e%2e/%2e%2e/etc/passwd",
        ] {
            assert_eq!(get(path, &[]).status, 404, "{path}");
        }
        let listing = String::from_utf8(get("/kojifiles/", &[]).body).unwrap();
        assert!(
            listing.contains("href=\"file\"")
                && !listing.contains("hidden")
                && !listing.contains("link")
        );
    });
}
