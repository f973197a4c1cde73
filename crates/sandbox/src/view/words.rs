//! The words of bubblewrap's command line.

use std::path::Path;

use super::{Run, View, filter};
use crate::{
    identity::{INSIDE_ID, Identity},
    userns::{self, Space},
};

/// Forbids further user namespaces in the one that it runs in, then becomes its arguments.
const NO_FURTHER: &str = r#"echo 0 >/proc/sys/user/max_user_namespaces; exec "$@""#;

/// What root inside a namespace of its own may do.
const ROOT_MAY: [&str; 9] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// And this where it makes images: it may also bind directories, as its filter allows.
const IMAGE_MAKER_MAY: &str = "CAP_SYS_ADMIN";

pub(super) fn bubblewrap(
    view: &View,
    identity: Identity,
    run: Run<'_>,
    root: Vec<String>,
) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut add = |more: &[&str]| words.extend(more.iter().map(ToString::to_string));
    let mapped = match identity {
        Identity::Mapped(space) => Some(space),
        Identity::Lent(id) => {
            let (user, group) = (format!("--reuid={id}"), format!("--regid={id}"));
            add(&["setpriv", &user, &group, "--clear-groups", "--"]);
            None
        }
        Identity::Caller => None,
    };
    if let Some(space) = mapped {
        // The root may have no program for it.
        words.extend(run.bounds.iter().cloned());
        if space.by_root {
            words.extend(userns::entering(space));
        }
        if space.ranged {
            words.extend(["sh", "-c", NO_FURTHER, "sh"].map(String::from));
        }
    }
    let ranged = mapped.is_some_and(|space| space.ranged);
    let as_root = run.root || view.root_inside;
    words.extend(
        ["bwrap", "--json-status-fd", "3", "--die-with-parent", "--new-session"].map(String::from),
    );
    words.extend(namespaces(view, mapped));
    words.extend(["--hostname", &view.hostname, "--cap-drop", "ALL"].map(String::from));
    let more = (ranged && as_root && run.binds).then_some(IMAGE_MAKER_MAY);
    let caps: &[&str] = match (ranged, as_root) {
        (true, true) => &ROOT_MAY,
        // To become the builder, which has none.
        (true, false) => &["CAP_SETUID", "CAP_SETGID"],
        (false, _) if view.root_inside => &["CAP_SYS_CHROOT"],
        (false, _) => &[],
    };
    let caps = caps.iter().copied().chain(more);
    words.extend(caps.flat_map(|cap| ["--cap-add".to_owned(), cap.to_owned()]));
    if filter(view, run).is_some() {
        words.extend(["--seccomp", "4"].map(String::from));
    }
    words.extend(root);
    if !run.binds {
        words.extend(["--remount-ro", "/dev"].map(String::from));
    }
    if !view.stacks.iter().any(|stack| stack.inside == Path::new("/")) {
        // The root is memory: nothing may be left writable in it.
        words.extend(["--remount-ro", "/"].map(String::from));
    }
    words.push("--clearenv".into());
    for (name, value) in run.env {
        words.extend(["--setenv".into(), name.clone(), value.clone()]);
    }
    words.extend(["--chdir".into(), run.cwd.to_string_lossy().into_owned(), "--".into()]);
    if ranged && !as_root {
        let id = INSIDE_ID;
        words.extend(["setpriv".into(), format!("--reuid={id}"), format!("--regid={id}")]);
        words.extend(["--clear-groups", "--inh-caps=-all", "--"].map(String::from));
    }
    if mapped.is_none() {
        words.extend(run.bounds.iter().cloned());
    }
    words.extend(run.argv.iter().cloned());
    words
}

/// The namespaces that bubblewrap makes, with a user namespace for one number where there is no range.
fn namespaces(view: &View, mapped: Option<Space>) -> Vec<String> {
    let mut words: Vec<&str> = Vec::new();
    // rpm gives files away where it is root, which a single number does not allow.
    let id = match (view.root_inside, mapped) {
        (true, None) => "0".to_owned(),
        _ => INSIDE_ID.to_string(),
    };
    if mapped.is_some_and(|space| space.ranged) {
        words.extend(["--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]);
        if !view.network {
            words.push("--unshare-net");
        }
    } else {
        words.extend(["--unshare-all", "--unshare-user", "--uid", &id, "--gid", &id]);
        if !view.root_inside {
            words.push("--disable-userns");
        }
        if view.network {
            words.push("--share-net");
        }
    }
    words.into_iter().map(str::to_owned).collect()
}
