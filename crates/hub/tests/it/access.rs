//! The access that each call declares, for every kind of caller; and odd values in every argument.

use std::collections::{BTreeMap, BTreeSet};

use toji_api::{Access, Declaration};
use toji_db::Db;
use toji_hub::{Hub, Request};
use toji_testkit::both_databases;
use toji_value::{Args, Fault, Map, ParamKind, Value, code, list, map};

use super::digest;
use super::people::{Stage, login};

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Role {
    Nobody,
    User,
    /// The user that owns what a call is about.
    Owner,
    Holder,
    Builder,
    OtherBuilder,
    Admin,
}

pub(super) const ROLES: [Role; 7] = [
    Role::Nobody,
    Role::User,
    Role::Owner,
    Role::Holder,
    Role::Builder,
    Role::OtherBuilder,
    Role::Admin,
];

/// Whether the dispatcher refuses a caller; what it declares as custom is tested by itself.
fn refused(access: Access, role: Role) -> bool {
    match access {
        Access::Anonymous | Access::Custom(_) => false,
        Access::Login | Access::Owner(_) => role == Role::Nobody,
        Access::Permission(_) => !matches!(role, Role::Holder | Role::Admin),
        Access::Admin => role != Role::Admin,
        Access::Host => !matches!(role, Role::Builder | Role::OtherBuilder),
    }
}

/// Whether a fault is the dispatcher's refusal.
fn is_refusal(access: Access, fault: &Fault) -> bool {
    let text = fault.message.as_str();
    match access {
        Access::Anonymous | Access::Custom(_) => false,
        Access::Login | Access::Owner(_) => text == "you must be logged in for this operation",
        Access::Permission(name) => text.starts_with(&format!("{name} permission required")),
        Access::Admin => text.starts_with("admin permission required"),
        Access::Host => {
            fault.code == code::AUTH
                && (text == "Not logged-in"
                    || text.ends_with("is not a host")
                    || text.ends_with("exclusive session"))
        }
    }
}

/// Calls that end the caller's session or lock the caller out, wait, or may not be made by a test.
fn is_left_out(name: &str) -> bool {
    matches!(
        name,
        "disableUser"
            | "logout"
            | "logoutChild"
            | "exclusiveSession"
            | "sharedSession"
            | "subsession"
            | "revokeBuilder"
    ) || name.starts_with("login")
        || name.starts_with("sslLogin")
}

pub(super) struct Cast {
    pub(super) stage: Stage,
    user: Request,
    holder: Request,
    other: Request,
}

impl Cast {
    pub(super) async fn new(db: Db) -> Cast {
        let stage = Stage::with(db, |config| {
            config.disable_notifications = true;
            config.save_failed_tree = Some(vec!["*".into()]);
            // Without a policy everybody may, as in Koji (MissingPolicyOk).
            config.policies = vec![("dist_repo".into(), "all :: deny".into())];
        })
        .await;
        let sql =
            "INSERT INTO users (name, status, usertype) VALUES ('holder', 0, 0), ('user', 0, 0)";
        stage.world.set(sql, &[]).await;
        stage.world.host("other.example.com").await;
        for name in ["holder", "user", "other.example.com"] {
            let mut call = stage.world.call().await;
            toji_db::setup::set_password(&mut call.tx, name, "secret").await.unwrap();
            call.commit().await.unwrap();
        }
        let holder = login(&stage.world, "holder").await;
        let other = login(&stage.world, "other.example.com").await;
        let user = login(&stage.world, "user").await;
        let cast = Cast { stage, user, holder, other };
        cast.stage.call(&cast.other, "exclusiveSession", list![]).await.unwrap();
        for declaration in cast.hub().declarations() {
            if let Access::Permission(name) = declaration.access {
                let args = Args {
                    positional: vec!["holder".into(), name.into()],
                    keywords: map! { "create" => true },
                };
                // A permission that several calls ask for is granted once.
                cast.hub().call(&cast.stage.admin, "grantPermission", args).await.ok();
            }
        }
        cast
    }

    pub(super) fn hub(&self) -> &Hub {
        &self.stage.world.hub
    }

    pub(super) fn request(&self, role: Role) -> Request {
        match role {
            Role::Nobody => Request::default(),
            Role::User => self.user.clone(),
            Role::Owner => self.stage.alice.clone(),
            Role::Holder => self.holder.clone(),
            Role::Builder => self.stage.builder.clone(),
            Role::OtherBuilder => self.other.clone(),
            Role::Admin => self.stage.admin.clone(),
        }
    }

    async fn ask(&self, role: Role, name: &str, positional: Vec<Value>) -> Result<Value, Fault> {
        let args = Args { positional, keywords: Map::new() };
        self.hub().call(&self.request(role), name, args).await
    }
}

fn plain(declaration: &Declaration) -> Vec<&'static toji_value::Param> {
    let params = declaration.signature.params.iter();
    params.filter(|p| p.kind == ParamKind::Plain).collect()
}

/// The declarations in the order of their names.
fn declared(hub: &Hub) -> BTreeMap<&'static str, Declaration> {
    let all = hub.declarations().filter(|d| !is_left_out(d.signature.name));
    all.map(|d| (d.signature.name, *d)).collect()
}

fn what_tells_internals(text: &str) -> bool {
    let small = text.to_lowercase();
    [
        "select ",
        "insert into",
        "update ",
        "delete from",
        "syntax error",
        "sqlite",
        "postgres",
        "panicked",
    ]
    .iter()
    .any(|word| small.contains(word))
        || text.contains(" $1")
}

/// Every kind of value that a request can carry, and some that databases and paths stumble over.
fn odd_values() -> Vec<Value> {
    let deep = (0..40).fold(Value::Nil, |inner, _| list![inner]);
    vec![
        Value::Nil,
        true.into(),
        0.into(),
        (-1).into(),
        i64::MAX.into(),
        i64::MIN.into(),
        Value::Double(1.5),
        Value::Double(f64::NAN),
        Value::Double(1e300),
        "".into(),
        "' OR 1=1; DROP TABLE users --".into(),
        "../../etc/passwd".into(),
        "a\u{0}b\u{202e}".into(),
        "x".repeat(5000).into(),
        Value::Bytes(vec![0, 255]),
        Value::DateTime("20250101T00:00:00".into()),
        list![],
        list![1, "a", Value::Nil, list![map! { "a" => 1 }]],
        deep,
        Map::new().into(),
        map! { "id" => list![], "name" => map! {}, "limit" => "x" }.into(),
    ]
}

/// A small generator, so that each run tries the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

both_databases! {
    async fn every_declared_call_is_answered(db: Db) {
        let stage = Stage::new(db).await;
        let names: BTreeSet<_> =
            stage.world.hub.declarations().map(|d| d.signature.name).collect();
        for declaration in toji_api::declarations() {
            let name = declaration.signature.name;
            assert!(names.contains(name), "{name}: the dispatcher does not list its area");
        }
    }

    async fn every_call_keeps_its_declared_access(db: Db) {
        let cast = Cast::new(db).await;
        let mut wrong = Vec::new();
        let before = digest::tables(cast.hub()).await;
        for deny in [true, false] {
            for (name, declaration) in declared(cast.hub()) {
                let needed = plain(&declaration).iter().filter(|p| p.default.is_none()).count();
                for role in ROLES.into_iter().filter(|r| refused(declaration.access, *r) == deny) {
                    let answer = cast.ask(role, name, vec![Value::Nil; needed]).await;
                    let fault = answer.as_ref().err();
                    if fault.is_some_and(|fault| is_refusal(declaration.access, fault)) != deny {
                        wrong.push(format!("{name} by {role:?}: {answer:?}"));
                    }
                }
            }
            if deny {
                assert_eq!(digest::tables(cast.hub()).await, before, "what was denied changed something");
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    async fn nobody_writes(db: Db) {
        let cast = Cast::new(db).await;
        let before = digest::tables(cast.hub()).await;
        for (name, declaration) in declared(cast.hub()) {
            if !declaration.writes {
                continue;
            }
            let count = plain(&declaration).len();
            for value in [Value::Nil, 1.into(), "default".into()] {
                let answer = cast.ask(Role::Nobody, name, vec![value; count]).await;
                let fine = answer.is_err() || declaration.access == Access::Anonymous;
                assert!(fine, "{name} is done for nobody");
            }
        }
        assert_eq!(digest::tables(cast.hub()).await, before);
    }

    async fn a_builder_cannot_touch_the_task_of_another(db: Db) {
        let cast = Cast::new(db).await;
        let task = cast.stage.open_task("sleep", list![1]).await;
        let before = digest::tables(cast.hub()).await;
        for (name, declaration) in declared(cast.hub()) {
            let params = plain(&declaration);
            let of_task = params.first().is_some_and(|p| matches!(p.name, "task_id" | "id" | "parent"));
            if declaration.access != Access::Host || !of_task || !declaration.writes {
                continue;
            }
            for value in [Value::Nil, 1.into(), "x".into(), list![], Map::new().into()] {
                let mut args = vec![value; params.len()];
                args[0] = task.into();
                if let Ok(done) = cast.ask(Role::OtherBuilder, name, args).await {
                    let after = digest::tables(cast.hub()).await;
                    assert_eq!(after, before, "{name} answered {}", done.repr());
                }
            }
        }
        assert_eq!(digest::tables(cast.hub()).await, before);
    }

    async fn odd_values_are_refused_without_a_trace(db: Db) {
        let cast = Cast::new(db).await;
        let values = odd_values();
        let mut dice = Dice(20_260_701);
        let mut before = digest::tables(cast.hub()).await;
        for (name, declaration) in declared(cast.hub()) {
            let params = plain(&declaration);
            let role = if declaration.access == Access::Host { Role::Builder } else { Role::Admin };
            let mut done = false;
            for at in 0..params.len() {
                for _ in 0..6 {
                    // The others are what such a parameter mostly is, so that checks get far.
                    let mut args: Vec<Value> = params.iter().map(|p| usual(p)).collect();
                    args[at] = values[dice.roll(values.len())].clone();
                    let shown = Value::Array(args.clone()).repr();
                    match cast.ask(role, name, args).await {
                        Ok(_) => done = true,
                        Err(fault) => assert!(
                            !what_tells_internals(&fault.message),
                            "{name}{shown:.300}: {fault}"
                        ),
                    }
                }
            }
            if declaration.writes {
                let after = digest::tables(cast.hub()).await;
                assert!(done || after == before, "{name} changed something and failed");
                before = after;
            }
        }
    }
}

/// A usual value of a parameter, by its default or its name.
fn usual(param: &toji_value::Param) -> Value {
    match &param.default {
        Some(default) => default.value(),
        None if param.name.ends_with("name") => "default".into(),
        None => 1.into(),
    }
}
