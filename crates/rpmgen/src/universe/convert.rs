//! Turning Debian packages into RPM packages, on every processor.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow};

use super::capability;
use super::tree::{self, Alternatives};
use crate::Rpmbuild;
use crate::debian::{Control, glob_escape, preamble, run};

/// Directories that belong to `base-files`, or to nobody in particular.
const COMMON: [&str; 12] = [
    "bin",
    "sbin",
    "lib",
    "lib64",
    "usr",
    "usr/bin",
    "usr/sbin",
    "usr/lib",
    "usr/share",
    "usr/share/doc",
    "etc",
    "var",
];

/// Names by which spec files know what Debian calls otherwise.
const ALIASES: [(&str, &[&str]); 14] = [
    ("g++", &["gcc-c++"]),
    ("python3-dev", &["python3-devel"]),
    ("pkgconf", &["pkgconf-pkg-config", "pkgconfig"]),
    ("rustc", &["rust"]),
    ("libc6", &["glibc", "rtld(GNU_HASH)"]),
    ("libc6-dev", &["glibc-devel"]),
    ("perl", &["perl-interpreter", "perl-devel"]),
    ("libncurses-dev", &["ncurses-devel"]),
    ("zlib1g-dev", &["zlib-devel"]),
    ("rpm", &["rpm-build"]),
    ("xz-utils", &["xz"]),
    ("libexpat1-dev", &["expat-devel"]),
    ("python3", &["python(abi) = 3.11"]),
    ("gettext", &["gettext-devel"]),
];

/// Converts all packages into `out`.
pub(super) fn all(debs: &[PathBuf], work: &Path, out: &Path) -> Result<()> {
    let unpacked = on_all(debs, |number, deb| unpack(deb, &work.join(format!("p{number}"))))?;
    let mut alternatives = Alternatives::new();
    for (dir, control) in &unpacked {
        if let Ok(script) = fs::read_to_string(dir.join("control/postinst")) {
            tree::read_alternatives(&control.field("Package"), &script, &mut alternatives);
        }
    }
    on_all(&unpacked, |number, (dir, control)| {
        let name = control.field("Package");
        let pack = || pack(dir, control, &alternatives, work, out, number);
        pack().with_context(|| format!("failed to convert {name}"))
    })?;
    Ok(())
}

/// Does something with each item, in the order of the items as far as there are processors; the results keep the order.
fn on_all<T: Sync, R: Send>(
    items: &[T],
    each: impl Fn(usize, &T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let worker = || -> Result<()> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return Ok(()) };
            let result = each(at, item)?;
            done.lock().map_err(|_| anyhow!("another thread panicked"))?.push((at, result));
        }
    };
    std::thread::scope(|scope| -> Result<()> {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a converting thread panicked"))??;
        }
        Ok(())
    })?;
    let mut done = done.into_inner().map_err(|_| anyhow!("a converting thread panicked"))?;
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

fn unpack(deb: &Path, dir: &Path) -> Result<(PathBuf, Control)> {
    let (files, control) = (dir.join("files"), dir.join("control"));
    fs::create_dir_all(dir)?;
    run(Command::new("dpkg-deb").arg("-x").arg(deb).arg(&files))?;
    run(Command::new("dpkg-deb").arg("-e").arg(deb).arg(&control))?;
    let text = fs::read(control.join("control"))?;
    Ok((dir.to_owned(), Control::parse(&String::from_utf8_lossy(&text))))
}

fn pack(
    dir: &Path,
    control: &Control,
    alternatives: &Alternatives,
    work: &Path,
    out: &Path,
    number: usize,
) -> Result<()> {
    let (name, root) = (control.field("Package"), dir.join("files"));
    let programs = tree::merge_usr(&root)?;
    tree::drop_documentation(&root)?;
    tree::complete(&name, &root)?;
    tree::link_alternatives(&name, &root, alternatives)?;
    let paths = crate::files::list(&root)?;
    let mut provides = capability::provides(&root, &paths)?;
    provides.extend(programs);
    let aliases = ALIASES.iter().filter(|(known, _)| *known == name);
    provides.extend(aliases.flat_map(|(_, names)| names.iter().map(ToString::to_string)));
    let conffiles = fs::read_to_string(dir.join("control/conffiles")).unwrap_or_default();
    let spec = spec(control, &root, &paths, &provides, &conffiles)?;
    let rpmbuild = Rpmbuild::new(&work.join(format!("t{number}")), out)?.fast();
    rpmbuild.build(&name, spec.as_bytes(), &["-bb"])?;
    // The disk may be small, and what is packed is not needed again.
    fs::remove_dir_all(work.join(format!("t{number}")))?;
    fs::remove_dir_all(dir)?;
    Ok(())
}

fn spec(
    control: &Control,
    root: &Path,
    paths: &[PathBuf],
    provides: &BTreeSet<String>,
    conffiles: &str,
) -> Result<String> {
    let mut spec = preamble(control)?;
    for provided in provides {
        writeln!(spec, "Provides: {}", provided.replace('%', "%%"))?;
    }
    writeln!(spec, "\n%description\nConverted from Debian.\n")?;
    writeln!(
        spec,
        "%install\nmkdir -p %{{buildroot}}\ncp -al {}/. %{{buildroot}}/",
        root.display()
    )?;
    if control.field("Package") == "libc-bin" {
        writeln!(
            spec,
            "\n%transfiletriggerin -- /usr/lib /usr/lib64 /usr/local/lib\n/sbin/ldconfig"
        )?;
    }
    writeln!(spec, "\n%files")?;
    for path in paths {
        let text = path.to_string_lossy();
        let data = fs::symlink_metadata(root.join(path))?;
        if data.is_dir()
            && COMMON.contains(&text.as_ref())
            && control.field("Package") != "base-files"
        {
            continue;
        }
        let mut line = String::new();
        if data.is_dir() {
            line.push_str("%dir ");
        } else if conffiles.lines().any(|line| line.trim().trim_start_matches('/') == text) {
            line.push_str("%config(noreplace) ");
        }
        if !data.is_symlink() {
            write!(line, "%attr({:o},root,root) ", data.permissions().mode() & 0o7777)?;
        }
        // Where a backslash is all that makes a name a pattern, rpmbuild takes it for a part of the name.
        let name = glob_escape(&text).replace("\\[", "[[]");
        writeln!(spec, "{line}\"/{name}\"")?;
    }
    Ok(spec)
}
