//! Why a package is in a plan: the way from a want to it.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::Pool;
use crate::package::Kind;
use crate::plan::{Chosen, Plan};
use crate::rich::Expr;

/// One step of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The package that needs something, as `name-[epoch:]version-release.arch`; `None` for the question itself.
    pub by: Option<String>,
    /// What it needs, as written.
    pub needs: String,
    /// False if it would do without (a recommendation or supplement).
    pub hard: bool,
    /// The package that was chosen for it.
    pub package: String,
}

/// Where a package came from in the search.
struct Step {
    by: Option<u32>,
    needs: String,
    hard: bool,
}

impl Pool {
    /// The shortest way from a want of the plan to its packages of this name, a step each; the last one ends at the package.
    /// Requirements go before recommendations. Empty if the plan has no such package.
    pub fn why(&mut self, plan: &Plan, name: &str) -> Vec<Link> {
        let wanted = |c: &&Chosen| &*c.package.name == name || c.nevra() == name;
        let Some(goal) = plan.packages.iter().find(wanted).map(|chosen| chosen.number) else {
            return Vec::new();
        };
        let steps = self.steps(plan, goal);
        let (mut links, mut at) = (Vec::new(), Some(goal));
        while let Some(number) = at {
            let Some(step) = steps.get(&number) else { break };
            links.push(Link {
                by: step.by.map(|by| self.package(by).nevra()),
                needs: step.needs.clone(),
                hard: step.hard,
                package: self.package(number).nevra(),
            });
            at = step.by;
        }
        links.reverse();
        links
    }

    /// Goes from the wants outwards until it is at the goal: first by requirements, then by weak dependencies.
    fn steps(&mut self, plan: &Plan, goal: u32) -> HashMap<u32, Step> {
        let chosen: HashSet<u32> = plan.packages.iter().map(|c| c.number).collect();
        let mut steps: HashMap<u32, Step> = HashMap::new();
        let (mut queue, mut weak) = (VecDeque::new(), VecDeque::new());
        for (want, packages) in &plan.roots {
            for number in packages {
                steps.entry(*number).or_insert_with(|| {
                    queue.push_back(*number);
                    Step { by: None, needs: want.clone(), hard: true }
                });
            }
        }
        while let Some((number, hard)) =
            queue.pop_front().map(|n| (n, true)).or_else(|| weak.pop_front().map(|n| (n, false)))
        {
            if steps.contains_key(&goal) {
                break;
            }
            let kind = if hard { Kind::Requires } else { Kind::Recommends };
            for (to, needs) in self.edges(number, kind, &chosen) {
                steps.entry(to).or_insert_with(|| {
                    queue.push_back(to);
                    Step { by: Some(number), needs, hard }
                });
            }
            if hard && plan.weak {
                weak.push_back(number);
            }
        }
        if !steps.contains_key(&goal) && plan.weak {
            // it came by itself, for a package that it supplements
            for (to, needs) in self.edges(goal, Kind::Supplements, &chosen) {
                steps.entry(goal).or_insert(Step { by: Some(to), needs, hard: false });
            }
        }
        steps
    }

    /// The chosen packages that a package's dependencies of a kind lead to.
    fn edges(&mut self, number: u32, kind: Kind, chosen: &HashSet<u32>) -> Vec<(u32, String)> {
        let package = self.packages[number as usize].clone();
        let mut edges = Vec::new();
        for dep in package.deps_of(kind) {
            let rich = if dep.flags == 0 && dep.name.starts_with('(') {
                Expr::rich(dep.name)
            } else {
                None
            };
            let expr = rich.unwrap_or(Expr::Leaf(dep.name, dep.flags, dep.evr));
            for leaf in expr.leaves() {
                let found = self.providers(leaf);
                let text = || crate::query::text(&dep);
                edges.extend(found.into_iter().filter(|n| chosen.contains(n)).map(|n| (n, text())));
            }
        }
        edges
    }
}
