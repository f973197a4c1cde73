//! Draft builds that become regular ones.

use std::path::PathBuf;

use toji_db::build as db;
use toji_types::path::BuildRef;
use toji_types::{BuildState, TagUpdate, nvr};
use toji_value::{Fault, Value, map};

use super::{Build, by_id, find};
use crate::build::import::place;
use crate::volume::{self, Move};
use crate::{Call, files, policy, task};

/// Makes a draft a regular build: it gets the release without the suffix, and its files another
/// place, which the old one leads to.
///
/// # Errors
/// When it is no complete draft, its name is taken, or the policy `draft_promotion` denies it.
pub async fn promote(call: &mut Call, draft: &Build, force: bool) -> Result<Build, Fault> {
    let user = call.actor()?;
    let refuse = |why: String| {
        Fault::generic(format!("Cannot promote build {}. Reason: {why}", draft.nvr()))
    };
    if !draft.draft {
        return Err(refuse("Not a draft build".to_owned()));
    }
    if draft.state != BuildState::Complete {
        return Err(refuse(format!("state ({}) is not COMPLETE.", draft.state)));
    }
    let release = nvr::target_release(&draft.release);
    let release = release.map_err(|e| Fault::generic(e.to_string()))?.to_owned();
    let target = map! {
        "name" => &draft.name, "version" => &draft.version, "release" => &release,
    };
    if let Some(other) = find(call, &target.into()).await? {
        return Err(refuse(format!("Target build exists: {}(#{})", other.nvr(), other.id)));
    }
    let values = map! { "build" => draft.id, "target_release" => &release, "user_id" => user };
    call.assert_policy("draft_promotion", &policy::data(&values.into())?, force).await?;
    let (volume_id, volume) = new_volume(call, draft, &release).await?;
    let to = BuildRef { volume: Some(&volume), release: &release, ..draft.at() };
    let new = call.hub.paths.build(to);
    let (store, old) = (call.hub.store.clone(), PathBuf::from(call.hub.paths.build(draft.at())));
    let place = PathBuf::from(&new);
    let (taken, there) =
        files::blocking(move || Ok((store.exists(&place)?, store.exists(&old)?))).await?;
    if taken {
        return Err(Fault::generic(format!("Destination exists: {new}")));
    }
    if !there {
        // A Koji hub fails in moving the directory.
        return Err(Fault::unexpected(format!("the build {} has no files", draft.nvr())));
    }
    let moved = Move { to, leave: Some(link(draft, &release)) };
    let copied = volume::relocate(call, draft, &moved).await?;
    place::hold(call, draft).await.map_err(|fault| refuse(fault.message))?;
    copied.unchanged(call, draft).await.map_err(|fault| refuse(fault.message))?;
    let told = |build: &Build, user: Value| {
        map! {
            "draft_release" => &draft.release, "target_release" => &release,
            "build" => build.shown.clone(), "user" => user,
        }
    };
    let mut promoter = Value::Nil;
    if call.listens("preBuildPromote") || call.listens("postBuildPromote") {
        let found = crate::user::by_id(call, user).await?;
        promoter = found.map(|user| Value::from(user.to_map())).unwrap_or_default();
    }
    call.callback("preBuildPromote", || told(draft, promoter.clone())).await?;
    db::promote(&mut call.tx, draft.id, &release, user).await?;
    db::set_volume(&mut call.tx, draft.id, volume_id).await?;
    volume::settle(call, draft, &moved, TagUpdate::DraftPromotion).await?;
    if let Some(journal) = copied.journal {
        toji_db::journal::commit(&mut call.tx, journal).await?;
    }
    let body = map! {
        "id" => draft.id, "name" => &draft.name, "draft_release" => &draft.release,
        "target_release" => &release, "user_id" => user, "owner_id" => draft.owner_id,
    };
    crate::statement::ask(call, draft.id).await?;
    call.emit("build.promote", &format!("build:{}", draft.id), body);
    let missing = || Fault::generic(format!("No such build: {}", draft.id));
    let new = by_id(call, draft.id).await?.ok_or_else(missing)?;
    call.callback("postBuildPromote", || told(&new, promoter)).await?;
    Ok(new)
}

/// The volume that the policy gives the build under its new release; its own where it gives none.
async fn new_volume(call: &mut Call, draft: &Build, release: &str) -> Result<(i64, String), Fault> {
    let mut values = map! { "build" => draft.id, "release" => release, "draft" => false };
    if let Some(task_id) = draft.task_id {
        let (method, args) = task::request(call, task_id).await?;
        values.extend(task::make::policy_values(call, &method, &args).await?);
    }
    let data = policy::data(&values.into())?;
    let found = volume::by_policy(call, &data, false).await?;
    Ok(found.map_or((draft.volume_id, draft.volume.clone()), |v| (v.id, v.name)))
}

/// What the draft's old path says: the way to the regular build by the default volume.
fn link(draft: &Build, release: &str) -> PathBuf {
    if draft.volume == "DEFAULT" {
        return release.into();
    }
    let (name, version) = (&draft.name, &draft.version);
    format!("../../../toplink/packages/{name}/{version}/{release}").into()
}

/// The completion time of a caller: seconds since 1970, or XML-RPC's own date, which has no zone
/// and is read as UTC.
///
/// # Errors
/// A generic fault for anything else.
pub fn timestamp(value: &Value) -> Result<f64, Fault> {
    match value {
        Value::Int(seconds) => Ok(*seconds as f64),
        Value::Double(seconds) => Ok(*seconds),
        Value::Bool(truth) => Ok(f64::from(u8::from(*truth))),
        Value::DateTime(text) => {
            let wrong = || Fault::generic(format!("Invalid time: {text}"));
            let digits: Vec<i64> = [0..4, 4..6, 6..8, 9..11, 12..14, 15..17]
                .into_iter()
                .map(|range| text.get(range).and_then(|part| part.parse().ok()))
                .collect::<Option<_>>()
                .ok_or_else(wrong)?;
            let [year, month, day, hour, minute, second] = digits[..] else { return Err(wrong()) };
            let iso = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}+00");
            let time = toji_db::Time::parse(&iso).map_err(|_| wrong())?;
            Ok(time.epoch())
        }
        _ => Err(Fault::generic("Invalid type for timestamp")),
    }
}
