//! Opening paths that may not leave a directory.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{Errno, Result};
use rustix::path::Arg;

/// How often a path is resolved anew before its opening fails.
const TRIES: u32 = 10_000;

/// Opens a path below `dir` as `openat2(2)` does with these flags.
///
/// A path with `..` in it, or in a link that it leads through, cannot be resolved while anything on
/// the machine is renamed or mounted: the kernel then answers `EAGAIN`, and asks that one try again.
///
/// # Errors
/// Those of `openat2(2)`; `EAGAIN` when renames do not leave a gap for many tries.
pub fn open_inside(
    dir: impl AsFd,
    path: impl Arg,
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
) -> Result<OwnedFd> {
    path.into_with_c_str(|path: &CStr| {
        for _ in 1..TRIES {
            match openat2(&dir, path, flags, mode, resolve) {
                Err(Errno::AGAIN) => std::thread::yield_now(),
                answer => return answer,
            }
        }
        openat2(&dir, path, flags, mode, resolve)
    })
}
