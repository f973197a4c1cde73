//! A child process that cannot outlive the value which stands for it.

use std::{
    io,
    os::fd::OwnedFd,
    process::{Command, ExitStatus},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions},
};
use tokio::sync::oneshot::{self, Receiver};

/// How often it is looked for processes that were started while others were stopped.
const ROUNDS: usize = 20;

/// A running child; dropping it kills the child.
#[derive(Debug)]
pub(crate) struct Process {
    handle: OwnedFd,
    pid: Pid,
    group: bool,
    exit: Option<Receiver<io::Result<ExitStatus>>>,
}

impl Process {
    /// Starts a child from a thread of its own, which lives until the child has ended.
    ///
    /// The kernel's "die with the parent" is bound to the parent *thread*, and the threads
    /// of an async runtime come and go. With `group` the child leads a process group
    /// which is killed as a whole.
    pub(crate) async fn spawn(mut command: Command, group: bool) -> io::Result<Self> {
        let (started, start) = oneshot::channel();
        let (ended, exit) = oneshot::channel();
        if group {
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        inherit_only_standard_streams(&mut command);
        thread::Builder::new().name("sandbox".into()).spawn(move || {
            let spawned = command.spawn();
            // The child's ends of the pipes must be closed here, or their end is never seen.
            drop(command);
            let mut child = match spawned {
                Ok(child) => child,
                Err(error) => return drop(started.send(Err(error))),
            };
            let pid = Pid::from_child(&child);
            let handle =
                rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from);
            if handle.is_err() || started.send(handle.map(|handle| (handle, pid))).is_err() {
                let _ = child.kill();
            }
            if group {
                // Seen, not yet reaped: its number cannot belong to anyone else.
                let seen = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
                while matches!(rustix::process::waitid(WaitId::Pid(pid), seen), Err(Errno::INTR)) {}
                let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            }
            drop(ended.send(child.wait()));
        })?;
        let (handle, pid) =
            start.await.map_err(|_| io::Error::other("the starting thread ended"))??;
        Ok(Self { handle, pid, group, exit: Some(exit) })
    }

    /// The child's number.
    pub(crate) fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Kills the child, and its group if it leads one; harmless after its end.
    pub(crate) fn kill(&self) {
        if self.exit.is_none() {
            return;
        }
        if self.group {
            // Those first that have left the group: without their parents they could not be found.
            kill_descendants(self.id());
            let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        }
        let _ = rustix::process::pidfd_send_signal(&self.handle, Signal::KILL);
    }

    /// Waits for the end; to be called until it has returned once. Safe to cancel.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let Some(exit) = &mut self.exit else {
            return Err(io::Error::other("the child was waited for already"));
        };
        let status = exit.await.map_err(|_| io::Error::other("the waiting thread ended"));
        self.exit = None;
        status?
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills what a process has started, and what these have, in sessions of their own or not.
///
/// All are stopped before the first is killed, so that none starts another one meanwhile, and none loses its parent.
fn kill_descendants(root: i32) {
    let signal = |pids: &[i32], signal| {
        for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    };
    let mut stopped = Vec::new();
    for _ in 0..ROUNDS {
        let all = crate::tree::below(root);
        let new: Vec<i32> = all.into_iter().filter(|pid| !stopped.contains(pid)).collect();
        if new.is_empty() {
            break;
        }
        signal(&new, Signal::STOP);
        stopped.extend(new);
    }
    // The root is the first, and its own handle is for it.
    signal(stopped.get(1..).unwrap_or_default(), Signal::KILL);
}

/// Keeps descriptors which this process was itself started with out of the child.
fn inherit_only_standard_streams(command: &mut Command) {
    let mark_others = || {
        let (first, last, flags) = (3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        // SAFETY: a plain system call on the child's own descriptor table, which it does not share.
        #[expect(unsafe_code, reason = "neither std nor rustix offers close_range")]
        let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec only one system call is made; nothing is allocated or locked.
    #[expect(unsafe_code, reason = "only the child itself can mark its descriptors after fork")]
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(command, mark_others);
    }
}

/// Has the child begin in a user namespace of its own, which has no numbers yet.
pub(crate) fn in_new_user_namespace(command: &mut Command) {
    let unshare = || {
        // SAFETY: a plain system call of the child, which has one thread only.
        #[expect(unsafe_code, reason = "only the child itself can leave its namespace")]
        let result = unsafe { libc::unshare(libc::CLONE_NEWUSER) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec only one system call is made; nothing is allocated or locked.
    #[expect(unsafe_code, reason = "only the child itself can leave its namespace")]
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(command, unshare);
    }
}

/// A process that is not our child, watched until it is gone.
#[derive(Debug)]
pub(crate) struct Watched(OwnedFd);

impl Watched {
    /// Watches a process by number; absent if it is gone already.
    pub(crate) fn open(pid: i32) -> Option<Self> {
        rustix::process::pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok().map(Self)
    }

    /// Waits until the process has ended, at most this long; whether it has.
    pub(crate) async fn gone(self, within: Duration) -> bool {
        let wait = move || {
            let mut handles = [PollFd::new(&self.0, PollFlags::IN)];
            let within = Timespec::try_from(within).ok();
            loop {
                match rustix::event::poll(&mut handles, within.as_ref()) {
                    Err(Errno::INTR) => {}
                    other => return other == Ok(1),
                }
            }
        };
        tokio::task::spawn_blocking(wait).await.unwrap_or(false)
    }
}
