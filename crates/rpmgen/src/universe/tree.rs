//! The files of an unpacked Debian package, brought into the form of a distribution of RPM.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};

/// Directories of the root that are links into `/usr`.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// What nobody needs in a buildroot.
const DROPPED: [&str; 8] = [
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/bug",
    "usr/share/doc-base",
    "usr/share/menu",
    "usr/share/gnome/help",
];

/// Links of alternatives: the path of the link, with the best choice.
pub(super) type Alternatives = BTreeMap<String, Choice>;

/// One choice for a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) priority: i64,
    pub(super) package: String,
    pub(super) path: String,
}

/// Moves what is outside `/usr` into it, as all distributions have it today; returns the old paths of programs.
pub(super) fn merge_usr(root: &Path) -> Result<Vec<String>> {
    let mut programs = Vec::new();
    for name in MERGED {
        let (old, new) = (root.join(name), root.join("usr").join(name));
        if !fs::symlink_metadata(&old).is_ok_and(|found| found.is_dir()) {
            continue;
        }
        if name.ends_with("bin") {
            for entry in fs::read_dir(&old)? {
                programs.push(format!("/{name}/{}", entry?.file_name().to_string_lossy()));
            }
        }
        move_into(&old, &new, &format!("/{name}"))?;
    }
    programs.sort();
    Ok(programs)
}

/// Moves a directory's content into another one, which may exist; `was` is its absolute path inside.
fn move_into(from: &Path, to: &Path, was: &str) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let was = format!("{was}/{}", entry.file_name().to_string_lossy());
            move_into(&source, &target, &was)?;
        } else if kind.is_symlink() {
            let link = fs::read_link(&source)?.to_string_lossy().into_owned();
            // A way upwards is one step longer now.
            let link = if link.starts_with("../") { format!("{was}/{link}") } else { link };
            fs::remove_file(&source)?;
            if fs::symlink_metadata(&target).is_err() {
                symlink(link, &target)?;
            }
        } else {
            fs::rename(&source, &target).with_context(|| format!("move {}", source.display()))?;
        }
    }
    fs::remove_dir(from)?;
    Ok(())
}

/// Takes away manuals and translations; licences stay.
pub(super) fn drop_documentation(root: &Path) -> Result<()> {
    for name in DROPPED {
        remove(&root.join(name))?;
    }
    let docs = root.join("usr/share/doc");
    for entry in fs::read_dir(&docs).into_iter().flatten() {
        let dir = entry?;
        if !dir.file_type()?.is_dir() {
            continue;
        }
        for entry in fs::read_dir(dir.path())? {
            let entry = entry?;
            if entry.file_name() != "copyright" {
                remove(&entry.path())?;
            }
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path)?,
        Ok(_) => fs::remove_file(path)?,
        Err(_) => {}
    }
    Ok(())
}

/// Adds to a package what its script would have made on a Debian system.
pub(super) fn complete(package: &str, root: &Path) -> Result<()> {
    match package {
        "base-files" => {
            for name in ["bin", "sbin", "lib", "lib64"] {
                fs::create_dir_all(root.join("usr").join(name))?;
                symlink(Path::new("usr").join(name), root.join(name))?;
            }
            for name in ["run", "etc", "tmp", "var/tmp"] {
                fs::create_dir_all(root.join(name))?;
            }
            copy(root, "usr/share/base-files/profile", "etc/profile")?;
        }
        "base-passwd" => {
            for name in ["passwd", "group"] {
                let master = format!("usr/share/base-passwd/{name}.master");
                copy(root, &master, &format!("etc/{name}"))?;
            }
        }
        "libc-bin" => copy(root, "usr/share/libc-bin/nsswitch.conf", "etc/nsswitch.conf")?,
        _ => {}
    }
    Ok(())
}

fn copy(root: &Path, from: &str, to: &str) -> Result<()> {
    let target = root.join(to);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(root.join(from), target).with_context(|| format!("failed to copy {from}"))?;
    Ok(())
}

/// Makes the links of alternatives for which the package is the best choice.
pub(super) fn link_alternatives(package: &str, root: &Path, all: &Alternatives) -> Result<()> {
    for (link, choice) in all.iter().filter(|(_, choice)| choice.package == package) {
        let place = root.join(link.trim_start_matches('/'));
        if fs::symlink_metadata(&place).is_ok() {
            continue;
        }
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        symlink(&choice.path, &place)?;
    }
    Ok(())
}

/// Notes the alternatives of programs that a package's script registers.
pub(super) fn read_alternatives(package: &str, script: &str, all: &mut Alternatives) {
    let text = with_variables(&script.replace("\\\n", " "));
    for line in text.lines().filter(|line| line.contains("update-alternatives")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(at) = words.iter().position(|word| *word == "--install") else { continue };
        let [link, _, path, priority, rest @ ..] = &words[at + 1..] else { continue };
        let Ok(priority) = priority.parse() else { continue };
        note(package, link, path, priority, all);
        for slave in rest.windows(4).filter(|words| words[0] == "--slave") {
            note(package, slave[1], slave[3], priority, all);
        }
    }
}

/// Puts in the values of variables that a script sets to plain words.
fn with_variables(script: &str) -> String {
    let mut text = script.to_owned();
    for line in script.lines() {
        let Some((name, value)) = line.trim().split_once('=') else { continue };
        let word =
            |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
        if !name.is_empty() && word(name) && !value.is_empty() && word(value) {
            text = text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
        }
    }
    text
}

fn note(package: &str, link: &str, path: &str, priority: i64, all: &mut Alternatives) {
    let program = ["/usr/bin/", "/usr/sbin/"].iter().any(|dir| link.starts_with(dir));
    if !program || !path.starts_with('/') || path.contains('$') {
        return;
    }
    let choice = Choice { priority, package: package.to_owned(), path: path.to_owned() };
    let known = all.get(link);
    if known.is_none_or(|known| known.priority < priority) {
        all.insert(link.to_owned(), choice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_the_root_move_below_usr() {
        let dir = std::env::temp_dir().join(format!("merge-{}", std::process::id()));
        fs::create_dir_all(dir.join("bin")).unwrap();
        fs::create_dir_all(dir.join("lib/a")).unwrap();
        fs::create_dir_all(dir.join("usr/lib/a")).unwrap();
        fs::write(dir.join("bin/p"), "").unwrap();
        fs::write(dir.join("lib/a/x"), "").unwrap();
        symlink("../../etc/y", dir.join("lib/a/y")).unwrap();
        assert_eq!(merge_usr(&dir).unwrap(), ["/bin/p"]);
        assert!(dir.join("usr/bin/p").is_file() && dir.join("usr/lib/a/x").is_file());
        assert!(!dir.join("bin").exists() && !dir.join("lib").exists());
        let link = fs::read_link(dir.join("usr/lib/a/y")).unwrap();
        assert_eq!(link, Path::new("/lib/a/../../etc/y"));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_best_alternative_gets_the_link() {
        let mut all = Alternatives::new();
        let script = "if x; then\n update-alternatives --quiet --install /usr/bin/cc cc /usr/bin/gcc 20 \\\n\
            \t--slave /usr/share/man/man1/cc.1.gz cc.1.gz /usr/share/man/man1/gcc.1.gz\nfi\n";
        read_alternatives("gcc", script, &mut all);
        read_alternatives(
            "tcc",
            "update-alternatives --install /usr/bin/cc cc /usr/bin/tcc 10",
            &mut all,
        );
        let script = "ver=1.16\nupdate-alternatives --install /usr/bin/am am /usr/bin/am-$ver 34";
        read_alternatives("am", script, &mut all);
        assert_eq!(all.remove("/usr/bin/am").unwrap().path, "/usr/bin/am-1.16");
        read_alternatives("x", "update-alternatives --install /usr/bin/x x $prog 10", &mut all);
        assert_eq!(all.len(), 1);
        assert_eq!(
            (all["/usr/bin/cc"].package.as_str(), all["/usr/bin/cc"].path.as_str()),
            ("gcc", "/usr/bin/gcc")
        );
    }
}
