//! What the database knows of a build: its files, its tasks, its buildroots and what was in them.

use std::collections::{BTreeMap, BTreeSet};

use toji_attest::statement::purl;
use toji_attest::{Digests, Resource};
use toji_db::{Row, statement as sql};
use toji_types::lockfile::Source;
use toji_types::path::RpmRef;
use toji_types::{ChecksumType, Lockfile};
use toji_value::{Fault, Map, Value};

use crate::build::Build;
use crate::{Call, build, task};

/// An RPM of the build.
pub(super) struct Rpm {
    /// Name of the file.
    pub(super) file: String,
    /// Its path.
    pub(super) path: String,
    /// Its SHA-256, if that is known.
    pub(super) sha256: Option<String>,
    pub(super) purl: String,
    pub(super) name: String,
    /// `[epoch:]version-release`.
    pub(super) version: String,
    pub(super) arch: String,
    pub(super) buildroot: Option<i64>,
}

/// An archive of the build.
pub(super) struct Archive {
    pub(super) file: String,
    pub(super) digests: Digests,
    pub(super) buildroot: Option<i64>,
}

/// A package in buildroots.
pub(super) struct Component {
    pub(super) name: String,
    /// `[epoch:]version-release`.
    pub(super) version: String,
    pub(super) arch: String,
    pub(super) purl: String,
    pub(super) digests: Digests,
    /// Where it was fetched from, if that was outside.
    pub(super) location: Option<String>,
    /// The repository, if that is an external one.
    pub(super) repository: Option<String>,
    pub(super) buildroots: BTreeSet<i64>,
}

/// A lockfile by which buildroots were filled.
pub(super) struct Lock {
    pub(super) arch: String,
    /// Of its text.
    pub(super) sha256: String,
    /// Of what it lists.
    pub(super) digest: String,
    pub(super) buildroots: BTreeSet<i64>,
}

/// Everything that is said of a build.
pub(super) struct Facts {
    pub(super) build: Build,
    pub(super) rpms: Vec<Rpm>,
    pub(super) archives: Vec<Archive>,
    /// Method and parameters of the task that made it.
    pub(super) request: Option<(String, Map)>,
    pub(super) tasks: Vec<Map>,
    pub(super) buildroots: Vec<Map>,
    pub(super) locks: Vec<Lock>,
    pub(super) components: Vec<Component>,
}

/// Gathers the facts; nothing if there is no such build.
pub(super) async fn gather(call: &mut Call, id: i64) -> Result<Option<Facts>, Fault> {
    let Some(build) = build::by_id(call, id).await? else { return Ok(None) };
    let rpms = rpms(call, &build).await?;
    let archives = archives(call, id).await?;
    let (request, tasks) = match build.task_id {
        Some(task) => (request(call, task).await?, tasks(call, task).await?),
        None => (None, Vec::new()),
    };
    let ids: Vec<i64> = tasks.iter().filter_map(|task| task.value("id").as_int()).collect();
    let own: BTreeSet<i64> = rpms.iter().filter_map(|rpm| rpm.buildroot).collect();
    let own: Vec<i64> = own.into_iter().collect();
    let buildroots: Vec<Map> =
        sql::buildroots(&mut call.tx, &ids, &own).await?.into_iter().map(Row::into_map).collect();
    let mut inside = Inside::default();
    let mut listed = Vec::new();
    for root in buildroots.iter().filter_map(|root| root.value("id").as_int()) {
        match lockfile(call, root).await? {
            Some((sha256, lockfile)) => inside.add_lockfile(root, sha256, &lockfile),
            None => listed.push(root),
        }
    }
    for row in sql::components(&mut call.tx, &listed).await? {
        inside.add_listed(&row)?;
    }
    let (locks, components) = inside.finish();
    Ok(Some(Facts { build, rpms, archives, request, tasks, buildroots, locks, components }))
}

async fn rpms(call: &mut Call, build: &Build) -> Result<Vec<Rpm>, Fault> {
    let dir = call.hub.paths.build(build.at());
    let mut all = Vec::new();
    for row in sql::rpms(&mut call.tx, build.id).await? {
        let text = |key: &str| row.get::<String>(key);
        let (name, version, release, arch) =
            (text("name")?, text("version")?, text("release")?, text("arch")?);
        let epoch: Option<i64> = row.get("epoch")?;
        let at = RpmRef { name: &name, version: &version, release: &release, arch: &arch };
        let path = format!("{dir}/{}", call.hub.paths.rpm(at));
        all.push(Rpm {
            file: format!("{name}-{version}-{release}.{arch}.rpm"),
            path,
            sha256: None,
            purl: purl(&name, &version, &release, epoch.unwrap_or(0), &arch),
            version: evr(epoch, &version, &release),
            name,
            arch,
            buildroot: row.get("buildroot_id")?,
        });
    }
    let paths: Vec<String> =
        all.iter().map(|rpm| build::import::relative(call, &rpm.path)).collect();
    let mut known = BTreeMap::new();
    for row in sql::digests(&mut call.tx, &paths).await? {
        known.insert(row.get::<String>("path")?, row.get::<String>("sha256")?);
    }
    for (rpm, path) in all.iter_mut().zip(&paths) {
        rpm.sha256 = known.remove(path);
    }
    Ok(all)
}

fn evr(epoch: Option<i64>, version: &str, release: &str) -> String {
    let epoch = epoch.filter(|epoch| *epoch != 0).map(|epoch| format!("{epoch}:"));
    format!("{}{version}-{release}", epoch.unwrap_or_default())
}

async fn archives(call: &mut Call, build_id: i64) -> Result<Vec<Archive>, Fault> {
    let mut all = Vec::new();
    for row in sql::archives(&mut call.tx, build_id).await? {
        let kind = match ChecksumType::try_from(row.get::<i64>("checksum_type")?) {
            Ok(ChecksumType::Md5) => "md5",
            Ok(ChecksumType::Sha1) => "sha1",
            Ok(ChecksumType::Sha256) => "sha256",
            Err(_) => continue,
        };
        let digests = Digests::from([(kind.to_owned(), row.get("checksum")?)]);
        let (file, buildroot) = (row.get("filename")?, row.get("buildroot_id")?);
        all.push(Archive { file, digests, buildroot });
    }
    Ok(all)
}

async fn request(call: &mut Call, id: i64) -> Result<Option<(String, Map)>, Fault> {
    let (method, args) = task::request(call, id).await?;
    let named = task::params::named(&method, &args);
    let params = named.unwrap_or_else(|| {
        let positional = std::iter::once(("arguments".into(), Value::Array(args)));
        positional.collect()
    });
    Ok(Some((method, params)))
}

/// The task of a build and all below it, without their requests.
async fn tasks(call: &mut Call, id: i64) -> Result<Vec<Map>, Fault> {
    let mut all: Vec<Map> = Vec::new();
    all.extend(toji_db::task::get(&mut call.tx, id).await?.map(Row::into_map));
    let below = toji_db::task::descendants(&mut call.tx, id).await?;
    all.extend(below.into_iter().map(Row::into_map));
    Ok(all)
}

/// The lockfile of a buildroot with the SHA-256 of its text.
async fn lockfile(call: &mut Call, root: i64) -> Result<Option<(String, Lockfile)>, Fault> {
    let Some(kept) = crate::solve::stored::of_buildroot(call, root).await? else { return Ok(None) };
    let text = |key: &str| kept.get(key).as_str().unwrap_or_default().to_owned();
    let lockfile = Lockfile::from_json(&text("lockfile"));
    let lockfile = lockfile.map_err(|error| Fault::generic(error.to_string()))?;
    Ok(Some((text("sha256"), lockfile)))
}

/// What is in buildroots, each package once.
#[derive(Default)]
struct Inside {
    locks: BTreeMap<String, Lock>,
    components: BTreeMap<(String, String, String, String), Component>,
}

impl Inside {
    fn add(&mut self, root: i64, component: Component) {
        let Component { name, version, arch, digests, .. } = &component;
        let digest = digests.values().next().cloned().unwrap_or_default();
        let key = (name.clone(), version.clone(), arch.clone(), digest);
        self.components.entry(key).or_insert(component).buildroots.insert(root);
    }

    fn add_lockfile(&mut self, root: i64, sha256: String, lockfile: &Lockfile) {
        for package in lockfile.packages() {
            let outside = match lockfile.repositories().get(&package.repository) {
                Some(Source::External { .. }) => Some(package.repository.clone()),
                Some(Source::Hub) | None => None,
            };
            let digest = package.digest.split_once(':');
            let digest = digest.map(|(kind, digest)| (kind.to_owned(), digest.to_owned()));
            let epoch = i64::from(package.epoch);
            let (name, version, release) = (&package.name, &package.version, &package.release);
            self.add(
                root,
                Component {
                    name: name.clone(),
                    version: evr(Some(epoch), version, release),
                    arch: package.arch.clone(),
                    purl: purl(name, version, release, epoch, &package.arch),
                    digests: digest.into_iter().collect(),
                    location: outside.is_some().then(|| lockfile.url(package, "")),
                    repository: outside,
                    buildroots: BTreeSet::new(),
                },
            );
        }
        let lock = self.locks.entry(sha256.clone()).or_insert_with(|| Lock {
            arch: lockfile.arch().to_owned(),
            sha256,
            digest: lockfile.digest(),
            buildroots: BTreeSet::new(),
        });
        lock.buildroots.insert(root);
    }

    /// Adds a row of a listing: of a package from outside, only the MD5 of header and payload is known.
    fn add_listed(&mut self, row: &Row) -> Result<(), Fault> {
        let text = |key: &str| row.get::<String>(key);
        let (name, version, release, arch) =
            (text("name")?, text("version")?, text("release")?, text("arch")?);
        let epoch: Option<i64> = row.get("epoch")?;
        let own = row.get::<Option<i64>>("build_id")?.is_some();
        let digest = match row.get::<Option<String>>("checksum")? {
            Some(sha256) => ("sha256".to_owned(), sha256),
            None => ("rpmSigMd5".to_owned(), text("payloadhash")?),
        };
        let repository = if own { None } else { Some(text("external_repo")?) };
        let component = Component {
            version: evr(epoch, &version, &release),
            purl: purl(&name, &version, &release, epoch.unwrap_or(0), &arch),
            name,
            arch,
            digests: Digests::from([digest]),
            location: None,
            repository,
            buildroots: BTreeSet::new(),
        };
        self.add(row.get("buildroot_id")?, component);
        Ok(())
    }

    fn finish(self) -> (Vec<Lock>, Vec<Component>) {
        (self.locks.into_values().collect(), self.components.into_values().collect())
    }
}

impl Component {
    /// The package as a dependency of the build.
    pub(super) fn resource(&self) -> Resource {
        let mut annotations = BTreeMap::new();
        let roots: Vec<i64> = self.buildroots.iter().copied().collect();
        annotations.insert("buildroots".to_owned(), roots.into());
        if let Some(repository) = &self.repository {
            annotations.insert("repository".to_owned(), repository.clone().into());
        }
        Resource {
            name: Some(format!("{}-{}.{}", self.name, self.version, self.arch)),
            uri: Some(self.purl.clone()),
            digest: self.digests.clone(),
            download_location: self.location.clone(),
            annotations,
            ..Resource::default()
        }
    }
}
