//! The throw-away PostgreSQL server: found, or started once for all test processes.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Minutes without a test after which the server ends and its files go away.
const IDLE_MINUTES: u32 = 15;

/// The URL of the server's `postgres` database.
///
/// Panics when there is none and none can be started.
pub fn server_url() -> String {
    #[expect(clippy::disallowed_methods, reason = "the one setting of the tests")]
    if let Ok(url) = std::env::var("TOJI_TEST_POSTGRES") {
        return url;
    }
    let dir = base_dir().join("postgres");
    let _lock = locked("postgres.lock");
    touch(&dir);
    if !running(&dir) {
        start(&dir);
    }
    format!("postgres:///postgres?host={}&user=toji", dir.display())
}

/// The directory that the test processes of this user share.
pub(crate) fn base_dir() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("toji-testkit-{}", own_uid()));
    fs::create_dir_all(&dir).expect("a shared test directory");
    // The server may run as another user, who has to pass through.
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))
        .expect("a shared test directory of this user");
    dir
}

/// Holds the named lock among test processes until dropped.
pub(crate) fn locked(name: &str) -> File {
    let file = File::create(base_dir().join(name)).expect("a lock file");
    file.lock().expect("a lock");
    file
}

fn own_uid() -> u32 {
    fs::metadata("/proc/self").map_or(0, |m| m.uid())
}

/// Tells the watchdog that the server is in use.
fn touch(dir: &Path) {
    fs::write(dir.with_extension("used"), b"").expect("a mark of use");
}

/// Whether the server of an earlier process is alive: its main process has the data directory.
fn running(dir: &Path) -> bool {
    let Ok(text) = fs::read_to_string(dir.join("data/postmaster.pid")) else { return false };
    let pid = text.lines().next().unwrap_or_default();
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.starts_with("postgres")
        && text.lines().nth(7).is_some_and(|status| status.trim() == "ready")
}

fn start(dir: &Path) {
    let bin = binaries();
    let owner = owner();
    // What is left of a server that was killed is of no use.
    let _ = fs::remove_dir_all(dir);
    fs::create_dir(dir).expect("a server directory");
    if let Some((uid, gid)) = owner {
        std::os::unix::fs::chown(dir, Some(uid), Some(gid))
            .expect("a server directory of its own user");
    }
    let initdb = command(&bin.join("initdb"), owner)
        .args(["-U", "toji", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8", "-D"])
        .arg(dir.join("data"))
        .output();
    check("initdb", initdb);
    let settings = format!(
        "listen_addresses = ''\nunix_socket_directories = '{}'\nfsync = off\nsynchronous_commit = off\n\
         full_page_writes = off\nmax_connections = 300\nshared_buffers = 128MB\nautovacuum = off\n\
         max_wal_size = 2GB\ntimezone = UTC\n",
        dir.display()
    );
    fs::write(dir.join("data/postgresql.auto.conf"), settings).expect("server settings");
    let started = command(&bin.join("pg_ctl"), owner)
        .args(["start", "-w", "-s", "-t", "60", "-l"])
        .arg(dir.join("log"))
        .arg("-D")
        .arg(dir.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(
        started.is_ok_and(|s| s.success()),
        "PostgreSQL does not start: {}",
        fs::read_to_string(dir.join("log")).unwrap_or_default()
    );
    watch(dir, &bin, owner);
}

/// Starts the watchdog that ends the server when no test has used it for long.
#[expect(clippy::zombie_processes, reason = "it outlives the tests, and init waits for it")]
fn watch(dir: &Path, bin: &Path, owner: Option<(u32, u32)>) {
    let (dir_text, mark) = (dir.display(), dir.with_extension("used"));
    let script = format!(
        "while sleep 20; do [ -e {dir_text}/data/postmaster.pid ] || exit 0; \
         [ -n \"$(find {} -mmin -{IDLE_MINUTES})\" ] && continue; \
         {}/pg_ctl stop -s -m immediate -D {dir_text}/data; rm -rf {dir_text}/data {dir_text}/log; exit 0; done",
        mark.display(),
        bin.display(),
    );
    let child = command(Path::new("sh"), owner)
        .args(["-c", &script])
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.expect("the server's watchdog starts");
}

/// The directory of `initdb` and `pg_ctl`.
fn binaries() -> PathBuf {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path().join("bin"))
        .filter(|p| p.join("initdb").exists())
        .collect();
    found.sort();
    let which = || {
        let out = Command::new("sh").args(["-c", "command -v initdb"]).output().ok()?;
        Path::new(String::from_utf8(out.stdout).ok()?.trim()).parent().map(Path::to_owned)
    };
    let bin = found.pop().or_else(which).filter(|p| p.join("initdb").exists());
    bin.expect("PostgreSQL's initdb in /usr/lib/postgresql/*/bin or PATH, or TOJI_TEST_POSTGRES")
}

/// One of PostgreSQL's client programs.
pub(crate) fn program(name: &str) -> PathBuf {
    binaries().join(name)
}

/// User and group for the server, which refuses to run as root.
fn owner() -> Option<(u32, u32)> {
    if own_uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let line = users.lines().find(|l| l.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(ids("postgres").or_else(|| ids("nobody")).expect("a user to run the server as"))
}

fn command(program: &Path, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").env_remove("PGDATA").env("LC_ALL", "C.UTF-8");
    if let Some((uid, gid)) = owner {
        command.uid(uid).gid(gid);
    }
    command
}

fn check(what: &str, output: std::io::Result<std::process::Output>) {
    match output {
        Ok(out) if out.status.success() => {}
        Ok(out) => panic!("{what} fails: {}", String::from_utf8_lossy(&out.stderr)),
        Err(error) => panic!("{what} does not run: {error}"),
    }
}
