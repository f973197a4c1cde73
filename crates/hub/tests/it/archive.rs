//! Archives that users import, what is known of them, and what tags offer.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use toji_db::Db;
use toji_testkit::both_databases;
use toji_value::{Map, Value, list, map};

use super::people::Stage;

const POM: &str = "<?xml version=\"1.0\"?>\n<project><modelVersion>4.0.0</modelVersion>\n\
    <groupId>org.example</groupId><artifactId>foo</artifactId><version>1.0</version></project>\n";

/// Makes a container with `a/b.class` and a file `META-INF/MANIFEST.MF` in the upload area.
pub(super) fn pack(stage: &Stage, rel: &str, kind: &str) {
    let path = stage.dir.path().join("work").join(rel);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let script = "import io, sys, tarfile, zipfile\n\
        path, kind = sys.argv[1:]\n\
        files = {'a/b.class': b'x', 'META-INF/MANIFEST.MF': b'manifest'}\n\
        if kind == 'zip':\n\
        \x20   with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as z:\n\
        \x20       for n, d in files.items(): z.writestr(zipfile.ZipInfo(n, (2026, 11, 22, 1, 2, 4)), d)\n\
        else:\n\
        \x20   with tarfile.open(path, 'w' + kind) as t:\n\
        \x20       for n, d in files.items():\n\
        \x20           i = tarfile.TarInfo(n); i.size = len(d); i.mtime = 1795309324; i.uname = 'me'; i.mode = 0o640\n\
        \x20           t.addfile(i, io.BytesIO(d))\n";
    let made = Command::new("python3").arg("-c").arg(script).arg(&path).arg(kind).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

pub(super) fn put(stage: &Stage, rel: &str, content: &str) -> PathBuf {
    let path = stage.dir.path().join("work").join(rel);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

pub(super) async fn stage(db: Db) -> Stage {
    Stage::with(db, |config| {
        config.enable_maven = true;
        config.enable_win = true;
        config.disable_notifications = true;
    })
    .await
}

fn nvr(name: &str) -> Map {
    map! { "name" => name, "version" => "1.0", "release" => "1", "epoch" => Value::Nil }
}

fn gav() -> Map {
    map! { "group_id" => "org.example", "artifact_id" => "foo", "version" => "1.0" }
}

fn keys(value: &Value) -> Vec<String> {
    let mut keys: Vec<String> = value.as_struct().unwrap().keys().map(str::to_owned).collect();
    keys.sort();
    keys
}

/// A build `org.example-foo-1.0-1` with a jar and a project file.
async fn with_maven_build(stage: &Stage) -> Value {
    stage.ok(&stage.admin, "createMavenBuild", list![nvr("org.example-foo"), gav()]).await;
    pack(stage, "cli/foo-1.0.jar", "zip");
    put(stage, "cli/foo-1.0.pom", POM);
    for name in ["foo-1.0.pom", "foo-1.0.jar"] {
        let args = list![format!("cli/{name}"), "org.example-foo-1.0-1", "maven", gav()];
        assert_eq!(stage.ok(&stage.admin, "importArchive", args).await, Value::Nil);
    }
    stage.ok(&stage.alice, "listArchives", list![]).await
}

both_databases! {
    async fn a_maven_archive_is_imported_whole(db: Db) {
        let stage = stage(db).await;
        let archives = with_maven_build(&stage).await;
        let jar = archives.as_array().unwrap()[0].get("id").as_int().unwrap();
        let found = stage.ok(&stage.alice, "getArchive", list![jar]).await;
        for (key, want) in [
            ("filename", Value::from("foo-1.0.jar")), ("type_name", "jar".into()),
            ("group_id", "org.example".into()), ("artifact_id", "foo".into()),
            ("version", "1.0".into()), ("btype", "maven".into()), ("checksum_type", 2.into()),
            ("metadata_only", false.into()), ("buildroot_id", Value::Nil), ("extra", Value::Nil),
        ] {
            assert_eq!(found.get(key), &want, "{key}");
        }
        let maven = stage.ok(&stage.alice, "getMavenArchive", list![jar]).await;
        assert_eq!(keys(&maven), ["archive_id", "artifact_id", "group_id", "version"]);
        assert_eq!(stage.ok(&stage.alice, "getWinArchive", list![jar]).await, Value::Nil);
        let strict = stage.refused(&stage.alice, "getImageArchive", list![jar, true]).await;
        assert_eq!(strict, "query returned no rows");
        let dir = stage.dir.path().join("packages/org.example-foo/1.0/1/maven/org/example/foo/1.0");
        for name in ["foo-1.0.jar", "foo-1.0.pom", "foo-1.0.jar.sha1", "foo-1.0.pom.md5"] {
            assert!(dir.join(name).is_file(), "{name}");
        }
        assert_eq!(fs::read_to_string(dir.join("foo-1.0.pom")).unwrap(), POM);
        assert_eq!(fs::read_to_string(dir.join("foo-1.0.pom.md5")).unwrap().len(), 32);
        let old = stage.dir.path().join("work/cli/foo-1.0.jar");
        assert!(fs::symlink_metadata(&old).unwrap().is_symlink() && old.is_file());
        // two files and their checksums
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_file", &[]).await, Value::Int(6));
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_import", &[]).await, Value::Int(0));

        let files = stage.ok(&stage.alice, "listArchiveFiles", list![jar]).await;
        let first = map! {
            "archive_id" => jar, "name" => "a/b.class", "size" => 1, "mtime" => 1_795_309_324_i64,
        };
        assert_eq!(files.as_array().unwrap()[0], first.clone().into());
        let opts = map! { "countOnly" => true };
        let count = stage.ok(&stage.alice, "listArchiveFiles", list![jar, opts]).await;
        assert_eq!(count, Value::Int(2));
        let one = stage.ok(&stage.alice, "getArchiveFile", list![jar, "a/b.class"]).await;
        assert_eq!(one, first.into());
        let none = stage.ok(&stage.alice, "getArchiveFile", list![jar, "nope"]).await;
        assert_eq!(none, Value::Nil);
        let strict = stage.refused(&stage.alice, "getArchiveFile", list![jar, "nope", true]).await;
        assert_eq!(strict, format!("No such file: nope in archive#{jar}"));
        let pom = jar - 1;
        assert_eq!(stage.ok(&stage.alice, "listArchiveFiles", list![pom]).await, list![]);
        let args = list![pom, Value::Nil, true];
        let strict = stage.refused(&stage.alice, "listArchiveFiles", args).await;
        assert_eq!(strict, "Unsupported archive type: pom");
        let missing = stage.refused(&stage.alice, "getArchiveFile", list![99, "x"]).await;
        assert_eq!(missing, "No such archive: 99");
        fs::write(dir.join("foo-1.0.jar"), "broken").unwrap();
        let broken = stage.call(&stage.alice, "listArchiveFiles", list![jar]).await.unwrap_err();
        assert_eq!(broken.code, 1);
    }

    async fn what_does_not_fit_is_refused_and_leaves_nothing(db: Db) {
        let stage = stage(db).await;
        with_maven_build(&stage).await;
        let nvr_text = "org.example-foo-1.0-1";
        let other = map! { "group_id" => "g", "artifact_id" => "foo", "version" => "1.0" };
        put(&stage, "x/foo-1.0.pom", POM);
        put(&stage, "x/bar-1.0.pom", POM);
        put(&stage, "x/foo.exe2", "x");
        put(&stage, "x/foo-1.0.jar", "x");
        std::os::unix::fs::symlink("foo-1.0.pom", stage.dir.path().join("work/x/l-1.pom")).unwrap();
        let before = stage.world.get("SELECT count(*) FROM toji_file", &[]).await;
        let top = stage.dir.path().display().to_string();
        let maven = format!("{top}/packages/org.example-foo/1.0/1/maven");
        for (path, btype, info, want) in [
            ("x/none.jar", "maven", gav(), format!("No such file: {top}/work/x/none.jar")),
            ("x/foo.exe2", "maven", gav(), "unsupported file extension: foo.exe2".into()),
            ("x/foo-1.0.jar", "zip", gav(), "unsupported archive type: zip".into()),
            ("x/foo-1.0.jar", "win", gav(), "Build does not have type win".into()),
            ("x/foo-1.0.jar", "maven", gav(), format!(
                "Error importing archive file, {maven}/org/example/foo/1.0/foo-1.0.jar already exists")),
            ("x/foo-1.0.pom", "maven", other.clone(), "Maven info from .pom file \
                (org.example-foo-1.0) does not match user-supplied typeInfo (g-foo-1.0)".into()),
            ("x/bar-1.0.pom", "maven", gav(), "Maven info (org.example-foo-1.0) is not consistent \
                with pom filename (bar-1.0.pom)".into()),
            ("../../etc/passwd", "maven", gav(), "Invalid path segment: ../../etc/passwd".into()),
            ("/etc/passwd", "maven", gav(), "Invalid path segment: /etc/passwd".into()),
        ] {
            let args = list![path, nvr_text, btype, info];
            assert_eq!(stage.refused(&stage.admin, "importArchive", args).await, want, "{path}");
        }
        let out = map! { "group_id" => "g", "artifact_id" => "../../../..", "version" => "../../x" };
        let args = list!["x/foo-1.0.jar", nvr_text, "maven", out];
        let refused = stage.refused(&stage.admin, "importArchive", args).await;
        assert!(refused.starts_with("Invalid path segment: "), "{refused}");
        let link = list!["x/l-1.pom", nvr_text, "maven", gav()];
        let refused = stage.refused(&stage.admin, "importArchive", link).await;
        assert!(refused.contains("is not consistent") || refused.contains("not a regular file"));
        let args = list!["x/foo-1.0.jar", nvr_text, "maven", gav()];
        let refused = stage.refused(&stage.alice, "importArchive", args).await;
        assert_eq!(refused, "maven-import permission required (logged in as alice)");
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_file", &[]).await, before);
        assert_eq!(stage.world.get("SELECT count(*) FROM archiveinfo", &[]).await, Value::Int(2));
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_import", &[]).await, Value::Int(0));
    }

    async fn typed_builds_are_made_once(db: Db) {
        let stage = stage(db).await;
        let admin = &stage.admin;
        stage.ok(admin, "createMavenBuild", list![nvr("m"), gav()]).await;
        stage.ok(admin, "createMavenBuild", list!["m-1.0-1", gav()]).await;
        let other = map! { "group_id" => "g2", "artifact_id" => "foo", "version" => "1.0" };
        for (info, maven, want) in [
            (nvr("m"), Value::from(other), "group_id mismatch (current: org.example, new: g2)"),
            (nvr("n"), map! { "group_id" => "g" }.into(),
                "Maven info doesn't have mandatory 'artifact_id' key"),
            (nvr("n"), map! {}.into(), "Maven info is empty"),
            (nvr("n"), "x".into(), "Invalid type for maven_info: <class 'str'>"),
            (map! { "name" => "n", "version" => "1", "release" => "1" }, gav().into(),
                "Build info doesn't have mandatory 'epoch' key"),
        ] {
            let refused = stage.refused(admin, "createMavenBuild", list![info, maven]).await;
            assert_eq!(refused, want);
        }
        let refused = stage.refused(admin, "createMavenBuild", list!["none-1-1", gav()]).await;
        assert_eq!(refused, "Invalid type for build_info: <class 'str'>");
        let mut draft = nvr("d");
        draft.insert("draft", true);
        let refused = stage.refused(admin, "createImageBuild", list![draft]).await;
        assert_eq!(refused, "Draft build not supported");
        let refused = stage.refused(admin, "createWinBuild", list![nvr("w"), map! { "a" => 1 }]).await;
        assert_eq!(refused, "Windows info doesn't have mandatory platform key");
        for platform in ["x", "y"] {
            let args = list![nvr("w"), map! { "platform" => platform }];
            stage.ok(admin, "createWinBuild", args).await;
        }
        let win = stage.ok(&stage.alice, "getWinBuild", list!["w-1.0-1"]).await;
        assert_eq!(win.get("platform"), &"y".into());
        stage.ok(admin, "createImageBuild", list![nvr("i")]).await;
        stage.ok(admin, "createImageBuild", list![nvr("i")]).await;
        let types = stage.ok(&stage.alice, "getBuildType", list!["i-1.0-1"]).await;
        assert_eq!(keys(&types), ["image"]);
        let build = stage.ok(&stage.alice, "getBuild", list!["i-1.0-1"]).await;
        assert_eq!(build.get("state"), &Value::Int(1));
        assert_eq!(build.get("owner_name"), &"root".into());
    }

    async fn windows_and_image_archives_have_their_places(db: Db) {
        let stage = stage(db).await;
        let admin = &stage.admin;
        stage.ok(admin, "createWinBuild", list![nvr("w"), map! { "platform" => "w10" }]).await;
        stage.ok(admin, "createImageBuild", list![nvr("i")]).await;
        put(&stage, "x/a.dll", "dll");
        put(&stage, "x/disk.qcow2", "qcow2");
        for kind in [":gz", ":bz2", ":xz", ":"] {
            pack(&stage, &format!("x/t{}.tar{}", kind.len(), kind.replace(':', ".").trim_end_matches('.')), kind);
        }
        let win = map! {
            "relpath" => "/bin/x64/", "platforms" => list!["i386", "x86_64"], "flags" => list!["fre"],
        };
        stage.ok(admin, "importArchive", list!["x/a.dll", "w-1.0-1", "win", win]).await;
        let mut none = map! { "relpath" => "", "platforms" => list![], "flags" => list![] };
        put(&stage, "x/b.dll", "dll");
        let refused = stage.refused(admin, "importArchive", list!["x/b.dll", "w-1.0-1", "win", none.clone()]).await;
        assert_eq!(refused, "no value for platforms");
        none.insert("platforms", list!["any"]);
        stage.ok(admin, "importArchive", list!["x/b.dll", "w-1.0-1", "win", none]).await;
        let top = stage.dir.path().join("packages");
        assert_eq!(fs::read_to_string(top.join("w/1.0/1/win/bin/x64/a.dll")).unwrap(), "dll");
        assert!(top.join("w/1.0/1/win/b.dll").is_file());
        let listed = stage.ok(&stage.alice, "listArchives", list![]).await;
        let ids: Vec<i64> = listed.as_array().unwrap().iter().map(|a| a.get("id").as_int().unwrap()).collect();
        let first = stage.ok(&stage.alice, "getArchive", list![ids[1]]).await;
        assert_eq!(first.get("relpath"), &"bin/x64".into());
        assert_eq!(first.get("platforms"), &"i386 x86_64".into());
        assert_eq!(first.get("flags"), &"fre".into());
        let second = stage.ok(&stage.alice, "getWinArchive", list![ids[0]]).await;
        assert_eq!(second.get("flags"), &Value::Nil);

        let arch = map! { "arch" => "x86_64" };
        stage.ok(admin, "importArchive", list!["x/disk.qcow2", "i-1.0-1", "image", arch.clone()]).await;
        assert!(top.join("i/1.0/1/images/disk.qcow2").is_file());
        for name in ["t3.tar.gz", "t4.tar.bz2", "t3.tar.xz", "t1.tar"] {
            stage.ok(admin, "importArchive", list![format!("x/{name}"), "i-1.0-1", "image", arch.clone()]).await;
            let found = stage.ok(&stage.alice, "listArchives", list![]).await;
            let id = found.as_array().unwrap()[0].get("id").clone();
            let files = stage.ok(&stage.alice, "listArchiveFiles", list![id.clone()]).await;
            let want = map! {
                "archive_id" => id, "name" => "a/b.class", "size" => 1, "mtime" => 1_795_309_324_i64,
                "mode" => 0o640, "user" => "me", "group" => "",
            };
            assert_eq!(files.as_array().unwrap()[0], want.into(), "{name}");
        }
        let image = stage.ok(&stage.alice, "getArchive", list![ids[0] + 1]).await;
        assert_eq!((image.get("arch"), image.get("rootid")), (&"x86_64".into(), &false.into()));
    }

    async fn tags_offer_the_newest_maven_archives(db: Db) {
        let stage = stage(db).await;
        with_maven_build(&stage).await;
        let admin = &stage.admin;
        let parent = stage.world.tag("base", &[]).await;
        stage.world.tag("top", &[parent]).await;
        // an older version of the same artifact, in another package
        let old = map! { "group_id" => "org.example", "artifact_id" => "foo", "version" => "0.9" };
        stage.ok(admin, "createMavenBuild", list![nvr("old-foo"), old.clone()]).await;
        pack(&stage, "y/foo-0.9.jar", "zip");
        stage.ok(admin, "importArchive", list!["y/foo-0.9.jar", "old-foo-1.0-1", "maven", old]).await;
        for (tag, package) in [("base", "old-foo"), ("top", "org.example-foo")] {
            stage.ok(admin, "packageListAdd", list![tag, package, "alice"]).await;
            stage.ok(admin, "tagBuildBypass", list![tag, format!("{package}-1.0-1")]).await;
        }
        let found = stage.ok(&stage.alice, "getLatestMavenArchives", list!["top"]).await;
        let names = |value: &Value| -> Vec<String> {
            value.as_array().unwrap().iter().map(|a| a.get("filename").display()).collect()
        };
        assert_eq!(names(&found), ["foo-1.0.pom", "foo-1.0.jar"]);
        assert_eq!(found.as_array().unwrap()[0].get("build_name"), &"org.example-foo".into());
        let all = map! { "maven_include_all" => true, "maven_support" => true };
        let mut args = toji_value::Args { positional: vec!["base".into()], keywords: all };
        stage.world.hub.call(admin, "editTag2", args).await.unwrap();
        let found = stage.ok(&stage.alice, "getLatestMavenArchives", list!["top"]).await;
        assert_eq!(names(&found), ["foo-1.0.pom", "foo-1.0.jar", "foo-0.9.jar"]);
        let own = stage.ok(&stage.alice, "getLatestMavenArchives", list!["top", Value::Nil, false]).await;
        assert_eq!(names(&own), ["foo-1.0.pom", "foo-1.0.jar"]);
        let refused = stage.refused(&stage.alice, "getLatestMavenArchives", list!["zzz"]).await;
        assert_eq!(refused, "No such entry in table tag: zzz");

        args = toji_value::Args {
            positional: vec!["top".into()],
            keywords: map! { "inherit" => true, "type" => "maven", "extra" => false },
        };
        let listed = stage.world.hub.call(&stage.alice, "listTaggedArchives", args).await.unwrap();
        let [archives, builds] = listed.as_array().unwrap() else { panic!("two lists") };
        assert_eq!(names(archives), ["foo-1.0.pom", "foo-1.0.jar", "foo-0.9.jar"]);
        assert_eq!(archives.as_array().unwrap()[0].get("maven_version"), &"1.0".into());
        assert!(!keys(&archives.as_array().unwrap()[0]).contains(&"extra".to_owned()));
        assert_eq!(builds.as_array().unwrap().len(), 2);
        let args = list!["top", Value::Nil, false, false, Value::Nil, "image"];
        let refused = stage.refused(&stage.alice, "listTaggedArchives", args).await;
        assert_eq!(refused, "unsupported archive type: image");
        let args = list!["zzz", Value::Nil, false, false, Value::Nil, Value::Nil, false];
        assert_eq!(stage.ok(&stage.alice, "listTaggedArchives", args).await, list![]);
    }

    async fn rpms_of_other_places_are_entered_once(db: Db) {
        let stage = stage(db).await;
        stage.ok(&stage.admin, "createExternalRepo", list!["ext", "http://localhost/"]).await;
        let rpm = map! {
            "name" => "x", "version" => "1", "release" => "1", "epoch" => Value::Nil,
            "arch" => "noarch", "payloadhash" => "abc", "size" => 1, "buildtime" => 1,
        };
        let call = async |rpm: &Map, strict: bool| {
            stage.call(&stage.admin, "addExternalRPM", list![rpm.clone(), "ext", strict]).await
        };
        assert_eq!(call(&rpm, true).await, Ok(Value::Nil));
        assert_eq!(call(&rpm, false).await, Ok(Value::Nil));
        let refused = call(&rpm, true).await.unwrap_err().message;
        assert_eq!(refused, "external rpm already exists: x-1-1.noarch@ext");
        let mut other = rpm.clone();
        other.insert("payloadhash", "def");
        let refused = call(&other, false).await.unwrap_err().message;
        assert_eq!(refused, "hash changed for external rpm: x-1-1.noarch@ext (abc -> def)");
        other.insert("size", "1");
        let refused = call(&other, false).await.unwrap_err().message;
        assert_eq!(refused, "Invalid value for size: '1'");
        other.remove("arch");
        let refused = call(&other, false).await.unwrap_err().message;
        assert!(refused.starts_with("arch field missing: {"), "{refused}");
        assert_eq!(stage.world.get("SELECT count(*) FROM rpminfo", &[]).await, Value::Int(1));
    }
}
