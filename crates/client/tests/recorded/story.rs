//! What a program reads from a hub with the recorded data: a Koji hub's own answers in a test of the client, Toji with the same data in
//! the contract check.

use std::time::Duration;

use toji_client::time::OffsetDateTime;
use toji_client::{Build, BuildState, Client, FaultKind, Object, Task, TaskState, Value, args};

/// Where the pages are.
pub(crate) const WEB: &str = "https://koji.example.com/koji/";

type Told = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A moment by its seconds.
pub(crate) fn at(seconds: f64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_micros((seconds * 1e6).round() as u64)
}

/// The object, which must be there.
fn there<T>(found: Option<T>) -> Result<T, &'static str> {
    found.ok_or("something that was recorded is not there")
}

/// Builds with their tasks, tags, pages and times, and faults.
///
/// # Errors
/// When a call fails.
///
/// # Panics
/// When an answer is another one.
pub(crate) async fn builds(hub: &Client) -> Told {
    let build: Build = there(hub.build("peer-demo060-1.0-1").await?)?;
    assert_eq!(Some(&build), hub.build(150493).await?.as_ref());
    assert_eq!((build.id(), build.task_id()), (Some(150493), Some(600028)));
    assert_eq!(build.nvr().as_deref(), Some("peer-demo060-1.0-1"));
    assert_eq!(build.state(), Some(BuildState::Complete));
    assert_eq!(build.owner_name(), Some("kojiadmin"));
    assert_eq!(build.started(), Some(at(1795317944.910074)));
    assert_eq!(build.completed(), Some(at(1795318005.436678)));
    assert_eq!(build.duration(at(0.0)), Some(Duration::from_micros(60_526_604)));
    assert_eq!(build.url(), Some(format!("{WEB}buildinfo?buildID=150493")));
    let estimate = there(build.estimate(at(0.0)).await?)?;
    assert_eq!(estimate.completes, at(1795318005.436678));
    assert_eq!(estimate.left(at(1795318000.0)), Duration::from_micros(5_436_678));
    assert_eq!(estimate.left(at(1795318010.0)), Duration::ZERO);
    let generated = there(hub.build(90).await?)?;
    assert_eq!((generated.commit(), generated.task_id()), (Some("1"), None));
    assert_eq!(generated.task().await?, None);
    let tags = there(hub.build(2).await?)?.tags().await?;
    assert_eq!(tags[0].name(), Some("f1-base"));
    assert_eq!(tags[0].url(), Some(format!("{WEB}taginfo?tagID=1")));
    assert_eq!(hub.build("a-1-1").await?, None);
    let fault = there(hub.build("noversion").await.err())?;
    assert_eq!(fault.kind(), Some(FaultKind::Generic));
    let wrong = there(hub.call("getBuild", args!(; "bogus" => 1)).await.err())?;
    assert!(wrong.is(FaultKind::Parameter) && wrong.is(FaultKind::Generic));
    Ok(())
}

/// Tasks of several kinds and those below them, and one that has ended and is waited for.
///
/// # Errors
/// When a call fails.
///
/// # Panics
/// When an answer is another one.
pub(crate) async fn tasks(hub: &Client) -> Told {
    let build = there(hub.task(400001).await?)?;
    assert_eq!((build.method(), build.state()), ("build", Some(TaskState::Failed)));
    assert_eq!(build.package().as_deref(), Some("syn-pkg0000"));
    assert_eq!((build.target(), build.tag()), ("f1".into(), Value::Nil));
    assert!(!build.is_scratch());
    assert_eq!(build.duration(at(0.0)), Some(Duration::from_secs(595)));
    assert_eq!(build.build_time(at(0.0)).await?, Some(Duration::from_secs(595)));
    let below = build.descendents().await?;
    let methods: Vec<&str> = below.iter().map(Task::method).collect();
    assert_eq!(methods, ["buildSRPMFromSCM", "buildArch", "tagBuild"]);
    assert_eq!((below[1].tag(), below[1].arch().as_deref()), (6.into(), Some("x86_64")));
    assert_eq!((below[2].tag(), below[2].build_id()), (2.into(), Some(3)));
    assert_eq!(there(hub.task(600064).await?)?.package().as_deref(), Some("peer-demo062"));
    assert_eq!(there(hub.task(600044).await?)?.tag(), "f2-build".into());
    assert_eq!(there(hub.task(600057).await?)?.arch().as_deref(), Some("x86_64"));
    assert_eq!(hub.task(999999999).await?, None);
    assert_eq!(hub.wait_task(400001).await?.state(), Some(TaskState::Failed));
    Ok(())
}

/// Objects by their pages.
///
/// # Errors
/// When a call fails.
///
/// # Panics
/// When an answer is another one.
pub(crate) async fn pages(hub: &Client) -> Told {
    let of = async |page: &str| hub.from_web(&format!("{WEB}{page}")).await;
    assert!(
        matches!(of("buildinfo?buildID=2").await?, Some(Object::Build(b)) if b.id() == Some(2))
    );
    assert!(
        matches!(of("taskinfo?taskID=400001").await?, Some(Object::Task(t)) if t.method() == "build")
    );
    assert!(
        matches!(of("userinfo?userID=2").await?, Some(Object::User(u)) if u.name() == Some("alice"))
    );
    assert!(
        matches!(of("channelinfo?channelID=1").await?, Some(Object::Channel(c)) if c.name() == Some("default"))
    );
    assert_eq!(of("taskinfo?taskID=x").await?, None);
    assert_eq!(of("index").await?, None);
    assert_eq!(hub.from_web("not a URL").await?, None);
    Ok(())
}
