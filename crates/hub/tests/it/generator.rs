//! Builds of content generators: reserved, given up, imported with their metadata.

use std::fs;
use std::path::PathBuf;

use toji_db::Db;
use toji_store::{Algorithm, Hasher};
use toji_testkit::both_databases;
use toji_value::{Map, Value, list, map};

use super::archive::{put, stage};
use super::build::packages;
use super::people::Stage;

const CG: &str = "osbs";

/// A stage with a content generator that the administrator may act as, and the type `npm`.
async fn office(db: Db) -> Stage {
    let stage = stage(db).await;
    stage.ok(&stage.admin, "grantCGAccess", list!["root", CG, true]).await;
    stage.ok(&stage.admin, "addBType", list!["npm"]).await;
    stage
}

fn sum(algorithm: Algorithm, content: &[u8]) -> String {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(content);
    hasher.finish()
}

/// Uploads a file and describes it.
fn output(stage: &Stage, name: &str, content: &str, more: Map) -> Value {
    put(stage, &format!("cg/{name}"), content);
    let mut info = map! {
        "buildroot_id" => 1, "filename" => name, "filesize" => content.len(), "arch" => "noarch",
        "checksum_type" => "md5", "checksum" => sum(Algorithm::Md5, content.as_bytes()),
        "type" => "file", "extra" => map! { "typeinfo" => map! { "npm" => map! { "x" => 1 } } },
    };
    info.extend(more);
    info.into()
}

fn buildroot(id: impl toji_value::IntoValue, components: Value) -> Value {
    map! {
        "id" => id, "content_generator" => map! { "name" => CG, "version" => "1.2" },
        "container" => map! { "type" => "docker", "arch" => "x86_64" },
        "host" => map! { "os" => "rhel", "arch" => "x86_64" }, "components" => components,
        "tools" => list![map! { "name" => "npm", "version" => "9" }],
        "extra" => map! { "k" => list![1, 2] },
    }
    .into()
}

fn metadata(name: &str, output: Value) -> Map {
    map! {
        "metadata_version" => 0,
        "build" => map! {
            "name" => name, "version" => "1.0", "release" => "1", "source" => "git://x#1",
            "start_time" => 1_700_000_000, "end_time" => 1_700_000_100.5,
            "extra" => map! { "typeinfo" => map! { "npm" => map! { "y" => 1 } }, "k" => "v" },
        },
        "buildroots" => list![buildroot(1, list![])],
        "output" => output,
    }
}

/// Sets a member of the build.
fn with(metadata: &Map, key: &'static str, value: impl toji_value::IntoValue) -> Map {
    let mut changed = metadata.clone();
    let build = changed.get_mut("build").and_then(Value::as_struct_mut).unwrap();
    build.insert(key, value);
    changed
}

/// Sets a member of the first output.
fn with_output(metadata: &Map, key: &'static str, value: impl toji_value::IntoValue) -> Map {
    let mut changed = metadata.clone();
    let Some(Value::Array(outputs)) = changed.get_mut("output") else { panic!("no output") };
    outputs[0].as_struct_mut().unwrap().insert(key, value);
    changed
}

fn top(stage: &Stage, path: &str) -> PathBuf {
    stage.dir.path().join("packages").join(path)
}

both_databases! {
    async fn a_build_is_imported_with_all_that_it_says(db: Db) {
        let stage = office(db).await;
        let admin = &stage.admin;
        let log = output(&stage, "b.log", "log", map! { "type" => "log", "subdir" => "x86_64" });
        let lib = output(&stage, "lib.tgz", "tgz", map! { "subdir" => "a/b" });
        let sha = map! {
            "checksum_type" => "sha256", "checksum" => sum(Algorithm::Sha256, b"disk"),
            "extra" => map! { "image" => map! { "arch" => "aarch64" } },
        };
        let image = output(&stage, "disk.raw", "disk", sha);
        let metadata = metadata("first", list![log, lib, image]);
        let extra = map! {
            "typeinfo" => map! { "npm" => map! { "y" => 1 } }, "image" => map! {},
        };
        let metadata = with(&metadata, "extra", extra);
        let build = stage.ok(admin, "CGImport", list![metadata.clone(), "cg"]).await;
        for (key, want) in [
            ("nvr", Value::from("first-1.0-1")), ("state", 1.into()), ("cg_name", CG.into()),
            ("source", "git://x#1".into()), ("owner_name", "root".into()),
            ("start_ts", 1_700_000_000.0.into()), ("completion_ts", 1_700_000_100.5.into()),
            ("task_id", Value::Nil), ("epoch", Value::Nil),
        ] {
            assert_eq!(build.get(key), &want, "{key}");
        }
        assert_eq!(build.get("extra").get("typeinfo").get("image"), &map! {}.into());
        for (path, want) in [
            ("data/logs/x86_64/b.log", "log"), ("files/npm/a/b/lib.tgz", "tgz"),
            ("images/disk.raw", "disk"),
        ] {
            let path = top(&stage, &format!("first/1.0/1/{path}"));
            assert_eq!(fs::read_to_string(&path).unwrap(), want, "{}", path.display());
        }
        let stored = fs::read_to_string(top(&stage, "first/1.0/1/metadata.json")).unwrap();
        assert!(stored.contains("\"metadata_version\": 0"), "{stored}");
        let types = stage.ok(&stage.alice, "getBuildType", list!["first-1.0-1"]).await;
        assert_eq!(types.as_struct().unwrap().len(), 2);
        let archives = stage.ok(&stage.alice, "listArchives", list![]).await;
        let [image, lib] = archives.as_array().unwrap() else { panic!("two archives") };
        assert_eq!(lib.get("checksum_type"), &Value::Int(0));
        assert_eq!(lib.get("btype"), &"npm".into());
        assert_eq!(lib.get("extra").get("typeinfo").get("npm").get("x"), &Value::Int(1));
        assert_eq!(image.get("checksum"), &sum(Algorithm::Sha256, b"disk").into());
        let root = stage.ok(&stage.alice, "getBuildroot", list![image.get("buildroot_id").clone()]).await;
        for (key, want) in [
            ("br_type", Value::Int(1)), ("cg_name", CG.into()), ("cg_version", "1.2".into()),
            ("container_type", "docker".into()), ("host_os", "rhel".into()),
            ("extra", map! { "k" => list![1, 2] }.into()),
        ] {
            assert_eq!(root.get(key), &want, "{key}");
        }
        let mut args = vec![Value::Nil; 10];
        args[4] = "npm".into();
        args[9] = map! { "x" => 1 }.into();
        let refused = stage.refused(&stage.alice, "listArchives", Value::Array(args)).await;
        assert_eq!(refused, "typeInfo queries not supported for type npm");
        let again = stage.refused(admin, "CGImport", list![metadata, "cg"]).await;
        assert_eq!(again, format!("Build already exists: first-1.0-1 (id={})", build.get("id").display()));
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_import", &[]).await, Value::Int(0));
        let digests = stage.world.get("SELECT count(*) FROM toji_file", &[]).await;
        assert_eq!(digests, Value::Int(4), "three files and the metadata");
    }

    async fn metadata_may_be_a_file_or_text(db: Db) {
        let stage = office(db).await;
        let admin = &stage.admin;
        for (name, given) in [("m1", Value::Nil), ("m2", "my.json".into()), ("m3", "text".into())] {
            let metadata = metadata(name, list![output(&stage, &format!("{name}.tgz"), name, map! {})]);
            let text = toji_hub::json::dumps(&metadata.into());
            let given = match given {
                Value::Nil => { put(&stage, "cg/metadata.json", &text); Value::Nil }
                Value::Str(file) if file == "my.json" => { put(&stage, "cg/my.json", &text); file.into() }
                _ => text.clone().into(),
            };
            stage.ok(admin, "CGImport", list![given, "cg"]).await;
            let stored = top(&stage, &format!("{name}/1.0/1/metadata.json"));
            assert_eq!(fs::read_to_string(stored).unwrap(), text);
        }
        for (given, want) in [
            ("none.json", "No such file: none.json"), ("{", "Invalid json data: '{'"),
            ("../../../etc/x.json", "Invalid path segment: ../../../etc/x.json"),
        ] {
            assert_eq!(stage.refused(admin, "CGImport", list![given, "cg"]).await, want);
        }
    }

    async fn what_does_not_fit_is_refused_whole(db: Db) {
        let stage = office(db).await;
        let admin = &stage.admin;
        let good = metadata("bad", list![output(&stage, "a.tgz", "tgz", map! {})]);
        let set = |key: &'static str, value: Value| { let mut m = good.clone(); m.insert(key, value); m };
        let two = list![buildroot(1, list![]), buildroot(2, list![])];
        let twice = list![buildroot(1, list![]), buildroot(1, list![])];
        let bad_component = list![buildroot(1, list![map! { "type" => "wheel" }])];
        let external = map! {
            "type" => "rpm", "name" => "x", "version" => "1", "release" => "1", "arch" => "x86_64",
            "location" => "ext", "sigmd5" => "x",
        };
        let typeinfo = |btype: &'static str| map! { "typeinfo" => map! { btype => map! {} } };
        let cases: Vec<(Map, &str)> = vec![
            (set("metadata_version", Value::Int(1)), "No such metadata version: 1"),
            (set("buildroots", two), "Buildroot id not used in output: 2"),
            (set("buildroots", twice), "Duplicate buildroot id in metadata: 1"),
            (set("buildroots", bad_component), "No such component type: wheel"),
            (set("buildroots", list![buildroot(1, list![external])]), "External rpms not allowed"),
            (with_output(&good, "filesize", 4),
                "File size 3 for a.tgz (expected 4) doesn't match. Corrupted upload?"),
            (with_output(&good, "checksum", "0"),
                "File checksum mismatch for a.tgz: 0 != 31c15919e6dd3d8e4f8cb8e7e4e6b0ea"),
            (with_output(&good, "checksum_type", "sha1"), "Unsupported verify type: sha1"),
            (with_output(&good, "buildroot_id", 7), "Buildroot id not used in output: 1"),
            (with_output(&good, "extra", map! {}), "No typeinfo for: a.tgz"),
            (with_output(&good, "extra", typeinfo("maven")),
                "Output type maven not listed in build types"),
            (with_output(&good, "extra", map! { "image" => map! {}, "win" => map! {} }),
                "Output file has multiple types: a.tgz"),
            (with_output(&good, "type", "rpm"), "invalid format: a"),
            (with_output(&good, "relpath", "../../.."), "Invalid path segment: ../../.."),
            (with_output(&good, "filename", "../../../etc/passwd"),
                "Invalid path segment: ../../../etc/passwd"),
            (with_output(&good, "subdir", "../../../.."), "Invalid path segment: ../../../.."),
            (with(&good, "version", "1-0"), "The \"-\" character not allowed in version field"),
            (with(&good, "extra", typeinfo("wheel")), "No such entry in table btype: wheel"),
            (with(&good, "owner", 1), "Invalid owner format (expected username): 1"),
            (with(&good, "build_id", 99), "No such build: 99"),
            (with(&good, "draft", true), "Draft build not supported"),
            (with(&with(&good, "task_id", 1), "extra", map! { "container_koji_task_id" => 2 }),
                "CG provided non-matching task_id 1 and container_koji_task_id 2"),
        ];
        for (metadata, want) in cases {
            let refused = stage.refused(admin, "CGImport", list![metadata, "cg"]).await;
            // the checksum that was found depends on the file alone, and is not repeated here
            let refused = match refused.split_once(" != ") {
                Some((start, _)) => format!("{start} != 31c15919e6dd3d8e4f8cb8e7e4e6b0ea"),
                None => refused,
            };
            assert_eq!(refused, want);
        }
        let args = list![good.clone(), "cg", "token"];
        let refused = stage.refused(admin, "CGImport", args).await;
        assert_eq!(refused, "Reservation token given, but no build_id in metadata");
        let refused = stage.refused(&stage.alice, "CGImport", list![good.clone(), "cg"]).await;
        assert_eq!(refused, format!("Content generator access required ({CG})"));
        let lacking = stage.call(admin, "CGImport", list![map! { "metadata_version" => 0 }, "cg"]).await;
        assert_eq!(lacking.unwrap_err().code, 1);
        fs::create_dir_all(top(&stage, "bad/1.0/1")).unwrap();
        let refused = stage.refused(admin, "CGImport", list![good.clone(), "cg"]).await;
        let dir = top(&stage, "bad/1.0/1");
        assert_eq!(refused, format!("Destination directory already exists: {}", dir.display()));
        fs::remove_dir_all(top(&stage, "bad")).unwrap();
        for table in ["build", "archiveinfo", "buildroot", "toji_file", "toji_import"] {
            let sql = format!("SELECT count(*) FROM {table}");
            assert_eq!(stage.world.get(&sql, &[]).await, Value::Int(0), "{table}");
        }
        assert!(!top(&stage, "bad").exists());
        // after all that, the good one
        stage.ok(admin, "CGImport", list![good, "cg"]).await;
    }

    async fn reservations_are_kept(db: Db) {
        let stage = office(db).await;
        let (admin, alice) = (&stage.admin, &stage.alice);
        let data = map! { "name" => "r", "version" => "1.0", "release" => "1" };
        let refused = stage.refused(alice, "CGInitBuild", list![CG, data.clone()]).await;
        assert_eq!(refused, format!("Content generator access required ({CG})"));
        let refused = stage.refused(admin, "CGInitBuild", list!["zzz", data.clone()]).await;
        assert_eq!(refused, "No such entry in table content_generator: zzz");
        let made = stage.ok(admin, "CGInitBuild", list![CG, data.clone()]).await;
        let (id, token) = (made.get("build_id").clone(), made.get("token").clone());
        assert_eq!(token.as_str().unwrap().len(), 64);
        let again = stage.refused(admin, "CGInitBuild", list![CG, data.clone()]).await;
        assert_eq!(again, "Build is already reserved");
        let refund = |token: Value, state: i64| list![CG, id.clone(), token, state];
        for (args, want) in [
            (refund("x".into(), 3), format!("Token doesn't match build ID {}", id.display())),
            (refund(token.clone(), 1), "Only FAILED/CANCELED build states are allowed".into()),
        ] {
            assert_eq!(stage.refused(admin, "CGRefundBuild", args).await, want);
        }
        stage.ok(admin, "CGRefundBuild", refund(token.clone(), 4)).await;
        let gone = stage.refused(admin, "CGRefundBuild", refund(token.clone(), 4)).await;
        assert_eq!(gone, format!("Build ID {} is not in BUILDING state", id.display()));
        let build = stage.ok(alice, "getBuild", list![id.clone()]).await;
        assert_eq!(build.get("state"), &Value::Int(4));

        // the name may be reserved anew, and the import needs the new token
        let made = stage.ok(admin, "CGInitBuild", list![CG, data]).await;
        assert_eq!(made.get("build_id"), &id);
        let good = metadata("r", list![output(&stage, "r.tgz", "tgz", map! {})]);
        let taken = stage.refused(admin, "CGImport", list![good.clone(), "cg"]).await;
        assert_eq!(taken, format!("Build already exists: r-1.0-1 (id={})", id.display()));
        let good = with(&good, "build_id", &id);
        for (metadata, token, want) in [
            (good.clone(), token, format!("Token doesn't match build ID {}", id.display())),
            (with(&good, "release", "2"), made.get("token").clone(),
                format!("Build ({}) NVR is different", id.display())),
            (with(&good, "epoch", 3), made.get("token").clone(),
                format!("Build ({}) epoch is different", id.display())),
            (with(&good, "draft", true), made.get("token").clone(),
                format!("Draft field does not match reservation (build id = {})", id.display())),
        ] {
            assert_eq!(stage.refused(admin, "CGImport", list![metadata, "cg", token]).await, want);
        }
        let args = list![good, "cg", made.get("token").clone()];
        let build = stage.ok(admin, "CGImport", args).await;
        assert_eq!((build.get("id"), build.get("state")), (&id, &Value::Int(1)));
        let left = stage.world.get("SELECT count(*) FROM build_reservations", &[]).await;
        assert_eq!(left, Value::Int(0));
    }

    async fn rpms_drafts_and_components(db: Db) {
        let stage = office(db).await;
        let admin = &stage.admin;
        let mut outputs = Vec::new();
        for package in packages() {
            let name = package.file_name().unwrap().to_str().unwrap();
            let bytes = fs::read(package).unwrap();
            let to = stage.dir.path().join("work/cg").join(name);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::write(to, &bytes).unwrap();
            outputs.push(Value::from(map! {
                "buildroot_id" => 1, "filename" => name, "filesize" => bytes.len(), "type" => "rpm",
                "arch" => "x86_64", "checksum_type" => "md5",
                "checksum" => sum(Algorithm::Md5, &bytes), "extra" => map! { "from" => name },
            }));
        }
        let mut rpms = metadata("hello", Value::Array(outputs));
        for (key, value) in [
            ("release", Value::from("2")), ("epoch", 1.into()), ("extra", map! {}.into()),
        ] {
            rpms = with(&rpms, key, value);
        }
        let wrong = with(&rpms, "release", "3");
        let refused = stage.refused(admin, "CGImport", list![wrong, "cg"]).await;
        assert!(refused.starts_with("srpm mismatch for "), "{refused}");
        let build = stage.ok(admin, "CGImport", list![with(&rpms, "draft", true), "cg"]).await;
        let id = build.get("id").as_int().unwrap();
        assert_eq!(build.get("release"), &format!("2,draft_{id}").into());
        let dir = top(&stage, &format!("hello/1.0/2,draft_{id}"));
        assert!(dir.join("src/hello-1.0-2.src.rpm").is_file());
        assert!(dir.join("data/sigcache/x86_64/hello-1.0-2.x86_64.rpm.sig").is_file());
        let found = stage.ok(&stage.alice, "listBuildRPMs", list![id]).await;
        assert_eq!(found.as_array().unwrap().len(), 3);
        let types = stage.ok(&stage.alice, "getBuildType", list![id]).await;
        assert!(types.as_struct().unwrap().contains_key("rpm"));
        // what was moved away is uploaded anew
        for package in packages() {
            let to = stage.dir.path().join("work/cg").join(package.file_name().unwrap());
            fs::remove_file(&to).unwrap();
            fs::copy(package, to).unwrap();
        }
        stage.ok(admin, "CGImport", list![rpms, "cg"]).await;
        let rpm = stage.ok(&stage.alice, "getRPM", list!["hello-1.0-2.x86_64"]).await;
        assert_eq!(rpm.get("draft"), &false.into());
        assert_eq!(rpm.get("extra").get("from"), &"hello-1.0-2.x86_64.rpm".into());

        // an image with the RPM, an archive that is known and one that is not
        let base = metadata("base", list![output(&stage, "base.tgz", "base", map! {})]);
        stage.ok(admin, "CGImport", list![base, "cg"]).await;
        let part = |more: Map| {
            let mut part = map! {
                "type" => "rpm", "name" => "hello", "version" => "1.0", "release" => "2",
                "arch" => "x86_64", "epoch" => 1, "sigmd5" => rpm.get("payloadhash").clone(),
            };
            part.extend(more);
            part
        };
        let file = |name: &str| map! {
            "type" => "file", "filename" => name, "filesize" => 4, "checksum_type" => "md5",
            "checksum" => sum(Algorithm::Md5, b"base"),
        };
        let known = stage.ok(&stage.alice, "listArchives", list![]).await;
        let known = known.as_array().unwrap()[0].get("id").clone();
        let own = map! {
            "type" => "kojifile", "archive_id" => &known, "nvr" => "base-1.0-1",
            "filename" => "base.tgz",
        };
        let components = list![
            part(map! {}), part(map! { "name" => "unknown" }), file("base.tgz"), file("other.tgz"), own.clone()
        ];
        let more = map! { "components" => components.clone() };
        let mut whole = metadata("whole", list![output(&stage, "whole.tgz", "whole", more)]);
        whole.insert("buildroots", list![buildroot(1, components)]);
        let mut false_own = own;
        false_own.insert("nvr", "base-1.0-2");
        let wrong = with_output(&whole, "components", list![false_own]);
        let refused = stage.refused(admin, "CGImport", list![wrong, "cg"]).await;
        let want = format!("Component field nvr does not match for archive_id={}: base-1.0-1 != base-1.0-2",
            known.display());
        assert_eq!(refused, want);
        stage.ok(admin, "CGImport", list![whole, "cg"]).await;
        let log = fs::read_to_string(top(&stage, "whole/1.0/1/data/logs/cg_import.log")).unwrap();
        assert!(log.contains("IGNORING unmatched rpm component: {'type': 'rpm', 'name': 'unknown'"), "{log}");
        assert!(log.contains("IGNORING unmatched archive: ") && log.ends_with("CG import was SUCCESSFUL.\n"));
        for (table, want) in [
            ("archive_rpm_components", 1), ("archive_components", 1), ("buildroot_archives", 1),
            ("buildroot_listing", 1), ("buildroot_tools_info", 4),
        ] {
            let sql = format!("SELECT count(*) FROM {table}");
            assert_eq!(stage.world.get(&sql, &[]).await, Value::Int(want), "{table}");
        }
    }

    async fn metadata_only_files_need_not_be_there(db: Db) {
        let stage = office(db).await;
        let info = output(&stage, "big.tgz", "big", map! { "metadata_only" => true });
        fs::remove_file(stage.dir.path().join("work/cg/big.tgz")).unwrap();
        stage.ok(&stage.admin, "CGImport", list![metadata("meta", list![info]), "cg"]).await;
        let archives = stage.ok(&stage.alice, "listArchives", list![]).await;
        let archive = &archives.as_array().unwrap()[0];
        assert_eq!(archive.get("metadata_only"), &true.into());
        assert_eq!(archive.get("size"), &Value::Int(3));
        assert!(!top(&stage, "meta/1.0/1/files").exists());
        let id = archive.get("id").clone();
        assert_eq!(stage.ok(&stage.alice, "listArchiveFiles", list![id]).await, list![]);
    }

    async fn a_failed_build_and_another_volume(db: Db) {
        let stage = Stage::with(db, |config| {
            config.disable_notifications = true;
            config.policies = vec![("volume".into(), "package vol* :: big\nall :: DEFAULT".into())];
        }).await;
        stage.ok(&stage.admin, "grantCGAccess", list!["root", CG, true]).await;
        stage.ok(&stage.admin, "addBType", list!["npm"]).await;
        fs::create_dir_all(stage.dir.path().join("vol/big")).unwrap();
        stage.ok(&stage.admin, "addVolume", list!["big"]).await;
        let data = map! { "name" => "vol1", "version" => "1.0", "release" => "1" };
        let made = stage.ok(&stage.admin, "CGInitBuild", list![CG, data]).await;
        let refund = list![CG, made.get("build_id").clone(), made.get("token").clone()];
        stage.ok(&stage.admin, "CGRefundBuild", refund).await;
        let good = metadata("vol1", list![output(&stage, "v.tgz", "v", map! {})]);
        let build = stage.ok(&stage.admin, "CGImport", list![good, "cg"]).await;
        assert_eq!(build.get("id"), made.get("build_id"));
        assert_eq!(build.get("volume_name"), &"big".into());
        let real = stage.dir.path().join("vol/big/packages/vol1/1.0/1/files/npm/v.tgz");
        assert!(real.is_file());
        assert!(fs::symlink_metadata(top(&stage, "vol1/1.0/1")).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(top(&stage, "vol1/1.0/1/files/npm/v.tgz")).unwrap(), "v");
    }

    async fn of_two_imports_of_one_build_one_is_whole(db: Db) {
        let stage = office(db).await;
        let mut both = Vec::new();
        for directory in ["one", "two"] {
            let info = output(&stage, "same.tgz", directory, map! { "relpath" => directory });
            let from = stage.dir.path().join("work/cg");
            fs::create_dir_all(from.join(directory)).unwrap();
            fs::rename(from.join("same.tgz"), from.join(directory).join("same.tgz")).unwrap();
            both.push(metadata("twice", list![info]));
        }
        let [one, two] = both.try_into().unwrap();
        let (one, two) = tokio::join!(
            stage.call(&stage.admin, "CGImport", list![one, "cg"]),
            stage.call(&stage.admin, "CGImport", list![two, "cg"]),
        );
        let content = if one.is_ok() { "one" } else { "two" };
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        let file = top(&stage, "twice/1.0/1/files/npm/same.tgz");
        assert_eq!(fs::read_to_string(file).unwrap(), content);
        let stored = fs::read_to_string(top(&stage, "twice/1.0/1/metadata.json")).unwrap();
        assert!(stored.contains(&format!("\"relpath\": \"{content}\"")), "{stored}");
        assert_eq!(stage.world.get("SELECT count(*) FROM archiveinfo", &[]).await, Value::Int(1));
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_import", &[]).await, Value::Int(0));
    }

    async fn a_broken_import_leaves_what_another_has_placed(db: Db) {
        let stage = office(db).await;
        let good = metadata("kept", list![output(&stage, "kept.tgz", "kept", map! {})]);
        stage.ok(&stage.admin, "CGImport", list![good, "cg"]).await;
        let file = top(&stage, "kept/1.0/1/files/npm/kept.tgz");
        let stored = top(&stage, "kept/1.0/1/metadata.json");
        let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        let own = top(&stage, "other/1.0/1/files/npm/kept.tgz");
        fs::create_dir_all(own.parent().unwrap()).unwrap();
        let from = put(&stage, "cg2/kept.tgz", "other");
        fs::hard_link(&from, &own).unwrap();
        // one import that wanted the same place, and one that had a place of its own
        for steps in [
            list![list![text(&from), text(&file)], list![Value::Nil, text(&stored)]],
            list![list![text(&from), text(&own)]],
        ] {
            let mut call = stage.world.call().await;
            toji_db::journal::insert(&mut call.tx, None, &steps).await.unwrap();
            call.commit().await.unwrap();
        }
        toji_hub::build::import::recover(&stage.world.hub, 0.0).await.unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
        assert!(stored.is_file());
        assert!(!top(&stage, "other").exists(), "what was not committed goes");
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_import", &[]).await, Value::Int(0));
    }
}
