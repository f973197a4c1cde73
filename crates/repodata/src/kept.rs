//! Chunks as a cache keeps them: packed for repositories, and their text for the checksum of whole files.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use sha2::{Digest, Sha256};

use crate::{Compression, Error, MetadataWriter, RepositoryWriter, Result, Sink, pack};

/// What a file begins with; changes with its form.
const MAGIC: &[u8; 8] = b"TOJICHK1";
/// Numbers in the head: packages, then text, kept text and packed text of each part.
const NUMBERS: usize = 10;
const HEAD: usize = MAGIC.len() + NUMBERS * 8;
const DIGEST: usize = 32;
/// How the text is kept: it is read often and by nobody else.
const TEXT: i32 = 1;
/// The most text of a part that is opened, in bytes.
const MOST: u64 = 1 << 30;
/// Chunks that wait for a slower part.
const WAITING: usize = 8;

/// The fragments of some packages, in a form that is written into repositories without compressing anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptChunk {
    bytes: Vec<u8>,
    packages: u64,
    parts: [KeptPart; 3],
}

/// Where a part is in the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct KeptPart {
    size: usize,
    text: Range<usize>,
    packed: Range<usize>,
}

impl KeptChunk {
    /// Packs the fragments of `packages` packages for primary, filelists and other.
    ///
    /// # Errors
    /// [`Error::Limit`] for more than 1 GiB of text.
    pub fn make(packages: u64, texts: [&[u8]; 3], compression: Compression) -> Result<Self> {
        let mut bytes = MAGIC.to_vec();
        let mut body = Vec::new();
        bytes.extend(packages.to_le_bytes());
        for text in texts {
            let kept = zstd::bulk::compress(text, TEXT)?;
            let packed = pack(text, compression)?;
            for length in [text.len(), kept.len(), packed.len()] {
                bytes.extend((length as u64).to_le_bytes());
            }
            body.extend(kept);
            body.extend(packed);
        }
        bytes.extend(body);
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
        Self::read(bytes)
    }

    /// Takes the bytes of a chunk that was kept.
    ///
    /// # Errors
    /// [`Error::Content`] for bytes that are not those of a whole chunk.
    pub fn read(bytes: Vec<u8>) -> Result<Self> {
        const DAMAGED: Error = Error::Content("the kept chunk is damaged");
        let end = bytes.len().checked_sub(DIGEST).filter(|end| *end >= HEAD).ok_or(DAMAGED)?;
        let (content, digest) = bytes.split_at(end);
        if !content.starts_with(MAGIC) || Sha256::digest(content).as_slice() != digest {
            return Err(DAMAGED);
        }
        let mut numbers = content[MAGIC.len()..HEAD]
            .chunks_exact(8)
            .map(|number| u64::from_le_bytes(number.try_into().unwrap_or_default()));
        let mut number = || numbers.next().filter(|n| *n <= MOST).ok_or(Error::Limit("chunk"));
        let packages = number()?;
        let mut parts: [KeptPart; 3] = Default::default();
        let mut at = HEAD;
        for part in &mut parts {
            let [size, text, packed] = [number()?, number()?, number()?].map(|n| n as usize);
            let middle = at.checked_add(text).ok_or(DAMAGED)?;
            let after = middle.checked_add(packed).filter(|after| *after <= end).ok_or(DAMAGED)?;
            *part = KeptPart { size, text: at..middle, packed: middle..after };
            at = after;
        }
        if at != end {
            return Err(DAMAGED);
        }
        Ok(Self { bytes, packages, parts })
    }

    /// What is kept: [`KeptChunk::read`] takes it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many packages it has.
    pub fn packages(&self) -> u64 {
        self.packages
    }

    fn add_to<W: Write>(&self, part: usize, writer: &mut MetadataWriter<W>) -> Result<()> {
        let KeptPart { size, text, packed } = &self.parts[part];
        let text = zstd::bulk::decompress(&self.bytes[text.clone()], *size)?;
        if text.len() != *size {
            return Err(Error::Content("the kept chunk is shorter than it says"));
        }
        writer.add_packed(self.packages, &text, &self.bytes[packed.clone()])
    }
}

impl<S: Sink> RepositoryWriter<'_, S>
where
    S::File: Send,
{
    /// Adds chunks that were packed with this repository's compression, each part in a thread of its own.
    ///
    /// # Errors
    /// The first of the chunks' own errors, or what writing says.
    pub fn add_kept<E: From<Error>>(
        &mut self,
        chunks: impl IntoIterator<Item = Result<KeptChunk, E>>,
    ) -> Result<(), E> {
        std::thread::scope(|scope| {
            let (mut to, mut at_work) = (Vec::new(), Vec::new());
            for (part, writer) in self.parts().iter_mut().enumerate() {
                let (send, take) = sync_channel::<Arc<KeptChunk>>(WAITING);
                to.push(send);
                let work = move || take.iter().try_for_each(|chunk| chunk.add_to(part, writer));
                at_work.push(scope.spawn(work));
            }
            let mut given = Ok(());
            for chunk in chunks {
                match chunk.map(Arc::new) {
                    // A part that ended early says why below.
                    Ok(chunk) if to.iter().all(|to| to.send(chunk.clone()).is_ok()) => {}
                    Ok(_) => break,
                    Err(error) => {
                        given = Err(error);
                        break;
                    }
                }
            }
            drop(to);
            for part in at_work {
                let ended = part.join().unwrap_or(Err(Error::Content("a writer has panicked")));
                if given.is_ok() {
                    given = ended.map_err(E::from);
                }
            }
            given
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;

    fn chunk(from: u64, to: u64) -> KeptChunk {
        let text =
            |what: &str| (from..to).map(|n| format!("<{what} n='{n}'/>\n")).collect::<String>();
        let [a, b, c] = ["p", "f", "o"].map(text);
        let texts = [a.as_bytes(), b.as_bytes(), c.as_bytes()];
        KeptChunk::make(to - from, texts, Compression::Gzip(6)).unwrap()
    }

    #[test]
    fn a_chunk_survives_the_disk_and_damage_is_found() {
        let made = chunk(0, 70);
        let bytes = made.bytes().to_vec();
        assert_eq!(KeptChunk::read(bytes.clone()).unwrap(), made);
        assert_eq!(made.packages(), 70);
        for at in (0..bytes.len()).step_by(7) {
            let mut wrong = bytes.clone();
            wrong[at] ^= 4;
            assert!(KeptChunk::read(wrong).is_err(), "byte {at}");
            assert!(KeptChunk::read(bytes[..at].to_vec()).is_err(), "up to {at}");
        }
    }

    #[test]
    fn lengths_that_lie_are_refused_though_the_digest_is_right() {
        let made = chunk(0, 3);
        for number in 1..NUMBERS {
            for value in [0u64, 1, u64::from(u32::MAX), u64::MAX] {
                let mut bytes = made.bytes()[..made.bytes().len() - DIGEST].to_vec();
                let at = MAGIC.len() + 8 * number;
                bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
                let digest = Sha256::digest(&bytes);
                bytes.extend(digest);
                let Ok(read) = KeptChunk::read(bytes) else { continue };
                // The length of the text is known only when it is opened.
                let mut memory = Memory::default();
                let mut writer =
                    RepositoryWriter::new(&mut memory, 3, Compression::Gzip(6), 0).unwrap();
                assert!(number % 3 == 1, "number {number} is {value}");
                assert!(writer.add_kept([Ok::<_, Error>(read)]).is_err());
            }
        }
    }

    #[test]
    fn a_repository_of_kept_chunks_is_that_of_their_text() {
        let (mut kept, mut plain) = (Memory::default(), Memory::default());
        let mut writer = RepositoryWriter::new(&mut kept, 200, Compression::Gzip(6), 0).unwrap();
        let chunks = [chunk(0, 70), chunk(70, 71), chunk(71, 200)];
        writer.add_kept(chunks.map(Ok::<_, Error>)).unwrap();
        let kept = writer.finish("1").unwrap();
        let mut writer = RepositoryWriter::new(&mut plain, 200, Compression::Gzip(6), 0).unwrap();
        for n in 0..200 {
            let texts = ["p", "f", "o"].map(|what| format!("<{what} n='{n}'/>\n"));
            let [primary, filelists, other] =
                texts.each_ref().map(|text| crate::Piece { open: text.as_bytes(), packed: None });
            writer.add(crate::Pieces { packages: 1, primary, filelists, other }).unwrap();
        }
        let plain = writer.finish("1").unwrap();
        for (kept, plain) in kept.records.iter().zip(&plain.records) {
            assert_eq!(kept.open_checksum, plain.open_checksum);
            assert_eq!(kept.open_size, plain.open_size);
        }
    }

    #[test]
    fn the_first_error_of_a_chunk_ends_it() {
        let mut memory = Memory::default();
        let mut writer = RepositoryWriter::new(&mut memory, 9, Compression::Gzip(6), 0).unwrap();
        let chunks = [Ok(chunk(0, 3)), Err(Error::Content("gone")), Ok(chunk(3, 9))];
        let said = writer.add_kept(chunks).unwrap_err();
        assert_eq!(said.to_string(), "bad metadata: gone");
    }
}
