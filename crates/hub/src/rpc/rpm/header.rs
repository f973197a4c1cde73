//! What the headers of RPMs say: fields, dependencies, files and change logs.

use toji_api::rpm::*;
use toji_db::rpm::Filter;
use toji_db::{QueryOpts, Time};
use toji_rpmfile::Package;
use toji_types::{BuildState, DepType};
use toji_value::{Fault, FromValue, Map, Value, list, map};

use super::readable;
use crate::dispatch::Handle;
use crate::{Call, build, listing, rpm};

impl Handle for GetRPMHeaders {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let nothing = || Ok(Value::Struct(Map::new()));
        let path = if self.rpm_id.truthy() {
            let found = match self.strict {
                true => Some(rpm::need(call, &self.rpm_id).await?),
                false => rpm::find(call, &self.rpm_id).await?,
            };
            let Some(found) = found else { return nothing() };
            let Some((build, path)) = rpm::located(call, &found).await? else {
                let id = found.value("id").repr();
                return refuse(self.strict, format!("External rpm: {id}"));
            };
            if build.state == BuildState::Deleted {
                return refuse(self.strict, format!("Build {} is deleted", build.nvr()));
            }
            path
        } else if self.task_id.truthy() {
            let filepath = Option::<String>::from_value(self.filepath)?;
            rpm::task_file(call, i64::from_value(self.task_id)?, filepath.as_deref())?
        } else {
            let text = "either rpmID or taskID and filepath must be specified";
            return Err(Fault::generic(text));
        };
        let shown = path.display().to_string();
        let Some(package) = rpm::read(call, path).await? else {
            return refuse(self.strict, format!("Missing rpm file: {shown}"));
        };
        let names = match Option::<Vec<String>>::from_value(self.headers)? {
            Some(names) => names,
            None => package.field_names().into_iter().map(str::to_owned).collect(),
        };
        let mut fields = Map::new();
        for name in names {
            let value = rpm::field(&package, &name)?;
            fields.insert(name, value);
        }
        Ok(fields.into())
    }
}

fn refuse(strict: bool, text: String) -> Result<Value, Fault> {
    if strict { Err(Fault::generic(text)) } else { Ok(Value::Struct(Map::new())) }
}

const KINDS: [(&str, DepType); 8] = [
    ("REQUIRE", DepType::Require),
    ("PROVIDE", DepType::Provide),
    ("CONFLICT", DepType::Conflict),
    ("OBSOLETE", DepType::Obsolete),
    ("SUGGEST", DepType::Suggest),
    ("ENHANCE", DepType::Enhance),
    ("SUPPLEMENT", DepType::Supplement),
    ("RECOMMEND", DepType::Recommend),
];

impl Handle for GetRPMDeps {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let opts = QueryOpts::from_value(&self.query_opts)?;
        let found = readable(call, &self.rpm_id, self.strict, "dependencies", "RPM file");
        let Some((_, package)) = found.await? else { return listing::apply(Vec::new(), &opts) };
        let mut deps = Vec::new();
        for (name, kind) in KINDS {
            if self.dep_type.is_some_and(|wanted| wanted != kind.number()) {
                continue;
            }
            let names = rpm::list(&package, &format!("{name}NAME"))?;
            let versions = rpm::list(&package, &format!("{name}VERSION"))?;
            let flags = rpm::list(&package, &format!("{name}FLAGS"))?;
            for ((name, version), flags) in names.into_iter().zip(versions).zip(flags) {
                deps.push(if opts.as_list {
                    list![name, version, flags, kind.number()]
                } else {
                    map! {
                        "name" => name, "version" => version, "flags" => flags,
                        "type" => kind.number(),
                    }
                    .into()
                });
            }
        }
        listing::apply(deps, &opts)
    }
}

/// The files of a package with the members of `listRPMFiles`.
fn files(package: &Package) -> Result<Vec<Map>, Fault> {
    let algorithm = match rpm::field(package, "filedigestalgo")?.as_int() {
        None | Some(0 | 1) => "md5",
        Some(2) => "sha1",
        Some(3) => "ripemd160",
        Some(8) => "sha256",
        Some(9) => "sha384",
        Some(10) => "sha512",
        Some(11) => "sha224",
        Some(_) => "unknown",
    };
    let column = |name: &str| rpm::list(package, name);
    let names = column("filenames")?;
    let digests = column("filemd5s")?;
    let (sizes, flags) = (column("filesizes")?, column("fileflags")?);
    let (users, groups) = (column("fileusername")?, column("filegroupname")?);
    let (times, modes) = (column("filemtimes")?, column("filemodes")?);
    let at = |list: &[Value], i: usize| list.get(i).cloned().unwrap_or_default();
    let file = |(i, name): (usize, Value)| {
        let digest = at(&digests, i);
        map! {
            "name" => name, "digest" => &digest, "digest_algo" => algorithm, "md5" => &digest,
            "size" => at(&sizes, i), "flags" => at(&flags, i), "user" => at(&users, i),
            "group" => at(&groups, i), "mtime" => at(&times, i), "mode" => at(&modes, i),
        }
    };
    Ok(names.into_iter().enumerate().map(file).collect())
}

impl Handle for ListRPMFiles {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let opts = QueryOpts::from_value(&self.query_opts)?;
        let Some((_, package)) = readable(call, &self.rpm_id, false, "", "").await? else {
            return listing::apply(Vec::new(), &opts);
        };
        let columns =
            ["name", "digest", "size", "flags", "digest_algo", "user", "group", "mtime", "mode"];
        let shown = files(&package)?.into_iter().map(|file| match opts.as_list {
            true => Value::Array(columns.map(|c| file.value(c).clone()).to_vec()),
            false => file.into(),
        });
        listing::apply(shown.collect(), &opts)
    }
}

impl Handle for GetRPMFile {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = readable(call, &self.rpm_id, self.strict, "RPM file", "RPM package file");
        let Some((row, package)) = found.await? else { return Ok(Map::new().into()) };
        let all = files(&package)?;
        let file = all.into_iter().find(|f| f.str("name") == Some(&self.filename));
        match file {
            Some(mut file) => {
                file.insert("rpm_id", row.value("id"));
                Ok(file.into())
            }
            None if self.strict => {
                let (file, rpm) = (&self.filename, self.rpm_id.display());
                Err(Fault::generic(format!("No file: {file} found in RPM: {rpm}")))
            }
            None => Ok(Map::new().into()),
        }
    }
}

impl Handle for GetChangelogEntries {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let mut opts = QueryOpts::from_value(&self.query_opts)?;
        // Dates sort by their numbers, not as texts.
        opts.order = opts.order.map(|order| match order.as_str() {
            "date" | "-date" => format!("{order}_ts"),
            _ => order,
        });
        let none = |opts: &QueryOpts| listing::apply(Vec::new(), opts);
        let path = if self.build_id.truthy() {
            match self.srpm(call).await? {
                Some(path) => path,
                None => return none(&opts),
            }
        } else if let Some(task) = self.task_id.filter(|id| *id != 0) {
            rpm::task_file(call, task, self.filepath.as_deref())?
        } else {
            let text = "either buildID or taskID and filepath must be specified";
            return Err(Fault::generic(text));
        };
        let shown = path.display().to_string();
        let Some(package) = rpm::read(call, path).await? else {
            if self.strict {
                return Err(Fault::generic(format!("SRPM {shown} doesn't exist")));
            }
            return none(&opts);
        };
        let before = moment(&self.before, "before")?;
        let after = moment(&self.after, "after")?;
        let mut entries = Vec::new();
        let times = rpm::list(&package, "changelogtime")?;
        let names = rpm::list(&package, "changelogname")?;
        let texts = rpm::list(&package, "changelogtext")?;
        for ((time, name), text) in times.into_iter().zip(names).zip(texts) {
            let at = time.as_int().unwrap_or(0);
            let wanted =
                self.author.as_deref().is_none_or(|a| a.is_empty() || name.as_str() == Some(a))
                    && before.is_none_or(|limit| (at as f64) < limit)
                    && after.is_none_or(|limit| at as f64 > limit);
            if !wanted {
                continue;
            }
            let date = Time::from_epoch(at as f64)?.to_text();
            let date = date.split('+').next().unwrap_or_default();
            entries.push(if opts.as_list {
                list![date, name, text]
            } else {
                map! { "date" => date, "date_ts" => at, "author" => name, "text" => text }.into()
            });
        }
        listing::apply(entries, &opts)
    }
}

trait SourcePackage {
    /// The source package's file of the build that is asked for.
    async fn srpm(&self, call: &mut Call) -> Result<Option<std::path::PathBuf>, Fault>;
}

impl SourcePackage for GetChangelogEntries {
    async fn srpm(&self, call: &mut Call) -> Result<Option<std::path::PathBuf>, Fault> {
        let shown = self.build_id.display();
        let Some(found) = build::find(call, &self.build_id).await? else {
            if self.strict {
                return Err(Fault::generic(format!("No such build: {shown}")));
            }
            return Ok(None);
        };
        let arches = Some(vec!["src".to_owned()]);
        let filter = Filter { build: Some(found.id), arches, ..Filter::default() };
        let rows = toji_db::rpm::list(&mut call.tx, filter, &QueryOpts::default()).await?;
        match rows.as_array().and_then(|rows| rows.first()).and_then(Value::as_struct) {
            Some(row) => rpm::path(call, &found, row).map(Some),
            None if self.strict => Err(Fault::generic(format!("Build {shown} doesn't have srpms"))),
            None => Ok(None),
        }
    }
}

/// Seconds since 1970 of a number or an ISO text; nothing for what is false.
fn moment(value: &Value, name: &str) -> Result<Option<f64>, Fault> {
    match value {
        value if !value.truthy() => Ok(None),
        Value::Int(seconds) => Ok(Some(*seconds as f64)),
        Value::Str(text) | Value::DateTime(text) => {
            let parsed = Time::parse(text).map_err(|e| Fault::generic(e.to_string()))?;
            Ok(Some(parsed.epoch()))
        }
        other => {
            let text = format!("Invalid type for {name}: <class '{}'>", other.type_name());
            Err(Fault::generic(text))
        }
    }
}
