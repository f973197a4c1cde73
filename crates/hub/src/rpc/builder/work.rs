//! What builders do with the tasks they hold: giving them back, and uploading their files.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::time::Duration;

use toji_api::builder::{HostReturnTask, HostUploadToken};
use toji_bus::Topic;
use toji_db::returned;
use toji_store::Area;
use toji_types::TaskState;
use toji_types::arch::canonical;
use toji_value::{Fault, Value, map};

use crate::Call;
use crate::dispatch::Handle;
use crate::task::runs::RETURNED;
use crate::task::{self, transition};
use crate::upload::token;

/// The longest pause before a task is tried again, in seconds.
const LONGEST: f64 = 600.0;
/// The most of a reason that is kept, in bytes.
const REASON: usize = 2000;

impl Handle for HostReturnTask {
    async fn handle(self, call: &mut Call) -> Result<bool, Fault> {
        let task = task::lock_held(call, self.task_id).await?;
        let host = task.host_id.unwrap_or_default();
        let reason = shortened(&self.reason);
        let options = &call.hub.config.scheduler;
        let (most, first) = (options.task_returns, options.return_pause);
        let before = returned::of_task(&mut call.tx, task.id).await?;
        let times = before.map_or(0, |before| before.times) + 1;
        let doublings = i32::try_from(times - 1).unwrap_or(i32::MAX).min(30);
        let pause = (first * 2f64.powi(doublings)).clamp(0.0, LONGEST);
        let now = toji_db::scheduler::now(&mut call.tx).await?;
        let not_before = toji_db::Time::from_epoch(now + pause)?;
        returned::set(&mut call.tx, task.id, times, &reason, not_before).await?;
        let again = times <= most;
        // Where no other host could take the task, the pause is all that this one can do about it.
        let elsewhere = others(call, task.id, host).await?;
        if elsewhere {
            toji_db::task::refuse(&mut call.tx, task.id, host, true, true, &reason).await?;
        }
        let what = match (again, elsewhere) {
            (true, true) => format!("tried again elsewhere in {pause:.0} s"),
            (true, false) => format!("tried again in {pause:.0} s"),
            (false, _) => "not tried again".to_owned(),
        };
        let text = format!("Host gave task back ({times} of {most}), {what}: {reason}");
        toji_db::task::log(&mut call.tx, &text, Some(task.id), Some(host)).await?;
        note(call, task.id, format!("{} host {host}: {text}\n", stamp(now)));
        if !again {
            let text =
                format!("builders gave this task back {times} times; the last reason: {reason}");
            transition::fail(call, &task, Fault::generic(text)).await?;
            return Ok(false);
        }
        transition::free(call, &task).await?;
        wake(call, task.id, pause);
        Ok(true)
    }
}

/// Whether a host besides this one could take a task now, but for its load.
async fn others(call: &mut Call, task: i64, host: i64) -> Result<bool, Fault> {
    for other in returned::other_hosts(&mut call.tx, task, host).await? {
        let (arch, arches): (Option<String>, Option<String>) =
            (other.get("arch")?, other.get("arches")?);
        let arch = arch.as_deref().map_or("noarch", canonical);
        let arches = arches.unwrap_or_default();
        if arch == "noarch" || arches.split_whitespace().any(|own| canonical(own) == arch) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn shortened(reason: &str) -> String {
    let mut end = reason.len().min(REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason[..end].to_owned()
}

fn stamp(now: f64) -> String {
    toji_db::Time::from_epoch(now).map(|time| time.to_text()).unwrap_or_default()
}

/// Adds a line to the task's own log of this; the task goes on without it if that fails.
fn note(call: &Call, id: i64, line: String) {
    let (root, dir) = (call.hub.paths.work(None), call.hub.paths.taskrelpath(id));
    tokio::task::spawn_blocking(move || {
        let area = Area::new(&root);
        let written = area.open_for_write(&format!("{dir}/{RETURNED}")).map(|mut file| {
            file.seek(SeekFrom::End(0)).and_then(|_| file.write_all(line.as_bytes()))
        });
        if !matches!(written, Ok(Ok(()))) {
            tracing::warn!(task = id, "cannot note that a task was given back");
        }
    });
}

/// Tells the scheduler, of whichever hub, when the pause is over; lost with this hub, it looks once in a while.
fn wake(call: &Call, id: i64, pause: f64) {
    let hub = call.hub.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs_f64(pause + 0.1)).await;
        let told = async {
            let mut call = hub.internal().await?;
            call.emit("task.retry", &format!("task:{id}"), map! { "id" => id });
            call.signal(Topic::Scheduler);
            call.commit().await
        };
        if let Err(fault) = told.await {
            tracing::warn!(task = id, %fault, "cannot tell that a task's pause is over");
        }
    });
}

impl Handle for HostUploadToken {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let host = call.verified_host().await?;
        let holder = toji_db::upload::task_holder(&mut call.tx, self.task_id).await?;
        if holder != Some((TaskState::Open as i64, Some(host))) {
            let text = format!("host {host} does not own task {}", self.task_id);
            return Err(Fault::not_allowed(text));
        }
        let claim = token::Claim {
            task_id: self.task_id,
            host_id: host,
            expires: token::lifetime(call.now()),
            max_bytes: call.hub.config.max_task_upload,
        };
        let token = token::issue(call, &claim).await?;
        let path = call.hub.paths.taskrelpath(self.task_id);
        Ok(map! {
            "token" => token, "path" => path, "expire_ts" => claim.expires, "max_bytes" => claim.max_bytes,
        }
        .into())
    }
}
