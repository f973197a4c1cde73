//! Preparing a buildroot: directories, the view of the host, layers.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, lchown},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use crate::{
    Buildroot, Layer,
    chroot::{self, Settings},
    error::{Error, Result},
    filter::Work,
    host::etc,
    identity::Identity,
    layer,
    userns::Space,
    view::{Bind, Mount, Union, View},
};

/// Programs which every sandbox needs, with the packages that carry them.
const PROGRAMS: [(&str, &str); 7] = [
    ("bwrap", "bubblewrap"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("prlimit", "util-linux"),
    ("mount", "mount or util-linux-core"),
    ("sh", "dash or bash"),
];

/// Links in the root of a host with a merged `/usr`.
const ROOT_LINKS: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Collects what a buildroot shall consist of.
#[derive(Debug, Clone)]
pub struct BuildrootBuilder {
    work: PathBuf,
    layers: Vec<PathBuf>,
    packages: Vec<PathBuf>,
    binds: Vec<(PathBuf, PathBuf, bool)>,
    mounts: Vec<Mount>,
    network: bool,
    hostname: String,
    macros: String,
    host_macros: bool,
    chroot: Option<Arc<Layer>>,
}

impl BuildrootBuilder {
    pub(crate) fn new(work: PathBuf) -> Self {
        Self {
            work,
            layers: Vec::new(),
            packages: Vec::new(),
            binds: Vec::new(),
            mounts: Vec::new(),
            network: false,
            hostname: "localhost".into(),
            macros: String::new(),
            host_macros: true,
            chroot: None,
        }
    }

    /// Builds in a root of packages alone, without anything of the host; `packages` and `layer` have no effect then.
    #[must_use]
    pub fn chroot(mut self, layer: Arc<Layer>) -> Self {
        self.chroot = Some(layer);
        self
    }

    /// Adds RPM files, which appear inside as installed; without scripts, dependencies unchecked.
    #[must_use]
    pub fn packages(mut self, rpms: &[PathBuf]) -> Self {
        self.packages.extend_from_slice(rpms);
        self
    }

    /// Lays a directory tree (`usr`, `etc`, `opt`) over the host's, above earlier layers.
    #[must_use]
    pub fn layer(mut self, root: impl Into<PathBuf>) -> Self {
        self.layers.push(root.into());
        self
    }

    /// Makes a host directory writable at a path inside; where root lends a number, it becomes the owner.
    #[must_use]
    pub fn writable(mut self, dir: impl Into<PathBuf>, inside: impl Into<PathBuf>) -> Self {
        self.binds.push((dir.into(), inside.into(), true));
        self
    }

    /// Shows a host directory or file at a path inside.
    #[must_use]
    pub fn readable(mut self, path: impl Into<PathBuf>, inside: impl Into<PathBuf>) -> Self {
        self.binds.push((path.into(), inside.into(), false));
        self
    }

    /// Mounts something in this order, over all that is there; nobody becomes an owner by that. Other things than
    /// directories of the host take a caller who is root.
    #[must_use]
    pub fn mounts(mut self, mounts: &[Mount]) -> Self {
        self.mounts.extend_from_slice(mounts);
        self
    }

    /// Lets commands use the host's network; off unless asked for.
    #[must_use]
    pub fn network(mut self, allowed: bool) -> Self {
        self.network = allowed;
        self
    }

    /// Sets the host name inside; `localhost` unless set.
    #[must_use]
    pub fn hostname(mut self, name: impl Into<String>) -> Self {
        self.hostname = name.into();
        self
    }

    /// Adds rpm macros in the syntax of a macro file; they override the host's.
    #[must_use]
    pub fn macros(mut self, text: impl AsRef<str>) -> Self {
        self.macros.push_str(text.as_ref());
        self.macros.push('\n');
        self
    }

    /// Leaves out the macro set of the `host` kind.
    #[must_use]
    pub fn without_host_macros(mut self) -> Self {
        self.host_macros = false;
        self
    }

    /// Makes the directories, installs the packages, and checks that the sandbox works here.
    pub async fn build(self) -> Result<Buildroot> {
        for (program, package) in PROGRAMS {
            if crate::plain::find_program(program).is_none() {
                return Err(Error::Program { program, package });
            }
        }
        if let Some(layer) = &self.chroot {
            let settings = Settings {
                macros: &self.macros,
                hostname: &self.hostname,
                network: self.network,
                binds: &self.binds,
                mounts: &self.mounts,
            };
            return chroot::build(&self.work, layer, &settings).await;
        }
        let identity = Identity::choose();
        let work = self.work.clone();
        for name in ["stage", "etc", "home", "tmp", "var", "run", "shm", "none"] {
            fs::create_dir_all(work.join(name)).map_err(Error::file("create", work.join(name)))?;
        }
        for name in ["tmp", "cache", "lib/rpm", "log", "spool"] {
            let dir = work.join("var").join(name);
            fs::create_dir_all(&dir).map_err(Error::file("create", dir))?;
        }
        for name in ["tmp", "var/tmp", "shm"] {
            let dir = work.join(name);
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o1777))
                .map_err(Error::file("open up", dir))?;
        }
        for name in ["home", "tmp", "var", "run", "shm"] {
            hand_over(&work.join(name), identity)?;
        }
        let etc = work.join("etc");
        etc::fill(Path::new("/etc"), &etc, &self.hostname, self.network)?;
        self.write_macros(&etc)?;
        let mut layers = self.layers.clone();
        let mut root = Buildroot::new(work.clone(), identity, self.view(&layers, identity)?);
        if !self.packages.is_empty() {
            layers.push(layer::install(&work, identity, &self.packages).await?);
            root = Buildroot::new(work, identity, self.view(&layers, identity)?);
        }
        if !layers.is_empty() {
            layer::link_libraries(&root).await?;
            root.set_env(layer::variables(&layers));
        }
        Ok(root)
    }

    fn write_macros(&self, etc: &Path) -> Result<()> {
        let dir = etc.join("rpm");
        fs::create_dir_all(&dir).map_err(Error::file("create", &dir))?;
        let mut files = vec![("macros", self.macros.as_str())];
        let host = crate::host::macros();
        if self.host_macros {
            files.push(("macros.zz-host", &host));
        }
        for (name, text) in files {
            fs::write(dir.join(name), text).map_err(Error::file("write", dir.join(name)))?;
        }
        Ok(())
    }

    fn view(&self, layers: &[PathBuf], identity: Identity) -> Result<View> {
        let mut view = base_view(&self.work, layers);
        self.mounts.iter().try_for_each(|mount| check_inside(&mount.inside))?;
        view.mounts.clone_from(&self.mounts);
        view.network = self.network;
        view.filter = chroot::write_filter(&self.work, Work::Build)?;
        view.hostname.clone_from(&self.hostname);
        for (source, inside, writable) in &self.binds {
            check_inside(inside)?;
            let source = fs::canonicalize(source).map_err(Error::file("find", source))?;
            if *writable {
                hand_over(&source, identity)?;
            }
            view.binds.push(bind(source, inside, *writable));
        }
        Ok(view)
    }
}

/// The read-only host with layers over it, and the private directories of the buildroot.
pub(crate) fn base_view(work: &Path, layers: &[PathBuf]) -> View {
    let union = |inside: &str, base: Option<&Path>| {
        let name = inside.trim_start_matches('/');
        let over = layers.iter().rev().map(|layer| layer.join(name)).filter(|dir| dir.is_dir());
        let sources: Vec<_> = over.chain(base.map(Path::to_path_buf)).collect();
        (!sources.is_empty()).then(|| Union { inside: inside.into(), sources })
    };
    let none = work.join("none");
    let local = Path::new("/usr/local").is_dir()
        || layers.iter().any(|layer| layer.join("usr/local").is_dir());
    let unions = [
        union("/usr", Some(Path::new("/usr"))),
        local.then(|| union("/usr/local", Some(&none))).flatten(),
        union("/etc", Some(&work.join("etc"))),
        union("/opt", None),
    ];
    let links = ROOT_LINKS.iter().filter_map(|name| {
        let target = fs::read_link(Path::new("/").join(name)).ok()?;
        Some((name.to_string(), target.to_string_lossy().into_owned()))
    });
    let private = [
        ("home", "/builddir"),
        ("tmp", "/tmp"),
        ("var", "/var"),
        ("run", "/run"),
        ("shm", "/dev/shm"),
    ];
    let mut binds: Vec<_> = private
        .iter()
        .map(|(name, inside)| bind(work.join(name), Path::new(inside), true))
        .collect();
    let host = Path::new("/etc");
    binds.extend(etc::shown(host).map(|name| bind(host.join(name), &host.join(name), false)));
    let rpmdb = layers.iter().rev().map(|layer| layer.join("var/lib/rpm")).find(|dir| dir.is_dir());
    binds.extend(rpmdb.map(|dir| bind(dir, Path::new("/var/lib/rpm"), false)));
    View {
        stage: work.join("stage"),
        unions: unions.into_iter().flatten().collect(),
        links: links.collect(),
        binds,
        ..View::default()
    }
}

pub(crate) fn bind(source: PathBuf, inside: &Path, writable: bool) -> Bind {
    let is_dir = source.is_dir();
    Bind { source, inside: inside.to_path_buf(), writable, is_dir }
}

/// Gives a tree to the identity under which commands run; only root can and needs to.
pub(crate) fn hand_over(path: &Path, identity: Identity) -> Result<()> {
    let [uid, gid] = match identity {
        Identity::Lent(id) => [id, id],
        Identity::Mapped(Space { builder: Some(ids), .. }) => ids,
        Identity::Caller | Identity::Mapped(_) => return Ok(()),
    };
    fn walk(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
        // Links are not followed: what they lead to is not ours to give.
        lchown(path, Some(uid), Some(gid))?;
        if fs::symlink_metadata(path)?.is_dir() {
            for entry in fs::read_dir(path)? {
                walk(&entry?.path(), uid, gid)?;
            }
        }
        Ok(())
    }
    walk(path, uid, gid).map_err(Error::file("change the owner of", path))
}

pub(crate) fn check_inside(inside: &Path) -> Result<()> {
    let reason = if !inside.is_absolute() {
        "the path inside is not absolute"
    } else if inside.components().any(|part| matches!(part, Component::ParentDir)) {
        "the path inside goes upwards"
    } else if ["/", "/proc", "/dev", "/usr", "/etc"].iter().any(|taken| inside == Path::new(taken))
    {
        "the path inside belongs to the sandbox"
    } else {
        return Ok(());
    };
    Err(Error::Path { path: inside.to_path_buf(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_inside_are_checked() {
        assert!(check_inside(Path::new("/builddir/build")).is_ok());
        for bad in ["relative", "/a/../etc", "/", "/usr"] {
            assert!(matches!(check_inside(Path::new(bad)), Err(Error::Path { .. })), "{bad}");
        }
    }

    #[test]
    fn layers_lie_above_the_host_and_later_ones_above_earlier_ones() {
        let work = tempfile::tempdir().unwrap();
        let layers = [work.path().join("l1"), work.path().join("l2")];
        for dir in ["l1/usr", "l2/usr", "l2/opt"] {
            fs::create_dir_all(work.path().join(dir)).unwrap();
        }
        let view = base_view(work.path(), &layers);
        let usr = &view.unions[0];
        assert_eq!(usr.sources, [layers[1].join("usr"), layers[0].join("usr"), "/usr".into()]);
        let opt = view.unions.last().unwrap();
        assert_eq!(
            (opt.inside.as_path(), &opt.sources[..]),
            (Path::new("/opt"), &[layers[1].join("opt")][..])
        );
    }
}
