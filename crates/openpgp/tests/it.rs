//! Real keys and signatures of gpg, of every kind that it makes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use rand_core::{CryptoRng, RngCore};
use toji_openpgp::{Certificate, Error, MAX_CERTIFICATE, SecretKey, exercise};

/// A home of gpg's.
struct Gpg {
    dir: tempfile::TempDir,
}

impl Gpg {
    fn new() -> Gpg {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Gpg { dir }
    }

    fn run(&self, args: &[&str]) -> Vec<u8> {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]);
        gpg.arg("--homedir").arg(self.dir.path()).args(args);
        let out = gpg.output().unwrap();
        assert!(out.status.success(), "{gpg:?}: {}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    }

    fn key(&self, name: &str, algorithm: &str, usage: &str) -> String {
        self.run(&["--quick-gen-key", name, algorithm, usage, "never"]);
        self.fingerprint(name)
    }

    fn fingerprint(&self, name: &str) -> String {
        let listing = String::from_utf8(self.run(&["--with-colons", "--list-keys", name])).unwrap();
        let line = listing.lines().find(|line| line.starts_with("fpr:")).unwrap();
        line.split(':').nth(9).unwrap().to_lowercase()
    }

    fn certificate(&self, name: &str) -> Certificate {
        Certificate::parse(&self.run(&["--export", name])).unwrap()
    }

    fn file(&self, data: &[u8]) -> PathBuf {
        let path = self.dir.path().join("data");
        fs::write(&path, data).unwrap();
        path
    }

    fn sign(&self, name: &str, data: &[u8], more: &[&str]) -> Vec<u8> {
        let file = self.file(data);
        let out = self.dir.path().join("data.sig");
        let _ = fs::remove_file(&out);
        let mut args = more.to_vec();
        args.extend(["--local-user", name, "--detach-sign", "--output"]);
        args.extend([out.to_str().unwrap(), file.to_str().unwrap()]);
        self.run(&args);
        fs::read(out).unwrap()
    }

    fn verifies(&self, signature: &[u8], data: &[u8]) {
        let (file, out) = (self.file(data), self.dir.path().join("ours.sig"));
        fs::write(&out, signature).unwrap();
        self.run(&["--verify", out.to_str().unwrap(), file.to_str().unwrap()]);
    }
}

/// The system's randomness.
struct Random;

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        use std::io::Read as _;
        fs::File::open("/dev/urandom").unwrap().read_exact(dest).unwrap();
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Random {}

fn now(path: &Path) -> u32 {
    let meta = fs::metadata(path).unwrap();
    u32::try_from(std::os::unix::fs::MetadataExt::mtime(&meta)).unwrap()
}

#[test]
fn signatures_of_every_kind_are_verified_and_made() {
    let gpg = Gpg::new();
    let (data, other) = (b"what is signed".as_slice(), b"what is not".as_slice());
    for algorithm in ["rsa2048", "rsa4096", "ed25519", "nistp256", "nistp384", "nistp521"] {
        let print = gpg.key(algorithm, algorithm, "sign");
        let certificate = gpg.certificate(algorithm);
        assert_eq!(certificate.fingerprint(), print);
        assert_eq!(certificate.name(), algorithm);
        assert_eq!(certificate.parts().len(), 1);
        assert!(print.ends_with(&certificate.parts()[0].key_id));
        let signature = gpg.sign(algorithm, data, &[]);
        let part =
            certificate.verify(&signature, data).unwrap_or_else(|e| panic!("{algorithm}: {e}"));
        assert_eq!(part.fingerprint, print);
        assert_eq!(certificate.verify(&signature, other), Err(Error::Bad), "{algorithm}");
        let mut broken = signature.clone();
        *broken.last_mut().unwrap() ^= 1;
        assert!(certificate.verify(&broken, data).is_err(), "{algorithm}");
        let secret = gpg.run(&["--export-secret-keys", algorithm]);
        let secret = SecretKey::parse(&secret, "").unwrap_or_else(|e| panic!("{algorithm}: {e}"));
        let ours = secret.sign(Random, now(&gpg.file(data)), data).unwrap();
        assert_eq!(secret.certificate().verify(&ours, data).unwrap().fingerprint, print);
        gpg.verifies(&ours, data);
    }
    // one key's signature by another's certificate
    let signature = gpg.sign("rsa2048", data, &[]);
    assert_eq!(gpg.certificate("ed25519").verify(&signature, data), Err(Error::OtherKey));
    let weak = gpg.sign("rsa2048", data, &["--digest-algo", "SHA1"]);
    assert_eq!(gpg.certificate("rsa2048").verify(&weak, data), Err(Error::Weak("Sha1".into())));
    let text = gpg.sign("rsa2048", data, &["--textmode"]);
    assert_eq!(gpg.certificate("rsa2048").verify(&text, data), Err(Error::Kind));
    let two = [gpg.sign("rsa2048", data, &[]), gpg.sign("ed25519", data, &[])].concat();
    assert!(matches!(gpg.certificate("rsa2048").verify(&two, data), Err(Error::Parse(..))));
}

#[test]
fn subkeys_sign_while_they_are_bound() {
    let gpg = Gpg::new();
    let data = b"data".as_slice();
    let print = gpg.key("master", "ed25519", "cert");
    // a key that only certifies signs no packages
    assert!(matches!(
        Certificate::parse(&gpg.run(&["--export", "master"])),
        Err(Error::NoSigningKey)
    ));
    gpg.run(&["--quick-add-key", &print, "rsa2048", "sign", "1d"]);
    gpg.run(&["--quick-add-key", &print, "cv25519", "encr", "never"]);
    let certificate = gpg.certificate("master");
    let [part] = certificate.parts() else { panic!("{:?}", certificate.parts()) };
    assert!(!part.primary && part.expires == Some(part.created + 86_400), "{part:?}");
    let signature = gpg.sign("master", data, &[]);
    assert_eq!(certificate.verify(&signature, data), Ok(part));
    let secret = gpg.run(&["--armor", "--export-secret-keys", "master"]);
    let secret = SecretKey::parse(&secret, "").unwrap();
    let at = now(&gpg.file(data));
    gpg.verifies(&secret.sign(Random, at, data).unwrap(), data);
    // after its end, and before it was made
    for wrong in [at + 2 * 86_400, at - 86_400] {
        assert_eq!(secret.sign(Random, wrong, data), Err(Error::Time));
    }
}

#[test]
fn revoked_keys_are_refused() {
    let gpg = Gpg::new();
    let print = gpg.key("gone", "ed25519", "sign");
    let kept =
        gpg.dir.path().join("openpgp-revocs.d").join(format!("{}.rev", print.to_uppercase()));
    let text = fs::read_to_string(&kept).unwrap().replace(":-----BEGIN", "-----BEGIN");
    let revocation = gpg.dir.path().join("revocation");
    fs::write(&revocation, text).unwrap();
    gpg.run(&["--import", revocation.to_str().unwrap()]);
    assert!(matches!(Certificate::parse(&gpg.run(&["--export", "gone"])), Err(Error::Revoked)));
}

#[test]
fn secret_keys_need_their_password() {
    let gpg = Gpg::new();
    let home = gpg.dir.path().to_str().unwrap();
    let run = |args: &[&str]| {
        let out = Command::new("gpg")
            .args(["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "open"])
            .args(["--homedir", home])
            .args(args)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    };
    run(&["--quick-gen-key", "locked", "rsa2048", "sign", "never"]);
    let secret = run(&["--export-secret-keys", "locked"]);
    assert!(matches!(SecretKey::parse(&secret, "wrong"), Err(Error::Secret(_))));
    let key = SecretKey::parse(&secret, "open").unwrap();
    gpg.verifies(&key.sign(Random, now(&gpg.file(b"x")), b"x".as_slice()).unwrap(), b"x");
    assert!(matches!(SecretKey::parse(&run(&["--export", "locked"]), ""), Err(Error::Parse(..))));
}

#[test]
fn what_is_no_key_is_refused() {
    let gpg = Gpg::new();
    gpg.key("one", "ed25519", "sign");
    gpg.key("two", "ed25519", "sign");
    for armor in [true, false] {
        let mut args = vec!["--export"];
        if armor {
            args.insert(0, "--armor");
        }
        let both = gpg.run(&args);
        assert!(matches!(Certificate::parse(&both), Err(Error::Parse(..))), "two keys");
        args.push("one");
        let one = gpg.run(&args);
        let certificate = Certificate::parse(&one).unwrap();
        let again = Certificate::parse(certificate.to_armored().unwrap().as_bytes()).unwrap();
        assert_eq!(again.fingerprint(), certificate.fingerprint());
        for len in 0..one.len() - 1 {
            // of what is left when a subkey is cut off, a key may still remain
            if let Ok(cut) = Certificate::parse(&one[..len]) {
                assert_eq!(cut.fingerprint(), certificate.fingerprint());
            }
        }
    }
    let large = vec![0x99; MAX_CERTIFICATE + 1];
    assert!(matches!(Certificate::parse(&large), Err(Error::TooLarge(..))));
    assert!(Certificate::parse(b"").is_err());
}

#[test]
fn changed_keys_do_no_harm() {
    let gpg = Gpg::new();
    let print = gpg.key("one", "ed25519", "sign");
    gpg.run(&["--quick-add-key", &print, "ed25519", "sign", "never"]);
    let key = gpg.run(&["--export", "one"]);
    let signature = gpg.sign("one", &key, &[]);
    exercise(&key);
    let mut runner = proptest::test_runner::TestRunner::default();
    let strategy = (0..key.len(), any::<u8>(), 0..signature.len(), any::<u8>());
    let done = runner.run(&strategy, |(at, byte, place, other)| {
        let mut changed = key.clone();
        changed[at] ^= byte;
        exercise(&changed);
        exercise(&changed[..at]);
        let mut changed = signature.clone();
        changed[place] ^= other;
        exercise(&changed);
        Ok(())
    });
    done.unwrap();
}
