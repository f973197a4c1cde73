//! Which packages of a repository a buildroot needs.
//!
//! The machine itself is the rest of the buildroot: what the repository does not offer may be on the
//! machine already. A package of the repository wins over the machine's own.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::rich::{Capability, Need};

/// What a package of the repository never provides: rpm's own features, and the C library, since
/// the buildroot runs the machine's programs and they need theirs.
const OWN: [&str; 5] = ["rpmlib(", "rtld(", "libc.so.6", "libm.so.6", "ld-linux"];

/// A package that a repository offers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offer {
    pub(crate) name: String,
    pub(crate) arch: String,
    pub(crate) evr: toji_types::Evr,
    /// Where it is: below the published files, or a URL.
    pub(crate) location: String,
    pub(crate) sha256: String,
    pub(crate) size: u64,
    /// The external repository that it comes from.
    pub(crate) origin: Option<Arc<str>>,
    pub(crate) provides: Vec<Capability>,
    pub(crate) requires: Vec<Capability>,
    pub(crate) files: Vec<String>,
}

impl Offer {
    /// Name, version, release and arch.
    pub(crate) fn nevra(&self) -> String {
        format!("{}-{}-{}.{}", self.name, self.evr.version, self.evr.release, self.arch)
    }

    fn meets(&self, need: &Capability) -> bool {
        self.provides.iter().any(|offer| need.is_met_by(offer))
            || need.name.starts_with('/') && self.files.contains(&need.name)
    }
}

/// What the machine has.
pub(crate) trait Machine {
    /// Whether the machine itself meets the need.
    fn has(&self, need: &Capability) -> bool;

    /// Whether a package of a repository never provides this name here.
    fn owns(&self, name: &str) -> bool {
        OWN.iter().any(|own| name.starts_with(own))
    }
}

/// The outcome: packages to install, and what could not be had.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// Places in the list of offers, in that order.
    pub(crate) packages: BTreeSet<usize>,
    /// What nothing provides, with the package that needs it.
    pub(crate) missing: Vec<(String, Option<String>)>,
}

/// The offers of a repository, ready for questions.
pub(crate) struct Pool<'o> {
    offers: &'o [Offer],
    by_name: HashMap<&'o str, Vec<usize>>,
}

impl<'o> Pool<'o> {
    pub(crate) fn new(offers: &'o [Offer]) -> Self {
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, offer) in offers.iter().enumerate() {
            let names = offer.provides.iter().map(|p| p.name.as_str());
            for name in names.chain(offer.files.iter().map(String::as_str)) {
                let list = by_name.entry(name).or_default();
                if list.last() != Some(&at) {
                    list.push(at);
                }
            }
        }
        Pool { offers, by_name }
    }

    /// Everything that the needs need in turn.
    pub(crate) fn plan(&self, needs: &[Need], machine: &dyn Machine) -> Plan {
        let mut plan = Plan::default();
        let mut queue: Vec<(Need, Option<usize>)> =
            needs.iter().rev().map(|need| (need.clone(), None)).collect();
        while let Some((need, by)) = queue.pop() {
            let Some(chosen) = self.choose(&need, &plan, machine) else {
                let by = by.map(|at| self.offers[at].nevra());
                plan.missing.push((need.to_string(), by));
                continue;
            };
            for at in chosen {
                if plan.packages.insert(at) {
                    let requires = self.offers[at].requires.iter().rev();
                    queue.extend(requires.map(|r| (Need::of(r.clone()), Some(at))));
                }
            }
        }
        plan
    }

    /// The packages that meet a need; none when the machine does, `None` when nothing does.
    fn choose(&self, need: &Need, plan: &Plan, machine: &dyn Machine) -> Option<Vec<usize>> {
        let choose = |need: &Need| self.choose(need, plan, machine);
        let otherwise =
            |other: &Option<Box<Need>>| other.as_ref().map_or(Some(vec![]), |o| choose(o));
        match need {
            Need::Plain(capability) => {
                if machine.owns(&capability.name) {
                    return Some(vec![]);
                }
                let met = |at: &usize| self.offers[*at].meets(capability);
                match self.best(&capability.name, plan, met) {
                    Some(at) => Some(vec![at]),
                    None => machine.has(capability).then(Vec::new),
                }
            }
            Need::And(all) => {
                let each: Option<Vec<_>> = all.iter().map(choose).collect();
                each.map(|lists| lists.into_iter().flatten().collect())
            }
            Need::Or(all) => {
                let present = all.iter().find(|one| self.is_there(one, plan, machine));
                present.map_or_else(|| all.iter().find_map(choose), choose)
            }
            Need::If(need, condition, other) => {
                if self.is_there(condition, plan, machine) {
                    choose(need)
                } else {
                    otherwise(other)
                }
            }
            Need::Unless(need, condition, other) => {
                if self.is_there(condition, plan, machine) {
                    otherwise(other)
                } else {
                    choose(need)
                }
            }
            Need::With(all) => {
                let met = |at: &usize| all.iter().all(|one| self.one_meets(*at, one));
                let name = first_name(need);
                self.best(name, plan, met)
                    .map(|at| vec![at])
                    .or_else(|| all.iter().all(|one| self.machine_has(one, machine)).then(Vec::new))
            }
            Need::Without(need, not) => {
                let met = |at: &usize| self.one_meets(*at, need) && !self.one_meets(*at, not);
                self.best(first_name(need), plan, met).map(|at| vec![at])
            }
        }
    }

    /// The best of the packages that provide the name: chosen already, named so, newest.
    fn best(&self, name: &str, plan: &Plan, met: impl Fn(&usize) -> bool) -> Option<usize> {
        let candidates = self.by_name.get(name)?.iter().copied().filter(|at| met(at));
        candidates.max_by(|a, b| {
            let rank = |at: usize| {
                let offer = &self.offers[at];
                (plan.packages.contains(&at), offer.name == name)
            };
            let (one, two) = (&self.offers[*a], &self.offers[*b]);
            let names = (two.name.len(), &two.name).cmp(&(one.name.len(), &one.name));
            rank(*a)
                .cmp(&rank(*b))
                .then_with(|| if one.name == two.name { one.evr.cmp(&two.evr) } else { names })
                .then_with(|| (two.arch == "noarch").cmp(&(one.arch == "noarch")))
        })
    }

    fn one_meets(&self, at: usize, need: &Need) -> bool {
        matches!(need, Need::Plain(capability) if self.offers[at].meets(capability))
    }

    fn machine_has(&self, need: &Need, machine: &dyn Machine) -> bool {
        matches!(need, Need::Plain(capability) if machine.has(capability))
    }

    /// Whether a need is met by what is chosen or on the machine.
    fn is_there(&self, need: &Need, plan: &Plan, machine: &dyn Machine) -> bool {
        let there = |need: &Need| self.is_there(need, plan, machine);
        match need {
            Need::Plain(_) => {
                plan.packages.iter().any(|at| self.one_meets(*at, need))
                    || self.machine_has(need, machine)
            }
            Need::And(all) => all.iter().all(there),
            Need::Or(all) => all.iter().any(there),
            Need::With(all) => {
                plan.packages.iter().any(|at| all.iter().all(|one| self.one_meets(*at, one)))
            }
            Need::Without(a, b) => {
                plan.packages.iter().any(|at| self.one_meets(*at, a) && !self.one_meets(*at, b))
            }
            Need::If(a, b, c) | Need::Unless(a, b, c) => {
                let condition = there(b) == matches!(need, Need::If(..));
                if condition { there(a) } else { c.as_ref().is_none_or(|c| there(c)) }
            }
        }
    }
}

fn first_name(need: &Need) -> &str {
    match need {
        Need::Plain(capability) => &capability.name,
        Need::With(all) => all.first().map_or("", first_name),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Has(&'static [&'static str]);

    impl Machine for Has {
        fn has(&self, need: &Capability) -> bool {
            self.0.contains(&need.name.as_str())
        }
    }

    fn offer(name: &str, version: &str, provides: &[&str], requires: &[&str]) -> Offer {
        let named = Capability::new(name, 8, &format!("{version}-1"));
        let plain = |text: &&str| Capability::new(text, 0, "");
        Offer {
            name: name.into(),
            arch: "x86_64".into(),
            evr: toji_types::Evr::parse(&format!("{version}-1")),
            provides: std::iter::once(named).chain(provides.iter().map(plain)).collect(),
            requires: requires.iter().map(plain).collect(),
            files: vec![format!("/usr/bin/{name}")],
            ..Offer::default()
        }
    }

    fn plan(offers: &[Offer], needs: &[&str]) -> (Vec<String>, Vec<String>) {
        let needs: Vec<_> = needs.iter().map(|n| Need::of(Capability::new(n, 0, ""))).collect();
        let plan = Pool::new(offers).plan(&needs, &Has(&["gcc", "libc.so.6"]));
        let names = plan.packages.iter().map(|at| offers[*at].nevra()).collect();
        let missing = plan
            .missing
            .into_iter()
            .map(|(need, by)| by.map_or(need.clone(), |by| format!("{need} by {by}")));
        (names, missing.collect())
    }

    #[test]
    fn needs_are_followed() {
        let offers = [
            offer("a", "1", &[], &["b(x)", "libc.so.6", "rpmlib(Y)"]),
            offer("b", "1", &["b(x)"], &["/usr/bin/c"]),
            offer("b", "2", &["b(x)"], &["/usr/bin/c"]),
            offer("c", "1", &[], &["a", "nowhere"]),
            offer("longer-b", "9", &["b(x)"], &[]),
        ];
        let (names, missing) = plan(&offers, &["a", "gcc", "foo"]);
        assert_eq!(names, ["a-1-1.x86_64", "b-2-1.x86_64", "c-1-1.x86_64"]);
        assert_eq!(missing, ["nowhere by c-1-1.x86_64", "foo"]);
    }

    #[test]
    fn the_c_library_is_the_machines() {
        let runtime = offer("runtime", "1", &["libc.so.6", "ld-linux-x86-64.so.2()(64bit)"], &[]);
        let user = offer("a", "1", &[], &["libc.so.6", "ld-linux-x86-64.so.2()(64bit)"]);
        assert_eq!(plan(&[runtime.clone(), user], &["a"]), (vec!["a-1-1.x86_64".into()], vec![]));
        assert_eq!(plan(&[runtime], &["runtime"]).0, ["runtime-1-1.x86_64"]);
    }

    #[test]
    fn rich_needs_are_decided() {
        let offers = [
            offer("a", "1", &["p", "q"], &[]),
            offer("b", "1", &["p"], &[]),
            offer("d", "1", &[], &[]),
        ];
        assert_eq!(plan(&offers, &["(x or b)"]).0, ["b-1-1.x86_64"]);
        assert_eq!(plan(&offers, &["(a if gcc)"]).0, ["a-1-1.x86_64"]);
        assert_eq!(plan(&offers, &["(a if none else d)"]).0, ["d-1-1.x86_64"]);
        assert_eq!(plan(&offers, &["(a unless gcc)"]).0.len(), 0);
        assert_eq!(plan(&offers, &["(p with q)"]).0, ["a-1-1.x86_64"]);
        assert_eq!(plan(&offers, &["(p without q)"]).0, ["b-1-1.x86_64"]);
        assert_eq!(plan(&offers, &["(x and b)"]).1, ["(x and b)"]);
        assert_eq!(plan(&offers, &["(a or b)", "b"]).0.len(), 2);
    }
}
