//! Sums of many files: each is read once, at no more than a rate, by as many threads as are wanted.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{Algorithm, Error, Hasher, Near, Opened, Result, Volume};

/// Bytes that are read at once: they are hashed while the processor still has them.
const BUFFER: usize = 1 << 18;

/// Tells from the first bytes of a file where its second part begins.
pub type Split = fn(&[u8]) -> Option<u64>;

/// What is wanted of a file.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its path in the volume.
    pub path: String,
    /// The sums, of the whole content.
    pub kinds: Vec<Algorithm>,
    /// Where it has two parts, of each of which the MD5 is wanted: those of an RPM after its lead, the signature
    /// header and all that follows.
    pub split: Option<(u64, Split)>,
}

/// The sums of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// The length of its content in bytes.
    pub size: u64,
    /// In the order of the wanted kinds.
    pub sums: Vec<String>,
    /// MD5 of both parts of a file that has two.
    pub parts: Option<(String, String)>,
}

/// The longest wait until it is asked again whether to go on.
const SLICE: Duration = Duration::from_millis(100);

/// Bytes per second for all threads together, until they shall stop.
pub struct Rate {
    per_second: Option<u64>,
    halted: Arc<AtomicBool>,
    /// When what was read so far would have been read at the rate.
    next: Mutex<Option<Instant>>,
    end: Condvar,
}

impl Rate {
    /// A rate; none is as fast as it goes.
    pub fn new(per_second: Option<u64>) -> Self {
        let per_second = per_second.filter(|rate| *rate > 0);
        let halted = Arc::default();
        Rate { per_second, halted, next: Mutex::new(None), end: Condvar::new() }
    }

    /// The same, and nothing more is read once the flag is set.
    pub fn until(self, halted: Arc<AtomicBool>) -> Self {
        Rate { halted, ..self }
    }

    fn check(&self) -> Result<()> {
        match self.halted.load(Ordering::Relaxed) {
            true => Err(Error::Halted),
            false => Ok(()),
        }
    }

    /// Waits until so many bytes may be read.
    fn take(&self, bytes: usize) -> Result<()> {
        self.check()?;
        let Some(rate) = self.per_second else { return Ok(()) };
        let cost = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let mine = next.map_or(now, |next| next.max(now));
        *next = Some(mine + cost);
        loop {
            let left = mine.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.check()?;
            // Nobody signals: this is a wait that lets the others take their turns meanwhile.
            let waited = self.end.wait_timeout(next, left.min(SLICE));
            next = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What one who reads many files keeps from one to the next.
pub struct Reader {
    buffer: Vec<u8>,
    near: Near,
}

impl Reader {
    /// One that reads so many bytes at once.
    pub fn new(buffer: usize) -> Reader {
        Reader { buffer: vec![0; buffer], near: Near::default() }
    }

    /// Has it look for directories anew, which may have been moved.
    pub fn look_anew(&mut self) {
        self.near = Near::default();
    }
}

impl Default for Reader {
    fn default() -> Self {
        Reader::new(BUFFER)
    }
}

/// Reads a file once and computes what is wanted of it: of one that grows, what it has when it is opened.
///
/// # Errors
/// When it is missing, no regular file, or cannot be read to its end; [`Error::Halted`] when reading shall stop.
pub fn sums(
    volume: &dyn Volume,
    wanted: &Wanted,
    rate: &Rate,
    reader: &mut Reader,
) -> Result<Sums> {
    let Reader { buffer, near } = reader;
    let mut file = volume.open_near(&wanted.path, near)?;
    // Places that do not know the length say that it is none.
    let length = match &file {
        Opened::File(_, length) if *length > 0 => *length,
        _ => u64::MAX,
    };
    let mut hashers: Vec<Hasher> = wanted.kinds.iter().map(|kind| Hasher::new(*kind)).collect();
    let mut parts: Option<Parts> = None;
    let mut size = 0u64;
    loop {
        let space = usize::try_from(length - size).unwrap_or(usize::MAX).min(buffer.len());
        let n = fill(&mut file, &mut buffer[..space]).map_err(Error::io(&wanted.path))?;
        let data = &buffer[..n];
        if size == 0
            && let Some((begin, split)) = wanted.split
        {
            parts = split(data).filter(|middle| *middle > begin).map(|end| Parts::new(begin, end));
        }
        if n == 0 {
            break;
        }
        rate.take(n)?;
        hashers.iter_mut().for_each(|hasher| hasher.update(data));
        if let Some(parts) = &mut parts {
            parts.update(size, data);
        }
        size += n as u64;
        // One question less for each file: what has its length is at its end.
        if n < space || size == length {
            break;
        }
    }
    let parts = parts.filter(|parts| size >= parts.middle).map(Parts::finish);
    Ok(Sums { size, sums: hashers.into_iter().map(Hasher::finish).collect(), parts })
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut Opened, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// MD5 of the bytes from `begin` to `middle`, and of those behind.
struct Parts {
    begin: u64,
    middle: u64,
    first: Hasher,
    second: Hasher,
}

impl Parts {
    fn new(begin: u64, middle: u64) -> Self {
        let (first, second) = (Hasher::new(Algorithm::Md5), Hasher::new(Algorithm::Md5));
        Parts { begin, middle, first, second }
    }

    /// Takes the bytes that lie at `offset` in the file.
    fn update(&mut self, offset: u64, data: &[u8]) {
        let cut = |at: u64| usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (begin, middle) = (cut(self.begin).min(data.len()), cut(self.middle).min(data.len()));
        self.first.update(&data[begin..middle]);
        self.second.update(&data[middle..]);
    }

    fn finish(self) -> (String, String) {
        (self.first.finish(), self.second.finish())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Local;

    fn md5(data: &[u8]) -> String {
        let mut hasher = Hasher::new(Algorithm::Md5);
        hasher.update(data);
        hasher.finish()
    }

    #[test]
    fn parts_do_not_depend_on_the_buffer() {
        let top = tempfile::tempdir().unwrap();
        let data: Vec<u8> = (0..10_000u32).map(|n| (n % 251) as u8).collect();
        fs::write(top.path().join("file"), &data).unwrap();
        let volume = Local::new(top.path()).unwrap();
        let split: Split = |_| Some(4_321);
        let kinds = vec![Algorithm::Sha256, Algorithm::Md5];
        let wanted = Wanted { path: "file".into(), kinds, split: Some((96, split)) };
        let (whole, _) =
            crate::hash(&top.path().join("file"), &[Algorithm::Sha256, Algorithm::Md5]).unwrap();
        let expected = Sums {
            size: 10_000,
            sums: whole,
            parts: Some((md5(&data[96..4_321]), md5(&data[4_321..]))),
        };
        for size in [100, 4_321, 5_000, 10_000, 10_001, 65_536] {
            let found = sums(&volume, &wanted, &Rate::new(None), &mut Reader::new(size)).unwrap();
            assert_eq!(found, expected, "{size}");
        }
        let late: Split = |_| Some(10_001);
        let wanted = Wanted { split: Some((96, late)), ..wanted };
        let found = sums(&volume, &wanted, &Rate::new(None), &mut Reader::new(777)).unwrap();
        assert_eq!(found.parts, None, "the second part lies behind the end");
    }

    #[test]
    fn a_flag_ends_the_wait_and_the_reading_of_a_long_file() {
        let top = tempfile::tempdir().unwrap();
        fs::write(top.path().join("file"), vec![7; 50_000]).unwrap();
        let volume = Local::new(top.path()).unwrap();
        let wanted = Wanted { path: "file".into(), kinds: vec![Algorithm::Sha256], split: None };
        // It would take more than an hour.
        let flag = Arc::new(AtomicBool::new(false));
        let rate = Rate::new(Some(10)).until(flag.clone());
        let begin = Instant::now();
        let done = std::thread::scope(|scope| {
            let reader = scope.spawn(|| sums(&volume, &wanted, &rate, &mut Reader::new(1000)));
            flag.store(true, Ordering::Relaxed);
            reader.join().unwrap()
        });
        assert!(matches!(done, Err(Error::Halted)), "{done:?}");
        assert!(begin.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_rate_holds_for_all_threads() {
        let rate = Rate::new(Some(1_000_000));
        let begin = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..5).for_each(|_| rate.take(10_000).unwrap()));
            }
        });
        // fifteen times 10 ms, of which the last is not waited for
        assert!(begin.elapsed() >= Duration::from_millis(139), "{:?}", begin.elapsed());
    }
}
