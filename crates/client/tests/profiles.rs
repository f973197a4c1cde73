//! Profiles against the stock client itself: generated configuration trees, read by both.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use toji_client::{Places, Profile, ProfileError};

/// Reads every tree with the stock client; its `/etc` is that of the tree.
const STOCK: &str = r#"
import json, os, sys, koji
real = koji.read_config_files
out = []
for tree in sorted(os.listdir(sys.argv[1])):
    top = os.path.join(sys.argv[1], tree)
    os.environ["HOME"] = top + "/home"
    def moved(files, top=top):
        def move(f):
            if isinstance(f, tuple):
                return (f[0].replace("/etc/", top + "/etc/", 1) if f[0].startswith("/etc/") else f[0], f[1])
            return top + f if f.startswith("/etc/") else f
        return real([move(f) for f in files])
    koji.read_config_files = moved
    try:
        with open(top + "/user") as f:
            user = f.read()
    except FileNotFoundError:
        user = None
    try:
        result = koji.read_config("koji", user_config=user)
        result["no_ssl_verify"] = bool(result["no_ssl_verify"])
        out.append(result)
    except Exception as e:
        out.append(str(type(e).__name__))
print(json.dumps(out))
"#;

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len())]
    }
}

const KEYS: &[&str] = &[
    "server",
    "weburl",
    "topurl",
    "pkgurl",
    "topdir",
    "max_retries",
    "retry_interval",
    "anon_retry",
    "offline_retry",
    "offline_retry_interval",
    "timeout",
    "auth_timeout",
    "use_fast_upload",
    "upload_blocksize",
    "poll_interval",
    "principal",
    "keytab",
    "cert",
    "serverca",
    "no_ssl_verify",
    "authtype",
    "debug",
    "debug_xmlrpc",
    "pyver",
    "plugin_paths",
    "force_auth",
    "profile",
    "Server",
    "WEBURL",
    "unknown",
    "host",
];

const VALUES: &[&str] = &[
    "",
    "1",
    "0",
    "yes",
    "Off",
    "TRUE",
    "maybe",
    "17",
    " 1_000 ",
    "-3",
    "+5",
    "1__0",
    "0x10",
    "3.5",
    "http://hub/kojihub",
    "https://%(host)s/kojihub",
    "%(HOST)s",
    "100%%",
    "50%",
    "%(nothing)s",
    "%(server)s",
    "~/certs/my.pem",
    "~root/x",
    "~nobodyhere/x",
    "/abs",
    "a b ; c # d",
    "\u{e4}\u{f6}\u{fc}",
    "x = y : z",
    "kerberos",
    "ssl",
    "[koji]",
    "one\n  two\n\n   three",
    "%(",
    "%)s",
    "%()s",
];

/// A file that is mostly right.
fn file(dice: &mut Dice) -> Vec<u8> {
    let mut text = String::new();
    // Mostly what fits, or every tree would be refused.
    let mut headers = vec![dice.one(&["[koji]\n", "[koji]\n", "[koji]\n", "[DEFAULT]\n"])];
    if dice.roll(2) == 0 {
        headers.push(dice.one(&["[DEFAULT]\n", "[other]\n", "[a]b] x\n"]));
    }
    if dice.roll(15) == 0 {
        headers.push(dice.one(&[" [koji] # so\n", "[koji\n", "[]\n", "", "[koji]\n"]));
    }
    for header in headers {
        text.push_str(header);
        for _ in 0..dice.roll(6) {
            let key = dice.one(KEYS);
            let fits = match key {
                "anon_retry" | "offline_retry" | "use_fast_upload" | "debug" | "debug_xmlrpc"
                | "force_auth" => 1..7,
                "server" | "weburl" | "topurl" | "cert" | "serverca" | "host" => 14..15,
                _ => 7..9,
            };
            let value = match dice.roll(12) {
                0 => dice.one(VALUES),
                _ => VALUES[fits.start + dice.roll(fits.len().min(5))],
            };
            let between = dice.one(&["=", " = ", ": ", " :", "=", "\t=\t"]);
            writeln!(text, "{}{key}{between}{value}", dice.one(&["", "", "", "", " ", "\t"]))
                .unwrap();
            if dice.roll(20) == 0 {
                let extra = [
                    "# note\n",
                    "; note\n",
                    "\n",
                    "   \n",
                    "  more\n",
                    "word\n",
                    "= x\n",
                    "\u{a0}wide\n",
                    "\u{85}\n",
                    "a=1\rb=2\r\n",
                    "\x1c deeper\n",
                    "  # inner\n",
                    ":x\n",
                ];
                text.push_str(dice.one(&extra));
            }
        }
    }
    let mut data = text.into_bytes();
    if dice.roll(60) == 0 {
        data.push(0xff);
    }
    if dice.roll(60) == 0 {
        data.splice(0..0, "\u{feff}".bytes());
    }
    data
}

fn write(path: &Path, data: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, data).unwrap();
}

/// One tree; most of the places are empty.
fn tree(top: &Path, dice: &mut Dice) {
    for place in [
        "etc/koji.conf",
        "etc/koji.conf.d/a.conf",
        "etc/koji.conf.d/B.conf",
        "etc/koji.conf.d/c.txt",
        "home/.koji/config",
        "home/.koji/config.d/z.conf",
        "home/.koji/config.d/.conf",
        "home/own.conf",
        "home/own.d/a.conf",
    ] {
        if dice.roll(3) == 0 {
            write(&top.join(place), &file(dice));
        }
    }
    if dice.roll(10) == 0 {
        std::fs::create_dir_all(top.join("etc/koji.conf.d/dir.conf")).unwrap();
        std::fs::create_dir_all(top.join("home/own.d/dir.conf")).unwrap();
    }
    for name in ["client.crt", "serverca.crt"] {
        if dice.roll(3) == 0 {
            write(&top.join("home/.koji").join(name), b"pem");
        }
    }
    let user = match dice.roll(12) {
        0 => "~/own.conf".to_owned(),
        1 => "~/own.d".to_owned(),
        2 => "~/missing".to_owned(),
        _ => return std::fs::create_dir_all(top.join("home")).unwrap(),
    };
    write(&top.join("user"), user.as_bytes());
}

fn ours(top: &Path) -> Result<Profile, ProfileError> {
    let user_config = std::fs::read_to_string(top.join("user")).ok().map(Into::into);
    let places = Places { etc: top.join("etc"), home: top.join("home"), user_config };
    Profile::read("koji", &places)
}

fn as_stock(p: &Profile) -> Value {
    json!({
        "profile": p.name, "server": p.server, "weburl": p.weburl, "topurl": p.topurl, "pkgurl": p.pkgurl, "topdir": p.topdir,
        "max_retries": p.max_retries, "retry_interval": p.retry_interval, "anon_retry": p.anon_retry,
        "offline_retry": p.offline_retry, "offline_retry_interval": p.offline_retry_interval, "timeout": p.timeout,
        "auth_timeout": p.auth_timeout, "use_fast_upload": p.use_fast_upload, "upload_blocksize": p.upload_blocksize,
        "poll_interval": p.poll_interval, "principal": p.principal, "keytab": p.keytab, "cert": p.cert, "serverca": p.serverca,
        "no_ssl_verify": p.no_ssl_verify, "authtype": p.authtype, "debug": p.debug, "debug_xmlrpc": p.debug_xmlrpc,
        "pyver": p.pyver, "plugin_paths": p.plugin_paths, "force_auth": p.force_auth,
    })
}

#[test]
fn the_same_as_the_stock_client() {
    const TREES: usize = 600;
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(7);
    let tops: Vec<_> = (0..TREES).map(|n| dir.path().join(format!("{n:05}"))).collect();
    tops.iter().for_each(|top| tree(top, &mut dice));
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.x/venv/bin/python");
    let run = Command::new(&python).args(["-B", "-c", STOCK]).arg(dir.path()).output();
    let run = run.expect("the stock client, which `./x setup test` installs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let stock: Vec<Value> = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(stock.len(), TREES);
    let (mut read, mut refused) = (0, 0);
    for (top, stock) in tops.iter().zip(stock) {
        match (ours(top), stock.as_str()) {
            (Ok(profile), None) => {
                read += 1;
                assert_eq!(as_stock(&profile), stock, "{}", shown(top));
            }
            (Err(_), Some(_)) => refused += 1,
            (ours, _) => panic!("{ours:?} but {stock}\n{}", shown(top)),
        }
    }
    // Neither all right nor all wrong, or the comparison says little.
    assert!(read > TREES / 50 && refused > TREES / 50, "{read} read, {refused} refused");
}

fn shown(top: &Path) -> String {
    let out = Command::new("grep").args(["-rn", ""]).arg(top).output().unwrap();
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn a_page_finds_its_profile() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[fedora]\nweburl = https://koji.example.org/koji\n[stage]\nweburl = https://koji.example.org/koji/stage\n\
                  [broken]\nweburl = %(nothing)s\n";
    write(&dir.path().join("etc/koji.conf"), config.as_bytes());
    let places = Places { etc: dir.path().join("etc"), home: dir.path().into(), user_config: None };
    let found = |url: &str| Profile::of_page(url, &places).unwrap().map(|profile| profile.name);
    assert_eq!(
        found("https://koji.example.org/koji/buildinfo?buildID=1").as_deref(),
        Some("fedora")
    );
    assert_eq!(
        found("https://koji.example.org/koji/stage/taskinfo?taskID=1").as_deref(),
        Some("stage")
    );
    assert_eq!(found("https://koji.example.org/kojipkgs"), None);
}
