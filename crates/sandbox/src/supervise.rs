//! Watching a running command: streaming its output and enforcing the limits on it.

use std::{io, pin::pin, time::Duration};

use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::Receiver,
    time::{Instant, interval, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    command::Reason,
    error::{Error, Result},
    limits::Limits,
    process::Process,
    sink::{Sink, Stream},
};

/// How long the pipes may stay open after the command was ended.
const DRAIN: Duration = Duration::from_secs(5);
/// How often is looked at what the kernel does not bound.
const SAMPLE: Duration = Duration::from_millis(500);
/// How much of the end of the output is kept for error messages.
const TAIL: usize = 2048;

/// The reading ends of the output.
pub(crate) struct Streams {
    /// Standard output, or both streams merged.
    pub(crate) out: Option<Receiver>,
    /// Standard error, if apart.
    pub(crate) err: Option<Receiver>,
}

/// What supervising found.
pub(crate) struct Ended {
    /// Why the supervisor killed the command, if it did.
    pub(crate) killed: Option<Reason>,
    /// The status of the process that was started.
    pub(crate) status: std::process::ExitStatus,
    /// Bytes of output.
    pub(crate) output: u64,
    /// Time from start to end.
    pub(crate) elapsed: Duration,
    /// The last of the output.
    pub(crate) tail: String,
}

struct Output<'a> {
    streams: Streams,
    sink: &'a mut dyn Sink,
    cap: u64,
    total: u64,
    tail: Vec<u8>,
    out_buffer: Vec<u8>,
    err_buffer: Vec<u8>,
}

/// Runs until the process has ended and its output is read; `too_much` is asked now and then.
pub(crate) async fn supervise(
    process: &mut Process,
    streams: Streams,
    limits: &Limits,
    sink: &mut dyn Sink,
    cancel: &CancellationToken,
    too_much: &mut (dyn FnMut() -> Option<Reason> + Send),
) -> Result<Ended> {
    let start = Instant::now();
    let mut output = Output::new(streams, sink, limits.output.unwrap_or(u64::MAX));
    let watched = watch(process, &mut output, limits, cancel, too_much, start).await;
    let (killed, status) = match watched {
        Ok((killed @ Some(_), _)) => {
            process.kill();
            (killed, None)
        }
        Ok(natural) => natural,
        Err(error) => {
            process.kill();
            let _ = process.wait().await;
            return Err(error);
        }
    };
    let status = match status {
        Some(status) => status,
        None => process.wait().await.map_err(Error::wait)?,
    };
    let elapsed = start.elapsed();
    let drained = timeout(DRAIN, output.drain()).await;
    let killed = match drained {
        Ok(Err(Failure::TooMuch)) => killed.or(Some(Reason::OutputLimit)),
        Ok(Err(Failure::Sink(error))) => return Err(Error::Sink(error)),
        Ok(Ok(())) | Err(_) => killed,
    };
    let tail = String::from_utf8_lossy(&output.tail).trim().to_string();
    Ok(Ended { killed, status, output: output.total, elapsed, tail })
}

async fn watch(
    process: &mut Process,
    output: &mut Output<'_>,
    limits: &Limits,
    cancel: &CancellationToken,
    too_much: &mut (dyn FnMut() -> Option<Reason> + Send),
    start: Instant,
) -> Result<(Option<Reason>, Option<std::process::ExitStatus>)> {
    let far = start + Duration::from_secs(365 * 24 * 3600);
    let mut wall = pin!(sleep_until(limits.wall.map_or(far, |wall| start + wall)));
    let mut silence = pin!(sleep_until(limits.silence.map_or(far, |silence| start + silence)));
    let mut sample = interval(SAMPLE);
    let kill = |reason| Ok((Some(reason), None));
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return kill(Reason::Cancelled),
            () = &mut wall => return kill(Reason::TimedOut),
            _ = sample.tick() => {
                if let Some(reason) = too_much() {
                    return kill(reason);
                }
            }
            read = output.read() => match read {
                Ok(()) => {
                    if let Some(limit) = limits.silence {
                        silence.as_mut().reset(Instant::now() + limit);
                    }
                }
                Err(Failure::TooMuch) => return kill(Reason::OutputLimit),
                Err(Failure::Sink(error)) => return Err(Error::Sink(error)),
            },
            status = process.wait() => return Ok((None, Some(status.map_err(Error::wait)?))),
            () = &mut silence => return kill(Reason::Silent),
        }
    }
}

enum Failure {
    TooMuch,
    Sink(io::Error),
}

impl<'a> Output<'a> {
    fn new(streams: Streams, sink: &'a mut dyn Sink, cap: u64) -> Self {
        let buffer = || Vec::with_capacity(64 << 10);
        Self {
            streams,
            sink,
            cap,
            total: 0,
            tail: Vec::new(),
            out_buffer: buffer(),
            err_buffer: buffer(),
        }
    }

    /// Passes on the next chunk of either stream; waits for ever once both have ended.
    async fn read(&mut self) -> Result<(), Failure> {
        self.out_buffer.clear();
        self.err_buffer.clear();
        let (stream, ended) = tokio::select! {
            ended = next(&mut self.streams.out, &mut self.out_buffer) => (Stream::Out, ended),
            ended = next(&mut self.streams.err, &mut self.err_buffer) => (Stream::Err, ended),
        };
        if ended {
            match stream {
                Stream::Out => self.streams.out = None,
                Stream::Err => self.streams.err = None,
            }
            return Ok(());
        }
        self.pass_on(stream)
    }

    fn pass_on(&mut self, stream: Stream) -> Result<(), Failure> {
        let chunk = match stream {
            Stream::Out => &self.out_buffer,
            Stream::Err => &self.err_buffer,
        };
        let room = usize::try_from(self.cap - self.total).unwrap_or(usize::MAX);
        let part = &chunk[..chunk.len().min(room)];
        self.sink.write(stream, part).map_err(Failure::Sink)?;
        self.total += part.len() as u64;
        self.tail.extend_from_slice(part);
        let excess = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..excess);
        if part.len() < chunk.len() { Err(Failure::TooMuch) } else { Ok(()) }
    }

    /// Reads both streams to their ends.
    async fn drain(&mut self) -> Result<(), Failure> {
        while self.streams.out.is_some() || self.streams.err.is_some() {
            self.read().await?;
        }
        Ok(())
    }
}

/// Reads a chunk; true at the end of the stream.
async fn next(pipe: &mut Option<Receiver>, buffer: &mut Vec<u8>) -> bool {
    match pipe {
        Some(pipe) => !matches!(pipe.read_buf(buffer).await, Ok(1..)),
        None => std::future::pending().await,
    }
}
