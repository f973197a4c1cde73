//! Every call that names a file or a path, with names that lead elsewhere: nothing outside its place is read or written.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use toji_db::Db;
use toji_hub::Request;
use toji_testkit::both_databases;
use toji_value::{Value, list, map};

use super::fixture::{header, import, name, packages, top};
use super::people::Stage;

/// What nobody may read.
const SECRET: &str = "the-secret-of-another-place";

/// Everything below a directory: paths, and contents or targets.
fn all(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                waiting.push(path);
            } else if kind.is_symlink() {
                found.insert(path.clone(), fs::read_link(&path).unwrap().to_str().unwrap().into());
            } else {
                found.insert(path.clone(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Names that lead elsewhere, or try to; `outside` is the directory of the secret.
fn hostile(outside: &Path) -> Vec<String> {
    let outside = outside.to_str().unwrap();
    let secret = format!("{outside}/secret");
    let mut names: Vec<String> = [
        "",
        ".",
        "..",
        "/",
        "//",
        "../..",
        "../../../../../../../../etc/passwd",
        "a/../../../secret",
        "./../secret",
        "..\0",
        "secret\0.rpm",
        "link",
        "link/secret",
        "dirlink",
        "dirlink/secret",
        "dirlink/new/file",
        "loop",
        "loop/x",
        "%2e%2e/secret",
        "..%2fsecret",
        "..\\secret",
        "\u{ff0e}\u{ff0e}/secret",
        "\u{202e}terces",
        "caf\u{e9}",
        "cafe\u{301}",
        "\u{feff}secret",
        "a\nb",
        "a\tb",
        " ",
        "-rf",
        "~",
        "$(id)",
        "/proc/self/environ",
        "/proc/self/root/etc/passwd",
        "file:///etc/passwd",
    ]
    .map(str::to_owned)
    .into();
    names.push(secret.clone());
    names.push(format!("/{secret}"));
    names.push(format!("../../../../../../../../../../../..{secret}"));
    names.push("n".repeat(255));
    names.push("n".repeat(256));
    names.push("d/".repeat(3_000) + "f");
    names.push("x".repeat(70_000));
    names.push(format!("{}/secret", "../".repeat(2_000)));
    names
}

/// A hub with a build, whose upload area has links that lead out.
struct Place {
    stage: Stage,
    outside: tempfile::TempDir,
    build: i64,
    task: i64,
}

impl Place {
    async fn new(db: Db) -> Place {
        let made = packages();
        let stage = Stage::new(db).await;
        import(&stage, &made.plain).await;
        let rpm = &made.signed[0];
        let nvra = name(rpm).trim_end_matches(".rpm").to_owned();
        stage.ok(&stage.admin, "addRPMSig", list![&nvra, header(rpm)]).await;
        let build = stage.ok(&stage.admin, "getBuild", list!["shelf-1.0-1"]).await;
        let task = stage.open_task("sleep", list![1]).await;
        stage.ok(&stage.admin, "grantCGAccess", list!["root", "maker", true]).await;
        stage.ok(&stage.admin, "addBType", list!["npm"]).await;
        let outside = tempfile::tempdir().unwrap();
        fs::create_dir(outside.path().join("dir")).unwrap();
        for file in ["secret", "dir/secret", "dir/x.rpm"] {
            fs::write(outside.path().join(file), SECRET).unwrap();
        }
        let work = stage.world.hub.paths.work(None);
        let mine = Path::new(&work).join(stage.world.hub.paths.taskrelpath(task));
        for dir in [Path::new(&work).to_owned(), Path::new(&work).join("in"), mine] {
            fs::create_dir_all(&dir).unwrap();
            symlink(outside.path().join("secret"), dir.join("link")).unwrap();
            symlink(outside.path().join("dir"), dir.join("dirlink")).unwrap();
            symlink("loop", dir.join("loop")).unwrap();
        }
        Place { stage, outside, build: build.get("id").as_int().unwrap(), task }
    }

    /// Every call that names a file or path, with a name in the place of each.
    fn calls(&self, bad: &str) -> Vec<(&Request, &'static str, Value)> {
        let (admin, host) = (&self.stage.admin, &self.stage.builder);
        let (task, build) = (self.task, self.build);
        let data = || Value::from("aGVsbG8=");
        let sum = || Value::from("5d41402abc4b2a76b9719d911017c592");
        let nvra = "shelf-1.0-1.x86_64";
        let rel = self.stage.world.hub.paths.taskrelpath(task);
        let output = map! {
            "buildroot_id" => 1, "filename" => bad, "filesize" => 5, "arch" => "noarch", "checksum_type" => "md5",
            "checksum" => "5d41402abc4b2a76b9719d911017c592", "type" => "file",
            "extra" => map! { "typeinfo" => map! { "npm" => map! {} } },
        };
        let metadata = |name: &str, output: Value| {
            map! {
                "metadata_version" => 0,
                "build" => map! {
                    "name" => name, "version" => "1.0", "release" => "1", "source" => "git://x#1", "start_time" => 1, "end_time" => 2,
                    "extra" => map! { "typeinfo" => map! { "npm" => map! {} } },
                },
                "buildroots" => list![map! {
                    "id" => 1, "content_generator" => map! { "name" => "maker", "version" => "1" },
                    "container" => map! { "type" => "docker", "arch" => "x86_64" }, "host" => map! { "os" => "x", "arch" => "x86_64" },
                    "components" => list![], "tools" => list![],
                }],
                "output" => output,
            }
        };
        let image =
            map! { "name" => bad, "version" => "1", "release" => "1", "epoch" => Value::Nil };
        vec![
            (admin, "uploadFile", list![bad, "f", 5, sum(), 0, data()]),
            (admin, "uploadFile", list!["in", bad, 5, sum(), 0, data()]),
            (admin, "uploads.begin", list![bad, "f", 5, "0".repeat(64)]),
            (admin, "uploads.begin", list!["in", bad, 5, "0".repeat(64)]),
            (admin, "uploads.finish", list![bad, "f", "0@far", 5, "0".repeat(64)]),
            (admin, "uploads.finish", list!["in", "f", bad, 5, "0".repeat(64)]),
            (admin, "checkUpload", list![bad, "secret", "md5"]),
            (admin, "checkUpload", list!["in", bad, "md5"]),
            (admin, "downloadTaskOutput", list![task, bad, 0, -1]),
            (admin, "downloadTaskOutput", list![task, "link", 0, -1, bad]),
            (admin, "importRPM", list![bad, "x.rpm"]),
            (admin, "importRPM", list!["in", bad]),
            (
                admin,
                "importArchive",
                list![bad, "shelf-1.0-1", "image", map! { "arch" => "x86_64" }],
            ),
            (
                admin,
                "importArchive",
                list![format!("in/{bad}"), "shelf-1.0-1", "image", map! { "arch" => "x86_64" }],
            ),
            (admin, "createImageBuild", list![image]),
            (admin, "createEmptyBuild", list![bad, "1", "1", Value::Nil]),
            (admin, "createEmptyBuild", list!["shelf", bad, "1", Value::Nil]),
            (admin, "createEmptyBuild", list!["shelf", "1.0", bad, Value::Nil]),
            (admin, "CGImport", list![metadata("a", list![output.clone()]), "in"]),
            (admin, "CGImport", list![metadata("b", list![output]), bad]),
            (admin, "CGImport", list![metadata(bad, list![]), "in"]),
            (admin, "CGImport", list![bad, "in"]),
            (admin, "getRPMHeaders", list![Value::Nil, task, bad]),
            (admin, "getRPMDeps", list![bad]),
            (admin, "getRPMFile", list![nvra, bad]),
            (admin, "getArchiveFile", list![1, bad]),
            (admin, "addRPMSig", list![nvra, header(&packages().signed[0]), bad]),
            (admin, "renameRPMSig", list![nvra, &packages().key, bad]),
            (admin, "writeSignedRPM", list![nvra, bad]),
            (admin, "deleteRPMSig", list![nvra, bad]),
            (admin, "addVolume", list![bad]),
            (admin, "changeBuildVolume", list![build, bad]),
            (admin, "createTag", list![bad]),
            (host, "host.completeBuild", list![task, build, bad, list![], map! {}, map! {}]),
            (
                host,
                "host.completeBuild",
                list![
                    task,
                    build,
                    format!("{rel}/link"),
                    list![bad],
                    map! {},
                    map! { "noarch" => list![bad] }
                ],
            ),
            (host, "host.moveBuildToScratch", list![task, bad, list![], map! {}]),
            (host, "host.importArchive", list![bad, build, "image", map! { "arch" => "x86_64" }]),
            (host, "host.repoInit", list![bad]),
            (host, "host.repoDone", list![1, map! { "x86_64" => list![bad, list!["secret"]] }]),
            (host, "host.distRepoMove", list![1, bad, "x86_64"]),
            (host, "host.uploadToken", list![task]),
        ]
    }
}

both_databases! {
    async fn no_call_leads_out_of_its_place(db: Db) {
        let place = Place::new(db).await;
        let before = all(place.outside.path());
        let parent: Vec<_> = fs::read_dir(place.stage.dir.path().parent().unwrap()).unwrap().map(|e| e.unwrap().path()).collect();
        let mut asked = 0;
        for bad in hostile(place.outside.path()) {
            for (who, method, args) in place.calls(&bad) {
                asked += 1;
                let answer = match place.stage.call(who, method, args).await {
                    Ok(value) => value.repr(),
                    Err(fault) => fault.message,
                };
                assert!(!answer.contains(SECRET), "{method} with {bad:.80?} shows it: {answer:.300}");
                assert!(!answer.contains("dGhlLXNlY3JldC1vZi1hbm90aGVyLXBsYWNl"), "{method} with {bad:.80?} shows it");
                assert!(!answer.contains("root:x:0"), "{method} with {bad:.80?} shows the system's users");
            }
            assert_eq!(all(place.outside.path()), before, "after {bad:.80?}");
        }
        assert!(asked > 1_000, "{asked}");
        let tag = "a/../../../secret";
        let said = place.stage.refused(&place.stage.builder, "host.repoInit", list![tag]).await;
        assert_eq!(said, format!("a tag with this name has no repositories: {tag}"));
        // nothing of it has come into the store, and nothing lies beside it
        for (path, content) in all(&top(&place.stage, "packages")) {
            assert!(!String::from_utf8_lossy(&content).contains(SECRET), "{}", path.display());
            assert!(fs::canonicalize(&path).unwrap().starts_with(place.stage.dir.path()), "{}", path.display());
        }
        for entry in fs::read_dir(place.stage.dir.path().parent().unwrap()).unwrap() {
            let path = entry.unwrap().path();
            let known = ["a", "f", "n", "secret", "caf"].iter().all(|odd| !path.ends_with(odd));
            assert!(known || parent.contains(&path), "{}", path.display());
        }
    }

    async fn links_that_come_and_go_lead_nowhere(db: Db) {
        let place = Place::new(db).await;
        let stage = &place.stage;
        let before = all(place.outside.path());
        let dir = top(stage, "work/in/swap");
        let real = top(stage, "work/in/real");
        fs::create_dir_all(&real).unwrap();
        fs::write(real.join("secret"), "harmless").unwrap();
        // A directory is exchanged for a link that leads out, again and again, while it is uploaded to and read from.
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, out, spare) = (stop.clone(), place.outside.path().join("dir"), top(stage, "work/in/spare"));
        let swap = dir.clone();
        symlink(&out, &spare).unwrap();
        fs::create_dir(&swap).unwrap();
        fs::write(swap.join("secret"), "harmless").unwrap();
        let swapper = std::thread::spawn(move || {
            let mut swaps = 0u64;
            while !flag.load(Ordering::Relaxed) {
                use rustix::fs::{CWD, RenameFlags, renameat_with};
                renameat_with(CWD, &swap, CWD, &spare, RenameFlags::EXCHANGE).unwrap();
                swaps += 1;
            }
            swaps
        });
        let sum = || Value::from("5d41402abc4b2a76b9719d911017c592");
        let (mut written, mut read) = (0, 0);
        for round in 0..300 {
            let args = list!["in/swap", format!("f{round}"), 5, sum(), 0, "aGVsbG8="];
            written += u32::from(stage.call(&stage.admin, "uploadFile", args).await.is_ok());
            let args = list!["in/swap", "secret", "md5"];
            if let Ok(answer) = stage.call(&stage.admin, "checkUpload", args).await
                && let Some(found) = answer.get("hexdigest").as_str()
            {
                read += 1;
                assert_eq!(found, md5("harmless"), "it is of another place");
            }
        }
        stop.store(true, Ordering::Relaxed);
        let swaps = swapper.join().unwrap();
        assert!(swaps > 1_000, "{swaps}");
        assert!(written > 0 && read > 0, "{written} {read}");
        assert_eq!(all(place.outside.path()), before, "nothing was written outside");
    }
}

fn md5(text: &str) -> String {
    let mut hasher = toji_store::Hasher::new(toji_store::Algorithm::Md5);
    hasher.update(text.as_bytes());
    hasher.finish()
}
