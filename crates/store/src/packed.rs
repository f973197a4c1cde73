//! Files at rest: compressed in their place, and read as if they were not.
//!
//! A packed file is a valid zstd file, so that `zstd -d` reads it too: first a skippable frame with the length of the
//! content and an index, then a frame for each block of the content.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use crate::{Error, Result};

/// The content of a frame, in bytes: what is decompressed to read any of it.
const BLOCK: usize = 1 << 20;
/// A skippable frame of zstd (RFC 8878, 3.1.2).
const SKIPPABLE: u32 = 0x184D_2A57;
const NAME: &[u8; 8] = b"toji-log";
/// Frame head, name, block size, length of the content; the index is behind it.
const HEAD: usize = 8 + 8 + 8 + 8;
/// Zstd's level for what is written once and read seldom.
const LEVEL: i32 = 9;
/// What is shorter takes a block of the disk either way.
const LEAST: u64 = 4096;

/// What [`pack`] or [`unpack`] has done to a file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its length on the disk before.
    pub before: u64,
    /// Its length on the disk now.
    pub after: u64,
}

/// Compresses a file in its place; time, mode and owner stay. Nothing is done to what is packed, is no plain file of one
/// name, or would not get smaller by a tenth.
///
/// # Errors
/// When it cannot be read or written; then it is as before.
pub fn pack(path: &Path) -> Result<Option<Change>> {
    let io = |e| Error::io(path)(e);
    let Some(mut file) = plain_file(path)? else { return Ok(None) };
    let before = file.metadata().map_err(io)?.len();
    if before < LEAST || Index::read(&file).map_err(io)?.is_some() {
        return Ok(None);
    }
    replace(path, &file.try_clone().map_err(io)?, |out| {
        let blocks = before.div_ceil(BLOCK as u64) as usize;
        let mut packer = zstd::bulk::Compressor::new(LEVEL)?;
        packer.include_checksum(true)?;
        out.write_all(&vec![0; HEAD + blocks * 8])?;
        let mut ends = Vec::with_capacity(blocks);
        let mut end = 0;
        let mut left = before;
        while left > 0 {
            let mut block = vec![0; BLOCK.min(usize::try_from(left).unwrap_or(BLOCK))];
            file.read_exact(&mut block)?;
            let frame = packer.compress(&block)?;
            out.write_all(&frame)?;
            end += frame.len() as u64;
            ends.push(end);
            left -= block.len() as u64;
        }
        let head = Index { length: before, ends }.head();
        out.write_all_at(&head, 0)?;
        Ok((head.len() as u64 + end) < before / 10 * 9)
    })
}

/// Makes a packed file what it was; nothing is done to others.
///
/// # Errors
/// When it cannot be read or written; then it is as before.
pub fn unpack(path: &Path) -> Result<Option<Change>> {
    let io = |e| Error::io(path)(e);
    let Some(file) = plain_file(path)? else { return Ok(None) };
    if Index::read(&file).map_err(io)?.is_none() {
        return Ok(None);
    }
    let mut content = Content::new(file.try_clone().map_err(io)?).map_err(io)?;
    replace(path, &file, |out| io::copy(&mut content, out).map(|_| true))
}

/// Whether a file is packed.
///
/// # Errors
/// When it cannot be read.
pub fn is_packed(path: &Path) -> Result<bool> {
    let file = File::open(path).map_err(Error::io(path))?;
    Index::read(&file).map(|index| index.is_some()).map_err(Error::io(path))
}

/// The file, if it is one and has no other names.
fn plain_file(path: &Path) -> Result<Option<File>> {
    let meta = std::fs::symlink_metadata(path).map_err(Error::io(path))?;
    if !meta.is_file() || meta.nlink() != 1 {
        return Ok(None);
    }
    File::open(path).map(Some).map_err(Error::io(path))
}

/// Writes a file anew beside the old one and puts it in its place, if `write` says so and the old one is unchanged.
fn replace(
    path: &Path,
    old: &File,
    write: impl FnOnce(&mut File) -> io::Result<bool>,
) -> Result<Option<Change>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = path.with_file_name(format!(".{name}.packing"));
    let work = || {
        let meta = old.metadata()?;
        let mut out = File::create(&fresh)?;
        if !write(&mut out)? {
            return Ok(None);
        }
        let written = out.metadata()?;
        if (written.uid(), written.gid()) != (meta.uid(), meta.gid()) {
            std::os::unix::fs::fchown(&out, Some(meta.uid()), Some(meta.gid()))?;
        }
        out.set_permissions(meta.permissions())?;
        let times = std::fs::FileTimes::new().set_modified(meta.modified()?);
        out.set_times(times.set_accessed(meta.accessed()?))?;
        out.sync_all()?;
        let now = std::fs::symlink_metadata(path)?;
        let same = |meta: &std::fs::Metadata| (meta.ino(), meta.len(), meta.modified().ok());
        if same(&now) != same(&meta) {
            return Ok(None);
        }
        std::fs::rename(&fresh, path)?;
        Ok(Some(Change { before: meta.len(), after: out.metadata()?.len() }))
    };
    let done = work();
    if !matches!(done, Ok(Some(_))) {
        let _ = std::fs::remove_file(&fresh);
    }
    done.map_err(Error::io(path))
}

/// Where the frames are.
struct Index {
    length: u64,
    /// The end of each frame, from the end of the head on.
    ends: Vec<u64>,
}

impl Index {
    fn head(&self) -> Vec<u8> {
        let size = HEAD - 8 + self.ends.len() * 8;
        let mut head = Vec::with_capacity(size + 8);
        head.extend_from_slice(&SKIPPABLE.to_le_bytes());
        head.extend_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
        head.extend_from_slice(NAME);
        head.extend_from_slice(&(BLOCK as u64).to_le_bytes());
        head.extend_from_slice(&self.length.to_le_bytes());
        self.ends.iter().for_each(|end| head.extend_from_slice(&end.to_le_bytes()));
        head
    }

    /// The index of a packed file; nothing for others, and for what only begins like one.
    fn read(file: &File) -> io::Result<Option<Index>> {
        let mut head = [0; HEAD];
        if let Err(error) = file.read_exact_at(&mut head, 0) {
            let short = error.kind() == io::ErrorKind::UnexpectedEof;
            return if short { Ok(None) } else { Err(error) };
        }
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| head[at + n]));
        let length = number(24);
        let blocks = length.div_ceil(BLOCK as u64);
        let size = (HEAD as u64 - 8).saturating_add(blocks.saturating_mul(8));
        let begin = u64::from(SKIPPABLE) | size << 32;
        let on_disk = file.metadata()?.len();
        let fits = size < on_disk && u32::try_from(size).is_ok();
        if &head[8..16] != NAME || !fits || number(0) != begin || number(16) != BLOCK as u64 {
            return Ok(None);
        }
        let mut list = vec![0; usize::try_from(blocks * 8).unwrap_or(0)];
        file.read_exact_at(&mut list, HEAD as u64)?;
        let ends: Vec<u64> = list
            .chunks_exact(8)
            .map(|end| u64::from_le_bytes(std::array::from_fn(|n| end[n])))
            .collect();
        let whole = ends.last().copied().unwrap_or(0).checked_add(size + 8) == Some(on_disk);
        Ok((whole && ends.is_sorted()).then_some(Index { length, ends }))
    }

    fn begin(&self, block: usize) -> u64 {
        let head = (HEAD + self.ends.len() * 8) as u64;
        head + if block == 0 { 0 } else { self.ends[block - 1] }
    }
}

/// The content of a file, packed or not.
pub struct Content {
    file: File,
    index: Option<Index>,
    position: u64,
    /// The last block that was read.
    block: Option<(usize, Vec<u8>)>,
}

impl Content {
    /// Looks whether a file is packed, and begins at its first byte.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(mut file: File) -> io::Result<Self> {
        let index = Index::read(&file)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Content { file, index, position: 0, block: None })
    }

    /// The length of the content, in bytes.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn length(&self) -> io::Result<u64> {
        match &self.index {
            Some(index) => Ok(index.length),
            None => self.file.metadata().map(|meta| meta.len()),
        }
    }

    /// Whether it is compressed on the disk.
    pub fn is_packed(&self) -> bool {
        self.index.is_some()
    }

    /// The file, if it is not packed.
    ///
    /// # Errors
    /// Itself, if it is.
    pub fn into_plain(self) -> std::result::Result<File, Self> {
        if self.is_packed() { Err(self) } else { Ok(self.file) }
    }

    fn load(&mut self, block: usize) -> io::Result<&[u8]> {
        let Some(index) = &self.index else { return Ok(&[]) };
        let known = matches!(&self.block, Some((number, _)) if *number == block);
        if !known {
            let begin = index.begin(block);
            let length = index.ends[block] - if block == 0 { 0 } else { index.ends[block - 1] };
            let mut frame = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(2 * BLOCK)];
            self.file.read_exact_at(&mut frame, begin)?;
            let data = zstd::bulk::decompress(&frame, BLOCK)?;
            let rest = index.length - block as u64 * BLOCK as u64;
            if data.len() as u64 != rest.min(BLOCK as u64) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a block is not whole"));
            }
            self.block = Some((block, data));
        }
        Ok(self.block.as_ref().map_or(&[], |(_, data)| data))
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(index) = &self.index else { return self.file.read(buffer) };
        let position = self.position;
        if position >= index.length {
            return Ok(0);
        }
        let block = usize::try_from(position / BLOCK as u64).unwrap_or(usize::MAX);
        let within = usize::try_from(position % BLOCK as u64).unwrap_or(0);
        let data = self.load(block)?;
        let n = buffer.len().min(data.len() - within);
        buffer[..n].copy_from_slice(&data[within..within + n]);
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for Content {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let Some(index) = &self.index else { return self.file.seek(to) };
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => index.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        let before = || io::Error::new(io::ErrorKind::InvalidInput, "before the first byte");
        self.position = target.ok_or_else(before)?;
        Ok(self.position)
    }
}

/// The length of the content of a file of this name and length: of a packed one it is another.
///
/// Only logs are packed, so no other file is opened.
pub fn content_length(name: &str, length: u64, open: impl FnOnce() -> io::Result<File>) -> u64 {
    if !is_log(name) || length < HEAD as u64 {
        return length;
    }
    let index = open().and_then(|file| Index::read(&file));
    index.ok().flatten().map_or(length, |index| index.length)
}

/// Whether a file of this name is a log, and so may be packed.
pub fn is_log(name: &str) -> bool {
    name.ends_with(".log")
}
