//! How a question is answered.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use toji_types::lockfile::{Locked, Lockfile, Source};

use crate::answer::{Answer, Problem, Reason, Unsolvable};
use crate::ffi::{RawAnswer, RawRule};
use crate::limits::{SECONDS, TEXT, WANTS};
use crate::rich::Expr;
use crate::subject::Found;
use crate::{Error, Job, Package, Pool, Result, Want, glob};

/// The packages that satisfy a question.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Sorted by name.
    pub packages: Vec<Chosen>,
    /// Optional wants and packages of groups that are nowhere.
    pub skipped: Vec<String>,
    /// Wants with the numbers of the chosen packages that meet them.
    pub(crate) roots: Vec<(String, Vec<u32>)>,
    /// Whether weak dependencies had a say.
    pub(crate) weak: bool,
    arch: String,
}

/// A package of a plan.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// What the metadata say.
    pub package: Arc<Package>,
    /// The id of its repository.
    pub repository: String,
    pub(crate) number: u32,
}

impl Chosen {
    /// `name-[epoch:]version-release.arch`, the epoch only if it is not 0.
    pub fn nevra(&self) -> String {
        self.package.nevra()
    }
}

impl Plan {
    /// The plan as a lockfile; `sources` has where each repository is.
    ///
    /// # Errors
    /// When metadata name a package, digest or place that no lockfile may have.
    pub fn lockfile(&self, sources: BTreeMap<String, Source>) -> Result<Lockfile> {
        let locked = |chosen: &Chosen| {
            let package = &chosen.package;
            Locked {
                name: package.name.to_string(),
                epoch: package.epoch,
                version: package.version.to_string(),
                release: package.release.to_string(),
                arch: package.arch.to_string(),
                digest: package.digest.to_string(),
                size: package.size,
                location: package.location.to_string(),
                repository: chosen.repository.clone(),
            }
        };
        let packages: Vec<Locked> = self.packages.iter().map(locked).collect();
        let used: HashSet<&str> = packages.iter().map(|p| p.repository.as_str()).collect();
        let sources = sources.into_iter().filter(|(id, _)| used.contains(id.as_str())).collect();
        Ok(Lockfile::new(self.arch.clone(), sources, packages)?)
    }
}

/// Numbers of the shim.
const ONE_OF: i32 = 0;
const PROVIDER: i32 = 1;
const OPTIONAL: i32 = 2;
const MULTIVERSION: i32 = 4;
const OWNER: i32 = 5;
const WEAK: i32 = 1;
const BEST: i32 = 2;

/// Of these several versions may be installed side by side: dnf's default of `installonlypkgs`.
const INSTALL_ONLY: [&str; 6] = [
    "kernel",
    "kernel-PAE",
    "installonlypkg(kernel)",
    "installonlypkg(kernel-module)",
    "installonlypkg(vm)",
    "multiversion(kernel)",
];

/// A job for the shim while it is put together.
#[derive(Default)]
struct Order {
    job: Vec<i32>,
    missing: Vec<String>,
    skipped: Vec<String>,
    roots: Vec<(String, Vec<u32>)>,
}

impl Pool {
    /// Chooses packages as dnf does in an empty root.
    ///
    /// # Errors
    /// A question beyond the limits, or one that takes too long: the pool is spoilt then.
    pub fn solve(&mut self, job: &Job) -> Result<Answer> {
        if self.spoilt {
            return Err(Error::Spoilt);
        }
        if job.wants.len() > WANTS || job.exclude.len() > WANTS {
            return Err(Error::Limit("wants"));
        }
        if job.wants.iter().any(|want| want.text().len() > TEXT || want.text().contains('\0')) {
            return Err(Error::Limit("wants"));
        }
        let left_out = self.excluded(&job.exclude);
        let mut order = Order::default();
        for want in &job.wants {
            self.order(want, &left_out, &mut order);
        }
        if !order.missing.is_empty() {
            return Ok(Err(Unsolvable { missing: order.missing, ..Unsolvable::default() }));
        }
        for name in INSTALL_ONLY {
            match self.raw.string(name, false) {
                0 => {}
                id => order.job.extend([MULTIVERSION, id]),
            }
        }
        let out: Vec<i32> =
            (0..).zip(&left_out).filter(|(_, out)| **out).map(|(n, _)| self.id(n)).collect();
        self.raw.exclude(&out);
        self.made += order.job.len();
        let answer = self.run(job, order);
        if !self.spoilt {
            self.raw.exclude(&[]);
        }
        answer
    }

    fn run(&mut self, job: &Job, order: Order) -> Result<Answer> {
        let flags = if job.weak { WEAK } else { 0 } | if job.best { BEST } else { 0 };
        let seconds = job.seconds.unwrap_or(SECONDS).clamp(0.001, 3600.0);
        let (first, packages) = (self.first, &self.packages);
        let name = |id: i32| {
            let at = usize::try_from(id.checked_sub(first)?).ok()?;
            packages.get(at).map(|package| package.nevra())
        };
        let installs = match self.raw.solve(&order.job, flags, (seconds * 1000.0) as u32) {
            None => {
                self.spoilt = true;
                return Err(Error::Time(seconds));
            }
            Some(mut answer) if answer.problems() > 0 => {
                let problems = problems(&mut answer, &name);
                return Ok(Err(Unsolvable { problems, ..Unsolvable::default() }));
            }
            Some(answer) => answer.installs(),
        };
        Ok(Ok(self.plan(job, order, &installs)))
    }

    fn plan(&self, job: &Job, order: Order, installs: &[i32]) -> Plan {
        let numbers: HashSet<u32> = installs.iter().filter_map(|id| self.number(*id)).collect();
        let chosen = |number: &u32| Chosen {
            package: self.packages[*number as usize].clone(),
            repository: self.repository(*number).to_owned(),
            number: *number,
        };
        let mut packages: Vec<Chosen> = numbers.iter().map(chosen).collect();
        packages.sort_by_cached_key(|chosen| {
            (chosen.package.name.clone(), chosen.nevra(), chosen.number)
        });
        let mut roots = order.roots;
        roots.iter_mut().for_each(|(_, list)| list.retain(|n| numbers.contains(n)));
        Plan { packages, skipped: order.skipped, roots, weak: job.weak, arch: self.arch.clone() }
    }

    fn order(&mut self, want: &Want, left_out: &[bool], order: &mut Order) {
        let exists = |n: &u32| !left_out.get(*n as usize).is_some_and(|out| *out);
        match want {
            Want::Install { spec, optional } => {
                let found = self.find(spec, left_out);
                match (found.packages.is_empty(), *optional) {
                    (true, true) => order.skipped.push(spec.clone()),
                    (true, false) => order.missing.push(spec.clone()),
                    (false, _) => self.order_found(spec, found, *optional, left_out, order),
                }
            }
            Want::Require(text) => {
                let expr = Expr::parse(text);
                // also those that are left out: then the reason says so
                let found = self.providers(&expr);
                if !found.is_empty() || text.trim_start().starts_with('(') {
                    let id = self.dependency(&expr);
                    order.job.extend([PROVIDER, id]);
                    order.roots.push((text.clone(), found));
                } else {
                    let mut owners =
                        if text.starts_with('/') { self.with_file(text) } else { Vec::new() };
                    owners.retain(exists);
                    if owners.is_empty() {
                        order.missing.push(text.clone());
                    } else {
                        self.list(text, owners, OWNER, order);
                    }
                }
            }
            Want::Group { name, with, optional } => {
                let mut found: Vec<u32> = self.named(name).to_vec();
                found.retain(|n| exists(n) && !self.package(*n).is_source());
                if found.is_empty() {
                    order.skipped.push(name.clone());
                } else if let Some(with) = with {
                    let text = format!("({name} if {with})");
                    let id = self.dependency(&Expr::parse(&text));
                    order.job.extend([PROVIDER | if *optional { OPTIONAL } else { 0 }, id]);
                    order.roots.push((text, found));
                } else {
                    self.one_of_or_obsoleting(name, found, *optional, left_out, order);
                }
            }
        }
    }

    /// A pattern wants one package of each name, or of each name and arch; all else wants one package.
    fn order_found(
        &mut self,
        spec: &str,
        found: Found,
        optional: bool,
        left_out: &[bool],
        order: &mut Order,
    ) {
        let path = spec.starts_with('/') || spec.starts_with("*/");
        let Found { packages, by_name, each_arch } = found;
        if !each_arch && (path || !glob::is_pattern(spec)) {
            if by_name {
                self.one_of_or_obsoleting(spec, packages, optional, left_out, order);
            } else {
                self.one_of(spec, packages, optional, order);
            }
            return;
        }
        // dnf goes through them in the order in which libsolv met their names
        let mut groups: BTreeMap<(i32, i32), Vec<u32>> = BTreeMap::new();
        for number in packages {
            let package = self.packages[number as usize].clone();
            let arch = if each_arch { self.raw.string(&package.arch, false) } else { 0 };
            let name = self.raw.string(&package.name, false);
            groups.entry((name, arch)).or_default().push(number);
        }
        for (_, list) in groups {
            if by_name || each_arch {
                self.one_of_or_obsoleting(spec, list, optional, left_out, order);
            } else {
                self.one_of(spec, list, optional, order);
            }
        }
    }

    fn one_of_or_obsoleting(
        &mut self,
        text: &str,
        mut packages: Vec<u32>,
        optional: bool,
        left_out: &[bool],
        order: &mut Order,
    ) {
        packages.extend(self.obsoleting(&packages.clone()));
        packages.retain(|n| !left_out.get(*n as usize).is_some_and(|out| *out));
        self.one_of(text, packages, optional, order);
    }

    fn one_of(&self, text: &str, packages: Vec<u32>, optional: bool, order: &mut Order) {
        self.list(text, packages, ONE_OF | if optional { OPTIONAL } else { 0 }, order);
    }

    fn list(&self, text: &str, mut packages: Vec<u32>, kind: i32, order: &mut Order) {
        packages.sort_unstable();
        packages.dedup();
        order.job.extend([kind, packages.len() as i32]);
        order.job.extend(packages.iter().map(|n| self.id(*n)));
        order.roots.push((text.to_owned(), packages));
    }
}

fn problems(answer: &mut RawAnswer<'_>, name: &dyn Fn(i32) -> Option<String>) -> Vec<Problem> {
    (0..answer.problems())
        .map(|number| {
            let mut problem = Problem::default();
            for rule in answer.problem(number) {
                let reason = reason(answer, &rule, name);
                if !problem.reasons.contains(&reason) {
                    problem.reasons.push(reason);
                }
            }
            problem
        })
        .collect()
}

fn reason(
    answer: &mut RawAnswer<'_>,
    rule: &RawRule,
    name: &dyn Fn(i32) -> Option<String>,
) -> Reason {
    let text = answer.words(rule);
    let mut packages: Vec<String> = [rule[1], rule[2]].into_iter().filter_map(name).collect();
    packages.retain(|package| text.contains(package));
    packages.dedup();
    Reason { text, packages }
}
