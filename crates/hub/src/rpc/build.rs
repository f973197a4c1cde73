//! Calls that look up, list, make and remove builds.

mod change;
mod list;

use toji_api::build::*;
use toji_db::build as db;
use toji_db::lookup::Names;
use toji_types::BuildState;
use toji_types::calendar::{date_of, days_of};
use toji_value::{Fault, FromValue, Map, Value, map};

use crate::build::{self, import, release, remove};
use crate::dispatch::Handle;
use crate::task::transition;
use crate::{Call, user};

impl Handle for GetBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        // A Koji hub's database refuses a truth value where it wants a number.
        if self.build_info.as_bool().is_some() {
            return Err(Fault::unexpected("a truth value names no build"));
        }
        if self.strict {
            return Ok(build::need(call, &self.build_info).await?.shown.into());
        }
        let found = build::find(call, &self.build_info).await?;
        Ok(found.map(|b| Value::Struct(b.shown)).unwrap_or_default())
    }
}

impl Handle for FindBuildID {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        if let Value::Int(_) | Value::Bool(_) = self.x {
            return Ok(self.x);
        }
        match build::find_id(call, &self.x).await? {
            None if self.strict => Err(Fault::generic(format!("No such build: {}", self.x.repr()))),
            found => Ok(found.map(Value::Int).unwrap_or_default()),
        }
    }
}

impl Handle for GetNextRelease {
    async fn handle(self, call: &mut Call) -> Result<String, Fault> {
        let part = |key: &str| match self.build_info.get(key) {
            Value::Nil => Err(Fault::unexpected(format!("build_info has no {key}"))),
            value => Ok(value.display()),
        };
        let (name, version) = (part("name")?, part("version")?);
        release::next(call, &name, &version, self.incr).await
    }
}

impl Handle for GetAverageBuildDuration {
    async fn handle(self, call: &mut Call) -> Result<Option<f64>, Fault> {
        let Some(package) = call.find(Names::Package, &self.package).await? else {
            return Ok(None);
        };
        let since = self.age.map(|months| months_before(call.now(), months));
        let seconds = db::average_duration(&mut call.tx, package.id, since).await?;
        // The average of exact times has microseconds at most.
        Ok(seconds.map(|s| (s * 1e6).round() / 1e6))
    }
}

/// The same day and time so many months earlier, or the last day of a month that has no such day.
///
/// More months than calendars have are taken for as many as they have.
fn months_before(now: f64, months: i64) -> f64 {
    const DAY: f64 = 86400.0;
    const MOST: i64 = 12 * 1_900;
    let months = months.clamp(-MOST, MOST);
    let days = (now / DAY).floor() as i64;
    let (year, month, day) = date_of(days);
    let total = year * 12 + month - 1 - months;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    let next = if month == 12 { days_of(year + 1, 1, 1) } else { days_of(year, month + 1, 1) };
    let day = day.min(next - days_of(year, month, 1));
    days_of(year, month, day) as f64 * DAY + now.rem_euclid(DAY)
}

impl Handle for GetBuildLogs {
    async fn handle(self, call: &mut Call) -> Result<Vec<Value>, Fault> {
        let found = build::need(call, &self.build).await?;
        let dir = call.hub.paths.build_logs(found.at());
        let top = call.hub.paths.topdir();
        let shown = dir.strip_prefix(top).unwrap_or(&dir).trim_start_matches('/').to_owned();
        let store = call.hub.store.clone();
        let entries = crate::files::blocking(move || store.names(dir.as_ref())).await?;
        let logs = entries.into_iter().map(|path| {
            let (dir, name) = path.rsplit_once('/').unwrap_or((".", &path));
            map! { "name" => name, "dir" => dir, "path" => format!("{shown}/{dir}/{name}") }.into()
        });
        Ok(logs.collect())
    }
}

impl Handle for GetBuildType {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = match self.strict {
            true => Some(build::need(call, &self.build_info).await?),
            false => build::find(call, &self.build_info).await?,
        };
        let Some(found) = found else { return Ok(Value::Nil) };
        let mut types = Map::new();
        for name in db::types(&mut call.tx, found.id).await? {
            let details = found.shown.value("extra").get("typeinfo").get(&name).clone();
            types.insert(name, details);
        }
        let tx = &mut call.tx;
        for (name, row) in [
            ("maven", db::maven(tx, found.id).await?),
            ("win", db::win(tx, found.id).await?),
            ("image", db::image(tx, found.id).await?),
        ] {
            if let Some(row) = row {
                types.insert(name, row.into_map());
            }
        }
        Ok(types.into())
    }
}

impl Handle for BuildReferences {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = build::need(call, &self.build).await?;
        Ok(remove::references(call, found.id, self.limit, self.lazy).await?.into())
    }
}

impl Handle for CancelBuild {
    async fn handle(self, call: &mut Call) -> Result<bool, Fault> {
        let user = call.login()?.user_id;
        let found = match self.strict {
            true => Some(build::need(call, &self.build_id).await?),
            false => build::find(call, &self.build_id).await?,
        };
        let Some(found) = found else { return Ok(false) };
        if found.owner_id != user && !call.has_perm("admin").await? {
            return Err(Fault::not_allowed("Cannot cancel build, not owner"));
        }
        if !build::cancel(call, found.id).await? {
            return Ok(false);
        }
        if let Some(task) = found.task_id {
            transition::cancel_full(call, task, false).await?;
        }
        Ok(true)
    }
}

impl Handle for CreateEmptyBuild {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let caller = call.actor()?;
        let owner = match self.owner.truthy() {
            true => user::need(call, &self.owner).await?.id,
            false => caller,
        };
        let mut given = map! {
            "name" => &self.name, "version" => &self.version, "release" => &self.release,
            "epoch" => &self.epoch, "draft" => self.draft,
        };
        if !self.owner.is_nil() {
            given.insert("owner", owner);
        }
        let name = String::from_value(self.name)?;
        if name.is_empty() {
            return Err(Fault::generic("No name or package id provided for build"));
        }
        let new = db::New {
            pkg_id: build::package_id(call, &name).await?,
            version: String::from_value(self.version)?,
            release: String::from_value(self.release)?,
            epoch: Option::from_value(self.epoch)?,
            draft: self.draft,
            state: BuildState::Complete.number(),
            owner,
            times: build::now_and_now(call)?,
            ..db::New::default()
        };
        build::create(call, &name, new, &given).await
    }
}

impl Handle for DeleteBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = build::need(call, &self.build).await?;
        if found.state == BuildState::Deleted {
            return Ok(Value::Nil);
        }
        let done = remove::delete(call, &found, self.strict, self.min_ref_age).await?;
        Ok(Value::Bool(done))
    }
}

impl Handle for ResetBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        if let Some(found) = build::find(call, &self.build).await? {
            remove::reset(call, &found).await?;
        }
        Ok(Value::Nil)
    }
}

impl Handle for ImportRPM {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let rel = format!("{}/{}", self.path, self.basename);
        Ok(import::single(call, &rel).await?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_go_back_by_the_calendar() {
        let at = |y, m, d| days_of(y, m, d) as f64 * 86400.0;
        assert_eq!(days_of(1970, 1, 1), 0);
        assert_eq!(months_before(at(2026, 11, 22) + 5.5, 6), at(2026, 5, 22) + 5.5);
        assert_eq!(months_before(at(2026, 3, 31), 1), at(2026, 2, 28));
        assert_eq!(months_before(at(2026, 1, 15), 14), at(2024, 11, 15));
    }
}
