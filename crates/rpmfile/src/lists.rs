//! Lists of a header that contradict each other, and names that would lead out of their directory.

use crate::{DepKind, Error, Header, Result, tag};

impl Header {
    /// Refuses a header whose parallel lists have different lengths.
    ///
    /// RPM reads such lists to the end of the shortest or as if the missing values were zero, so
    /// that two programs may see two packages in one file.
    pub fn check_lists(&self) -> Result<()> {
        for kind in DepKind::ALL {
            let [names, flags, versions] = kind.tags();
            self.check_counts(names, &[flags, versions])?;
        }
        self.check_counts(tag::CHANGELOGTIME, &[tag::CHANGELOGNAME, tag::CHANGELOGTEXT])?;
        let files = if self.has(tag::BASENAMES) { tag::BASENAMES } else { tag::OLDFILENAMES };
        let of_files = [
            tag::DIRINDEXES,
            tag::FILESIZES,
            tag::LONGFILESIZES,
            tag::FILEMODES,
            tag::FILEFLAGS,
            tag::FILEMTIMES,
            tag::FILERDEVS,
            tag::FILEDIGESTS,
            tag::FILEUSERNAME,
            tag::FILEGROUPNAME,
            tag::FILELINKTOS,
        ];
        self.check_counts(files, &of_files)
    }

    fn check_counts(&self, names: u32, others: &[u32]) -> Result<()> {
        let count = self.count(names);
        for tag in others.iter().copied().filter(|tag| self.has(*tag)) {
            if self.count(tag) != count {
                return Err(Error::Entry { tag, problem: "as many values as names expected" });
            }
        }
        Ok(())
    }

    /// Refuses names with which a package could be taken for another file, or put its files elsewhere.
    pub fn check_names(&self) -> Result<()> {
        let parts = [tag::NAME, tag::VERSION, tag::RELEASE, tag::ARCH];
        for tag in parts {
            let text = self.str(tag).unwrap_or_default();
            if text.contains(&b'/') || text == b"." || text == b".." {
                return Err(Error::Entry { tag, problem: "a path instead of a name" });
            }
        }
        for base in self.strs(tag::BASENAMES) {
            if base.contains(&b'/') || base == b".." {
                let tag = tag::BASENAMES;
                return Err(Error::Entry { tag, problem: "a path instead of a name" });
            }
        }
        for tag in [tag::DIRNAMES, tag::OLDFILENAMES] {
            if self.strs(tag).any(leads_up) {
                return Err(Error::Entry { tag, problem: "a path that leads upwards" });
            }
        }
        Ok(())
    }
}

fn leads_up(path: &[u8]) -> bool {
    path.split(|b| *b == b'/').any(|part| part == b"..")
}

#[cfg(test)]
mod tests {
    use super::leads_up;

    #[test]
    fn ways_upwards() {
        for path in ["../x", "/usr/../x", "/usr/..", ".."] {
            assert!(leads_up(path.as_bytes()), "{path}");
        }
        for path in ["/usr/..x", "/a...b/", "/", ""] {
            assert!(!leads_up(path.as_bytes()), "{path}");
        }
    }
}
