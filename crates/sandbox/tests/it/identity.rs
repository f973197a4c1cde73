//! The same tests again as an ordinary user.

use std::{env, fs, os::unix::fs::PermissionsExt, process::Command};

/// As root: runs this test program once more as nobody, without this test.
#[test]
fn everything_holds_as_nobody() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = dir.path().join("tests");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let status = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(&program)
        .args(["--skip", "as_nobody"])
        .env("TMPDIR", dir.path())
        .env("HOME", dir.path())
        .current_dir(dir.path())
        .status()
        .unwrap();
    assert!(status.success(), "the tests fail for an ordinary user: {status}");
}

/// As root: the roots once more as nobody with a range of subordinate numbers, which a mount of its own gives.
#[test]
fn roots_hold_as_nobody_with_a_range() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = dir.path().join("tests");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let etc = dir.path().join("etc");
    fs::create_dir(&etc).unwrap();
    for name in ["subuid", "subgid"] {
        fs::write(etc.join(name), "nobody:300000:65536\n").unwrap();
    }
    let script = "mount -t overlay -o lowerdir=\"$1\":/etc overlay /etc && \
        exec setpriv --reuid=65534 --regid=65534 --clear-groups -- \"$2\" chroot:: --skip as_nobody";
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
        .args([&etc, &program])
        .env("TMPDIR", dir.path())
        .env("HOME", dir.path())
        .current_dir(dir.path())
        .status()
        .unwrap();
    assert!(status.success(), "the tests fail for a user with a range: {status}");
}
