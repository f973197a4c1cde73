//! What stands before every step that changes files: whoever works with files may say that it must not go on.
//!
//! It belongs to the thread, as all work with files is done on one: an argument would have to go through every function down to
//! the last one, and whoever forgot it would have no fence.

use std::cell::RefCell;
use std::sync::Arc;

use crate::{Error, Result};

/// Tells whether the next step may be taken, or why not; it may wait before it answers.
pub type Fence = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

thread_local! {
    static FENCE: RefCell<Option<Fence>> = const { RefCell::new(None) };
}

/// Gives the thread back the fence that it had.
struct Back(Option<Fence>);

impl Drop for Back {
    fn drop(&mut self) {
        let old = self.0.take();
        FENCE.with_borrow_mut(|fence| *fence = old);
    }
}

/// Does work on this thread of which every step that changes files asks the fence first.
pub fn behind<T>(fence: Option<Fence>, work: impl FnOnce() -> T) -> T {
    let _back = Back(FENCE.with_borrow_mut(|now| std::mem::replace(now, fence)));
    work()
}

/// Whether there is a fence.
pub(crate) fn stands() -> bool {
    FENCE.with_borrow(Option::is_some)
}

/// Asks before a step.
///
/// # Errors
/// [`Error::Fenced`] if it must not be taken.
pub(crate) fn pass() -> Result<()> {
    match FENCE.with_borrow(Clone::clone) {
        Some(fence) => fence().map_err(Error::Fenced),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{Content, Plan, Step, Store};

    /// Everything below a directory but passing names, which whoever is refused may still clear away.
    fn seen(dir: &Path) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with('.') {
                continue;
            }
            if path.is_dir() && !path.is_symlink() {
                found.extend(seen(&path));
            }
            found.insert(path);
        }
        found
    }

    /// Every kind of step, one after the other.
    fn work(store: &Store, top: &Path) -> Result<()> {
        let step =
            |name: &str| Step { from: top.join("in").join(name), to: top.join("p/x").join(name) };
        store.place(&step("one"))?;
        store.write(&top.join("p/written"), |out| out.write_all(b"text"))?;
        store.write_durably(&top.join("p/kept"), b"text")?;
        let written = vec![
            (top.join("q/bytes"), Content::Bytes(b"bytes".to_vec())),
            (top.join("q/link"), Content::Link("bytes".into())),
        ];
        store.place_new(&Plan { steps: vec![step("two")], written }, top)?;
        store.link_back(&step("one"))?;
        store.link(&top.join("l/link"), Path::new("../p"))?;
        store.copy_tree(&top.join("p"), &top.join("r/copy"))?;
        store.rename(&top.join("r/copy"), &top.join("s/copy"))?;
        store.undo(&step("two"), top)?;
        store.remove_file(&top.join("q/bytes"), top)?;
        store.remove_tree(&top.join("s"))
    }

    #[test]
    fn every_step_is_asked_for_and_none_follows_a_refusal() {
        let mut refused = 0;
        loop {
            let dir = tempfile::tempdir().unwrap();
            let top = dir.path().to_owned();
            fs::create_dir(top.join("in")).unwrap();
            for name in ["one", "two"] {
                fs::write(top.join("in").join(name), name).unwrap();
            }
            let (asked, before) = (AtomicUsize::new(0), Arc::new(Mutex::new(None)));
            let (place, at) = (top.clone(), before.clone());
            let fence: Fence = Arc::new(move || {
                let mut at = at.lock().unwrap();
                if asked.fetch_add(1, Ordering::Relaxed) < refused && at.is_none() {
                    return Ok(());
                }
                at.get_or_insert_with(|| seen(&place));
                Err("no".to_owned())
            });
            let done = behind(Some(fence), || work(&Store::new(&top, []), &top));
            let Some(before) = before.lock().unwrap().take() else {
                done.unwrap();
                break;
            };
            assert!(matches!(done, Err(Error::Fenced(_))), "{done:?}");
            assert_eq!(seen(&top), before, "after {refused} steps");
            refused += 1;
        }
        assert!(refused > 30, "{refused} steps");
        assert!(pass().is_ok() && !stands(), "the thread is as it was");
    }
}
