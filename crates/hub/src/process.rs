//! Which process this is, so that others on the same machine can tell for certain that it has ended.

use std::fs;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// Which running system, and whose numbers of processes, this process belongs to.
fn system() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let numbers = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), numbers.display()))
}

/// State and time of start of a process, in the kernel's own units.
fn state(process: &str) -> Option<(String, String)> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before the last bracket may have anything in it; what is wanted are the fields 3 and 22.
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split(' ').map(str::to_owned);
    Some((fields.next()?, fields.nth(18)?))
}

/// This process: system, number and time of start; nothing where the system does not tell.
pub(crate) fn own() -> Option<String> {
    let (_, start) = state("self")?;
    Some(format!("{} {} {start}", system()?, std::process::id()))
}

/// Whether a process of this system has certainly ended, with all that it was doing; of another system's it is not known.
pub(crate) fn has_ended(process: &str) -> bool {
    let known = || {
        let here = process.strip_prefix(&system()?)?.strip_prefix(' ')?;
        let (number, start) = here.split_once(' ')?;
        let pid = Pid::from_raw(number.parse().ok()?)?;
        // Who may not look at it learns at least that it is there.
        if test_kill_process(pid) == Err(Errno::SRCH) {
            return Some(true);
        }
        let (state, now) = state(number)?;
        let threads = || fs::read_dir(format!("/proc/{number}/task")).map_or(0, Iterator::count);
        Some(now != start || (state == "Z" && threads() == 1))
    };
    known() == Some(true)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_known_to_have_ended_when_it_has() {
        let own = own().unwrap();
        assert!(!has_ended(&own), "{own}");
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let (number, start) = (child.id(), state(&child.id().to_string()).unwrap().1);
        let there = format!("{} {number} {start}", system().unwrap());
        assert!(!has_ended(&there), "it lives");
        assert!(has_ended(&format!("{} {number} 1", system().unwrap())), "its number is another's");
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(has_ended(&there));
        assert!(!has_ended(&format!("another-boot pid:[1] {number} {start}")), "who knows");
        assert!(!has_ended("") && !has_ended(&system().unwrap()));
    }
}
