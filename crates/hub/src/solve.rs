//! The dependency solver over tags: plans, reasons and dependants from pools that stay in memory.
//!
//! A pool belongs to a tag, an arch and the event that last changed what the tag holds, so a build is in the next
//! answer as soon as its tagging is committed. Questions run on threads for blocking work.

mod allowed;
mod asked;
mod content;
pub mod keeper;
mod memory;
mod outside;
pub mod plan;
mod pools;
pub mod stored;
mod words;

pub use asked::Asked;
pub use memory::{Bounds, Solver};
pub use outside::Fetch;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};

use toji_solve::{Error, Pool};
use toji_types::lockfile::Source;
use toji_value::{Fault, Value, map};

use crate::Call;

/// Seconds that one question may take, and that it may wait for the ones before it.
const SECONDS: f32 = 10.0;

/// Dependants are followed so far.
const DISTANCE: i64 = 50;

/// A pool with what its lockfiles say of repositories.
pub(crate) struct Warm {
    pool: Mutex<Pool>,
    sources: BTreeMap<String, Source>,
    tag: String,
    event: i64,
    /// How often it was made anew since the last question.
    idle: AtomicU32,
}

/// The answer to `solve.install`.
///
/// # Errors
/// `GenericError` for an unknown tag, an arch that it has not, or a question beyond the limits.
pub async fn install(
    call: &mut Call,
    asked: &Asked,
    packages: &Value,
    opts: &Value,
) -> Result<Value, Fault> {
    let job = words::job(call, asked, packages, opts).await?;
    let warm = pools::warm(call, asked).await?;
    let arch = asked.arch.clone();
    question(call, warm, move |pool, warm| {
        let answer = pool.solve(&job)?;
        Ok(match &answer {
            Ok(plan) => {
                let lockfile = plan.lockfile(warm.sources.clone())?;
                words::plan(warm, &arch, &lockfile, &plan.skipped)?
            }
            Err(no) => words::no(warm, &arch, no),
        })
    })
    .await
}

/// The answer to `solve.why`.
///
/// # Errors
/// As [`install`]; `GenericError` with the reasons if there is no plan.
pub async fn why(
    call: &mut Call,
    asked: &Asked,
    name: String,
    packages: &Value,
    opts: &Value,
) -> Result<Value, Fault> {
    let job = words::job(call, asked, packages, opts).await?;
    let warm = pools::warm(call, asked).await?;
    let answer: Result<Value, String> = question(call, warm, move |pool, _| {
        Ok(match pool.solve(&job)? {
            Ok(plan) => {
                let links = pool.why(&plan, &name).into_iter().map(|link| {
                    Value::from(map! {
                        "package" => link.package, "needs" => link.needs, "hard" => link.hard, "by" => link.by,
                    })
                });
                Ok(Value::Array(links.collect()))
            }
            Err(no) => Err(no.to_string()),
        })
    })
    .await?;
    answer.map_err(|no| Fault::generic(format!("cannot be installed: {no}")))
}

/// The answer to `solve.depends`.
///
/// # Errors
/// As [`install`].
pub async fn depends(
    call: &mut Call,
    asked: &Asked,
    name: String,
    distance: i64,
) -> Result<Value, Fault> {
    let warm = pools::warm(call, asked).await?;
    let distance = usize::try_from(distance.clamp(1, DISTANCE)).unwrap_or(1);
    question(call, warm, move |pool, _| {
        let found = pool.whatrequires(&name, distance)?.into_iter().map(|dependant| {
            Value::from(map! {
                "package" => dependant.package,
                "source" => dependant.source,
                "repository" => dependant.repository,
                "needs" => dependant.needs,
                "on" => dependant.on,
                "distance" => dependant.distance as i64,
            })
        });
        Ok(Value::Array(found.collect()))
    })
    .await
}

/// Runs a question on a thread of its own; few at a time.
async fn question<T: Send + 'static>(
    call: &mut Call,
    warm: Arc<Warm>,
    ask: impl FnOnce(&mut Pool, &Warm) -> Result<T, Error> + Send + 'static,
) -> Result<T, Fault> {
    call.tx.rest();
    let seats = call.hub.solver.questions.clone().acquire_owned();
    let seat = tokio::time::timeout(std::time::Duration::from_secs_f32(SECONDS), seats).await;
    let busy = || Fault::generic("the dependency solver is busy, try again");
    let seat = seat.map_err(|_| busy())?.map_err(|_| busy())?;
    let done = tokio::task::spawn_blocking(move || {
        let _seat = seat;
        let mut pool = warm.pool.lock().unwrap_or_else(PoisonError::into_inner);
        ask(&mut pool, &warm)
    });
    let answer = done.await.map_err(|error| Fault::unexpected(error.to_string()))?;
    answer.map_err(|error| Fault::generic(error.to_string()))
}
