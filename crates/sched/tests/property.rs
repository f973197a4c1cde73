//! Every decision is checked against a plain account of the rules.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use toji_sched::*;
use toji_types::{ChannelId, HostId, TaskId, UserId, arch};

const NOW: f64 = 10_000.0;
const ARCHES: [&str; 4] = ["x86_64", "i686", "aarch64", "noarch"];

fn weight() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.2), Just(1.0), Just(1.5), Just(5.5), Just(9.0)]
}

prop_compose! {
    fn host()(
        enabled in prop::bool::weighted(0.9),
        ready in prop::bool::weighted(0.9),
        age in prop_oneof![4 => 0.0..100.0, 1 => 100.0..2000.0],
        capacity in prop_oneof![Just(1.0), Just(2.0), Just(8.0)],
        max_jobs in prop::option::of(0u32..4),
        arches in prop::collection::vec(0usize..3, 0..3),
        channels in prop::collection::vec(1i64..4, 0..4),
        lost in prop::option::weighted(0.1, 0.0..40.0),
        pressed in prop::bool::weighted(0.1),
    ) -> Host {
        Host {
            id: HostId(0),
            enabled,
            ready,
            updated: (age < 1900.0).then_some(NOW - age),
            capacity,
            max_jobs,
            lost: lost.map(|age: f64| NOW - age),
            pressure: pressed.then(|| "free memory 3 MiB".to_owned()),
            arches: arches.into_iter().map(|a| ARCHES[a].to_owned()).collect(),
            channels: channels.into_iter().map(ChannelId).collect(),
        }
    }
}

prop_compose! {
    fn free()(
        channel in 1i64..4,
        owner in 1i64..4,
        arch in 0usize..4,
        weight in weight(),
        priority in 18i64..22,
        created in 0u8..5,
        tree in 0u8..3,
        expected in 0u8..4,
        subtask in any::<bool>(),
    ) -> FreeTask {
        FreeTask {
            id: TaskId(0),
            owner: UserId(owner),
            channel: ChannelId(channel),
            arch: ARCHES[arch].to_owned(),
            subtask,
            weight,
            priority,
            created: f64::from(created),
            tree: f64::from(tree),
            expected: f64::from(expected),
        }
    }
}

prop_compose! {
    fn active()(
        host in 0i64..12,
        channel in 1i64..4,
        owner in 1i64..4,
        open in any::<bool>(),
        waiting in any::<bool>(),
        weight in weight(),
        age in prop::option::of(0.0..2000.0),
    ) -> ActiveTask {
        ActiveTask {
            id: TaskId(0),
            owner: UserId(owner),
            channel: ChannelId(channel),
            host: (host > 0).then_some(HostId(host)),
            state: if open { ActiveState::Open } else { ActiveState::Assigned },
            waiting,
            weight,
            assigned: age.map(|a: f64| NOW - a),
        }
    }
}

prop_compose! {
    fn snapshot()(
        mut hosts in prop::collection::vec(host(), 0..10),
        mut free in prop::collection::vec(free(), 0..40),
        mut active in prop::collection::vec(active(), 0..10),
        fair_shares in any::<bool>(),
        critical_path in any::<bool>(),
        since in prop_oneof![Just(0.0), Just(NOW - 10.0)],
        served in prop::collection::vec((1i64..4, 1i64..4, 0u8..5), 0..6),
        refusals in prop::collection::vec((1i64..41, 1i64..11, any::<bool>(), 0.0..2000.0), 0..40),
    ) -> Snapshot {
        for (id, host) in (1..).zip(&mut hosts) {
            host.id = HostId(id);
        }
        for (id, task) in (1..).zip(&mut free) {
            task.id = TaskId(id);
        }
        for (id, task) in (100..).zip(&mut active) {
            task.id = TaskId(id);
        }
        let refusals = refusals
            .into_iter()
            .map(|(task, host, soft, age)| Refusal {
                task: TaskId(task),
                host: HostId(host),
                soft,
                time: NOW - age,
            })
            .collect();
        let config = Config { fair_shares, critical_path, ..Config::default() };
        let served = served.into_iter().map(|(channel, owner, at)| Served {
            channel: ChannelId(channel),
            owner: UserId(owner),
            at: f64::from(at),
        });
        let served = served.collect();
        Snapshot { now: NOW, since, config, hosts, free, active, refusals, served }
    }
}

/// The rules as plainly as they can be said, for one snapshot.
struct Account<'a> {
    s: &'a Snapshot,
    load: BTreeMap<HostId, f64>,
    tasks: BTreeMap<HostId, u32>,
    waiting: BTreeMap<HostId, u32>,
    demand: BTreeMap<HostId, f64>,
}

impl<'a> Account<'a> {
    fn new(s: &'a Snapshot) -> Self {
        let mut a = Account {
            s,
            load: s.hosts.iter().map(|h| (h.id, 0.0)).collect(),
            tasks: s.hosts.iter().map(|h| (h.id, 0)).collect(),
            waiting: s.hosts.iter().map(|h| (h.id, 0)).collect(),
            demand: s.hosts.iter().map(|h| (h.id, 0.0)).collect(),
        };
        for task in &s.active {
            if let Some(host) = task.host.filter(|h| a.load.contains_key(h)) {
                *a.tasks.get_mut(&host).unwrap() += 1;
                *a.waiting.get_mut(&host).unwrap() += u32::from(task.waiting);
                *a.load.get_mut(&host).unwrap() += if task.waiting { 0.0 } else { task.weight };
            }
        }
        for task in &s.free {
            let options = a.options(task);
            for host in &options {
                *a.demand.get_mut(host).unwrap() += task.weight / options.len() as f64;
            }
        }
        let total: f64 = a.demand.values().sum();
        if total > 0.0 {
            a.demand.values_mut().for_each(|d| *d /= total);
        }
        a
    }

    fn eligible(&self, host: &Host, task: &FreeTask) -> bool {
        let s = self.s;
        let refused = s.refusals.iter().any(|r| {
            let lapsed = r.soft && s.now - r.time > s.config.soft_refusal_timeout;
            r.task == task.id && r.host == host.id && !lapsed
        });
        let arch_fits = task.arch == "noarch"
            || (host.arches.iter()).any(|a| arch::canonical(a) == arch::canonical(&task.arch));
        let max_jobs = match host.max_jobs {
            None | Some(0) => s.config.max_jobs,
            Some(n) => n,
        };
        let waiting = if task.subtask { self.waiting[&host.id] } else { 0 };
        let needed = (task.weight - s.config.capacity_overcommit).max(0.0);
        host.enabled
            && host.ready
            && host.lost.is_none()
            && host.pressure.is_none()
            && host.updated.is_some_and(|at| s.now - at <= s.config.ready_timeout)
            && host.channels.contains(&task.channel)
            && arch_fits
            && !refused
            && self.tasks[&host.id] - waiting < max_jobs
            && host.capacity - self.load[&host.id] > needed
    }

    fn options(&self, task: &FreeTask) -> Vec<HostId> {
        let fits = self.s.hosts.iter().filter(|h| self.eligible(h, task));
        fits.map(|h| h.id).collect()
    }

    fn rank(&self, host: HostId) -> f64 {
        self.load[&host] + f64::from(self.tasks[&host]) + self.demand[&host]
    }
}

proptest! {
    #[test]
    fn decisions_follow_the_rules(s in snapshot()) {
        let mut account = Account::new(&s);
        let mut order = Vec::new();
        for decision in decide(&s) {
            match decision {
                Decision::Assign { task, host } => {
                    let task = s.free.iter().find(|t| t.id == task).unwrap();
                    let options = account.options(task);
                    prop_assert!(options.contains(&host), "{:?}", decision);
                    let best = options.iter().map(|h| account.rank(*h)).fold(f64::MAX, f64::min);
                    prop_assert!(account.rank(host) <= best + 1e-9, "{:?} is not the best", decision);
                    *account.load.get_mut(&host).unwrap() += task.weight;
                    *account.tasks.get_mut(&host).unwrap() += 1;
                    order.push(task);
                }
                Decision::Wait { task, .. } => {
                    let task = s.free.iter().find(|t| t.id == task).unwrap();
                    prop_assert_eq!(account.options(task), [], "{:?}", decision);
                    order.push(task);
                }
                Decision::MarkNotReady { host } => {
                    let host = s.hosts.iter().find(|h| h.id == host).unwrap();
                    prop_assert!(host.ready && host.enabled);
                    prop_assert!(host.updated.is_none_or(|at| s.now - at > s.config.ready_timeout));
                }
                Decision::Free { task, host, reason } => {
                    let task = s.active.iter().find(|t| t.id == task).unwrap();
                    prop_assert_eq!(task.host, host);
                    let known = s.hosts.iter().any(|h| Some(h.id) == host);
                    prop_assert!(!known || task.assigned.is_some() || task.state == ActiveState::Open);
                    let lost = s.hosts.iter().find(|h| Some(h.id) == host).and_then(|h| h.lost);
                    if reason == FreeReason::HostLost {
                        let begun = lost.unwrap().max(s.since);
                        prop_assert!(s.now - begun > s.config.lost_timeout);
                    }
                }
            }
        }
        // each free task is decided once, the more urgent first
        let ids: BTreeSet<TaskId> = order.iter().map(|t| t.id).collect();
        prop_assert_eq!(ids.len(), order.len());
        prop_assert_eq!(order.len(), s.free.len());
        for pair in order.windows(2) {
            let by_path = |t: &FreeTask| (t.tree as i64, -t.expected as i64, t.created as i64);
            let by_age = |t: &FreeTask| (t.created as i64, 0, 0);
            let key = |t: &FreeTask| {
                let place = if s.config.critical_path { by_path(t) } else { by_age(t) };
                (t.priority, place, t.id)
            };
            let (before, after) = (pair[0], pair[1]);
            prop_assert!(before.priority <= after.priority);
            let peers = before.owner == after.owner && before.channel == after.channel;
            if peers || !s.config.fair_shares {
                prop_assert!(key(before) < key(after), "the older build first and in it the longer, among those of one user");
            }
        }
    }

    /// What is tried run by run over the heads of the queues breaks no rule and leaves no host idle that could work.
    #[test]
    fn heads_are_enough(s in snapshot(), most in 1usize..4) {
        let mut queues = Queues::new(s.config.critical_path);
        s.free.iter().for_each(|task| queues.insert(task.clone()));
        prop_assert_eq!(queues.len(), s.free.len());
        let mut now = Snapshot { free: Vec::new(), ..s.clone() };
        let mut runs = 0;
        loop {
            now.free = queues.heads(&now, most);
            let mut account = Account::new(&now);
            let mut placed = Vec::new();
            for decision in decide(&now) {
                let Decision::Assign { task, host } = decision else { continue };
                let task = now.free.iter().find(|t| t.id == task).unwrap();
                prop_assert!(account.options(task).contains(&host), "{:?}", decision);
                *account.load.get_mut(&host).unwrap() += task.weight;
                *account.tasks.get_mut(&host).unwrap() += 1;
                placed.push((queues.remove(task.id).unwrap(), host));
            }
            prop_assert_eq!(placed.is_empty(), now.free.is_empty(), "each head alone could be placed");
            if placed.is_empty() {
                break;
            }
            now.active.extend(placed.into_iter().map(|(task, host)| ActiveTask {
                id: task.id,
                owner: task.owner,
                channel: task.channel,
                host: Some(host),
                state: ActiveState::Assigned,
                waiting: false,
                weight: task.weight,
                assigned: Some(NOW),
            }));
            runs += 1;
            prop_assert!(runs <= s.free.len());
        }
        let account = Account::new(&now);
        for task in s.free.iter().filter(|task| queues.remove(task.id).is_some()) {
            prop_assert_eq!(account.options(task), [], "{:?} could run", task);
        }
        prop_assert!(queues.is_empty());
    }

    /// Until the next check the same is decided, and so the scheduler may sleep.
    #[test]
    fn nothing_changes_before_the_next_check(s in snapshot(), part in 0.0..1.0f64) {
        let mut later = s.clone();
        later.now = match next_check(&s) {
            Some(at) => s.now + (at - s.now) * part,
            None => s.now + 1e6 * part,
        };
        prop_assert_eq!(decide(&s), decide(&later), "{} s later", later.now - s.now);
    }

    #[test]
    fn order_of_lists_does_not_matter(s in snapshot()) {
        let mut other = s.clone();
        other.hosts.reverse();
        other.free.reverse();
        other.refusals.reverse();
        other.served.reverse();
        let half = other.active.len() / 2;
        other.active.rotate_left(half);
        prop_assert_eq!(decide(&s), decide(&other));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whoever comes with one task is served within about what runs already, however much another has in the queue.
    #[test]
    fn a_flood_does_not_starve_others(
        flood in prop::collection::vec((1u8..5,), 20..200),
        hosts in 1i64..4,
        at in 1u8..20,
    ) {
        let mut work: Vec<(i64, u8, u8)> = flood.iter().map(|(length,)| (1, 0, *length)).collect();
        work.push((2, at, 1));
        let start = starts(&work, hosts).pop().flatten();
        // at most one task of the other's is still before it on each host
        prop_assert!(start.is_some_and(|start| start <= u64::from(at) + 5), "starts at {start:?}");
    }

    /// A farm in the model: tasks run for as long as they weigh, and new ones come while others wait.
    #[test]
    fn nothing_starves_and_more_builders_are_not_slower(
        work in prop::collection::vec((1i64..4, 0u8..30, 1u8..5), 1..120),
        hosts in 1i64..4,
    ) {
        let few = run_model(&work, hosts);
        prop_assert!(few.is_some(), "a task was never placed");
        let more = run_model(&work, hosts + 1);
        // A list schedule may change its order with the machines, but by no more than one task (Graham).
        prop_assert!(more <= few.map(|end| end + 4), "{more:?} with one host more than {few:?}");
    }
}

/// When the last task ends, if all do within twice the whole work; `work` is (user, arrival, length).
fn run_model(work: &[(i64, u8, u8)], hosts: i64) -> Option<u64> {
    let starts = starts(work, hosts).into_iter().zip(work);
    let ends: Option<Vec<u64>> = starts.map(|(start, w)| Some(start? + u64::from(w.2))).collect();
    ends?.into_iter().max()
}

/// When each task starts.
fn starts(work: &[(i64, u8, u8)], hosts: i64) -> Vec<Option<u64>> {
    let mut starts = vec![None; work.len()];
    let mut s = Snapshot { now: NOW, ..Snapshot::default() };
    s.config.capacity_overcommit = 0.0;
    s.hosts = (1..=hosts)
        .map(|id| Host {
            id: HostId(id),
            enabled: true,
            ready: true,
            updated: Some(NOW),
            lost: None,
            pressure: None,
            capacity: 1.0,
            max_jobs: Some(1),
            arches: vec!["x86_64".into()],
            channels: vec![ChannelId(1)],
        })
        .collect();
    let mut ends: BTreeMap<TaskId, u64> = BTreeMap::new();
    let limit = 31 + 2 * work.iter().map(|w| u64::from(w.2)).sum::<u64>();
    for clock in 0..limit {
        s.active.retain(|task| ends[&task.id] > clock);
        for (number, (user, _, _)) in
            (0..).zip(work).filter(|(_, (_, arrival, _))| u64::from(*arrival) == clock)
        {
            s.free.push(FreeTask {
                id: TaskId(number),
                owner: UserId(*user),
                channel: ChannelId(1),
                arch: "x86_64".into(),
                subtask: false,
                weight: 0.9,
                priority: 20,
                created: NOW + clock as f64,
                tree: NOW + clock as f64,
                expected: 0.0,
            });
        }
        for decision in decide(&s) {
            let Decision::Assign { task, host } = decision else { continue };
            let at = s.free.iter().position(|t| t.id == task).unwrap();
            let free = s.free.remove(at);
            ends.insert(task, clock + u64::from(work[task.0 as usize].2));
            starts[task.0 as usize] = Some(clock);
            let at = NOW + clock as f64;
            s.served.push(Served { channel: free.channel, owner: free.owner, at });
            s.active.push(ActiveTask {
                id: task,
                owner: free.owner,
                channel: free.channel,
                host: Some(host),
                state: ActiveState::Open,
                waiting: false,
                weight: free.weight,
                assigned: None,
            });
        }
        if ends.len() == work.len() {
            break;
        }
    }
    starts
}
