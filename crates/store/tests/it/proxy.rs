//! A network that fails in a given way, a given number of times.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::http::{header, read_head};

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection ends before the server has heard of it.
    Cut,
    /// The server has done it, and its answer is lost.
    LostAnswer,
    /// The server has done it, and half of its answer comes.
    HalfAnswer,
    /// 503 with an empty body.
    Unavailable,
    /// 500 with a description.
    InternalError,
    /// 200 with a description of an error.
    FalseSuccess,
    /// The server has done it, and its answer comes after the client's patience.
    Slow,
}

/// Every fault.
pub(crate) const ALL: [Fault; 7] = [
    Fault::Cut,
    Fault::LostAnswer,
    Fault::HalfAnswer,
    Fault::Unavailable,
    Fault::InternalError,
    Fault::FalseSuccess,
    Fault::Slow,
];

/// Which requests fail: those whose first line has all of these.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) fault: Fault,
    pub(crate) has: &'static [&'static str],
    pub(crate) has_not: &'static [&'static str],
    pub(crate) times: usize,
}

/// A proxy before a server.
pub(crate) struct Proxy {
    pub(crate) address: String,
    rule: Arc<Mutex<Option<Rule>>>,
    hits: Arc<Mutex<usize>>,
    /// How many bytes the server has answered, heads included.
    pub(crate) answered: Arc<AtomicUsize>,
}

const ERROR: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InternalError</Code>\
                     <Message>We encountered an internal error. Please try again.</Message></Error>";

impl Proxy {
    pub(crate) fn start(server: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let rule: Arc<Mutex<Option<Rule>>> = Arc::default();
        let hits: Arc<Mutex<usize>> = Arc::default();
        let answered: Arc<AtomicUsize> = Arc::default();
        let (shared, counted, server) = (rule.clone(), hits.clone(), server.to_owned());
        let sum = answered.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (rule, hits, server) = (shared.clone(), counted.clone(), server.clone());
                let sum = sum.clone();
                std::thread::spawn(move || {
                    // A client that leaves is a matter of course here.
                    let _ = serve(stream, &server, &rule, &hits, &sum);
                });
            }
        });
        Proxy { address, rule, hits, answered }
    }

    /// From now on this goes wrong; gives how often the fault before it happened.
    pub(crate) fn set(&self, rule: Option<Rule>) -> usize {
        *self.rule.lock().unwrap() = rule;
        std::mem::take(&mut self.hits.lock().unwrap())
    }
}

fn serve(
    stream: TcpStream,
    server: &str,
    rule: &Mutex<Option<Rule>>,
    hits: &Mutex<usize>,
    answered: &AtomicUsize,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    let Some(head) = read_head(&mut reader) else { return Ok(()) };
    let fault = {
        let mut rule = rule.lock().unwrap();
        let fits = rule.as_ref().is_some_and(|rule| {
            rule.times > 0
                && rule.has.iter().all(|part| head[0].contains(part))
                && !rule.has_not.iter().any(|part| head[0].contains(part))
        });
        match rule.as_mut().filter(|_| fits) {
            Some(rule) => {
                rule.times -= 1;
                *hits.lock().unwrap() += 1;
                Some(rule.fault)
            }
            None => None,
        }
    };
    let length = header(&head, "content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    match fault {
        Some(Fault::Cut) => return Ok(()),
        Some(Fault::Unavailable) => return answer(&mut out, "503 Service Unavailable", ""),
        Some(Fault::InternalError) => return answer(&mut out, "500 Internal Server Error", ERROR),
        Some(Fault::FalseSuccess) => return answer(&mut out, "200 OK", ERROR),
        _ => {}
    }
    let mut far = TcpStream::connect(server)?;
    let kept = head.iter().filter(|line| !line.to_lowercase().starts_with("connection:"));
    let mut text: String = kept.map(|line| format!("{line}\r\n")).collect();
    text.push_str("Connection: close\r\n\r\n");
    far.write_all(text.as_bytes())?;
    far.write_all(&body)?;
    let mut whole = Vec::new();
    far.read_to_end(&mut whole)?;
    answered.fetch_add(whole.len(), Ordering::Relaxed);
    match fault {
        Some(Fault::LostAnswer) => Ok(()),
        Some(Fault::HalfAnswer) => out.write_all(&whole[..whole.len() / 2]),
        // The client goes first.
        Some(Fault::Slow) => reader.read_to_end(&mut Vec::new()).map(drop),
        _ => out.write_all(&whole),
    }
}

fn answer(out: &mut TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(out, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}
