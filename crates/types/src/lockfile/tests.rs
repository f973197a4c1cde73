//! Lockfiles as text and back, and what is refused.

use super::*;

fn locked(name: &str, digit: char) -> Locked {
    Locked {
        name: name.into(),
        epoch: 0,
        version: "1.0".into(),
        release: "1".into(),
        arch: "x86_64".into(),
        digest: format!("sha256:{}", digit.to_string().repeat(64)),
        size: 100,
        location: format!("packages/{name}/1.0/1/x86_64/{name}-1.0-1.x86_64.rpm"),
        repository: "hub".into(),
    }
}

fn repositories() -> BTreeMap<String, Source> {
    let url = "https://mirror.example/f40/".to_owned();
    [("hub".to_owned(), Source::Hub), ("f40".to_owned(), Source::External { url })].into()
}

fn lockfile(packages: Vec<Locked>) -> Result<Lockfile, LockfileError> {
    Lockfile::new("x86_64", repositories(), packages)
}

fn outside() -> Locked {
    let location = "Packages/b/bash-5.2-3.x86_64.rpm".to_owned();
    let bash =
        Locked { version: "5.2".into(), release: "3".into(), location, ..locked("bash", 'b') };
    Locked { epoch: 2, repository: "f40".into(), ..bash }
}

#[test]
fn the_text_gives_back_the_list() {
    let lockfile = lockfile(vec![locked("zlib", 'a'), outside()]).unwrap();
    assert_eq!(lockfile.packages()[0].to_string(), "bash-2:5.2-3.x86_64");
    assert_eq!(lockfile.packages()[0].file_name(), "bash-5.2-3.x86_64.rpm");
    let text = lockfile.to_json().unwrap();
    assert_eq!(Lockfile::from_json(&text).unwrap(), lockfile);
    let changed = text.replace(&"a".repeat(64), &"c".repeat(64));
    assert!(matches!(Lockfile::from_json(&changed), Err(LockfileError::Digest)));
    let newer = text.replace("\"lockfile\": 1", "\"lockfile\": 2");
    assert!(matches!(Lockfile::from_json(&newer), Err(LockfileError::Version(2))));
}

#[test]
fn the_digest_is_of_what_is_installed() {
    let one = lockfile(vec![locked("a", 'a'), locked("b", 'b')]).unwrap();
    let turned = lockfile(vec![locked("b", 'b'), locked("a", 'a')]).unwrap();
    assert_eq!(one.digest(), turned.digest());
    let location = "elsewhere/a.rpm".to_owned();
    let moved = Locked { location, repository: "f40".into(), ..locked("a", 'a') };
    assert_eq!(one.digest(), lockfile(vec![moved, locked("b", 'b')]).unwrap().digest());
    let other = lockfile(vec![locked("a", 'c'), locked("b", 'b')]).unwrap();
    assert_ne!(one.digest(), other.digest());
    // the text of the format: whoever keeps a digest relies on it
    let fixed = lockfile(vec![locked("a", 'a')]).unwrap().digest();
    let text = format!("toji-lockfile 1\nx86_64\nsha256:{} 100 a 0 1.0 1 x86_64\n", "a".repeat(64));
    let want: String = Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(fixed, want);
}

#[test]
fn urls_are_the_hubs_or_the_repositorys() {
    let lockfile = lockfile(vec![locked("a", 'a'), outside()]).unwrap();
    let urls: Vec<_> =
        lockfile.packages().iter().map(|p| lockfile.url(p, "http://hub/kojifiles")).collect();
    assert_eq!(
        urls,
        [
            "http://hub/kojifiles/packages/a/1.0/1/x86_64/a-1.0-1.x86_64.rpm",
            "https://mirror.example/f40/Packages/b/bash-5.2-3.x86_64.rpm",
        ]
    );
}

#[test]
fn what_could_lead_astray_is_refused() {
    type Change = fn(&mut Locked);
    let changes: [(&str, Change); 12] = [
        ("name", |p| p.name = "../a".into()),
        ("name", |p| p.name = "-a".into()),
        ("name", |p| p.name = String::new()),
        ("version", |p| p.version = "1 0".into()),
        ("release", |p| p.release = "1\n".into()),
        ("arch", |p| p.arch = "x/y".into()),
        ("digest", |p| p.digest = "md5:00".into()),
        ("digest", |p| p.digest = format!("sha256:{}", "A".repeat(64))),
        ("location", |p| p.location = "packages/../../etc/passwd".into()),
        ("location", |p| p.location = "/etc/passwd".into()),
        ("location", |p| p.location = "https://x.example/a.rpm".into()),
        ("repository", |p| p.repository = "nowhere".into()),
    ];
    for (what, change) in changes {
        let mut package = locked("a", 'a');
        change(&mut package);
        let error = lockfile(vec![package]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("bad {what} of")), "{error}");
    }
    assert!(matches!(
        lockfile(vec![locked("a", 'a'), locked("a", 'b')]),
        Err(LockfileError::Twice(_))
    ));
    let mut repositories = repositories();
    repositories.insert("x".into(), Source::External { url: "gopher://x".into() });
    assert!(Lockfile::new("x86_64", repositories, vec![]).is_err());
}
