//! Real OpenPGP signatures: who signed, cutting them out and joining them with another copy.

use std::fs;
use std::path::Path;
use std::process::Command;

use toji_rpmfile::{Limits, openpgp::Signature, signers, splice};

use crate::support::{Packages, read, run};

/// Makes a key in a keyring of its own and returns the last 8 digits of its id.
fn make_key(home: &Path, algorithm: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir(home).unwrap();
    fs::set_permissions(home, fs::Permissions::from_mode(0o700)).unwrap();
    let gpg = || {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--homedir"]).arg(home);
        gpg
    };
    run(gpg().args(["--passphrase", "", "--quick-gen-key", "tester", algorithm, "sign", "never"]));
    let listing = run(gpg().args(["--with-colons", "--list-keys", "tester"]));
    let line = listing.lines().find(|l| l.starts_with("pub:")).unwrap();
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

#[test]
fn signatures_can_be_told_cut_and_joined() {
    let packages = Packages::of("versions");
    let original = packages.get("versions-devel-1.0");
    for algorithm in ["rsa2048", "ed25519"] {
        let home = packages.path().join(format!("gpg-{algorithm}"));
        let key = make_key(&home, algorithm);
        let signed = packages.path().join("signed.rpm");
        fs::copy(&original, &signed).unwrap();
        sign(&home, &signed);
        let package = read(&signed);
        assert_eq!(package.koji_sigkey().unwrap().as_deref(), Some(key.as_str()));
        let packet = package.signature_packet().unwrap().unwrap();
        // The header that rpmsign wrote comes out of the unsigned one and the packet.
        let bare = read(&original);
        let ours = splice::sign(bare.signature(), &packet, &Limits::default()).unwrap();
        assert!(ours == package.signature_bytes(), "another header than rpmsign's");
        let signer = &signers::of(package.signature())[0];
        assert_eq!(signer.key_id().unwrap().len(), 16);
        assert!(signer.key_id().unwrap().ends_with(&key));
        assert!(signer.fingerprint().unwrap().ends_with(&signer.key_id().unwrap()));
        assert!(signer.signature.as_ref().unwrap().created.is_some());
        let twice = splice::sign(package.signature(), &packet, &Limits::default()).unwrap_err();
        assert_eq!(twice.to_string(), "bad signature packet: there already");
        let fingerprint = Signature::parse(&packet).unwrap().fingerprint().unwrap();
        assert!(fingerprint.len() == 40 && fingerprint.ends_with(&key));
        // header and payload do not change when a package is signed
        assert_eq!(package.header().as_bytes(), read(&original).header().as_bytes());
        let sighdr = package.signature_bytes();
        let mut joined = Vec::new();
        let unsigned = fs::read(&original).unwrap();
        let size = splice::replace_signature(
            &sighdr,
            unsigned.as_slice(),
            &mut joined,
            &Limits::default(),
        )
        .unwrap();
        assert_eq!(size, joined.len() as u64);
        assert!(joined == fs::read(&signed).unwrap(), "joined copy differs from the signed one");
        // and back again
        let mut back = Vec::new();
        let plain = read(&original).signature_bytes();
        splice::replace_signature(&plain, joined.as_slice(), &mut back, &Limits::default())
            .unwrap();
        assert!(back == unsigned);
    }
    assert_eq!(read(&original).koji_sigkey().unwrap(), None);
    let error = splice::parse_signature(b"no header", &Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "truncated in signature header");
}
