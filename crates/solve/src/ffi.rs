//! The shim's functions, and the library that they need, loaded once.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::NonNull;
use std::sync::OnceLock;

use crate::Error;

/// libsolv's pool, or one of its answers; only the shim looks inside.
#[repr(C)]
struct Opaque([u8; 0]);

type PoolPtr = NonNull<Opaque>;

unsafe extern "C" {
    fn ts_symbol(number: usize) -> *const c_char;
    fn ts_bind(number: usize, address: *mut c_void);
    fn ts_pool_new(arch: *const c_char) -> Option<PoolPtr>;
    fn ts_pool_free(pool: PoolPtr);
    fn ts_string(pool: PoolPtr, text: *const c_char, length: usize, create: c_int) -> c_int;
    fn ts_relation(pool: PoolPtr, name: c_int, evr: c_int, flags: c_int, create: c_int) -> c_int;
    fn ts_repository(pool: PoolPtr, name: *const c_char, priority: c_int, cost: c_int) -> c_int;
    fn ts_package(pool: PoolPtr, repo: c_int, name: c_int, arch: c_int, evr: c_int) -> c_int;
    fn ts_dependency(pool: PoolPtr, package: c_int, kind: c_int, dependency: c_int, mark: c_int);
    fn ts_ready(pool: PoolPtr);
    fn ts_providers(pool: PoolPtr, dependency: c_int) -> *const c_int;
    fn ts_matches(pool: PoolPtr, package: c_int, dependency: c_int) -> c_int;
    fn ts_exclude(pool: PoolPtr, packages: *const c_int, length: usize);
    fn ts_solve(
        pool: PoolPtr,
        job: *const c_int,
        length: usize,
        flags: c_int,
        millis: c_uint,
    ) -> Option<PoolPtr>;
    fn ts_answer_free(answer: PoolPtr);
    fn ts_installs(answer: PoolPtr, length: *mut usize) -> *const c_int;
    fn ts_problems(answer: PoolPtr) -> usize;
    fn ts_problem(answer: PoolPtr, problem: usize, length: *mut usize) -> *const c_int;
    fn ts_words(answer: PoolPtr, rule: *const c_int) -> *const c_char;
}

static LIBRARY: OnceLock<Result<libloading::Library, String>> = OnceLock::new();

/// Loads libsolv at the first use; distributions give it this name since 2018.
fn load() -> Result<(), Error> {
    let library = LIBRARY.get_or_init(|| open().map_err(|error| error.to_string()));
    library.as_ref().map(drop).map_err(|error| Error::Library(error.clone()))
}

fn open() -> Result<libloading::Library, libloading::Error> {
    // SAFETY: libsolv has no initialisers.
    let library = unsafe { libloading::Library::new("libsolv.so.1")? };
    for number in 0.. {
        // SAFETY: the shim's names end with NULL, at which the loop ends.
        let name = unsafe { ts_symbol(number) };
        if name.is_null() {
            break;
        }
        // SAFETY: names are constant strings; the address is given to the pointer of the type that libsolv's header
        // declares for this name, and the library stays open for ever.
        unsafe {
            let address = *library.get::<*mut c_void>(CStr::from_ptr(name).to_bytes())?;
            ts_bind(number, address);
        }
    }
    Ok(library)
}

/// A pool of libsolv. Everything goes by ids, which this type does not check: [`crate::Pool`] hands out its own.
pub(crate) struct Raw(PoolPtr);

// SAFETY: a pool has no ties to a thread; that only one uses it at a time is what `&mut` says.
unsafe impl Send for Raw {}

impl Raw {
    pub(crate) fn new(arch: &str) -> Result<Self, Error> {
        load()?;
        let arch = CString::new(arch).map_err(|_| Error::Arch(arch.to_owned()))?;
        // SAFETY: a string that ends with zero, copied by libsolv.
        let pool = unsafe { ts_pool_new(arch.as_ptr()) };
        pool.map(Raw).ok_or(Error::Memory)
    }

    /// The id of a text, 0 if it has none and shall not get one.
    pub(crate) fn string(&mut self, text: &str, create: bool) -> i32 {
        let (text, length) = (text.as_ptr().cast(), text.len());
        // SAFETY: the text has this length and is copied.
        unsafe { ts_string(self.0, text, length, create.into()) }
    }

    pub(crate) fn relation(&mut self, name: i32, evr: i32, flags: i32, create: bool) -> i32 {
        // SAFETY: ids of this pool; it is a table of numbers.
        unsafe { ts_relation(self.0, name, evr, flags, create.into()) }
    }

    pub(crate) fn repository(&mut self, name: &str, priority: i32, cost: i32) -> i32 {
        let name = CString::new(name.replace('\0', "")).unwrap_or_default();
        // SAFETY: a string that ends with zero, copied by libsolv.
        unsafe { ts_repository(self.0, name.as_ptr(), priority, cost) }
    }

    pub(crate) fn package(&mut self, repository: i32, name: i32, arch: i32, evr: i32) -> i32 {
        // SAFETY: ids of this pool.
        unsafe { ts_package(self.0, repository, name, arch, evr) }
    }

    pub(crate) fn dependency(&mut self, package: i32, kind: u8, dependency: i32, mark: i32) {
        // SAFETY: ids of this pool.
        unsafe { ts_dependency(self.0, package, kind.into(), dependency, mark) }
    }

    pub(crate) fn ready(&mut self) {
        // SAFETY: no list of providers is borrowed, as `self` is not.
        unsafe { ts_ready(self.0) }
    }

    /// Packages that provide a dependency, excluded ones too.
    pub(crate) fn providers(&mut self, dependency: i32) -> Vec<i32> {
        if dependency == 0 {
            return Vec::new();
        }
        let mut found = Vec::new();
        // SAFETY: the list ends with 0 and is not changed while it is copied.
        unsafe {
            let mut at = ts_providers(self.0, dependency);
            while *at != 0 {
                found.push(*at);
                at = at.add(1);
            }
        }
        found
    }

    /// Whether the package's own name and version match.
    pub(crate) fn matches(&mut self, package: i32, dependency: i32) -> bool {
        // SAFETY: ids of this pool.
        unsafe { ts_matches(self.0, package, dependency) != 0 }
    }

    pub(crate) fn exclude(&mut self, packages: &[i32]) {
        // SAFETY: ids of this pool, in a slice of that length.
        unsafe { ts_exclude(self.0, packages.as_ptr(), packages.len()) }
    }

    /// `None` if the time is over: then the pool must not be used any more.
    pub(crate) fn solve(&mut self, job: &[i32], flags: i32, millis: u32) -> Option<RawAnswer<'_>> {
        // SAFETY: a job of the form that the shim's header describes, with ids of this pool.
        let answer = unsafe { ts_solve(self.0, job.as_ptr(), job.len(), flags, millis) };
        answer.map(|answer| RawAnswer { answer, _pool: self })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: made by `ts_pool_new`, freed once; answers borrow the pool, so none is left.
        unsafe { ts_pool_free(self.0) }
    }
}

/// What libsolv found.
pub(crate) struct RawAnswer<'p> {
    answer: PoolPtr,
    _pool: &'p mut Raw,
}

/// Type, source, target, dependency.
pub(crate) type RawRule = [i32; 4];

impl RawAnswer<'_> {
    pub(crate) fn installs(&self) -> Vec<i32> {
        // SAFETY: the shim's list lives as long as the answer.
        unsafe { copy(|length| ts_installs(self.answer, length)) }
    }

    pub(crate) fn problems(&self) -> usize {
        // SAFETY: the answer is there.
        unsafe { ts_problems(self.answer) }
    }

    pub(crate) fn problem(&mut self, number: usize) -> Vec<RawRule> {
        // SAFETY: a number below that of the problems; the shim's list is copied before the next call.
        let rules = unsafe { copy(|length| ts_problem(self.answer, number, length)) };
        rules.as_chunks().0.to_vec()
    }

    pub(crate) fn words(&mut self, rule: &RawRule) -> String {
        // SAFETY: a rule of this answer; the text ends with zero and is copied at once.
        unsafe { CStr::from_ptr(ts_words(self.answer, rule.as_ptr())) }
            .to_string_lossy()
            .into_owned()
    }
}

impl Drop for RawAnswer<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `ts_solve`, freed once, before its pool.
        unsafe { ts_answer_free(self.answer) }
    }
}

/// Copies a list whose length is told beside it.
///
/// # Safety
/// The list must have that length.
unsafe fn copy(list: impl FnOnce(*mut usize) -> *const c_int) -> Vec<i32> {
    let mut length = 0;
    let start = list(&raw mut length);
    if start.is_null() || length == 0 {
        return Vec::new();
    }
    // SAFETY: as the caller says.
    unsafe { std::slice::from_raw_parts(start, length) }.to_vec()
}
