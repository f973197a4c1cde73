//! Packages as a directory tree that is laid over the host.
//!
//! The packages are installed by rpm itself, in one transaction, rather than unpacked with
//! `rpm2cpio | cpio`: measured on 500 files the two differ by less than 0.1 s, and rpm checks
//! digests and conflicts and leaves the database from which the buildroot's contents are listed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use tokio_util::sync::CancellationToken;

use crate::{
    Buildroot, Command,
    builder::{base_view, bind, hand_over},
    buildroot::move_file,
    error::{Error, Result},
    identity::Identity,
    limits::Limits,
    sink::Capture,
};

/// What rpm says on a distribution that has another package manager.
const NOISE: [&str; 2] = ["rpm: RPM should not be used directly", "rpm: However assuming you know"];

/// Installs the packages below `work/layer` and returns that directory.
pub(crate) async fn install(
    work: &Path,
    identity: Identity,
    packages: &[PathBuf],
) -> Result<PathBuf> {
    let layer = work.join("layer");
    fs::create_dir_all(layer.join("usr")).map_err(Error::file("create", &layer))?;
    let mut view = base_view(work, &[]);
    for (name, target) in &view.links {
        // Files below /lib must end up below /usr/lib, where the host has them too.
        let (link, target_dir) = (layer.join(name), layer.join(target));
        fs::create_dir_all(&target_dir).map_err(Error::file("create", &target_dir))?;
        std::os::unix::fs::symlink(target, &link).map_err(Error::file("create the link", &link))?;
    }
    hand_over(&layer, identity)?;
    let (dirs, files) = inside(packages)?;
    view.binds.push(bind(layer.clone(), Path::new("/layer"), true));
    view.binds.extend(dirs.into_iter().map(|(dir, inside)| bind(dir, &inside, false)));
    view.root_inside = true;
    view.hostname = "localhost".into();
    let words = [
        "rpm",
        "--root",
        "/layer",
        "--dbpath",
        "/var/lib/rpm",
        "-i",
        "--nodeps",
        "--noscripts",
        "--notriggers",
        "--nosignature",
        "--nocaps",
        "--nocontexts",
        "--ignorearch",
        "--ignoreos",
        "--ignoresize",
        "--",
    ];
    let argv = words.iter().map(ToString::to_string).chain(files);
    let command = Command::new(argv).limits(Limits::for_setup());
    let root = Buildroot::new(work.to_path_buf(), identity, view);
    let mut output = Capture::default();
    let outcome = root.run(&command, &mut output, &CancellationToken::new()).await?;
    if !outcome.success() {
        let text = output.text();
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !NOISE.iter().any(|noise| line.starts_with(noise)))
            .collect();
        return Err(Error::Layer {
            reason: format!("rpm {}: {}", outcome.reason, lines.join("; ")),
        });
    }
    Ok(layer)
}

type Places = (BTreeMap<PathBuf, PathBuf>, Vec<String>);

/// Where the directories of the packages appear inside, and the packages' paths there.
fn inside(packages: &[PathBuf]) -> Result<Places> {
    let mut dirs = BTreeMap::new();
    let mut files = Vec::new();
    for package in packages {
        let real = fs::canonicalize(package).map_err(Error::file("find", package))?;
        let (Some(dir), Some(name)) =
            (real.parent(), real.file_name().and_then(|name| name.to_str()))
        else {
            return Err(Error::Path { path: real, reason: "it is not a package file" });
        };
        let next = PathBuf::from(format!("/packages/{}", dirs.len()));
        let dir = dirs.entry(dir.to_path_buf()).or_insert(next);
        files.push(dir.join(name).to_string_lossy().into_owned());
    }
    Ok((dirs, files))
}

/// Makes the dynamic linker find the layers' libraries.
pub(crate) async fn link_libraries(root: &Buildroot) -> Result<()> {
    let command =
        Command::new(["ldconfig", "-X", "-C", "/run/ld.so.cache"]).limits(Limits::for_setup());
    let mut output = Capture::default();
    let outcome = root.run(&command, &mut output, &CancellationToken::new()).await?;
    if !outcome.success() {
        return Err(Error::Layer {
            reason: format!("ldconfig {}: {}", outcome.reason, output.text().trim()),
        });
    }
    move_file(&root.work().join("run/ld.so.cache"), &root.work().join("etc/ld.so.cache"))
}

/// Makes Python find the layers' modules: Debian's looks in `dist-packages` only.
pub(crate) fn variables(layers: &[PathBuf]) -> BTreeMap<String, String> {
    let mut places = BTreeSet::new();
    for lib in ["usr/lib64", "usr/lib"] {
        for entry in
            layers.iter().filter_map(|layer| fs::read_dir(layer.join(lib)).ok()).flatten().flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("python3.") && entry.path().join("site-packages").is_dir() {
                places.insert(format!("/{lib}/{name}/site-packages"));
            }
        }
    }
    let path = places.into_iter().collect::<Vec<_>>().join(":");
    if path.is_empty() { BTreeMap::new() } else { BTreeMap::from([("PYTHONPATH".into(), path)]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_is_told_where_the_modules_are() {
        let dir = tempfile::tempdir().unwrap();
        let layers = [dir.path().join("a"), dir.path().join("b")];
        assert_eq!(variables(&layers), BTreeMap::new());
        fs::create_dir_all(layers[0].join("usr/lib64/python3.11/site-packages")).unwrap();
        fs::create_dir_all(layers[1].join("usr/lib/python3.11/site-packages")).unwrap();
        let path = "/usr/lib/python3.11/site-packages:/usr/lib64/python3.11/site-packages";
        assert_eq!(variables(&layers)["PYTHONPATH"], path);
    }

    #[test]
    fn packages_of_one_directory_share_a_place() {
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let paths =
            [dir.path().join("a.rpm"), other.path().join("b.rpm"), dir.path().join("c.rpm")];
        for path in &paths {
            fs::write(path, "").unwrap();
        }
        let (dirs, files) = inside(&paths).unwrap();
        assert_eq!(dirs.len(), 2);
        assert_eq!(files, ["/packages/0/a.rpm", "/packages/1/b.rpm", "/packages/0/c.rpm"]);
        assert!(matches!(inside(&[dir.path().join("none.rpm")]), Err(Error::File { .. })));
    }
}
