//! The file system that a sandboxed command sees, and the script that puts it together.
//!
//! Mounting is done by a shell script in a mount namespace of its own (and, for an ordinary
//! user, in a user namespace in which it may mount): it gathers every source below a small
//! temporary file system and lays the layers over the host's directories with overlayfs. Then
//! bubblewrap makes the remaining namespaces, builds the root out of what was gathered and
//! drops all rights. Gathering first means that the sandbox's identity needs no right to walk
//! to the sources by their real paths, and that no path has to be quoted for overlayfs.

mod gather;
mod words;

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use crate::{
    identity::Identity,
    userns::{self, Space},
};

/// Where the gathered sources are, for bubblewrap; any directory that exists everywhere will do.
const GATHERED: &str = "/tmp";

/// A directory or file of the host inside the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) source: PathBuf,
    pub(crate) inside: PathBuf,
    pub(crate) writable: bool,
    pub(crate) is_dir: bool,
}

/// What is mounted where a view is put together, and ends with the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// A device, an export of another machine, or, for `none`, a directory.
    pub source: String,
    /// Where it is inside.
    pub inside: PathBuf,
    /// The file system's type; `none` shows a directory of the host.
    pub kind: String,
    /// Options as `mount` takes them.
    pub options: Vec<String>,
}

/// A directory which is a union of others, the uppermost first; read-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Union {
    pub(crate) inside: PathBuf,
    pub(crate) sources: Vec<PathBuf>,
}

/// A tree that can be written to: layers with a directory over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stack {
    pub(crate) inside: PathBuf,
    /// Read-only trees, the uppermost first; with none, `over/upper` is the whole tree.
    pub(crate) lower: Vec<PathBuf>,
    /// Holds the directories `upper`, for what is written, and `work`, for overlayfs.
    pub(crate) over: PathBuf,
}

/// Everything that a sandbox consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// An own directory to gather the sources in.
    pub(crate) stage: PathBuf,
    /// Read-only unions, outer directories before inner ones.
    pub(crate) unions: Vec<Union>,
    /// Trees that can be written to; one at `/` is the root.
    pub(crate) stacks: Vec<Stack>,
    /// Where in a stack `/proc` and `/dev` are needed, too.
    pub(crate) devices_in: Option<PathBuf>,
    /// The filter of system calls, a file with its program.
    pub(crate) filter: Option<PathBuf>,
    /// That of commands that may bind.
    pub(crate) binding_filter: Option<PathBuf>,
    /// Symbolic links in the root, such as `bin` → `usr/bin`.
    pub(crate) links: Vec<(String, String)>,
    /// Further directories and files, outer ones before inner ones.
    pub(crate) binds: Vec<Bind>,
    /// What is over all that, in this order.
    pub(crate) mounts: Vec<Mount>,
    /// Whether the host's network is visible.
    pub(crate) network: bool,
    /// Host name inside.
    pub(crate) hostname: String,
    /// Whether the command may change its root directory; it is root inside where no single number forbids that.
    pub(crate) root_inside: bool,
}

/// Fills `dev` with the devices that commands need, with nothing mounted below it: nodes where they may be made, else the
/// host's, which a copy of the directory does not have; files take their places there.
///
/// What root has mounted before the namespace was joined cannot be left behind by a copy, so nothing is bound there.
const DEVICES: &str = r#"how=$1
node() {
  mknod -m 0666 "dev/$1" c 1 "$2" 2>/dev/null && return
  : >"dev/$1" && chmod 0666 "dev/$1"
  [ -z "$how" ] || mount --bind "/dev/$1" "dev/$1"
}
node null 3; node zero 5; node full 7; node random 8; node urandom 9
for name in fd:/proc/self/fd stdin:/proc/self/fd/0 stdout:/proc/self/fd/1 stderr:/proc/self/fd/2; do
  ln -s "${name#*:}" "dev/${name%%:*}"
done
chmod 0755 dev dev/pts; chmod 1777 dev/shm"#;

/// What differs between runs in the same view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) argv: &'a [String],
    /// Words that put the kernel's bounds in place and go before the command.
    pub(crate) bounds: &'a [String],
    /// Whether the command is root inside, where the view has a namespace with more numbers than one.
    pub(crate) root: bool,
    /// Whether root may bind directories to other places.
    pub(crate) binds: bool,
    pub(crate) env: &'a [(String, String)],
    pub(crate) cwd: &'a Path,
    /// Files of control groups to join.
    pub(crate) entrances: &'a [PathBuf],
    /// The process that starts the script.
    pub(crate) parent: u32,
    /// Whether the command gets the standard streams of that process; the status pipe is the standard error then.
    pub(crate) streams: bool,
}

/// The command line which starts the script under the given identity.
pub(crate) fn launcher(identity: Identity, script: String) -> Vec<String> {
    let namespaces: &[&str] = match identity {
        Identity::Caller => &["--user", "--map-root-user", "--mount"],
        Identity::Lent(_) | Identity::Mapped(_) => &["--mount"],
    };
    // Root mounts as root, because only root can reach its directories; others mount in the namespace.
    let first = match identity {
        Identity::Mapped(space) if !space.by_root => userns::entering(space),
        _ => Vec::new(),
    };
    let head =
        ["unshare"].iter().chain(namespaces).chain(&["--propagation", "private", "--", "sh", "-c"]);
    first.into_iter().chain(head.map(ToString::to_string)).chain([script]).collect()
}

/// The script: joins the control groups, gathers, mounts, and becomes the command.
///
/// Standard input, or standard error, is the writing end of the status pipe; it becomes descriptor 3.
pub(crate) fn script(view: &View, identity: Identity, run: Run<'_>) -> String {
    let streams = if run.streams { "3>&2 2>&1" } else { "3>&0 </dev/null" };
    let mut text = format!(
        "set -u; exec {streams}\n\
         [ \"$PPID\" = {} ] || exit 125\n\
         run() {{ o=$(\"$@\" 2>&1) || {{ printf '%s\\n' \"setup: $1: $o\" >&3; exit 125; }}; }}\n\
         join() {{ echo $$ >\"$1\" || {{ printf 'setup: join %s\\n' \"$1\" >&3; exit 125; }}; }}\n",
        run.parent
    );
    for file in run.entrances {
        let file = quote(&file.to_string_lossy());
        // By the shell itself: a child that joins would join alone.
        let _ = writeln!(text, "join {file}");
    }
    if let Some(filter) = filter(view, run) {
        // Now: what is gathered may hide it.
        let _ = writeln!(text, "exec 4<{}", quote(&filter.to_string_lossy()));
    }
    let mut line = |words: &[&str]| {
        let words: Vec<_> = words.iter().map(|word| quote(word)).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", words.join(" "));
    };
    let stage = view.stage.to_string_lossy();
    line(&["run", "mount", "-t", "tmpfs", "-o", "mode=0755,size=4m", "tmpfs", &stage]);
    line(&["cd", &stage]);
    let mut root = Vec::new();
    gather::stacks(view, identity, &mut line, &mut root);
    gather::unions(view, &mut line, &mut root);
    for (name, target) in &view.links {
        root.extend(["--symlink".into(), target.clone(), format!("/{name}")]);
    }
    root.extend(["--proc", "/proc"].map(String::from));
    if run.binds {
        line(&["mkdir", "dev", "dev/pts", "dev/shm"]);
        line(&["sh", "-c", DEVICES, "sh", if by_root(identity) { "" } else { "bind" }]);
        root.extend(["--dev-bind".to_owned(), format!("{GATHERED}/dev"), "/dev".to_owned()]);
    } else {
        root.extend(["--dev", "/dev"].map(String::from));
    }
    gather::binds(view, run, &mut line, &mut root);
    gather::mounts(view, &mut line, &mut root);
    if let Some(inside) = &view.devices_in {
        for (option, name) in [("--proc", "proc"), ("--dev", "dev")] {
            root.extend([option.to_string(), inside.join(name).to_string_lossy().into_owned()]);
        }
    }
    line(&["cd", "/"]);
    line(&["run", "mount", "--rbind", &stage, GATHERED]);
    let command = words::bubblewrap(view, identity, run, root);
    let words: Vec<_> = command.iter().map(|word| quote(word)).collect();
    let _ = writeln!(text, "unset OLDPWD PWD\nexec {}", words.join(" "));
    text
}

/// Whether root mounts, outside of the namespace.
fn by_root(identity: Identity) -> bool {
    matches!(identity, Identity::Lent(_) | Identity::Mapped(Space { by_root: true, .. }))
}

/// The filter of a command.
fn filter<'v>(view: &'v View, run: Run<'_>) -> Option<&'v PathBuf> {
    if run.binds { view.binding_filter.as_ref() } else { view.filter.as_ref() }
}

/// Quotes a word for the shell.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run<'static> {
        Run {
            argv: &[],
            bounds: &[],
            root: false,
            binds: false,
            env: &[],
            cwd: Path::new("/"),
            entrances: &[],
            parent: 1,
            streams: false,
        }
    }

    #[test]
    fn words_reach_the_command_unchanged() {
        for word in ["plain", "", "a b", "it's", "$HOME", "`id`", "a\nb", "--x=\"y\"", "ä*"] {
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quote(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }

    #[test]
    fn unions_of_one_are_binds_and_of_two_overlays() {
        let union = |sources: &[&str]| Union {
            inside: "/usr".into(),
            sources: sources.iter().map(PathBuf::from).collect(),
        };
        let script_of = |unions| {
            let view = View { stage: "/s".into(), unions, ..View::default() };
            script(&view, Identity::Caller, run())
        };
        let one = script_of(vec![union(&["/usr"])]);
        assert!(one.contains("mount --rbind /usr u0") && !one.contains("overlay"), "{one}");
        let two = script_of(vec![union(&["/layer:1/usr", "/usr"])]);
        assert!(two.contains("run mount --bind /layer:1/usr u0.0"), "{two}");
        assert!(two.contains("lowerdir=u0.0:u0.1 overlay u0"), "{two}");
    }

    #[test]
    fn mounts_come_last_and_are_read_only_where_they_say_so() {
        let mount = |kind: &str, options: &[&str]| Mount {
            source: "/mnt/a b".into(),
            inside: "/mnt/x".into(),
            kind: kind.into(),
            options: options.iter().map(ToString::to_string).collect(),
        };
        let mounts = vec![mount("none", &["bind", "ro"]), mount("nfs", &["rw", "hard"])];
        let text = script(&View { mounts, ..View::default() }, Identity::Caller, run());
        assert!(text.contains("run mount --bind -- '/mnt/a b' m0\n"), "{text}");
        assert!(text.contains("run mount -t nfs -o rw,hard -- '/mnt/a b' m1\n"), "{text}");
        assert!(text.contains("--ro-bind /tmp/m0 /mnt/x --bind /tmp/m1 /mnt/x"), "{text}");
    }

    #[test]
    fn root_lends_an_identity() {
        let text = script(&View::default(), Identity::Lent(77), run());
        assert!(
            text.contains("\nexec setpriv --reuid=77 --regid=77 --clear-groups -- bwrap"),
            "{text}"
        );
        assert_eq!(launcher(Identity::Lent(77), String::new())[1], "--mount");
        assert_eq!(launcher(Identity::Caller, String::new())[1], "--user");
    }
}
