//! Receivers of a command's output while it is written.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// Which stream a chunk came from; merged output counts as standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, or both when they are merged.
    Out,
    /// Standard error, when kept apart.
    Err,
}

/// Takes output in the chunks in which it arrives; must not block for long.
pub trait Sink: Send {
    /// Takes one chunk; an error ends the command.
    fn write(&mut self, stream: Stream, chunk: &[u8]) -> io::Result<()>;
}

impl<F: FnMut(Stream, &[u8]) -> io::Result<()> + Send> Sink for F {
    fn write(&mut self, stream: Stream, chunk: &[u8]) -> io::Result<()> {
        self(stream, chunk)
    }
}

/// Appends to a log file, unbuffered, so that a reader sees each chunk at once.
#[derive(Debug)]
pub struct LogFile(File);

impl LogFile {
    /// Opens a file for appending and creates it where it is missing.
    pub fn append(path: &Path) -> io::Result<Self> {
        OpenOptions::new().create(true).append(true).open(path).map(Self)
    }
}

impl Sink for LogFile {
    fn write(&mut self, _: Stream, chunk: &[u8]) -> io::Result<()> {
        self.0.write_all(chunk)
    }
}

/// Keeps everything in memory; bound it with `Limits::output`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error, when kept apart.
    pub err: Vec<u8>,
}

impl Capture {
    /// Standard output as text, with damaged characters replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

impl Sink for Capture {
    fn write(&mut self, stream: Stream, chunk: &[u8]) -> io::Result<()> {
        match stream {
            Stream::Out => self.out.extend_from_slice(chunk),
            Stream::Err => self.err.extend_from_slice(chunk),
        }
        Ok(())
    }
}

/// Passes each chunk to two sinks, in order.
#[derive(Debug)]
pub struct Tee<A, B>(pub A, pub B);

impl<A: Sink, B: Sink> Sink for Tee<A, B> {
    fn write(&mut self, stream: Stream, chunk: &[u8]) -> io::Result<()> {
        self.0.write(stream, chunk)?;
        self.1.write(stream, chunk)
    }
}

impl Sink for &mut dyn Sink {
    fn write(&mut self, stream: Stream, chunk: &[u8]) -> io::Result<()> {
        (**self).write(stream, chunk)
    }
}
