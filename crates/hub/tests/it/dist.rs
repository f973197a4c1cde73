//! Repositories for distribution: made, filled with signed copies, and published.

use std::fs;

use toji_db::Db;
use toji_testkit::both_databases;
use toji_value::{Map, Value, list, map};

use super::fixture::{imported, named, packages, top};
use super::people::Stage;

const RPM: &str = "shelf-1.0-1.x86_64.rpm";

fn options(more: Map) -> Map {
    let mut opts = map! {
        "arch" => list!["x86_64"], "comps" => Value::Nil, "delta" => list![], "event" => Value::Nil,
        "inherit" => true, "latest" => true, "multilib" => false, "split_debuginfo" => false,
        "skip_missing_signatures" => false, "allow_missing_signatures" => false,
    };
    opts.extend(more);
    opts
}

/// A hub with a tag that holds the signed packages.
async fn furnished(db: Db) -> Stage {
    let stage = imported(db, &packages().signed).await;
    stage.world.tag("f40", &[]).await;
    stage.ok(&stage.admin, "packageListAdd", list!["f40", "shelf", "alice"]).await;
    stage.ok(&stage.admin, "tagBuildBypass", list!["f40", "shelf-1.0-1"]).await;
    stage
}

/// Submits a dist repository and opens its task; gives the numbers of both.
async fn submit(stage: &Stage, more: Map) -> (i64, i64) {
    let keys = list![&packages().key];
    let args = list!["f40", keys];
    let task = stage.ok_kw(&stage.admin, "distRepo", args, options(more)).await.as_int().unwrap();
    let info = stage.ok(&stage.admin, "getTaskRequest", list![task]).await;
    let repo = info.as_array().unwrap()[1].as_int().unwrap();
    (task, repo)
}

/// What a builder hands over for one arch.
async fn kojipkgs(stage: &Stage) -> Map {
    let args = list!["f40"];
    let kw = map! { "rpmsigs" => true, "arch" => "x86_64" };
    let found = stage.ok_kw(&stage.admin, "listTaggedRPMS", args, kw).await;
    let rpms = found.as_array().unwrap()[0].as_array().unwrap();
    let entry = |rpm: &Value| {
        (format!("shelf-1.0-1.{}.rpm", rpm.get("arch").display()).into(), rpm.clone())
    };
    rpms.iter().map(entry).collect()
}

both_databases! {
    async fn a_dist_repo_is_made_and_published(db: Db) {
        let stage = furnished(db).await;
        let comps = top(&stage, "work/up/comps.xml");
        fs::write(&comps, "<comps/>").unwrap();
        let (task, repo) = submit(&stage, map! { "comps" => "up/comps.xml" }).await;
        let info = stage.ok(&stage.admin, "repoInfo", list![repo]).await;
        assert_eq!((info.get("state"), info.get("dist")), (&Value::Int(0), &Value::Bool(true)));
        let dir = top(&stage, &format!("repos-dist/f40/{repo}"));
        assert!(dir.join("x86_64").is_dir() && dir.join("groups/comps.xml").is_file());
        let text = fs::read_to_string(dir.join("repo.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["tag"], "f40");
        assert_eq!(json["keys"][0], packages().key.as_str());
        let shown = stage.ok(&stage.admin, "getTaskInfo", list![task]).await;
        assert_eq!(shown.get("priority"), &Value::Int(15));

        let key = packages().key.as_str();
        stage.ok(&stage.builder, "host.writeSignedRPM", list!["shelf-1.0-1.x86_64", key]).await;
        let child = stage.open_task("createdistrepo", list!["f40", repo, "x86_64", list![key], map! {}]).await;
        let rel = stage.world.hub.paths.taskrelpath(child);
        let upload = top(&stage, "work").join(&rel);
        fs::create_dir_all(&upload).unwrap();
        let pkgs = kojipkgs(&stage).await;
        assert_eq!(pkgs.len(), 1);
        fs::write(upload.join("kojipkgs"), Value::Struct(pkgs).to_json().to_string()).unwrap();
        let made = stage.ok(&stage.builder, "host.createDistRepo", list![child, repo, "x86_64"]).await;
        assert_eq!(made, Value::Int(1));
        let mover = list![repo, rel.as_str(), "x86_64"];
        let refused = stage.refused(&stage.admin, "host.distRepoMove", mover.clone()).await;
        assert!(refused.ends_with("is not a host"), "{refused}");
        stage.ok(&stage.builder, "host.distRepoMove", mover).await;
        stage.ok(&stage.builder, "host.repoDone", list![repo, map! {}]).await;
        let arch = dir.join("x86_64");
        let copy = fs::read(arch.join("Packages/s").join(RPM)).unwrap();
        let signed = named(&packages().signed, RPM);
        assert!(copy == fs::read(signed).unwrap(), "the repository has the signed copy");
        assert!(arch.join("repodata/repomd.xml").is_file() && arch.join("kojipkgs").is_file());
        assert_eq!(fs::read_to_string(arch.join("pkglist")).unwrap(), format!("Packages/s/{RPM}\n"));
        let info = stage.ok(&stage.admin, "repoInfo", list![repo]).await;
        assert_eq!(info.get("state"), &Value::Int(1));
        let latest = top(&stage, "repos-dist/f40/latest");
        assert_eq!(fs::read_link(latest).unwrap().to_str().unwrap(), repo.to_string());
        let found = stage.ok_kw(&stage.admin, "getRepo", list!["f40"], map! { "dist" => true }).await;
        assert_eq!(found.get("id"), &Value::Int(repo));
    }

    async fn what_is_handed_over_is_checked(db: Db) {
        let stage = furnished(db).await;
        let (task, repo) = submit(&stage, map! {}).await;
        let refused = stage.refused(&stage.builder, "host.distRepoMove", list![repo, "loose", "x86_64"]).await;
        assert!(refused.ends_with(&format!("has no task that makes repo {repo}")), "{refused}");
        let channel = list!["builder.example.com", "createrepo"];
        stage.ok_kw(&stage.admin, "addHostToChannel", channel, map! { "create" => true }).await;
        stage.ok(&stage.builder, "host.openTask", list![task]).await;
        let upload = top(&stage, "work/loose");
        fs::create_dir_all(&upload).unwrap();
        let mover = |arch: &str| list![repo, "loose", arch];
        let refused = stage.refused(&stage.builder, "host.distRepoMove", mover("ppc64le")).await;
        assert!(refused.starts_with("Repo arch directory missing: "), "{refused}");
        let refused = stage.refused(&stage.builder, "host.distRepoMove", mover("x86_64")).await;
        assert_eq!(refused, "Missing repo manifest");
        fs::write(upload.join("repo_manifest"), "[\"../../secret\"]").unwrap();
        let refused = stage.refused(&stage.builder, "host.distRepoMove", mover("x86_64")).await;
        assert_eq!(refused, "Missing kojipkgs file");
        fs::write(upload.join("kojipkgs"), "{}").unwrap();
        let refused = stage.refused(&stage.builder, "host.distRepoMove", mover("x86_64")).await;
        assert!(refused.contains("../../secret"), "{refused}");
        fs::write(upload.join("repo_manifest"), "[\"gone\"]").unwrap();
        let refused = stage.refused(&stage.builder, "host.distRepoMove", mover("x86_64")).await;
        assert!(refused.starts_with("uploaded file missing: "), "{refused}");
        let mut pkgs = kojipkgs(&stage).await;
        let entry = pkgs.get_mut(RPM).and_then(Value::as_struct_mut).unwrap();
        entry.insert("size", 1);
        fs::write(upload.join("kojipkgs"), Value::Struct(pkgs).to_json().to_string()).unwrap();
        let refused = stage.refused(&stage.builder, "host.distRepoMove", mover("x86_64")).await;
        assert_eq!(refused, format!("kojipkgs entry does not match db: file {RPM}, key size"));
        let refused = stage.refused(&stage.builder, "host.distRepoMove", list![repo, "../..", "x86_64"]).await;
        assert_eq!(refused, "Invalid upload directory: ../..");
    }

    async fn the_policy_lets_others_make_dist_repos(db: Db) {
        let stage = Stage::with(db, |config| {
            let rules = "tag open :: allow\nall :: deny closed";
            config.policies = vec![("dist_repo".into(), rules.into())];
        })
        .await;
        for tag in ["open", "shut"] {
            stage.world.tag(tag, &[]).await;
        }
        let ask = |tag: &'static str| async {
            let args = toji_value::Args { positional: vec![tag.into(), list!["k"]], keywords: options(map! {}) };
            stage.world.hub.call(&stage.alice, "distRepo", args).await
        };
        assert!(ask("open").await.is_ok());
        let refused = ask("shut").await.unwrap_err();
        assert_eq!(refused.message, "policy violation (dist_repo): closed");
        let refused = stage.refused(&stage.admin, "distRepo", list!["open", "k"]).await;
        assert!(refused.contains("expected type <class 'list'>"), "{refused}");
        let dirs = fs::read_dir(top(&stage, "repos-dist")).unwrap().count();
        assert_eq!(dirs, 1, "nothing is left of what was refused");
    }

    async fn a_dist_repo_may_be_on_a_volume_and_cancel_others(db: Db) {
        let stage = furnished(db).await;
        fs::create_dir_all(top(&stage, "vol/pub")).unwrap();
        stage.ok(&stage.admin, "addVolume", list!["pub"]).await;
        let kw = map! { "extra" => map! { "distrepo.cancel_others" => true } };
        stage.ok_kw(&stage.admin, "editTag2", list!["f40"], kw).await;
        let (first, _) = submit(&stage, map! {}).await;
        let (second, repo) = submit(&stage, map! { "volume" => "pub" }).await;
        let state = |task: i64| stage.ok(&stage.admin, "getTaskInfo", list![task]);
        assert_eq!(state(first).await.get("state"), &Value::Int(3));
        assert_eq!(state(second).await.get("state"), &Value::Int(0));
        let link = top(&stage, &format!("repos-dist/f40/{repo}"));
        assert_eq!(fs::read_link(&link).unwrap().to_str().unwrap(), format!("../../vol/pub/repos-dist/f40/{repo}"));
        assert!(link.join("x86_64").is_dir());
    }
}
