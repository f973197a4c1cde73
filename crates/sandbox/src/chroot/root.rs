//! A build's own root over a layer: directories, files of the build, the view.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, lchown},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use super::Layer;
use crate::{
    Buildroot,
    builder::{bind, hand_over},
    error::{Error, Result},
    filter,
    identity::Identity,
    userns::{self, Space, Userns},
    view::{Bind, Mount, Stack, View},
};

/// What a root of its own is told.
pub(crate) struct Settings<'s> {
    pub(crate) macros: &'s str,
    pub(crate) hostname: &'s str,
    pub(crate) network: bool,
    /// Further directories: outside, inside, writable.
    pub(crate) binds: &'s [(PathBuf, PathBuf, bool)],
    /// What is over all that.
    pub(crate) mounts: &'s [Mount],
}

/// Makes the directories of a buildroot and its view.
pub(crate) async fn build(
    work: &Path,
    layer: &Arc<Layer>,
    settings: &Settings<'_>,
) -> Result<Buildroot> {
    let trees = layer.trees();
    let userns = Userns::open().await?;
    let identity = Identity::Mapped(userns.space);
    let program = |name: &str| {
        let places = ["usr/bin", "bin"].map(|dir| Path::new(dir).join(name));
        trees.iter().any(|tree| places.iter().any(|place| tree.join(place).is_file()))
    };
    if userns.space.ranged && !program("setpriv") {
        let reason = "no package has the program setpriv: add util-linux to the tag's group".into();
        return Err(Error::Layer { reason });
    }
    let over = work.join("over");
    directories(work, &over)?;
    for name in ["home", "tmp", "vartmp", "shm"] {
        let dir = work.join(name);
        fs::create_dir_all(&dir).map_err(Error::file("create", &dir))?;
        let mode = if name == "home" { 0o755 } else { 0o1777 };
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode))
            .map_err(Error::file("open up", &dir))?;
        hand_over(&dir, identity)?;
    }
    if !layer.overlay() {
        copy(&trees, &over.join("upper"), userns.space).await?;
    }
    write_files(work, settings)?;
    put(&work.join("files"), &over.join("upper"), userns.space).await?;
    own(&over, userns.space).await?;
    let view = View {
        stage: work.join("stage"),
        stacks: vec![Stack {
            inside: "/".into(),
            lower: if layer.overlay() { trees } else { Vec::new() },
            over,
        }],
        binds: binds(work, settings, identity)?,
        mounts: settings.mounts.to_vec(),
        filter: write_filter(work, filter::Work::Build)?,
        binding_filter: write_filter(work, filter::Work::Image)?,
        network: settings.network,
        hostname: settings.hostname.to_owned(),
        ..View::default()
    };
    Ok(Buildroot::new(work.to_path_buf(), identity, view).keep(userns).over(layer.clone()))
}

fn binds(work: &Path, settings: &Settings<'_>, identity: Identity) -> Result<Vec<Bind>> {
    let own = [("home", "/builddir"), ("tmp", "/tmp"), ("vartmp", "/var/tmp"), ("shm", "/dev/shm")];
    let mut binds: Vec<_> =
        own.iter().map(|(name, inside)| bind(work.join(name), Path::new(inside), true)).collect();
    for mount in settings.mounts {
        crate::builder::check_inside(&mount.inside)?;
    }
    for (source, inside, writable) in settings.binds {
        crate::builder::check_inside(inside)?;
        let source = fs::canonicalize(source).map_err(Error::file("find", source))?;
        if *writable {
            hand_over(&source, identity)?;
        }
        binds.push(bind(source, inside, *writable));
    }
    Ok(binds)
}

/// The directories that each tree in the making has.
pub(super) fn directories(work: &Path, over: &Path) -> Result<()> {
    let own = ["stage", "none", "home", "tmp", "shm", "files"].map(|name| work.join(name));
    for dir in own.into_iter().chain([over.join("upper"), over.join("work")]) {
        fs::create_dir_all(&dir).map_err(Error::file("create", dir))?;
    }
    // Whatever the caller's mask is: this is the root directory inside.
    for dir in [over.to_path_buf(), over.join("upper")] {
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))
            .map_err(Error::file("open up", &dir))?;
    }
    Ok(())
}

/// The files that differ between builds in the same layer.
fn write_files(work: &Path, settings: &Settings<'_>) -> Result<()> {
    let (etc, name) = (work.join("files/etc"), settings.hostname);
    let rpm = etc.join("rpm");
    fs::create_dir_all(&rpm).map_err(Error::file("create", &rpm))?;
    let mut files = vec![
        ("hosts", format!("127.0.0.1 localhost {name}\n::1 localhost {name}\n")),
        ("hostname", format!("{name}\n")),
        ("rpm/macros", settings.macros.to_owned()),
    ];
    if settings.network {
        files.push(("resolv.conf", fs::read_to_string("/etc/resolv.conf").unwrap_or_default()));
    }
    for (name, text) in files {
        fs::write(etc.join(name), text).map_err(Error::file("write", etc.join(name)))?;
    }
    Ok(())
}

/// Puts a tree of files into another one. What is there may be a package's link to a file of the host.
async fn put(from: &Path, to: &Path, space: Space) -> Result<()> {
    shell(
        space,
        r#"cp -r --remove-destination "$1/." "$2/""#,
        &[from, to],
        "write the files of the build",
    )
    .await
}

/// Writes the program of the filter, where there is one for this kind of machine.
pub(crate) fn write_filter(dir: &Path, work: filter::Work) -> Result<Option<PathBuf>> {
    if !filter::is_known() {
        return Ok(None);
    }
    let file = dir.join(if work == filter::Work::Image { "image-filter" } else { "filter" });
    fs::write(&file, filter::program(work)?).map_err(Error::file("write", &file))?;
    Ok(Some(file))
}

/// Gives the directories of a stack, and the files put into it, to root inside.
pub(super) async fn own(over: &Path, space: Space) -> Result<()> {
    if let Some([uid, gid]) = space.root {
        fn walk(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
            use std::os::unix::fs::MetadataExt;
            let data = fs::symlink_metadata(path)?;
            // A copied tree has its owners already.
            if data.uid() == 0 {
                lchown(path, Some(uid), Some(gid))?;
            }
            if data.is_dir() && (data.uid() == 0 || path.ends_with("over")) {
                for entry in fs::read_dir(path)? {
                    walk(&entry?.path(), uid, gid)?;
                }
            }
            Ok(())
        }
        return walk(over, uid, gid).map_err(Error::file("change the owner of", over));
    }
    if space.ranged {
        let script = r#"find "$1" -user 1000 -exec chown -h 0:0 {} +"#;
        shell(space, script, &[over], "give the root to its user").await?;
    }
    Ok(())
}

/// Copies layers into one tree, sharing blocks where the file system can.
pub(super) async fn copy(trees: &[PathBuf], to: &Path, space: Space) -> Result<()> {
    for tree in trees.iter().rev() {
        let script = r#"cp -a --reflink=auto "$1/." "$2/""#;
        shell(space, script, &[tree, to], "copy the layer").await?;
    }
    Ok(())
}

/// Whether this user may lay directories over others here.
pub(super) async fn overlay_works(cache: &Path) -> bool {
    let probe = cache.join("new").join(format!("probe-{}", std::process::id()));
    let names = ["lower", "upper", "work", "all"];
    let ready = names.iter().all(|name| fs::create_dir_all(probe.join(name)).is_ok());
    let works = match Userns::open().await {
        Ok(userns) if ready => {
            let notes = if userns.space.by_root { "" } else { ",userxattr" };
            let script = format!(
                r#"cd "$1" && exec unshare --mount --propagation private sh -c 'mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work{notes} overlay all && echo >all/x && rm all/x'"#
            );
            shell(userns.space, &script, &[&probe], "try overlayfs").await.is_ok()
        }
        _ => false,
    };
    if let Err(error) = crate::tree::remove_tree(&probe) {
        tracing::warn!("the probe of overlayfs was not removed: {error}");
    }
    works
}

/// Runs a script as root of the namespace, or as root itself.
async fn shell(space: Space, script: &str, paths: &[&Path], what: &'static str) -> Result<()> {
    let mut words = if space.by_root { Vec::new() } else { userns::entering(space) };
    words.extend(["sh", "-c", script, "sh"].map(String::from));
    let mut command = tokio::process::Command::new(&words[0]);
    command.args(&words[1..]).args(paths).env_clear().env("PATH", crate::buildroot::PATH);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let output =
        command.output().await.map_err(|source| Error::Process { program: what.into(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Setup { reason: format!("{what}: {text}") })
}
