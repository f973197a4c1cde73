//! dnf reads our repositories as it reads createrepo_c's, and resolves and downloads from them.

use std::path::Path;
use std::process::Command;

use toji_repodata::{Compression, Piece, Pieces, RepositoryWriter, pack};
use toji_rpmgen::variants;

use crate::support::{Dir, createrepo, fragments_of, hrefs, run, write_repository};

const COMPS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<comps>
  <group>
    <id>tools</id>
    <name>Tools</name>
    <packagelist><packagereq type="mandatory">payload-none</packagereq></packagelist>
  </group>
</comps>
"#;

fn dnf(work: &Path, repo: &Path) -> Command {
    let log = work.join("log");
    std::fs::create_dir_all(&log).unwrap();
    let mut dnf = Command::new("dnf");
    dnf.arg("--quiet")
        .arg(format!("--installroot={}", work.join("root").display()))
        .arg(format!("--setopt=cachedir={}", work.join("cache").display()))
        .arg(format!("--setopt=logdir={}", log.display()))
        .args(["--setopt=reposdir=/nonexistent", "--setopt=pluginpath=/nonexistent"])
        .args([
            "--setopt=strict=1",
            "--setopt=install_weak_deps=0",
            "--releasever=1",
            "--forcearch=x86_64",
        ])
        .arg(format!("--repofrompath=test,file://{}", repo.display()))
        .args(["--repo=test", "--nogpgcheck"])
        .env("LC_ALL", "C.UTF-8");
    dnf
}

/// All that dnf can tell about all packages.
fn all(work: &Path, repo: &Path) -> String {
    let format = "%{name}-%{epoch}:%{version}-%{release}.%{arch} %{location} %{size} %{installsize} %{buildtime} %{sourcerpm} %{license} \
                  %{summary} %{description} %{url} %{provides} %{requires} %{requires-pre} \
                  %{conflicts} %{obsoletes} %{recommends} %{suggests} %{supplements} %{enhances}";
    let mut out = run(dnf(work, repo).args(["repoquery", "--queryformat", format]));
    out += &run(dnf(work, repo).args(["repoquery", "--list"]));
    out + &run(dnf(work, repo).args(["repoquery", "--changelog"]))
}

#[test]
fn dnf_sees_the_same_as_in_a_repository_of_createrepo() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    variants::build(&dir.path().join("work"), &root).unwrap();
    let order = hrefs(&root);
    let peer = createrepo(&root, &[]);
    let expected = all(&dir.path().join("peer-work"), &peer);
    assert!(expected.contains("versions-3:1.0~rc2^git20240101-0.4.r1+x.x86_64"), "{expected}");
    for (name, compression) in [("gzip", Compression::Gzip(6)), ("zstd", Compression::Zstd(10))] {
        write_repository(&root, &order, compression);
        assert_eq!(all(&dir.path().join(name), &root), expected, "{name}");
    }
}

#[test]
fn dnf_resolves_and_downloads_from_packed_members() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let wanted = |name: &str| ["versions", "sources", "none", "files"].contains(&name);
    variants::build_some(&dir.path().join("work"), &root, wanted).unwrap();
    let order: Vec<_> = hrefs(&root).into_iter().filter(|h| !h.starts_with("src/")).collect();
    for (name, compression) in [("gzip", Compression::Gzip(6)), ("zstd", Compression::Zstd(10))] {
        write_packed(&root, &order, compression);
        let work = dir.path().join(name);
        let to = work.join("down");
        run(dnf(&work, &root)
            .args([
                "--assumeyes",
                "install",
                "versions-devel",
                "other-version",
                "@tools",
                "--downloadonly",
            ])
            .args(["--downloaddir"])
            .arg(&to));
        let got: Vec<String> = hrefs(&to);
        // both versions need the main package; the group is one package
        assert_eq!(got.len(), 4, "{got:?}");
        assert!(got.iter().any(|f| f.starts_with("versions-1.0~rc2")), "{got:?}");
        let missing = dnf(&work, &root).args(["--assumeno", "install", "nosuch"]).output().unwrap();
        assert!(!missing.status.success());
    }
}

/// Each package is a member of its own.
fn write_packed(root: &Path, hrefs: &[String], compression: Compression) {
    let mut dir = Dir(root.to_owned());
    let count = hrefs.len() as u64;
    let mut writer = RepositoryWriter::new(&mut dir, count, compression, 1_700_000_000).unwrap();
    for href in hrefs {
        let fragments = fragments_of(root, href);
        let texts = [&fragments.primary, &fragments.filelists, &fragments.other];
        let packed = texts.map(|text| pack(text.as_bytes(), compression).unwrap());
        let piece = |n: usize| Piece { open: texts[n].as_bytes(), packed: Some(&packed[n]) };
        let (primary, filelists, other) = (piece(0), piece(1), piece(2));
        writer.add(Pieces { packages: 1, primary, filelists, other }).unwrap();
    }
    writer.add_comps(COMPS.as_bytes()).unwrap();
    writer.finish("1").unwrap();
}
