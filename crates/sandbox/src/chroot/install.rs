//! Making a layer: rpm installs packages into a tree, as root of a namespace, without a network.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Installed, Layer, PackageFile, root};
use crate::{
    Buildroot, Command,
    builder::{base_view, bind, hand_over},
    error::{Error, Result},
    filter::Work,
    host::etc,
    identity::Identity,
    limits::Limits,
    sink::{Capture, Sink, Stream},
    userns::Userns,
    view::Stack,
};

/// Where the tree is while rpm fills it.
const TREE: &str = "/layer";
/// Where the packages are meanwhile.
const PACKAGES: &str = "/packages";
/// Stands before the list of packages in the output.
const MARK: &str = "=== installed";
/// How rpm lists a package.
const FORMAT: &str = "%{name}\\t%{version}\\t%{release}\\t%{epoch}\\t%{arch}\\t%{sigmd5}\\t%{size}\\t%{buildtime}\\n";
/// How many of rpm's words are in the reason of a failure.
const MOST_LINES: usize = 20;
/// What rpm says on a distribution that has another package manager.
const NOISE: [&str; 2] = ["rpm: RPM should not be used directly", "rpm: However assuming you know"];

/// Runs rpm with the arguments, then adds what builds need and no package brings.
const SCRIPT: &str = r#"
mkdir -p /layer/tmp /layer/var/tmp && chmod 1777 /layer/tmp /layer/var/tmp || exit 1
"$@" || exit 1
cd /layer || exit 1
umask 022
for dir in proc sys dev run etc tmp var/tmp builddir; do [ -e "$dir" ] || mkdir -p "$dir" || exit 1; done
chmod 1777 tmp var/tmp
grep -qs '^[^:]*:[^:]*:0:' etc/passwd || echo 'root:x:0:0:root:/root:/bin/sh' >>etc/passwd
grep -qs '^[^:]*:[^:]*:0:' etc/group || echo 'root:x:0:' >>etc/group
grep -qs '^[^:]*:[^:]*:1000:' etc/passwd || echo 'builder:x:1000:1000:builder:/builddir:/bin/sh' >>etc/passwd
grep -qs '^[^:]*:[^:]*:1000:' etc/group || echo 'builder:x:1000:' >>etc/group
[ -e etc/localtime ] || [ -L etc/localtime ] || ln -s ../usr/share/zoneinfo/UTC etc/localtime
if [ -d usr/lib/sysimage/rpm ] && [ ! -L var/lib/rpm ]; then
  mv var/lib/rpm/* usr/lib/sysimage/rpm/ && rm -rf var/lib/rpm && ln -s ../../usr/lib/sysimage/rpm var/lib/rpm || exit 1
fi
echo '=== installed'
exec rpm --root /layer --dbpath /var/lib/rpm --define '_db_backend sqlite' -qa --qf "$format"
"#;

/// Installs into `work/done/over/upper`; returns what is installed then.
pub(super) async fn install(
    work: &Path,
    overlay: bool,
    below: Option<&Arc<Layer>>,
    packages: &[PackageFile],
    log: &mut dyn Sink,
    cancel: &CancellationToken,
) -> Result<Vec<Installed>> {
    let userns = Userns::open().await?;
    let identity = Identity::Mapped(userns.space);
    let over = work.join("done/over");
    root::directories(work, &over)?;
    let etc_dir = work.join("etc");
    fs::create_dir_all(&etc_dir).map_err(Error::file("create", &etc_dir))?;
    etc::fill(Path::new("/etc"), &etc_dir, "localhost", false)?;
    for name in ["var/tmp", "run"] {
        fs::create_dir_all(work.join(name)).map_err(Error::file("create", work.join(name)))?;
    }
    for name in ["var", "run", "tmp"] {
        hand_over(&work.join(name), identity)?;
    }
    let lower = below.map(|layer| layer.trees()).unwrap_or_default();
    if !overlay {
        root::copy(&lower, &over.join("upper"), userns.space).await?;
    }
    root::own(&over, userns.space).await?;
    let mut view = base_view(work, &[]);
    let gathered = work.join("packages");
    let files = gather(packages, &gathered)?;
    view.binds.push(bind(gathered, Path::new(PACKAGES), false));
    view.stacks.push(Stack {
        inside: TREE.into(),
        lower: if overlay { lower } else { Vec::new() },
        over,
    });
    view.devices_in = Some(TREE.into());
    view.root_inside = true;
    view.hostname = "localhost".into();
    view.filter = root::write_filter(work, Work::Setup)?;
    let buildroot = Buildroot::new(work.to_path_buf(), identity, view).keep(userns);
    let command = command(files).limits(Limits::for_setup());
    let mut output = Capture::default();
    let mut both = |stream: Stream, chunk: &[u8]| {
        output.write(stream, chunk)?;
        log.write(stream, chunk)
    };
    let outcome = buildroot.run(&command, &mut both, cancel).await?;
    let text = output.text();
    match text.split_once(&format!("{MARK}\n")) {
        Some((_, list)) if outcome.success() => Ok(list.lines().filter_map(installed).collect()),
        _ => {
            let said =
                text.lines().filter(|line| !NOISE.iter().any(|noise| line.starts_with(noise)));
            Err(Error::Layer { reason: format!("rpm {}: {}", outcome.reason, in_short(said)) })
        }
    }
}

/// The first different lines, as many as a person reads.
fn in_short<'l>(lines: impl Iterator<Item = &'l str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for line in lines {
        if !seen.contains(&line) && seen.len() < MOST_LINES {
            seen.push(line);
        }
    }
    seen.join("; ")
}

fn command(files: Vec<String>) -> Command {
    // The files' SHA-256 are verified already, so rpm need not compute their digests again.
    let words = [
        "rpm",
        "--root",
        TREE,
        "--dbpath",
        "/var/lib/rpm",
        "--define",
        "_db_backend sqlite",
        // What is mounted in the tree belongs to packages, too.
        "--define",
        "_netsharedpath /proc:/sys:/dev",
        "--define",
        "_flush_io 0",
        "-i",
        "--nosignature",
        "--nodigest",
        "--nofiledigest",
        "--nocontexts",
        "--ignorearch",
        "--ignoreos",
        "--ignoresize",
        "--",
    ];
    let head = ["sh", "-c", SCRIPT, "sh"].iter().chain(&words).map(ToString::to_string);
    Command::new(head.chain(files)).env("format", FORMAT).env("TMPDIR", "/tmp").cwd("/")
}

/// Gathers the packages in a directory that has nothing else, and names them as rpm sees them.
///
/// Scripts of packages can read what rpm can, so they are not shown the directories in which a builder keeps its files.
fn gather(packages: &[PackageFile], dir: &Path) -> Result<Vec<String>> {
    fs::create_dir_all(dir).map_err(Error::file("create", dir))?;
    let mut real = BTreeSet::new();
    for package in packages {
        real.insert(fs::canonicalize(&package.path).map_err(Error::file("find", &package.path))?);
    }
    let mut files = Vec::new();
    for (number, path) in real.iter().enumerate() {
        let name = format!("{number}.rpm");
        let place = dir.join(&name);
        // A link of the same file where they are on one file system.
        if fs::hard_link(path, &place).is_err() {
            fs::copy(path, &place).map_err(Error::file("copy", path))?;
        }
        files.push(format!("{PACKAGES}/{name}"));
    }
    Ok(files)
}

/// What rpm's database in a directory lists; keys are no packages. A build may have written there what it liked.
///
/// # Errors
/// [`Error::Layer`] with the words of this machine's rpm when it cannot read it.
pub async fn installed_in(database: &Path, cancel: &CancellationToken) -> Result<Vec<Installed>> {
    let database = database.to_string_lossy();
    let words = ["rpm", "--dbpath", &database, "-qa", "--qf", FORMAT];
    let command = crate::plain_command(words, Path::new("/nonexistent"), |_| None).cwd("/");
    let command = command.limits(Limits::for_setup()).split();
    let mut said = Capture::default();
    let outcome = crate::run_plain(&command, &mut said, cancel).await?;
    if !outcome.success() {
        let text = String::from_utf8_lossy(&said.err).trim().to_owned();
        return Err(Error::Layer { reason: format!("rpm {}: {text}", outcome.reason) });
    }
    Ok(said.text().lines().filter_map(installed).collect())
}

/// Reads one line of rpm's list.
fn installed(line: &str) -> Option<Installed> {
    let mut parts = line.split('\t');
    let mut next = || parts.next();
    let (name, version, release) = (next()?, next()?, next()?);
    if name == "gpg-pubkey" {
        return None;
    }
    let (epoch, arch, sigmd5) = (next()?, next()?, next()?);
    Some(Installed {
        name: name.to_owned(),
        version: version.to_owned(),
        release: release.to_owned(),
        epoch: epoch.parse().ok(),
        arch: arch.to_owned(),
        sigmd5: if sigmd5 == "(none)" { String::new() } else { sigmd5.to_owned() },
        size: next()?.parse().unwrap_or(0),
        buildtime: next()?.parse().unwrap_or(0),
    })
}

pub(super) fn to_json(package: &Installed) -> Value {
    let Installed { name, version, release, epoch, arch, sigmd5, size, buildtime } = package;
    json!([name, version, release, epoch, arch, sigmd5, size, buildtime])
}

pub(super) fn from_json(value: &Value) -> Installed {
    let text = |at: usize| value[at].as_str().unwrap_or_default().to_owned();
    Installed {
        name: text(0),
        version: text(1),
        release: text(2),
        epoch: value[3].as_i64(),
        arch: text(4),
        sigmd5: text(5),
        size: value[6].as_i64().unwrap_or(0),
        buildtime: value[7].as_i64().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rpms_list_is_read_and_kept() {
        let found = installed("a\t1\t2\t(none)\tnoarch\tabc\t10\t20").unwrap();
        assert_eq!((found.epoch, found.sigmd5.as_str(), found.size), (None, "abc", 10));
        assert_eq!(from_json(&to_json(&found)), found);
        let epoch = installed("a\t1\t2\t3\tnoarch\t(none)\t10\t20").unwrap();
        assert_eq!((epoch.epoch, epoch.sigmd5.as_str()), (Some(3), ""));
        assert_eq!(installed("gpg-pubkey\t1\t2\t(none)\t(none)\t(none)\t0\t0"), None);
    }

    #[test]
    fn packages_are_gathered_and_nothing_beside_them() {
        let dir = tempfile::tempdir().unwrap();
        let mut packages = Vec::new();
        for name in ["aa/1", "bb/2"] {
            let path = dir.path().join("cache").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, name).unwrap();
            packages.push(PackageFile { path, sha256: String::new() });
        }
        fs::write(dir.path().join("cache/secret"), "").unwrap();
        let gathered = dir.path().join("gathered");
        assert_eq!(gather(&packages, &gathered).unwrap(), ["/packages/0.rpm", "/packages/1.rpm"]);
        let names = ["0.rpm", "1.rpm"].map(|name| fs::read_to_string(gathered.join(name)).unwrap());
        assert_eq!(names, ["aa/1", "bb/2"]);
        assert_eq!(fs::read_dir(&gathered).unwrap().count(), 2);
    }
}
