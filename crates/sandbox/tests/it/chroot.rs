//! Roots of packages alone: made of an RPM package with a few programs of this machine.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process,
    sync::Arc,
};

use toji_sandbox::{
    Buildroot, CancellationToken, Capture, Chroots, Command, Error, Layer, Limits, PackageFile,
    Reason,
};

use crate::{Place, limited, sh};

/// Programs of the smallest root.
const PROGRAMS: [&str; 13] = [
    "sh", "cat", "ls", "id", "setpriv", "touch", "rm", "mkdir", "stat", "head", "sleep", "chmod",
    "mount",
];

fn rpm(dir: &Path, spec: &str, name: &str) -> PackageFile {
    fs::create_dir_all(dir).unwrap();
    let file = dir.join(format!("{name}.spec"));
    fs::write(&file, spec).unwrap();
    let output = process::Command::new("rpmbuild")
        .arg("-bb")
        .args(["--define", &format!("_topdir {}", dir.display())])
        .args(["--define", &format!("_tmppath {}", dir.display())])
        .args(["--define", &format!("_dbpath {}", dir.join("db").display())])
        .args(["--define", "debug_package %{nil}", "--define", "__os_install_post %{nil}"])
        .args(["--define", "_build_id_links none", "--define", "_binary_payload w0.ufdio"])
        .arg(&file)
        .env("HOME", dir)
        .output()
        .expect("rpmbuild is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = dir.join(format!("RPMS/x86_64/{name}-1-1.x86_64.rpm"));
    PackageFile { path, sha256: format!("digest of {name}") }
}

/// A package with programs and their libraries, users and groups, and a script that runs at the installation.
fn base(dir: &Path) -> PackageFile {
    let mut install = String::from(
        "mkdir -p %{buildroot}/usr/bin %{buildroot}/etc %{buildroot}/tmp %{buildroot}/proc\n\
         for l in bin lib lib64; do mkdir -p %{buildroot}/usr/$l; ln -s usr/$l %{buildroot}/$l; done\n\
         echo 'root:x:0:0::/:/bin/sh' > %{buildroot}/etc/passwd; echo 'root:x:0:' > %{buildroot}/etc/group; echo 'games:x:60:' >> %{buildroot}/etc/group\n",
    );
    for program in PROGRAMS {
        install.push_str(&format!(
            "p=$(command -v {program}); cp -L $p %{{buildroot}}/usr/bin/{program}\n\
             for l in $(ldd $p | grep -o '/[^ ]*'); do mkdir -p %{{buildroot}}/usr$(dirname ${{l#/usr}}); cp -L $l %{{buildroot}}/usr${{l#/usr}}; done\n"
        ));
    }
    let spec = format!(
        "Name: base\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\nAutoReqProv: no\nProvides: /bin/sh\n%description\nd\n\
         %install\n{install}%post\nid -u > /etc/who; cat /proc/self/status > /dev/null && echo here >> /etc/who\n\
         ls /usr/bin/rpm >> /etc/who 2>&1; for p in /proc/[0-9]*; do ls $p/root/packages; done > /etc/seen 2>/dev/null; exit 0\n%files\n%defattr(-,root,root)\n/*\n"
    );
    rpm(dir, &spec, "base")
}

fn more(dir: &Path) -> PackageFile {
    let spec = "Name: more\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\nRequires: base\n%description\nd\n%install\n\
        mkdir -p %{buildroot}/usr/share/more\necho more > %{buildroot}/usr/share/more/file\n%files\n%attr(0644,root,games) /usr/share/more/file\n";
    rpm(dir, spec, "more")
}

struct Roots {
    place: Place,
    chroots: Chroots,
    base: PackageFile,
    more: PackageFile,
}

impl Roots {
    async fn new(overlay: bool) -> Self {
        let place = Place::new();
        let chroots = Chroots::open(place.path().join("cache"), 1 << 30).await.unwrap();
        let chroots = if overlay { chroots } else { chroots.without_overlay() };
        let (base, more) = (base(&place.path().join("p")), more(&place.path().join("q")));
        Self { place, chroots, base, more }
    }

    async fn layer(
        &self,
        below: Option<&Arc<Layer>>,
        packages: &[&PackageFile],
    ) -> Result<Arc<Layer>, Error> {
        let packages: Vec<_> = packages.iter().map(|package| (*package).clone()).collect();
        let mut log = Capture::default();
        self.chroots.layer(below, &packages, &mut log, &CancellationToken::new()).await
    }

    async fn root(&self, name: &str, layer: &Arc<Layer>) -> Buildroot {
        let work = self.place.path().join(name);
        fs::create_dir_all(&work).unwrap();
        Buildroot::builder(work).chroot(layer.clone()).macros("%own macro").build().await.unwrap()
    }
}

fn names(layer: &Layer) -> Vec<&str> {
    let mut names: Vec<_> = layer.packages().iter().map(|p| p.name.as_str()).collect();
    names.sort_unstable();
    names
}

async fn in_roots(overlay: bool) {
    let roots = Roots::new(overlay).await;
    let one = roots.layer(None, &[&roots.base]).await.unwrap();
    let two = roots.layer(Some(&one), &[&roots.more]).await.unwrap();
    assert!(one.is_fresh() && names(&one) == ["base"] && names(&two) == ["base", "more"]);
    let root = roots.root("one", &two).await;
    let (outcome, text) = sh(&root, "id -u; cat /usr/share/more/file /etc/rpm/macros /etc/who; ls /; ls /usr/bin; echo x > /tmp/x; echo y > /builddir/y").await;
    assert!(outcome.success(), "{text}");
    assert!(text.starts_with("1000\n"), "{text}");
    for part in ["%own macro\n", "\nhere\n", "setpriv\n", "'/usr/bin/rpm'"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    // Nothing of the machine but what the package brought.
    for absent in ["\nwork\n", "\nrpm\n", "\npython3\n", "\nbwrap\n", "\nboot\n", "\nsrv\n"] {
        assert!(!text.contains(absent), "{absent} in {text}");
    }
    let (_, text) = sh(&root, "echo x > /usr/bin/cat; echo x > /new; rm /usr/share/more/file; touch /etc/who; stat -c %U /usr/bin").await;
    assert!(!text.contains("bin/cat\n"), "{text}");
    assert_eq!(fs::read_to_string(root.home().join("y")).unwrap(), "y\n");
    root.remove().unwrap();
    let root = roots.root("two", &two).await;
    let (outcome, text) = sh(&root, "cat /usr/share/more/file; ls /tmp /builddir /new").await;
    assert!(!outcome.success() && text.starts_with("more\n") && !text.contains("x\n"), "{text}");
    root.remove().unwrap();
}

#[tokio::test]
async fn a_root_of_packages_alone_over_layers() {
    in_roots(true).await;
}

#[tokio::test]
async fn a_root_of_packages_alone_as_a_copy() {
    in_roots(false).await;
}

#[tokio::test]
async fn scripts_of_packages_see_the_packages_and_nothing_beside_them() {
    let roots = Roots::new(true).await;
    fs::write(roots.place.path().join("secret"), "hunter2").unwrap();
    // Their directories have the secret's in common.
    let layer = roots.layer(None, &[&roots.base, &roots.more]).await.unwrap();
    let root = roots.root("one", &layer).await;
    let (outcome, text) = sh(&root, "cat /etc/seen").await;
    assert!(outcome.success(), "{text}");
    let seen: std::collections::BTreeSet<&str> = text.lines().collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["0.rpm", "1.rpm"]);
    root.remove().unwrap();
}

#[tokio::test]
async fn what_root_inside_leaves_is_gone_in_the_next_root() {
    let roots = Roots::new(true).await;
    let layer = roots.layer(None, &[&roots.base]).await.unwrap();
    let root = roots.root("one", &layer).await;
    let script = "id -u; echo poison > /usr/bin/ls; rm /usr/bin/head; mkdir /usr/share/x; touch /builddir/setuid; chmod 6777 /builddir/setuid; echo done";
    let mut output = Capture::default();
    let command = Command::new(["sh", "-c", script]).as_root();
    let outcome = root.run(&command, &mut output, &CancellationToken::new()).await.unwrap();
    let text = output.text();
    assert!(outcome.success() && text.ends_with("done\n"), "{text}");
    // A test of identities gives nobody such a range, and nothing else does.
    if fs::read_to_string("/etc/subuid").is_ok_and(|text| text == "nobody:300000:65536\n") {
        assert!(text.starts_with("0\n"), "a user with a range is not root inside: {text}");
    }
    if text.starts_with("0\n") {
        let owner = fs::metadata(root.home().join("setuid")).unwrap().uid();
        assert_ne!(owner, 0, "a file of root inside is root's outside");
    }
    root.remove().unwrap();
    assert!(!roots.place.path().join("one").exists());
    let root = roots.root("two", &layer).await;
    let (outcome, text) = sh(&root, "ls -d /usr/bin/head; ls /usr/share; ls /builddir").await;
    assert!(outcome.success() && !text.contains("poison") && !text.contains('x'), "{text}");
    assert!(!text.contains("setuid"), "{text}");
    root.remove().unwrap();
}

/// Shows directories at other places, and tries what is refused.
const BINDS: &str = "cd /builddir; mkdir d s p t; for n in d:/dev s:/sys p:/proc; do \
    mount -n --bind ${n#*:} /builddir/${n%%:*} 2>/dev/null && echo bound ${n%%:*}; done; \
    echo lost > d/null; ls d; [ -d p/self ] && echo processes; mount -t tmpfs none t 2>/dev/null || echo no memory; \
    mount -t proc none t 2>/dev/null || echo no further processes; mount -n -o remount,bind,ro d 2>/dev/null || echo no change";

#[tokio::test]
async fn makers_of_images_bind_directories_and_mount_nothing() {
    let roots = Roots::new(true).await;
    let layer = roots.layer(None, &[&roots.base]).await.unwrap();
    let root = roots.root("one", &layer).await;
    let run = async |command: Command| {
        let mut output = Capture::default();
        let done = root.run(&command, &mut output, &CancellationToken::new()).await;
        done.map(|outcome| (outcome, output.text()))
    };
    let done = run(Command::new(["sh", "-c", BINDS]).as_image_maker()).await;
    if !root.can_bind() {
        assert!(matches!(done, Err(Error::Setup { .. })), "{done:?}");
        return;
    }
    let (outcome, text) = done.unwrap();
    let words = "bound d\nbound s\nbound p\nfd\nfull\nnull\npts\nrandom\nshm\nstderr\nstdin\nstdout\nurandom\nzero\n\
                 processes\nno memory\nno further processes\nno change\n";
    assert!(outcome.success() && text == words, "{text}");
    // Root of a root alone does not even that.
    let (_, text) = run(Command::new(["sh", "-c", BINDS]).as_root()).await.unwrap();
    assert!(!text.contains("bound"), "{text}");
    root.remove().unwrap();
}

#[tokio::test]
async fn layers_are_found_again_and_removed_when_they_do_not_fit() {
    let roots = Roots::new(true).await;
    let first = roots.layer(None, &[&roots.base]).await.unwrap();
    assert!(first.is_fresh());
    let key = first.key().to_owned();
    drop(first);
    let again = roots.layer(None, &[&roots.base]).await.unwrap();
    assert!(!again.is_fresh() && again.key() == key);
    let cache = roots.place.path().join("cache");
    // A cache without room keeps what is used.
    let small = Chroots::open(&cache, 1).await.unwrap();
    let mut log = Capture::default();
    let used = small
        .layer(None, std::slice::from_ref(&roots.base), &mut log, &CancellationToken::new())
        .await
        .unwrap();
    small.trim();
    assert!(cache.join("layers").join(&key).exists());
    drop((used, again));
    small.trim();
    assert_eq!(fs::read_dir(cache.join("layers")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(cache.join("new")).unwrap().count(), 0);
}

#[tokio::test]
async fn packages_that_do_not_fit_together_are_named() {
    let roots = Roots::new(true).await;
    let Err(Error::Layer { reason }) = roots.layer(None, &[&roots.more]).await else {
        panic!("no error")
    };
    assert!(reason.contains("base is needed by more"), "{reason}");
    let left: Vec<PathBuf> = fs::read_dir(roots.place.path().join("cache/new"))
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_full_disk_and_too_many_files_end_a_build() {
    let roots = Roots::new(true).await;
    let layer = roots.layer(None, &[&roots.base]).await.unwrap();
    let root = roots.root("one", &layer).await;
    let limits = Limits { disk: Some(20 << 20), ..Limits::default() };
    let (outcome, _) =
        limited(&root, "head -c 100000000 /dev/zero > big; sleep 1000", limits).await;
    assert_eq!(outcome.reason, Reason::DiskLimit);
    fs::remove_file(root.home().join("big")).unwrap();
    let limits = Limits { files: Some(200), ..Limits::default() };
    let script = "i=0; while :; do i=$((i+1)); : > /tmp/f$i; done";
    let (outcome, _) = limited(&root, script, limits).await;
    assert_eq!(outcome.reason, Reason::FileLimit);
    root.remove().unwrap();
}
