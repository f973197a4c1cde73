//! One file that was read: whether it is what the database knows of it.

use toji_db::scan::Read;
use toji_rpmfile::{LEAD_END, Limits, digest, main_header_offset};
use toji_store::sums::{Rate, Reader, Sums, Wanted, sums};
use toji_store::{Algorithm, Error, Volume};

use super::expect::{Expected, Record};
use super::finding::{Kind, What};

/// A file that is to be read, and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) build: i64,
    pub(super) what: What,
    pub(super) wanted: Wanted,
    pub(super) expected: Option<Expected>,
    pub(super) record: Option<Record>,
    /// The further types that are kept.
    pub(super) further: Vec<Algorithm>,
    /// The length at the time of the listing.
    pub(super) size: u64,
}

/// What reading a file has shown.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// It is what was read before, and nothing new is known of it: its path.
    Same(String),
    /// It is what the database says, or nothing was known of it but its name.
    Good(Read),
    /// It is not; the sums tell whose content it may be.
    Bad(Bad),
}

/// A file that is not what it was.
#[derive(Clone, Debug)]
pub(super) struct Bad {
    pub(super) build: i64,
    pub(super) path: String,
    pub(super) what: What,
    pub(super) kind: Kind,
    pub(super) detail: String,
    pub(super) sums: Vec<String>,
}

impl Job {
    /// A file of a build; of one that nothing is recorded of, all sums that the database has are wanted.
    pub(super) fn new(
        (build, what): (i64, What),
        (path, size): (&str, u64),
        expected: Option<&Expected>,
        record: Option<&Record>,
        further: &[Algorithm],
    ) -> Job {
        let mut kinds = vec![Algorithm::Sha256];
        let known = expected.filter(|_| record.is_none());
        let known = known.into_iter().flat_map(|e| e.sums.iter().map(|(kind, _)| *kind));
        for kind in known.chain(further.iter().copied()) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        let package = what == What::Rpm && record.is_none();
        let split: toji_store::sums::Split = main_header_offset;
        let wanted =
            Wanted { path: path.to_owned(), kinds, split: package.then_some((LEAD_END, split)) };
        let (expected, record) = (expected.cloned(), record.cloned());
        Job { build, what, wanted, expected, record, further: further.to_vec(), size }
    }

    /// Reads the file and compares; nothing when reading shall stop.
    pub(super) fn run(
        &self,
        volume: &dyn Volume,
        rate: &Rate,
        reader: &mut Reader,
    ) -> Option<Verdict> {
        match sums(volume, &self.wanted, rate, reader) {
            Err(Error::Halted) => None,
            found => Some(self.judge(volume, found)),
        }
    }

    fn judge(&self, volume: &dyn Volume, found: Result<Sums, Error>) -> Verdict {
        let found = match found {
            Ok(found) => found,
            Err(Error::NotAFile(_)) => return self.bad(Kind::NotAFile, "no regular file", vec![]),
            Err(error) if error.is_missing() => return self.bad(Kind::Missing, "", vec![]),
            Err(error) => return self.bad(Kind::Unreadable, error.to_string(), vec![]),
        };
        match self.problem(volume, &found) {
            None if self.knows(&found) => Verdict::Same(self.wanted.path.clone()),
            None => Verdict::Good(self.read(found)),
            Some(problem) => self.differs(problem, &found),
        }
    }

    fn bad(&self, kind: Kind, detail: impl Into<String>, sums: Vec<String>) -> Verdict {
        let (path, detail) = (self.wanted.path.clone(), detail.into());
        Verdict::Bad(Bad { build: self.build, path, what: self.what, kind, detail, sums })
    }

    /// Whether all that was computed is recorded already.
    fn knows(&self, found: &Sums) -> bool {
        // That the content is the same was seen before.
        let size = self.record.as_ref().map(|record| record.size);
        self.further.is_empty() && size == Some(found.size)
    }

    fn read(&self, found: Sums) -> Read {
        let sum_of = |kind: &Algorithm| self.sum(&found, *kind).map(str::to_owned);
        let further =
            self.further.iter().filter_map(|kind| Some((kind.name().to_owned(), sum_of(kind)?)));
        Read {
            path: self.wanted.path.clone(),
            size: found.size,
            sha256: sum_of(&Algorithm::Sha256).unwrap_or_default(),
            further: further.collect(),
        }
    }

    fn sum<'s>(&self, found: &'s Sums, kind: Algorithm) -> Option<&'s str> {
        let at = self.wanted.kinds.iter().position(|known| *known == kind)?;
        found.sums.get(at).map(String::as_str)
    }

    /// What is wrong with the content, in words; nothing if it is what is known.
    fn problem(&self, volume: &dyn Volume, found: &Sums) -> Option<String> {
        let sha256 = self.sum(found, Algorithm::Sha256).unwrap_or_default();
        if let Some(record) = &self.record
            && record.sha256 != sha256
        {
            return Some(format!("SHA-256 {sha256} instead of {}", record.sha256));
        }
        let expected = self.expected.as_ref()?;
        for (kind, wanted) in &expected.sums {
            match self.sum(found, *kind) {
                Some(sum) if !sum.eq_ignore_ascii_case(wanted) => {
                    return Some(format!("{} {sum} instead of {wanted}", kind.name()));
                }
                _ => {}
            }
        }
        if self.record.is_some() {
            return None;
        }
        if expected.size.is_some_and(|size| size != found.size) {
            return Some(String::new());
        }
        expected.payload.as_ref().and_then(|payload| self.package(volume, found, expected, payload))
    }

    /// What is wrong with a package that nothing but its row is known of.
    fn package(
        &self,
        volume: &dyn Volume,
        found: &Sums,
        expected: &Expected,
        payload: &str,
    ) -> Option<String> {
        let Some((header, content)) = &found.parts else {
            return Some("it does not begin like a package".to_owned());
        };
        if !expected.headers.is_empty() && !expected.headers.contains(header) {
            return Some(format!("MD5 {header} of its signature header"));
        }
        if !payload.contains("::") {
            return (content != payload)
                .then(|| format!("MD5 {content} of header and payload instead of {payload}"));
        }
        // Packages of RPM 6 have no such MD5: they are checked by all digests that they state.
        let checked = volume
            .open(&self.wanted.path)
            .map_err(|e| e.to_string())
            .and_then(|file| digest::verify(file, &Limits::default()).map_err(|e| e.to_string()));
        match checked.map(|package| package.content_id()) {
            Err(problem) => Some(problem),
            Ok(Some(own)) if own == payload => None,
            Ok(own) => Some(format!("{} instead of {payload}", own.unwrap_or_default())),
        }
    }

    /// Names a difference by the lengths.
    fn differs(&self, problem: String, found: &Sums) -> Verdict {
        let known = self.record.as_ref().map(|record| record.size);
        let known = known.or_else(|| self.expected.as_ref().and_then(|e| e.size));
        let (kind, detail) = match known {
            Some(size) if found.size < size => {
                (Kind::Truncated, format!("{} bytes instead of {size}", found.size))
            }
            Some(size) if found.size > size => {
                (Kind::Longer, format!("{} bytes instead of {size}", found.size))
            }
            _ => (Kind::Changed, problem),
        };
        let content = found.parts.iter().map(|(_, content)| content);
        let mut sums: Vec<String> = found.sums.iter().chain(content).cloned().collect();
        if found.size == 0 {
            // Nothing is nobody's content.
            sums.clear();
        }
        // What it has in common with itself does not make it another file.
        if let Some(own) = &self.expected {
            sums.retain(|sum| own.payload.as_ref() != Some(sum));
            sums.retain(|sum| own.sums.iter().all(|(_, known)| !known.eq_ignore_ascii_case(sum)));
        }
        self.bad(kind, detail, sums)
    }
}
