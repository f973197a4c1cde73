//! Hosts that cannot do a task for any arch although it runs anywhere: its buildroot is of a tag.

use toji_db::scheduler as sql;
use toji_types::arch::canonical;
use toji_value::{Args, Fault, Map};

use crate::Call;
use crate::dispatch::invoke;
use crate::target;

/// The tasks that set up a buildroot whatever their own arch is, and which of their arguments names the tag.
const TAG_ARGUMENT: [(&str, &str); 5] = [
    ("buildArch", "root"),
    ("buildMaven", "build_tag"),
    ("buildSRPMFromSCM", "build_tag"),
    ("rebuildSRPM", "build_tag"),
    ("wrapperRPM", "build_target"),
];

/// Refuses a new `noarch` task for the hosts of its channel that have none of its build tag's arches.
///
/// Arguments that name no tag are left to the task itself, which fails with a better message.
///
/// # Errors
/// When the database fails.
pub(crate) async fn refuse(
    call: &mut Call,
    task: i64,
    channel: i64,
    method: &str,
    args: &Map,
) -> Result<(), Fault> {
    let Some((_, name)) = TAG_ARGUMENT.iter().find(|(known, _)| *known == method) else {
        return Ok(());
    };
    let info = args.value(name);
    let Ok(key) = target::key(info) else { return Ok(()) };
    let tag = if *name == "build_target" {
        target::find(call, info, None).await?.map(|target| target.build_tag)
    } else {
        toji_db::tag::find(&mut call.tx, &key, None).await?.map(|row| row.get("id")).transpose()?
    };
    let Some(tag): Option<i64> = tag else { return Ok(()) };
    let config = Args { positional: vec![tag.into()], ..Args::default() };
    let config = invoke(call, "getBuildConfig", config).await?;
    let arches: Vec<&str> = config
        .get("arches")
        .as_str()
        .unwrap_or_default()
        .split_whitespace()
        .map(canonical)
        .collect();
    if arches.is_empty() {
        return Ok(());
    }
    let mut unfit = Vec::new();
    for host in sql::channel_hosts(&mut call.tx, channel).await? {
        let own: Option<String> = host.get("arches")?;
        let fits = |a: &str| arches.contains(&canonical(a));
        if !own.unwrap_or_default().split_whitespace().any(fits) {
            unfit.push(host.get("id")?);
        }
    }
    if !unfit.is_empty() {
        let text = "automatic arch refusal";
        sql::refuse_for_hosts(&mut call.tx, task, &unfit, text).await?;
    }
    Ok(())
}
