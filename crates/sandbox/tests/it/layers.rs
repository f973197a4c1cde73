//! Packages that are laid over the host.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
};

use toji_sandbox::Error;

use crate::{Place, sh};

/// Builds a package on the host, as the current user.
fn package(dir: &Path, name: &str, install: &str, files: &str) -> PathBuf {
    fs::create_dir_all(dir).unwrap();
    let spec = dir.join(format!("{name}.spec"));
    let text = format!(
        "Name: {name}\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\nBuildArch: noarch\n\
         %description\nd\n%install\n{install}\n%files\n{files}\n%post\nexit 1\n"
    );
    fs::write(&spec, text).unwrap();
    let output = process::Command::new("rpmbuild")
        .arg("-bb")
        .args(["--define", &format!("_topdir {}", dir.display())])
        .args(["--define", &format!("_tmppath {}", dir.display())])
        .args(["--define", &format!("_dbpath {}", dir.join("db").display())])
        .arg(&spec)
        .env("HOME", dir)
        .output()
        .expect("rpmbuild is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    dir.join(format!("RPMS/noarch/{name}-1-1.noarch.rpm"))
}

#[tokio::test]
async fn packages_appear_at_their_real_paths_beside_the_host() {
    let place = Place::new();
    let install = "mkdir -p %{buildroot}/usr/bin %{buildroot}/etc/p %{buildroot}/opt/p %{buildroot}/lib64 %{buildroot}/usr/local/share\n\
        printf '#!/bin/sh\\necho hello from p\\n' > %{buildroot}/usr/bin/p-tool; chmod 755 %{buildroot}/usr/bin/p-tool\n\
        echo conf > %{buildroot}/etc/p/conf; echo data > %{buildroot}/opt/p/data; echo lib > %{buildroot}/lib64/p.txt; echo l > %{buildroot}/usr/local/share/p";
    let files = "/usr/bin/p-tool\n%attr(0644,daemon,games) /etc/p/conf\n/opt/p\n/lib64/p.txt\n/usr/local/share/p";
    let p = package(&place.path().join("p"), "p", install, files);
    let q = package(
        &place.path().join("q"),
        "q",
        "mkdir -p %{buildroot}/usr/share/q\necho q > %{buildroot}/usr/share/q/q",
        "/usr/share/q",
    );
    let root = place.builder().packages(&[p, q]).build().await.unwrap();
    let (outcome, text) = sh(
        &root,
        "p-tool; cat /etc/p/conf /opt/p/data /usr/lib64/p.txt /lib64/p.txt /usr/local/share/p /usr/share/q/q; gcc --version | head -c 3; \
         echo; rpm -qa --qf '%{nevra}\\n' | sort; id -un",
    )
    .await;
    assert!(outcome.success(), "{text}");
    assert_eq!(
        text,
        "hello from p\nconf\ndata\nlib\nlib\nl\nq\ngcc\np-1-1.noarch\nq-1-1.noarch\nbuilder\n"
    );
    let (outcome, text) =
        sh(&root, "echo x > /usr/share/q/q || echo x > /opt/p/data || rm -f /usr/bin/p-tool").await;
    assert!(!outcome.success(), "{text}");
    // A second buildroot without them sees nothing of them.
    let plain = Place::new();
    let (outcome, text) = sh(&plain.root().await, "p-tool; ls /opt/p; rpm -qa").await;
    assert!(
        outcome.success() && text.contains("p-tool: not found") && !text.contains("p-1-1"),
        "{text}"
    );
    root.remove().unwrap();
}

#[tokio::test]
async fn a_layers_library_is_found_by_compiler_and_linker() {
    let place = Place::new();
    let install = "mkdir -p %{buildroot}/usr/lib64 %{buildroot}/usr/include\n\
        echo 'int five(void){return 5;}' > five.c; gcc -shared -fPIC -Wl,-soname,libfive.so.1 -o %{buildroot}/usr/lib64/libfive.so.1 five.c\n\
        ln -s libfive.so.1 %{buildroot}/usr/lib64/libfive.so; echo 'int five(void);' > %{buildroot}/usr/include/five.h";
    let five = package(
        &place.path().join("five"),
        "five",
        &format!("%define _binaries_in_noarch_packages_terminate_build 0\n{install}"),
        "/usr/lib64/*\n/usr/include/five.h",
    );
    let root = place.builder().packages(&[five]).build().await.unwrap();
    let script = "cd build && printf '#include <stdio.h>\\n#include <five.h>\\nint main(){printf(\"%%d\\\\n\", five());}' > m.c && gcc m.c -lfive -o m && ./m";
    let (outcome, text) = sh(&root, script).await;
    assert!(outcome.success(), "{text}");
    assert_eq!(text, "5\n");
}

#[tokio::test]
async fn a_damaged_package_is_an_error_with_rpms_words() {
    let place = Place::new();
    let good = package(
        &place.path().join("p"),
        "p",
        "mkdir -p %{buildroot}/opt/p; head -c 9999 /dev/urandom > %{buildroot}/opt/p/x",
        "/opt/p",
    );
    let mut bytes = fs::read(&good).unwrap();
    let at = bytes.len() - 50;
    bytes[at] ^= 0xff;
    let bad = place.path().join("bad.rpm");
    fs::write(&bad, bytes).unwrap();
    let result = place.builder().packages(&[bad]).build().await;
    let Err(Error::Layer { reason }) = result else { panic!("{result:?}") };
    assert!(reason.contains("digest") || reason.contains("BAD"), "{reason}");
}
