//! Repository metadata: XML fragments of packages, repositories as their concatenation, and reading them back.

mod briefs;
mod chunked;
mod chunks;
mod compress;
mod error;
mod fragment;
mod kept;
mod metadata;
pub mod pom;
pub mod reader;
mod repomd;
mod repository;
mod sum;
mod xml;
mod zchunk;

pub use briefs::{Brief, Elements};
pub use chunked::{ChunkKey, ChunkStore, ChunkedWriter, MemoryChunks};
pub use chunks::{Cutter, chunks};
pub use compress::{Compression, decoder};
pub use error::{Error, Result};
pub use fragment::{Fragments, Options, PackageFile, fragment, relocate};
pub use kept::KeptChunk;
pub use metadata::{MetadataWriter, Output, Part, Summary, pack};
pub use repomd::{Record, Repomd, Tags};
pub use repository::{Memory, Piece, Pieces, RepositoryWriter, Sink};
pub use sum::{Hasher, Sum};
pub use zchunk::{Zchunk, zchunk};
