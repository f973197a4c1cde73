//! The files of a package.

use crate::{Error, Header, Result, tag};

/// The bits of a file's flags.
pub mod file_flags {
    /// `%config`.
    pub const CONFIG: u32 = 1 << 0;
    /// `%doc`.
    pub const DOC: u32 = 1 << 1;
    /// `%config(missingok)`.
    pub const MISSINGOK: u32 = 1 << 3;
    /// `%config(noreplace)`.
    pub const NOREPLACE: u32 = 1 << 4;
    /// The spec file of a source package.
    pub const SPECFILE: u32 = 1 << 5;
    /// `%ghost`.
    pub const GHOST: u32 = 1 << 6;
    /// `%license`.
    pub const LICENSE: u32 = 1 << 7;
    /// `%readme`.
    pub const README: u32 = 1 << 8;
}

/// One file of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct File<'a> {
    /// Directory with a final slash; empty in a source package.
    pub dir: &'a [u8],
    /// Name without its directory.
    pub base: &'a [u8],
    /// Type and permissions as in `stat`.
    pub mode: u16,
    /// See [`file_flags`].
    pub flags: u32,
    /// Size in bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: u64,
    /// Hexadecimal digest by the package's file digest algorithm; empty if not a regular file.
    pub digest: &'a [u8],
    /// Owner.
    pub user: &'a [u8],
    /// Group.
    pub group: &'a [u8],
    /// Target of a symbolic link.
    pub linkto: &'a [u8],
    /// Device number of a device node.
    pub rdev: u16,
    /// What `rpm -V` checks.
    pub verify_flags: u32,
}

impl File<'_> {
    /// The whole path.
    pub fn path(&self) -> Vec<u8> {
        [self.dir, self.base].concat()
    }

    /// True for a directory.
    pub fn is_dir(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    /// True for a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.mode & 0o170_000 == 0o120_000
    }

    /// True for a file that the package owns but does not bring.
    pub fn is_ghost(&self) -> bool {
        self.flags & file_flags::GHOST != 0
    }
}

impl Header {
    /// The files, in the order of the header; fails if the lists contradict each other.
    pub fn files(&self) -> Result<Vec<File<'_>>> {
        let mut files = self.file_names()?;
        let mut sizes = if self.has(tag::LONGFILESIZES) {
            self.ints(tag::LONGFILESIZES)
        } else {
            self.ints(tag::FILESIZES)
        };
        let mut modes = self.ints(tag::FILEMODES);
        let mut flags = self.ints(tag::FILEFLAGS);
        let mut mtimes = self.ints(tag::FILEMTIMES);
        let mut rdevs = self.ints(tag::FILERDEVS);
        let mut verify = self.ints(tag::FILEVERIFYFLAGS);
        let mut digests = self.strs(tag::FILEDIGESTS);
        let mut users = self.strs(tag::FILEUSERNAME);
        let mut groups = self.strs(tag::FILEGROUPNAME);
        let mut links = self.strs(tag::FILELINKTOS);
        for file in &mut files {
            file.size = sizes.next().unwrap_or(0);
            file.mode = modes.next().unwrap_or(0) as u16;
            file.flags = flags.next().unwrap_or(0) as u32;
            file.mtime = mtimes.next().unwrap_or(0);
            file.rdev = rdevs.next().unwrap_or(0) as u16;
            file.verify_flags = verify.next().unwrap_or(0) as u32;
            file.digest = digests.next().unwrap_or_default();
            file.user = users.next().unwrap_or_default();
            file.group = groups.next().unwrap_or_default();
            file.linkto = links.next().unwrap_or_default();
        }
        Ok(files)
    }

    fn file_names(&self) -> Result<Vec<File<'_>>> {
        if !self.has(tag::BASENAMES) {
            return Ok(self.strs(tag::OLDFILENAMES).map(split_path).collect());
        }
        let names = [tag::DIRINDEXES, tag::BASENAMES, tag::DIRNAMES];
        let files = split_files(self, names)?;
        for (tag, name) in [(tag::FILEMODES, "FILEMODES"), (tag::FILEFLAGS, "FILEFLAGS")] {
            if self.count(tag) != files.len() {
                return Err(Error::Missing(name));
            }
        }
        Ok(files)
    }
}

/// Joins base names with their directories; the tags are those of indexes, base names, directories.
pub(crate) fn split_files(header: &Header, tags: [u32; 3]) -> Result<Vec<File<'_>>> {
    let [indexes, bases, dirs] = tags;
    let dirs: Vec<&[u8]> = header.strs(dirs).collect();
    let (indexes, bases) = (header.ints(indexes), header.strs(bases));
    if indexes.len() != bases.len() {
        return Err(Error::Missing("DIRINDEXES"));
    }
    let join = |(index, base): (u64, _)| {
        let dir = usize::try_from(index).ok().and_then(|i| dirs.get(i));
        let dir =
            dir.ok_or(Error::Entry { tag: tag::DIRINDEXES, problem: "directory out of range" })?;
        Ok(File { dir, base, ..File::default() })
    };
    indexes.zip(bases).map(join).collect()
}

fn split_path(path: &[u8]) -> File<'_> {
    let cut = path.iter().rposition(|b| *b == b'/').map_or(0, |p| p + 1);
    let (dir, base) = path.split_at(cut);
    File { dir, base, ..File::default() }
}
