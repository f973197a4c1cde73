//! Connections of people whom nobody knows yet, served by threads that give way to all others.
//!
//! A connection begins there: its handshake, the documents that come over it and the answers to calls without a login
//! cost what they cost, however many there are, without the hub's own threads having a part in it. With the first call
//! that a login stands behind it moves to them, socket and all, and stays.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use rustix::process::{getpriority_process, setpriority_process};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::{Handle, Runtime};

/// How far the threads give way (`nice(2)`): a third of what others get, when both want a processor.
const GIVES_WAY: i32 = 5;

/// The threads, those of this process.
static THREADS: LazyLock<Option<Runtime>> = LazyLock::new(|| runtime("strangers", None, GIVES_WAY));

tokio::task_local! {
    /// That of the connection which is being served.
    static HERE: Whereabouts;
}

/// How far the process itself gives way.
static OWN: LazyLock<i32> = LazyLock::new(|| getpriority_process(None).unwrap_or(0));

/// A runtime whose threads give way to others; as many threads as processors, if nothing else is said.
pub(crate) fn runtime(name: &str, threads: Option<usize>, nice: i32) -> Option<Runtime> {
    // Threads begin as those that start them, which may give way already.
    let nice = *OWN + nice;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(number) = threads {
        builder.worker_threads(number);
    }
    // Where it may not be done, they are threads like others.
    builder.enable_all().thread_name(name).on_thread_start(move || {
        let _ = setpriority_process(None, nice);
    });
    builder
        .build()
        .inspect_err(|error| tracing::warn!(%error, name, "no threads of their own"))
        .ok()
}

/// Where a connection is served.
#[derive(Clone, Default)]
pub(crate) struct Whereabouts(Arc<AtomicU8>);

const OUTSIDE: u8 = 0;
const KNOWN: u8 = 1;
const AT_HOME: u8 = 2;

impl Whereabouts {
    fn is(&self, place: u8) -> bool {
        self.0.load(Ordering::Acquire) == place
    }

    fn change(&self, from: u8, to: u8) {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).ok();
    }
}

/// Notes that a login stands behind the connection whose request is being answered.
pub(crate) fn known() {
    HERE.try_with(|here| here.change(OUTSIDE, KNOWN)).ok();
}

/// Serves a connection among strangers, and by the runtime of the caller as soon as it is known.
///
/// `serve` is polled there from the beginning, so that it makes its socket in the right place.
pub(crate) fn serve<F>(here: Whereabouts, serve: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let home = Handle::current();
    LazyLock::force(&OWN);
    let Some(threads) = THREADS.as_ref() else {
        here.change(OUTSIDE, AT_HOME);
        home.spawn(serve);
        return;
    };
    threads.spawn(async move {
        let mut serve = Box::pin(HERE.scope(here.clone(), serve));
        let done = std::future::poll_fn(|cx| {
            let done = serve.as_mut().poll(cx).is_ready();
            if done || here.is(KNOWN) { Poll::Ready(done) } else { Poll::Pending }
        });
        if !done.await {
            here.change(KNOWN, AT_HOME);
            home.spawn(serve);
        }
    });
}

/// A socket that goes with its connection.
pub(crate) struct Moving {
    /// Always there, but while it is handed from one runtime to the other.
    stream: Option<TcpStream>,
    here: Whereabouts,
    moved: bool,
}

impl Moving {
    /// A socket that no runtime knows yet.
    ///
    /// # Errors
    /// When it cannot be watched.
    pub(crate) fn new(stream: std::net::TcpStream, here: Whereabouts) -> io::Result<Moving> {
        let moved = here.is(AT_HOME);
        Ok(Moving { stream: Some(TcpStream::from_std(stream)?), here, moved })
    }

    /// The socket, watched by the runtime that serves the connection now.
    pub(crate) fn get(&mut self) -> io::Result<&mut TcpStream> {
        if !self.moved && self.here.is(AT_HOME) {
            self.moved = true;
            let stream = self.stream.take().map(TcpStream::into_std).transpose()?;
            self.stream = stream.map(TcpStream::from_std).transpose()?;
        }
        self.stream.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for Moving {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        pin!(self.get_mut().get()?).poll_read(cx, buf)
    }
}

impl AsyncWrite for Moving {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        pin!(self.get_mut().get()?).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        pin!(self.get_mut().get()?).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(self.get_mut().get()?).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(self.get_mut().get()?).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::mpsc;

    fn among_strangers() -> bool {
        std::thread::current().name() == Some("strangers")
    }

    #[test]
    fn all_threads_give_way_as_far() {
        let wanted = (*OWN + 5).min(19);
        let first = runtime("first", Some(1), 5).unwrap();
        let nice = || getpriority_process(None).unwrap();
        let both = async move { (nice(), tokio::task::spawn_blocking(nice).await.unwrap()) };
        assert_eq!(first.block_on(first.spawn(both)).unwrap(), (wanted, wanted));
        let second = first.block_on(first.spawn(async { runtime("second", Some(1), 5).unwrap() }));
        let second = second.unwrap();
        assert_eq!(second.block_on(second.spawn(async move { nice() })).unwrap(), wanted);
        first.shutdown_background();
        second.shutdown_background();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_connection_moves_when_it_is_known_and_goes_on() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let here = Whereabouts::default();
        let (tell, mut told) = mpsc::unbounded_channel();
        let same = here.clone();
        serve(here, async move {
            let mut stream = Moving::new(stream, same).unwrap();
            let mut byte = [0];
            while stream.read_exact(&mut byte).await.is_ok() {
                if byte == *b"k" {
                    known();
                }
                // Still by the threads that have read it.
                let first = among_strangers();
                stream.write_all(&byte).await.unwrap();
                tokio::task::yield_now().await;
                tell.send((byte[0], first, among_strangers())).unwrap();
            }
        });
        let talk = tokio::task::spawn_blocking(move || {
            for byte in *b"skk" {
                client.write_all(&[byte]).unwrap();
                let mut answer = [0];
                client.read_exact(&mut answer).unwrap();
                assert_eq!(answer[0], byte);
            }
        });
        talk.await.unwrap();
        assert_eq!(told.recv().await, Some((b's', true, true)));
        assert_eq!(told.recv().await, Some((b'k', true, false)));
        assert_eq!(told.recv().await, Some((b'k', false, false)));
        assert_eq!(told.recv().await, None);
    }
}
