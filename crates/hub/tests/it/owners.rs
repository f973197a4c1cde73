//! Calls whose access depends on whose the object is: for each kind of caller, on an object of the user `alice`.

use toji_api::Access;
use toji_db::{Db, Param};
use toji_testkit::both_databases;
use toji_value::{Args, Fault, Map, Value, code, list, map};

use super::access::Role::{self, Admin, Builder, Holder, Nobody, OtherBuilder, Owner};
use super::access::{Cast, ROLES};
use super::digest;
use super::signer::keys;

const EVERYBODY: &[Role] = &ROLES;
const OWN: &[Role] = &[Owner, Admin];
const ADMIN: &[Role] = &[Admin];
const PERMITTED: &[Role] = &[Holder, Admin];
const BUILDERS: &[Role] = &[Builder, OtherBuilder];

/// Who may make a call that decides for itself; nothing for one that this test does not know.
fn may(name: &str) -> Option<&'static [Role]> {
    Some(match name {
        "resubmitTask" | "saveFailedTree" | "cancelBuild" | "removeSideTag" | "editSideTag" => OWN,
        "createNotification" | "updateNotification" | "deleteNotification" => OWN,
        "createNotificationBlock" | "deleteNotificationBlock" => OWN,
        // Who is not logged in is told of no session.
        "getSessionInfo" => &[Nobody, Owner, Admin],
        "cancelTask" | "cancelTaskChildren" => &[Owner, Builder, Admin],
        // Of the user that is named.
        "getBuildNotifications" | "getBuildNotificationBlocks" | "checkTagAccess" => EVERYBODY,
        "enableUser" => ADMIN,
        "host.isEnabled" => BUILDERS,
        // Only who has a token, and nobody here has one.
        "host.enrol" => &[],
        "setInheritanceData" | "newRepo" | "buildImageOz" | "importArchive" => PERMITTED,
        // That a package is somebody's gives no rights: the policy asks for a permission.
        "packageListAdd" | "packageListRemove" | "packageListBlock" | "packageListUnblock" => {
            PERMITTED
        }
        "packageListSetOwner" | "packageListSetArches" => PERMITTED,
        "buildImage" | "distRepo" => ADMIN,
        // The policy asks for the permission `sign`, which also ends jobs of others.
        "signing.request" => PERMITTED,
        "signing.cancel" => &[Owner, Holder, Admin],
        // The generator is alice's; administrators are no exception.
        "CGInitBuild" | "CGRefundBuild" | "CGImport" => &[Owner],
        _ => return None,
    })
}

/// Calls that work on the caller's own session alone, or lock the caller out.
fn is_left_out(name: &str) -> bool {
    ["disableUser", "logout", "logoutChild", "subsession", "exclusiveSession", "sharedSession"]
        .contains(&name)
        || name.to_lowercase().contains("login")
}

/// Whether a fault says that the caller may not do that.
fn is_denial(fault: &Fault) -> bool {
    let text = fault.message.as_str();
    let words = [" cannot ", "Not logged-in", "permission required", "only the task owner"];
    let told = words.iter().any(|word| text.contains(word));
    [code::AUTH, code::ACTION_NOT_ALLOWED].contains(&fault.code)
        || fault.code == code::GENERIC && told
}

/// What of alice's there is to call about.
struct Props<'a> {
    cast: &'a Cast,
    alice: i64,
    number: usize,
}

impl Props<'_> {
    async fn admin(&self, method: &str, args: Value) -> Value {
        let stage = &self.cast.stage;
        stage.ok(&stage.admin, method, args).await
    }

    async fn set(&self, sql: &str, params: &[Param]) {
        self.cast.stage.world.set(sql, params).await;
    }

    /// An open task of alice's, which the builder works on.
    async fn task(&self) -> i64 {
        let task = self.cast.stage.open_task("sleep", list![1]).await;
        self.set("UPDATE task SET owner = $1 WHERE id = $2", &[self.alice.into(), task.into()])
            .await;
        task
    }

    async fn failed_task(&self) -> i64 {
        let task = self.task().await;
        let sql = "UPDATE task SET state = 5, completion_time = NOW() WHERE id = $1";
        self.set(sql, &[task.into()]).await;
        task
    }

    async fn buildroot(&self) -> Value {
        let task = self.failed_task().await;
        let stage = &self.cast.stage;
        let tag = stage.world.tag(&format!("root{}", self.number), &[]).await;
        let repo = stage.world.repo(tag, toji_types::RepoState::Ready, None).await;
        let mut call = stage.world.call().await;
        let made = toji_db::buildroot::insert(&mut call.tx, stage.host, repo, task, "x86_64").await;
        call.commit().await.unwrap();
        made.unwrap().into()
    }

    /// A build of alice's that is being built.
    async fn build(&self) -> Value {
        let args = list!["owned", "1", self.number as i64, Value::Nil, "alice"];
        let build = self.admin("createEmptyBuild", args).await;
        let sql = "UPDATE build SET state = 0, completion_time = NULL WHERE id = $1";
        self.set(sql, &[build.as_int().unwrap().into()]).await;
        build
    }

    async fn sidetag(&self) -> Value {
        let name = format!("side{}", self.number);
        let extra =
            map! { "sidetag" => true, "sidetag_user" => "alice", "sidetag_user_id" => self.alice };
        let args = list![&name, "default-base", Value::Nil, Value::Nil, false, false, false, extra];
        self.admin("createTag", args).await;
        self.admin("createBuildTarget", list![&name, &name, &name]).await;
        name.into()
    }

    /// The tag `listed` with a number of its own, which has a package of alice's.
    async fn listed(&self, blocked: bool) -> Value {
        let name = format!("listed{}", self.number);
        self.admin("createTag", list![&name]).await;
        self.admin("packageListAdd", list![&name, "hers", "alice"]).await;
        if blocked {
            self.admin("packageListBlock", list![&name, "hers"]).await;
        }
        name.into()
    }

    /// A package.
    async fn rpm(&self) -> i64 {
        let name = format!("signed{}", self.number);
        let build = self.admin("createEmptyBuild", list![&name, "1", "1", Value::Nil]).await;
        let sql = "INSERT INTO rpminfo (build_id, name, version, release, arch, draft, external_repo_id, payloadhash, size, buildtime) \
                   VALUES ($1, $2, '1', '1', 'noarch', FALSE, 0, 'f00d', 1, 1)";
        self.set(sql, &[build.as_int().unwrap().into(), name.as_str().into()]).await;
        self.cast.stage.world.id("rpminfo", &name).await
    }

    /// A job for signers that alice has asked for.
    async fn signing(&self) -> Value {
        let sql = "INSERT INTO toji_signing (rpm_id, fingerprint, state, user_id) VALUES ($1, 'f00d', 'free', $2)";
        self.set(sql, &[self.rpm().await.into(), self.alice.into()]).await;
        self.cast.stage.world.get("SELECT max(id) FROM toji_signing", &[]).await
    }

    async fn notification(&self, kind: &str) -> Value {
        let stage = &self.cast.stage;
        let package = format!("told{}", self.number);
        self.set("INSERT INTO package (name) VALUES ($1)", &[package.as_str().into()]).await;
        let mut args = vec![self.alice.into(), package.into(), Value::Nil];
        if kind == "Notification" {
            args.push(false.into());
        }
        stage.ok(&stage.alice, &format!("create{kind}"), Value::Array(args)).await;
        let all = stage.ok(&stage.alice, &format!("getBuild{kind}s"), list![]).await;
        all.as_array().unwrap().last().unwrap().get("id").clone()
    }

    /// The arguments of a call about an object that no other caller is given.
    async fn args(&self, name: &str) -> Vec<Value> {
        let alice = Value::Int(self.alice);
        let fresh = format!("fresh{}", self.number);
        let args = match name {
            "cancelTask" | "cancelTaskChildren" => list![self.task().await],
            "resubmitTask" => list![self.failed_task().await],
            "saveFailedTree" => list![self.buildroot().await],
            "cancelBuild" => list![self.build().await],
            "removeSideTag" | "editSideTag" => list![self.sidetag().await],
            "getBuildNotifications" | "getBuildNotificationBlocks" => list![alice],
            "createNotification" => list![alice, Value::Nil, self.listed(false).await, true],
            "createNotificationBlock" => list![alice, Value::Nil, self.listed(false).await],
            "updateNotification" => {
                list![
                    self.notification("Notification").await,
                    Value::Nil,
                    self.listed(false).await,
                    true
                ]
            }
            "deleteNotification" => list![self.notification("Notification").await],
            "deleteNotificationBlock" => list![self.notification("NotificationBlock").await],
            "getSessionInfo" => list![false, alice],
            "checkTagAccess" => list!["default-base", alice],
            "enableUser" => list!["alice"],
            "host.isEnabled" => list![],
            "newRepo" => list![self.listed(false).await],
            "setInheritanceData" => list![self.listed(false).await, list![]],
            "packageListAdd" => list![self.listed(false).await, fresh, "alice"],
            "packageListRemove" | "packageListBlock" => list![self.listed(false).await, "hers"],
            "packageListUnblock" => list![self.listed(true).await, "hers"],
            "packageListSetOwner" => list![self.listed(false).await, "hers", "user"],
            "packageListSetArches" => list![self.listed(false).await, "hers", "x86_64"],
            "buildImage" => list![fresh, "1", "x86_64", "goal", "x.ks", "livecd"],
            "buildImageOz" => list![fresh, "1", list!["x86_64"], "goal", "http://x/"],
            "importArchive" => list![
                "x/y.zip",
                map! { "name" => "n", "version" => "1", "release" => "1" },
                "image",
                map! { "arch" => "x86_64" }
            ],
            "distRepo" => {
                let options = map! { "__starstar" => true, "arch" => list!["x86_64"] };
                list![self.listed(false).await, list![], options]
            }
            "signing.request" => list![Value::Nil, keys()[0].id(), list![self.rpm().await]],
            "signing.cancel" => list![self.signing().await],
            "CGInitBuild" => {
                list![
                    "generator",
                    map! { "name" => fresh, "version" => "1", "release" => "1", "epoch" => Value::Nil }
                ]
            }
            "host.enrol" => list!["toji-enrol-guessed", fresh],
            "CGRefundBuild" => list!["generator", 1, "token"],
            "CGImport" => list![generated(), "nowhere"],
            other => panic!("no arguments for {other}"),
        };
        args.as_array().unwrap().to_vec()
    }
}

/// The least that says whose build it is.
fn generated() -> Map {
    let who = map! { "name" => "generator", "version" => "1" };
    let root = map! { "id" => 1, "content_generator" => who };
    let build = map! { "name" => "g", "version" => "1", "release" => "1", "start_time" => 1, "end_time" => 2, "source" => "x" };
    map! { "metadata_version" => 0, "build" => build, "buildroots" => list![root], "output" => list![] }
}

both_databases! {
    async fn what_is_whose_decides(db: Db) {
        let cast = Cast::new(db).await;
        let alice = cast.stage.world.id("users", "alice").await;
        let mut props = Props { cast: &cast, alice, number: 0 };
        for (method, args) in [
            ("createTag", list!["default-base"]),
            ("createBuildTarget", list!["goal", "default-base", "default-base"]),
            ("keys.add", list![keys()[0].public.as_str()]),
            ("grantCGAccess", list!["alice", "generator", true]),
        ] {
            props.admin(method, args).await;
        }
        let mut declared: Vec<_> = cast.hub().declarations().copied().collect();
        declared.sort_by_key(|d| d.signature.name);
        let mut wrong = Vec::new();
        for declaration in declared {
            let name = declaration.signature.name;
            if !matches!(declaration.access, Access::Custom(_) | Access::Owner(_)) || is_left_out(name) {
                continue;
            }
            let Some(may) = may(name) else {
                wrong.push(format!("{name} decides for itself who may call it, and no test knows whom it lets"));
                continue;
            };
            let mut asked = Vec::new();
            for role in ROLES {
                props.number += 1;
                asked.push((role, props.args(name).await));
            }
            asked.sort_by_key(|(role, _)| may.contains(role));
            let before = digest::tables(cast.hub()).await;
            let denied = asked.iter().filter(|(role, _)| !may.contains(role)).count();
            for (at, (role, args)) in asked.into_iter().enumerate() {
                if at == denied {
                    assert_eq!(digest::tables(cast.hub()).await, before, "{name} was denied and changed something");
                }
                // options of a call come last, as clients send them
                let answer = cast.hub().call(&cast.request(role), name, Args::decode(args)).await;
                if answer.as_ref().is_err_and(is_denial) == may.contains(&role) {
                    wrong.push(format!("{name} by {role:?}: {answer:?}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
