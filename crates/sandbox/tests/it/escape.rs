//! Attempts to see, reach or leave something outside.

use std::{fs, io::Read, net::TcpListener, path::Path};

use toji_sandbox::{Command, Error, Reason, results};

use crate::{Place, sh};

#[tokio::test]
async fn a_command_runs_and_its_status_is_known() {
    let place = Place::new();
    let root = place.root().await;
    let (outcome, text) = sh(&root, "echo out; echo err >&2; exit 3").await;
    assert_eq!((outcome.reason, text.as_str()), (Reason::Exited(3), "out\nerr\n"));
    let (outcome, _) = sh(&root, "kill -TERM $$").await;
    assert_eq!(outcome.reason, Reason::Signaled(15));
    let split = root
        .output(Command::new(["sh", "-c", "echo out; echo err >&2"]), &Default::default())
        .await
        .unwrap();
    assert_eq!((&split.output.out[..], &split.output.err[..]), (&b"out\n"[..], &b"err\n"[..]));
    let (outcome, text) = sh(&root, "no-such-program").await;
    assert_eq!(outcome.reason, Reason::Exited(127), "{text}");
}

#[tokio::test]
async fn the_surroundings_are_always_the_same() {
    let place = Place::new();
    let root = place.root().await;
    let (_, text) =
        sh(&root, "hostname; id -u; id -un; pwd; umask; env | sort; tty; ls -d /sys /usr/local/*")
            .await;
    let expected = "localhost\n1000\nbuilder\n/builddir\n0022\nHOME=/builddir\nLANG=C.UTF-8\nLOGNAME=builder\n\
        PATH=/usr/bin:/usr/sbin:/bin:/sbin\nPWD=/builddir\nSHELL=/bin/sh\nTERM=dumb\nTMPDIR=/var/tmp\nTZ=UTC\nUSER=builder\n\
        not a tty\n";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("'/sys'") && text.contains("'/usr/local/*'"), "{text}");
}

#[tokio::test]
async fn the_network_is_out_of_reach() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let place = Place::new();
    let root = place.root().await;
    let connect = format!(
        "import socket; socket.create_connection(('127.0.0.1', {port}), 3); print('connected')"
    );
    let command = Command::new(["/usr/bin/python3", "-c", &connect]);
    let inside = root.output(command.clone(), &Default::default()).await.unwrap();
    assert!(!inside.outcome.success() && inside.output.text().is_empty());
    let (_, text) =
        sh(&root, "cat /proc/net/dev | tail -n +3 | cut -d: -f1; cat /etc/resolv.conf 2>&1").await;
    assert_eq!(text.split_whitespace().next(), Some("lo"), "{text}");
    assert!(text.contains("No such file"), "{text}");
    assert!(listener.accept().is_err());

    let open = Place::new();
    let root = open.builder().network(true).build().await.unwrap();
    let outside = root.output(command, &Default::default()).await.unwrap();
    assert_eq!(
        outside.output.text(),
        "connected\n",
        "{}",
        String::from_utf8_lossy(&outside.output.err)
    );
}

#[tokio::test]
async fn secrets_of_the_host_are_invisible() {
    let place = Place::new();
    let secret = place.path().join("secret");
    fs::write(&secret, "hunter2").unwrap();
    let other = Place::new();
    fs::write(other.build_dir().join("source.c"), "hunter2").unwrap();
    let root = place.root().await;
    let paths = format!(
        "{} {} {} /etc/shadow /root/.ssh /home/* /proc/1/environ /var/lib/dpkg",
        secret.display(),
        other.build_dir().join("source.c").display(),
        place.path().join("work/etc/passwd").display(),
    );
    let (_, text) = sh(
        &root,
        &format!("for p in {paths}; do cat \"$p\" && echo SEEN; ls -A \"$p\" && echo SEEN; done"),
    )
    .await;
    assert!(!text.contains("hunter2"), "{text}");
    // The environment of the sandbox's own first process may be read, and tells nothing.
    assert!(text.matches("SEEN").count() == 2 && text.contains("PATH=/usr/bin"), "{text}");
    assert!(!text.contains("work/stage") && !text.contains("HOME="), "{text}");
    let (_, text) =
        sh(&root, "for root in / /proc/[0-9]*/root/ /proc/1/cwd/; do ls -A $root; done | sort -u")
            .await;
    for absent in ["home", "root", "mnt", "srv", "boot", "sys"] {
        assert!(text.contains("builddir") && !text.lines().any(|line| line == absent), "{text}");
    }
}

#[tokio::test]
async fn processes_of_the_host_are_invisible_and_nothing_is_inherited() {
    let place = Place::new();
    let root = place.root().await;
    let (_, text) = sh(&root, "ls -d /proc/[0-9]* | wc -l; ls /proc/self/fd; cat /proc/self/status | grep -E '^(CapEff|NoNewPrivs)'").await;
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].parse::<u32>().unwrap() <= 6, "{text}");
    // The standard streams and the directory which ls reads.
    assert_eq!(lines[1..6], ["0", "1", "2", "3", "CapEff:\t0000000000000000"], "{text}");
    assert!(text.ends_with("NoNewPrivs:\t1\n"), "{text}");
    let (outcome, text) = sh(&root, "unshare --user --map-root-user true").await;
    assert!(!outcome.success(), "{text}");
}

#[tokio::test]
async fn only_what_is_offered_is_writable() {
    let place = Place::new();
    let root = place.root().await;
    let script = "for d in / /usr /usr/bin /usr/local /etc /dev /opt /srv /lib64 /proc /proc/sys/kernel /root; do \
        (echo x > $d/toji-was-here) 2>/dev/null && echo WROTE $d; done; \
        for d in /builddir /builddir/build /tmp /var/tmp /dev/shm /run /var/cache; do echo x > $d/f || echo CANNOT $d; done; \
        mount -t tmpfs t /mnt 2>/dev/null && echo MOUNTED; chmod 777 /etc/passwd 2>/dev/null && echo CHANGED";
    let (_, text) = sh(&root, script).await;
    assert_eq!(text, "");
    assert_eq!(fs::read_to_string(place.build_dir().join("f")).unwrap(), "x\n");
    assert!(!Path::new("/usr/bin/toji-was-here").exists());
    // What one command leaves in the buildroot is there for the next one.
    let (_, text) = sh(&root, "cat /builddir/f").await;
    assert_eq!(text, "x\n");
}

#[tokio::test]
async fn background_processes_do_not_survive() {
    let place = Place::new();
    let root = place.root().await;
    // The background process holds a lock for as long as it lives.
    let script = "setsid sh -c 'exec >/dev/null 2>&1 9>build/lock </dev/null; flock 9; touch build/held; while :; do sleep 1; done' & \
        while [ ! -e build/held ]; do sleep 0.01; done; nohup sleep 1000 & echo done";
    let (outcome, text) = sh(&root, script).await;
    assert!(outcome.success() && text.ends_with("done\n"), "{text}");
    let lock = fs::File::open(place.build_dir().join("lock")).unwrap();
    lock.try_lock().expect("the lock is free because its holder is dead");
}

#[tokio::test]
async fn links_in_the_results_lead_nowhere() {
    let place = Place::new();
    let secret = place.path().join("secret");
    fs::write(&secret, "hunter2").unwrap();
    let root = place.root().await;
    let (outcome, text) =
        sh(&root, &format!("cd build && ln -s {} a.rpm && echo good > b.rpm", secret.display()))
            .await;
    assert!(outcome.success(), "{text}");
    assert_eq!(results::list(&place.build_dir()).unwrap(), [Path::new("b.rpm")]);
    assert!(results::open(&place.build_dir(), Path::new("a.rpm")).is_err());
    let mut text = String::new();
    results::open(&place.build_dir(), Path::new("b.rpm"))
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "good\n");
}

#[tokio::test]
async fn a_refusal_by_the_tools_is_an_error_not_an_outcome() {
    let place = Place::new();
    let root = place.builder().readable("/etc/hostname", "/proc/self/exe/x").build().await.unwrap();
    let result = root.output(Command::new(["true"]), &Default::default()).await;
    assert!(matches!(&result, Err(Error::Setup { reason }) if !reason.is_empty()), "{result:?}");
    let result = place.builder().writable("/no/such/dir", "/x").build().await;
    assert!(matches!(result, Err(Error::File { .. })), "{result:?}");
}

#[tokio::test]
async fn a_buildroot_removes_what_it_made() {
    let place = Place::new();
    let root = place.root().await;
    sh(&root, "mkdir -p ~/a/b && chmod 000 ~/a").await;
    root.remove().unwrap();
    assert!(!place.path().join("work").exists());
    assert!(place.build_dir().exists());
}
