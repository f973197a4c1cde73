//! Real packages, unsigned and signed with a real key, and a hub that has imported them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use toji_db::Db;
use toji_rpmgen::{Rpmbuild, find_rpms};
use toji_value::{Value, list};

use super::people::Stage;

const SPEC: &[u8] = b"Name: shelf\nVersion: 1.0\nRelease: 1\nSummary: s\nLicense: MIT\n\
    %description\nd\n%package doc\nSummary: s\nBuildArch: noarch\n%description doc\nd\n\
    %install\nmkdir -p %{buildroot}/usr/bin\necho hi > %{buildroot}/usr/bin/shelf\n\
    %files\n/usr/bin/shelf\n%files doc\n";

/// Packages of one build.
pub(super) struct Packages {
    _dir: tempfile::TempDir,
    /// As they were built.
    pub(super) plain: Vec<PathBuf>,
    /// The same, signed.
    pub(super) signed: Vec<PathBuf>,
    /// The key, as Koji writes it.
    pub(super) key: String,
}

/// The packages, built and signed once.
pub(super) fn packages() -> &'static Packages {
    static BUILT: OnceLock<Packages> = OnceLock::new();
    BUILT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        Rpmbuild::new(dir.path(), &out).unwrap().build("shelf", SPEC, &["-ba"]).unwrap();
        let plain = find_rpms(&out).unwrap();
        let home = dir.path().join("gpg");
        let key = make_key(&home);
        let to = dir.path().join("signed");
        fs::create_dir(&to).unwrap();
        let signed: Vec<PathBuf> = plain
            .iter()
            .map(|rpm| {
                let copy = to.join(rpm.file_name().unwrap());
                fs::copy(rpm, &copy).unwrap();
                sign(&home, &copy);
                copy
            })
            .collect();
        Packages { _dir: dir, plain, signed, key }
    })
}

fn run(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn make_key(home: &Path) -> String {
    fs::create_dir(home).unwrap();
    fs::set_permissions(home, fs::Permissions::from_mode(0o700)).unwrap();
    let gpg = || {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--homedir"]).arg(home);
        gpg
    };
    run(gpg().args(["--passphrase", "", "--quick-gen-key", "tester", "rsa2048", "sign", "never"]));
    let listing = run(gpg().args(["--with-colons", "--list-keys", "tester"]));
    let line = listing.lines().find(|line| line.starts_with("pub:")).unwrap();
    let id = line.split(':').nth(4).unwrap();
    id[id.len() - 8..].to_lowercase()
}

fn sign(home: &Path, rpm: &Path) {
    run(Command::new("rpmsign")
        .args(["--define", "_gpg_name tester", "--define", "__gpg /usr/bin/gpg"])
        .args(["--define", &format!("_gpg_path {}", home.display())])
        .args(["--define", "_gpg_sign_cmd_extra_args --batch --pinentry-mode loopback"])
        .arg("--addsign")
        .arg(rpm));
}

/// The file name of a path.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// The one package whose name ends so.
pub(super) fn named<'p>(all: &'p [PathBuf], end: &str) -> &'p Path {
    all.iter().find(|path| name(path).ends_with(end)).unwrap()
}

/// The signature header of a package, in base64.
pub(super) fn header(rpm: &Path) -> Value {
    use base64::Engine as _;
    let mut file = std::io::BufReader::new(fs::File::open(rpm).unwrap());
    let package = toji_rpmfile::Package::read(&mut file, &toji_rpmfile::Limits::default()).unwrap();
    base64::engine::general_purpose::STANDARD.encode(package.signature_bytes()).into()
}

/// A hub that has imported these packages, source package first.
pub(super) async fn imported(db: Db, rpms: &[PathBuf]) -> Stage {
    let stage = Stage::new(db).await;
    import(&stage, rpms).await;
    stage
}

/// Imports packages, source package first.
pub(super) async fn import(stage: &Stage, rpms: &[PathBuf]) {
    let dir = stage.dir.path().join("work/up");
    fs::create_dir_all(&dir).unwrap();
    let (first, rest): (Vec<_>, Vec<_>) =
        rpms.iter().partition(|path| name(path).ends_with(".src.rpm"));
    for rpm in first.into_iter().chain(rest) {
        fs::copy(rpm, dir.join(name(rpm))).unwrap();
        stage.ok(&stage.admin, "importRPM", list!["up", name(rpm)]).await;
    }
}

/// Copies packages of a build that is not complete yet into an upload directory.
pub(super) fn top(stage: &Stage, path: &str) -> PathBuf {
    stage.dir.path().join(path)
}
