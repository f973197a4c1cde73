//! What can be mended without asking: everything that is known from elsewhere, or was decided before.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::Arc;

use md5::{Digest as _, Md5};
use toji_db::scan as db;
use toji_rpmfile::{Limits, Package, splice};
use toji_store::{Algorithm, Hasher, Volume, Volumes};
use toji_types::BuildState;
use toji_value::Fault;

use super::build::default_target;
use super::expect::Gathered;
use super::finding::{Finding, Kind, Mending, What};
use crate::{Hub, files};

/// Imports that began within this time, in seconds, are under way.
pub(super) const UNDER_WAY: f64 = toji_db::ABANDONED;
/// The largest signature header that is read whole, in bytes.
const HEADER: u64 = 64 << 20;

pub(super) struct Mender<'a> {
    pub(super) hub: &'a Hub,
    pub(super) volumes: &'a Arc<Volumes>,
    /// Whether anything is changed.
    pub(super) repair: bool,
}

/// How something is mended.
#[derive(Clone, Debug)]
enum Way {
    /// Ends interrupted imports as the start of a hub does.
    Recover,
    /// Makes a link.
    Link(String),
    /// Removes what is there.
    Remove,
    /// Forgets what is recorded.
    Forget,
    /// Writes a signature header anew from where else it is.
    Header(Arc<Vec<u8>>),
    /// Writes a signed copy anew from the package and the signature header.
    Copy { package: String, header: String, sha256: String },
}

impl Way {
    const fn action(&self) -> &'static str {
        match self {
            Way::Recover => "end the import or take it back",
            Way::Link(_) => "make the link",
            Way::Remove => "remove it",
            Way::Forget => "forget its record",
            Way::Header(_) => "write it anew from another copy",
            Way::Copy { .. } => "write it anew from package and signature",
        }
    }
}

impl Mender<'_> {
    /// Says of each finding what can be done, and does it if that is wanted; `builds` are those that it is about, as
    /// they are now.
    pub(super) async fn mend(
        &self,
        mut found: Vec<Finding>,
        builds: &[Gathered],
    ) -> Result<Vec<Finding>, Fault> {
        let builds: HashMap<i64, &Gathered> =
            builds.iter().map(|one| (one.place.id, one)).collect();
        let mut recovered = None;
        for finding in &mut found {
            let build = finding.build.and_then(|id| builds.get(&id).copied());
            let Some(way) = self.way(finding, build).await? else { continue };
            let action = way.action();
            if !self.repair {
                finding.mending = Mending::Possible(action);
                continue;
            }
            let done = match (&way, &recovered) {
                (Way::Recover, Some(done)) => Clone::clone(done),
                _ => self.act(finding, &way).await.map_err(|fault| fault.message),
            };
            if matches!(way, Way::Recover) {
                recovered = Some(done.clone());
            }
            finding.mending = match done {
                Ok(()) => Mending::Done(action),
                Err(why) => Mending::Failed(action, why),
            };
        }
        Ok(found)
    }

    async fn way(&self, finding: &Finding, build: Option<&Gathered>) -> Result<Option<Way>, Fault> {
        Ok(match finding.kind {
            Kind::InterruptedImport => Some(Way::Recover),
            // As the hub makes it: a volume may itself be a link to anywhere.
            Kind::WrongToplink if !finding.detail.contains("no link") => {
                Some(Way::Link(self.hub.paths.topdir().to_owned()))
            }
            Kind::MissingLink | Kind::WrongLink => build
                .filter(|one| one.place.dir != one.place.default_dir && one.dir.is_some())
                .map(|one| Way::Link(default_target(one))),
            // Its deletion was decided, and was interrupted.
            Kind::DeletedBuild => {
                build.filter(|one| one.place.state == BuildState::Deleted).map(|_| Way::Remove)
            }
            Kind::StrayRepository if finding.detail == "deleted" => Some(Way::Remove),
            Kind::Leftover => Some(Way::Remove),
            Kind::StaleRecord => Some(Way::Forget),
            // It can be written again whenever it is wanted.
            Kind::Missing if finding.what == What::SignedCopy => Some(Way::Forget),
            Kind::Missing | Kind::Truncated | Kind::Longer | Kind::Changed | Kind::Swapped => {
                match (finding.what, build) {
                    (What::SignatureHeader, Some(one)) => self.header(finding, one).await?,
                    (What::SignedCopy, Some(one)) => copy(finding, one),
                    _ => None,
                }
            }
            _ => None,
        })
    }

    /// A signature header is also in the package, in the signed copy, or in a backup.
    async fn header(&self, finding: &Finding, one: &Gathered) -> Result<Option<Way>, Fault> {
        let Some((_, sighash)) = one.expected.get(&finding.path).and_then(|e| e.sums.first())
        else {
            return Ok(None);
        };
        let Some((package, copy)) = package_of(&finding.path, one) else { return Ok(None) };
        let sources = [package, copy, format!("{}.{sighash}.save", finding.path)];
        let (volumes, sighash) = (self.volumes.clone(), sighash.clone());
        files::blocking(move || {
            for source in sources {
                let Ok(file) = volumes.open(&source) else { continue };
                let mut bytes = Vec::new();
                let header = match source.ends_with(".save") {
                    true => file.take(HEADER).read_to_end(&mut bytes).map(|_| bytes).ok(),
                    false => {
                        let mut file = std::io::BufReader::new(file);
                        let package = Package::read(&mut file, &Limits::default()).ok();
                        package.map(|package| package.signature_bytes())
                    }
                };
                let right = |header: &Vec<u8>| hex::encode(Md5::digest(header)) == sighash;
                if let Some(header) = header.filter(right) {
                    return Ok(Some(Way::Header(Arc::new(header))));
                }
            }
            Ok(None)
        })
        .await
    }

    async fn act(&self, finding: &Finding, way: &Way) -> Result<(), Fault> {
        let (volumes, path) = (self.volumes.clone(), finding.path.clone());
        match way.clone() {
            Way::Recover => {
                crate::build::import::recover(self.hub, UNDER_WAY).await?;
                Ok(())
            }
            Way::Forget => {
                let mut call = self.hub.internal().await?;
                db::forget(&mut call.tx, &[path]).await?;
                call.commit().await
            }
            Way::Link(target) => {
                files::blocking(move || volumes.link(&path, target.as_ref())).await
            }
            Way::Remove => files::blocking(move || volumes.remove(&path)).await,
            Way::Header(header) => files::blocking(move || volumes.put(&path, &header)).await,
            Way::Copy { package, header, sha256 } => {
                files::blocking(move || {
                    let bytes = join(&volumes, &package, &header)?;
                    let mut hasher = Hasher::new(Algorithm::Sha256);
                    hasher.update(&bytes);
                    let found = hasher.finish();
                    if found != sha256 {
                        let expected = sha256.clone();
                        return Err(toji_store::Error::Digest { path, expected, found });
                    }
                    volumes.put(&path, &bytes)
                })
                .await
            }
        }
    }
}

/// The package that a signature header belongs to, and the copy that carries it.
fn package_of(path: &str, one: &Gathered) -> Option<(String, String)> {
    let dir = &one.place.dir;
    let rest = path.strip_prefix(&format!("{dir}/data/sigcache/"))?.strip_suffix(".sig")?;
    let mut parts = rest.rsplitn(3, '/');
    let (file, arch) = (parts.next()?, parts.next()?);
    let copy = format!("{dir}/data/signed/{rest}");
    Some((format!("{dir}/{arch}/{file}"), copy))
}

/// How a signed copy is written anew, if it is known what must come out.
fn copy(finding: &Finding, one: &Gathered) -> Option<Way> {
    let dir = &one.place.dir;
    let rest = finding.path.strip_prefix(&format!("{dir}/data/signed/"))?;
    let mut parts = rest.rsplitn(3, '/');
    let (file, arch) = (parts.next()?, parts.next()?);
    let mut known = one.expected.get(&finding.path)?.sums.iter();
    let known = known.find(|(kind, _)| *kind == Algorithm::Sha256).map(|(_, sum)| sum.clone());
    let recorded = one.records.get(&finding.path).map(|record| record.sha256.clone());
    let sha256 = recorded.or(known)?;
    let header = format!("{dir}/data/sigcache/{rest}.sig");
    Some(Way::Copy { package: format!("{dir}/{arch}/{file}"), header, sha256 })
}

fn join(volumes: &Volumes, package: &str, header: &str) -> Result<Vec<u8>, toji_store::Error> {
    let io = |path: &str, e: std::io::Error| toji_store::Error::io(path)(e);
    let mut bytes = Vec::new();
    let file = volumes.open(header)?;
    file.take(HEADER).read_to_end(&mut bytes).map_err(|e| io(header, e))?;
    let source = std::io::BufReader::new(volumes.open(package)?);
    let mut out = Vec::new();
    let done = splice::replace_signature(&bytes, source, &mut out, &Limits::default());
    done.map_err(|e| io(package, std::io::Error::other(e)))?;
    Ok(out)
}
