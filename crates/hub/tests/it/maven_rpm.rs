//! Koji's plugin rpm2maven: the Maven repository in an imported RPM.

use std::fs;
use std::path::PathBuf;

use toji_db::Db;
use toji_rpmgen::{Rpmbuild, find_rpms};
use toji_testkit::both_databases;
use toji_value::{Value, list, map};

use super::people::Stage;

const SPEC: &[u8] = b"Name: shelf\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\nBuildArch: noarch\n\
    %description\nd\n%package repolib\nSummary: s\n%description repolib\nd\n\
    %install\nroot=%{buildroot}/usr/share/java/repository/maven2/org/example\nmkdir -p $root/shelf/1.0 $root/loose/2 %{buildroot}/usr/share/doc/x\n\
    echo '<project><groupId>org.example</groupId><artifactId>shelf</artifactId><version>1.0</version></project>' > $root/shelf/1.0/shelf-1.0.pom\n\
    echo jar > $root/shelf/1.0/shelf-1.0.jar\necho x > $root/shelf/1.0/notes.unknown\necho jar > $root/loose/2/loose-2.jar\n\
    echo jar > %{buildroot}/usr/share/doc/x/shelf-1.0.jar\n\
    %files\n%files repolib\n/usr/share\n%changelog\n";

/// Hub, and the names of the packages in the upload area's directory `cli`.
async fn stage(db: Db, plugins: &[&str]) -> (Stage, Vec<String>) {
    let plugins: Vec<String> = plugins.iter().map(|name| (*name).to_owned()).collect();
    let stage = Stage::with(db, |config| {
        (config.enable_maven, config.plugins) = (true, plugins);
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    Rpmbuild::new(dir.path(), &out).unwrap().build("shelf", SPEC, &["-ba"]).unwrap();
    let upload = top(&stage, "work/cli");
    fs::create_dir_all(&upload).unwrap();
    let mut names = Vec::new();
    for package in find_rpms(&out).unwrap() {
        let name = package.file_name().unwrap().to_str().unwrap().to_owned();
        fs::copy(&package, upload.join(&name)).unwrap();
        names.push(name);
    }
    names.sort_by_key(|name| !name.ends_with(".src.rpm"));
    (stage, names)
}

fn top(stage: &Stage, path: &str) -> PathBuf {
    stage.dir.path().join(path)
}

both_databases! {
    async fn archives_of_a_package_are_imported(db: Db) {
        let (stage, names) = stage(db, &["rpm2maven"]).await;
        for name in &names {
            stage.ok(&stage.admin, "importRPM", list!["cli", name]).await;
        }
        let archives = stage.ok_kw(&stage.alice, "listArchives", list![], map! { "type" => "maven" }).await;
        let archives = archives.as_array().unwrap();
        let mut files: Vec<&str> = archives.iter().map(|one| one.get("filename").as_str().unwrap()).collect();
        files.sort_unstable();
        assert_eq!(files, ["shelf-1.0.jar", "shelf-1.0.pom"]);
        assert_eq!(archives[0].get("group_id"), &Value::from("org.example"));
        let build = stage.ok(&stage.alice, "getMavenBuild", list!["shelf-1-1"]).await;
        let gav = ["group_id", "artifact_id", "version"].map(|key| build.get(key).display());
        assert_eq!(gav, ["shelf", "shelf-repolib", "1-1"]);
        let dir = top(&stage, "packages/shelf/1/1/maven/org/example/shelf/1.0");
        assert_eq!(fs::read_to_string(dir.join("shelf-1.0.jar")).unwrap(), "jar\n");
        assert!(dir.join("shelf-1.0.jar.md5").is_file());
        assert!(!fs::symlink_metadata(dir.join("shelf-1.0.jar")).unwrap().is_symlink());
        assert!(!top(&stage, "work/rpm2maven/shelf-1-1").exists());
        assert!(top(&stage, "packages/shelf/1/1/noarch/shelf-repolib-1-1.noarch.rpm").is_file());
    }

    async fn an_import_that_fails_leaves_no_archives(db: Db) {
        let (stage, names) = stage(db, &["rpm2maven"]).await;
        stage.ok(&stage.admin, "importRPM", list!["cli", &names[0]]).await;
        let repolib = names.iter().find(|name| name.contains("repolib")).unwrap();
        let info = map! { "group_id" => "other", "artifact_id" => "other", "version" => "1" };
        stage.ok(&stage.admin, "createMavenBuild", list!["shelf-1-1", info]).await;
        let refused = stage.refused(&stage.admin, "importRPM", list!["cli", repolib]).await;
        assert!(refused.contains("Error running postImport callback from rpm2maven"), "{refused}");
        assert!(!top(&stage, "packages/shelf/1/1/maven").exists());
        assert!(!top(&stage, "packages/shelf/1/1/noarch").exists());
        assert!(!top(&stage, "work/rpm2maven/shelf-1-1").exists());
        assert!(top(&stage, "work/cli").join(repolib).is_file());
    }
}
