//! The file system that a sandboxed command sees, and the script that puts it together.
//!
//! Mounting is done by a shell script in a mount namespace of its own (and, for an ordinary
//! user, in a user namespace in which it may mount): it gathers every source below a small
//! temporary file system and lays the layers over the host's directories with overlayfs. Then
//! bubblewrap makes the remaining namespaces, builds the root out of what was gathered and
//! drops all rights. Gathering first means that the sandbox's identity needs no right to walk
//! to the sources by their real paths, and that no path has to be quoted for overlayfs.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use crate::identity::{INSIDE_ID, Identity};

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

/// A directory which is a union of others, the uppermost first; read-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Union {
    pub(crate) inside: PathBuf,
    pub(crate) sources: Vec<PathBuf>,
}

/// Everything that a sandbox consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// An own directory to gather the sources in.
    pub(crate) stage: PathBuf,
    /// Read-only unions, outer directories before inner ones.
    pub(crate) unions: Vec<Union>,
    /// Symbolic links in the root, such as `bin` → `usr/bin`.
    pub(crate) links: Vec<(String, String)>,
    /// Further directories and files, outer ones before inner ones.
    pub(crate) binds: Vec<Bind>,
    /// Whether the host's network is visible.
    pub(crate) network: bool,
    /// Host name inside.
    pub(crate) hostname: String,
    /// Whether the command is root inside, with the right to change its root directory.
    pub(crate) root_inside: bool,
}

/// What differs between runs in the same view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) argv: &'a [String],
    pub(crate) env: &'a [(String, String)],
    pub(crate) cwd: &'a Path,
    /// Files of control groups to join.
    pub(crate) entrances: &'a [PathBuf],
    /// The process that starts the script.
    pub(crate) parent: u32,
}

/// The command line which starts the script under the given identity.
pub(crate) fn launcher(identity: Identity, script: String) -> Vec<String> {
    let namespaces: &[&str] = match identity {
        Identity::Caller => &["--user", "--map-root-user", "--mount"],
        Identity::Lent(_) => &["--mount"],
    };
    let head =
        ["unshare"].iter().chain(namespaces).chain(&["--propagation", "private", "--", "sh", "-c"]);
    head.map(ToString::to_string).chain([script]).collect()
}

/// The script: joins the control groups, gathers, mounts, and becomes the command.
///
/// Standard input is the writing end of the status pipe; it becomes descriptor 3.
pub(crate) fn script(view: &View, identity: Identity, run: Run<'_>) -> String {
    let mut text = format!(
        "set -u; exec 3>&0 </dev/null\n\
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
    let mut line = |words: &[&str]| {
        let words: Vec<_> = words.iter().map(|word| quote(word)).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", words.join(" "));
    };
    let stage = view.stage.to_string_lossy();
    line(&["run", "mount", "-t", "tmpfs", "-o", "mode=0755,size=4m", "tmpfs", &stage]);
    line(&["cd", &stage]);
    let mut root = vec!["--tmpfs".to_string(), "/".into()];
    gather_unions(view, &mut line, &mut root);
    for (name, target) in &view.links {
        root.extend(["--symlink".into(), target.clone(), format!("/{name}")]);
    }
    root.extend(["--proc", "/proc", "--dev", "/dev"].map(String::from));
    gather_binds(view, &mut line, &mut root);
    line(&["cd", "/"]);
    line(&["run", "mount", "--rbind", &stage, GATHERED]);
    let command = bubblewrap(view, identity, run, root);
    let words: Vec<_> = command.iter().map(|word| quote(word)).collect();
    let _ = writeln!(text, "unset OLDPWD PWD\nexec {}", words.join(" "));
    text
}

fn gather_unions(view: &View, line: &mut impl FnMut(&[&str]), root: &mut Vec<String>) {
    for (number, union) in view.unions.iter().enumerate() {
        let target = format!("u{number}");
        line(&["mkdir", &target]);
        let sources: Vec<_> = union.sources.iter().map(|source| source.to_string_lossy()).collect();
        if let [only] = &sources[..] {
            line(&["run", "mount", "--rbind", only, &target]);
        } else {
            let names: Vec<_> =
                (0..sources.len()).map(|part| format!("u{number}.{part}")).collect();
            for (source, name) in sources.iter().zip(&names) {
                line(&["mkdir", name]);
                line(&["run", "mount", "--bind", source, name]);
            }
            let option = format!("lowerdir={}", names.join(":"));
            line(&["run", "mount", "-t", "overlay", "-o", &option, "overlay", &target]);
        }
        let inside = union.inside.to_string_lossy().into_owned();
        root.extend(["--ro-bind".into(), format!("{GATHERED}/{target}"), inside]);
    }
}

fn gather_binds(view: &View, line: &mut impl FnMut(&[&str]), root: &mut Vec<String>) {
    for (number, bind) in view.binds.iter().enumerate() {
        let target = format!("b{number}");
        if bind.is_dir {
            line(&["mkdir", &target]);
        } else {
            line(&["run", "touch", &target]);
        }
        line(&["run", "mount", "--bind", &bind.source.to_string_lossy(), &target]);
        let option = if bind.writable { "--bind" } else { "--ro-bind" };
        let inside = bind.inside.to_string_lossy().into_owned();
        root.extend([option.into(), format!("{GATHERED}/{target}"), inside]);
    }
}

fn bubblewrap(view: &View, identity: Identity, run: Run<'_>, root: Vec<String>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    if let Identity::Lent(id) = identity {
        let (user, group) = (format!("--reuid={id}"), format!("--regid={id}"));
        words.extend(["setpriv".into(), user, group, "--clear-groups".into(), "--".into()]);
    }
    let id = if view.root_inside { 0 } else { INSIDE_ID }.to_string();
    let fixed = [
        "bwrap",
        "--json-status-fd",
        "3",
        "--die-with-parent",
        "--new-session",
        "--unshare-all",
        "--unshare-user",
        "--uid",
        &id,
        "--gid",
        &id,
        "--hostname",
        &view.hostname,
        "--cap-drop",
        "ALL",
    ];
    words.extend(fixed.map(String::from));
    if view.root_inside {
        words.extend(["--cap-add", "CAP_SYS_CHROOT"].map(String::from));
    } else {
        words.push("--disable-userns".into());
    }
    if view.network {
        words.push("--share-net".into());
    }
    words.extend(root);
    // The root and /dev are memory: nothing may be left writable in them.
    words.extend(["--remount-ro", "/dev", "--remount-ro", "/", "--clearenv"].map(String::from));
    for (name, value) in run.env {
        words.extend(["--setenv".into(), name.clone(), value.clone()]);
    }
    words.extend(["--chdir".into(), run.cwd.to_string_lossy().into_owned(), "--".into()]);
    words.extend(run.argv.iter().cloned());
    words
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
            let run = Run { argv: &[], env: &[], cwd: Path::new("/"), entrances: &[], parent: 1 };
            script(&view, Identity::Caller, run)
        };
        let one = script_of(vec![union(&["/usr"])]);
        assert!(one.contains("mount --rbind /usr u0") && !one.contains("overlay"), "{one}");
        let two = script_of(vec![union(&["/layer:1/usr", "/usr"])]);
        assert!(two.contains("run mount --bind /layer:1/usr u0.0"), "{two}");
        assert!(two.contains("lowerdir=u0.0:u0.1 overlay u0"), "{two}");
    }

    #[test]
    fn root_lends_an_identity() {
        let run = Run { argv: &[], env: &[], cwd: Path::new("/"), entrances: &[], parent: 1 };
        let text = script(&View::default(), Identity::Lent(77), run);
        assert!(
            text.contains("\nexec setpriv --reuid=77 --regid=77 --clear-groups -- bwrap"),
            "{text}"
        );
        assert_eq!(launcher(Identity::Lent(77), String::new())[1], "--mount");
        assert_eq!(launcher(Identity::Caller, String::new())[1], "--user");
    }
}
