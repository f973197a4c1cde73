//! The scheduler's rules, one by one.

use toji_sched::*;
use toji_types::{ChannelId, HostId, TaskId, UserId};

const NOW: f64 = 1_000_000.0;

fn host(id: i64) -> Host {
    Host {
        id: HostId(id),
        enabled: true,
        ready: true,
        updated: Some(NOW - 1.0),
        capacity: 2.0,
        max_jobs: None,
        lost: None,
        pressure: None,
        arches: vec!["x86_64".into(), "i686".into()],
        channels: vec![ChannelId(1)],
    }
}

fn task(id: i64) -> FreeTask {
    FreeTask {
        id: TaskId(id),
        owner: UserId(1),
        channel: ChannelId(1),
        arch: "x86_64".into(),
        subtask: false,
        weight: 1.0,
        priority: 20,
        created: id as f64,
        tree: id as f64,
        expected: 0.0,
    }
}

fn active(id: i64, host: i64, weight: f64) -> ActiveTask {
    ActiveTask {
        id: TaskId(id),
        owner: UserId(1),
        channel: ChannelId(1),
        host: Some(HostId(host)),
        state: ActiveState::Open,
        waiting: false,
        weight,
        assigned: Some(NOW - 10.0),
    }
}

fn snapshot(hosts: Vec<Host>, free: Vec<FreeTask>) -> Snapshot {
    let config = Config { fair_shares: false, ..Config::default() };
    Snapshot { now: NOW, config, hosts, free, ..Snapshot::default() }
}

fn assign(task: i64, host: i64) -> Decision {
    Decision::Assign { task: TaskId(task), host: HostId(host) }
}

fn wait(task: i64, reason: WaitReason) -> Decision {
    Decision::Wait { task: TaskId(task), reason }
}

#[test]
fn least_loaded_host_first_and_ties_by_id() {
    let mut s = snapshot(vec![host(3), host(2), host(1)], (10..14).map(task).collect());
    s.active = vec![active(1, 1, 0.5)];
    assert_eq!(decide(&s), [assign(10, 2), assign(11, 3), assign(12, 1), assign(13, 2)]);
}

#[test]
fn priority_then_age_then_id() {
    let mut tasks: Vec<FreeTask> = (1..5).map(task).collect();
    tasks[3].priority = 5;
    tasks[2].created = 0.5;
    tasks[2].tree = 0.5;
    let mut roomy = host(1);
    roomy.capacity = 10.0;
    let order: Vec<i64> = decide(&snapshot(vec![roomy], tasks))
        .iter()
        .filter_map(|d| match d {
            Decision::Assign { task, .. } => Some(task.0),
            _ => None,
        })
        .collect();
    assert_eq!(order, [4, 3, 1, 2]);
}

#[test]
fn load_may_pass_capacity_by_less_than_the_overcommit() {
    let mut heavy = task(1);
    heavy.weight = 6.0;
    // needs more than 1.0 free
    let mut s = snapshot(vec![host(1)], vec![heavy]);
    s.active = vec![active(9, 1, 0.99)];
    assert_eq!(decide(&s), [assign(1, 1)]);
    s.active = vec![active(9, 1, 1.0)];
    assert_eq!(decide(&s), [wait(1, WaitReason::Busy { hosts: 1 })]);
    // one that only waits for its subtasks brings no load
    s.active[0].waiting = true;
    assert_eq!(decide(&s), [assign(1, 1)]);
    s.active.clear();
    s.free[0].weight = 7.0;
    assert_eq!(decide(&s), [wait(1, WaitReason::TooHeavy { hosts: 1 })]);
}

#[test]
fn job_limits() {
    let mut limited = host(1);
    limited.max_jobs = Some(2);
    limited.capacity = 100.0;
    let mut s = snapshot(vec![limited], (1..4).map(task).collect());
    assert_eq!(decide(&s), [assign(1, 1), assign(2, 1), wait(3, WaitReason::Busy { hosts: 1 })]);
    s.hosts[0].max_jobs = None;
    s.config.max_jobs = 1;
    s.free.truncate(2);
    assert_eq!(decide(&s), [assign(1, 1), wait(2, WaitReason::Busy { hosts: 1 })]);
}

#[test]
fn waiting_tasks_leave_places_to_subtasks_only() {
    let mut limited = host(1);
    limited.max_jobs = Some(2);
    limited.capacity = 100.0;
    let subtask = |id| FreeTask { subtask: true, ..task(id) };
    let mut s = snapshot(vec![limited], vec![task(3), subtask(4), subtask(5), subtask(6)]);
    s.active = vec![active(1, 1, 1.0), active(2, 1, 1.0)];
    let busy = |id| wait(id, WaitReason::Busy { hosts: 1 });
    assert_eq!(decide(&s), [busy(3), busy(4), busy(5), busy(6)]);
    s.active[0].waiting = true;
    assert_eq!(decide(&s), [busy(3), assign(4, 1), busy(5), busy(6)]);
    s.active[1].waiting = true;
    assert_eq!(decide(&s), [busy(3), assign(4, 1), assign(5, 1), busy(6)]);
    let of = |task| obstacles(&s, task)[&HostId(1)].clone();
    assert_eq!(of(&s.free[0]), Obstacle::MaxJobs(2));
    assert_eq!(of(&s.free[1]), Obstacle::Queued);
}

#[test]
fn channel_and_arch() {
    let mut tasks: Vec<FreeTask> = (1..6).map(task).collect();
    tasks[0].arch = "noarch".into();
    tasks[1].arch = "i386".into();
    tasks[2].arch = "aarch64".into();
    tasks[3].channel = ChannelId(2);
    tasks[4].arch = "i686".into();
    let mut roomy = host(1);
    roomy.capacity = 10.0;
    assert_eq!(
        decide(&snapshot(vec![roomy], tasks)),
        [
            assign(1, 1),
            assign(2, 1),
            wait(3, WaitReason::NoHostWithArch),
            wait(4, WaitReason::NoHostInChannel),
            assign(5, 1),
        ]
    );
}

#[test]
fn hosts_that_are_not_there() {
    let mut disabled = host(1);
    disabled.enabled = false;
    assert_eq!(
        decide(&snapshot(vec![disabled], vec![task(1)])),
        [wait(1, WaitReason::NoHostInChannel)]
    );
    let mut unready = host(1);
    unready.ready = false;
    assert_eq!(
        decide(&snapshot(vec![unready], vec![task(1)])),
        [wait(1, WaitReason::NotReady { hosts: 1 })]
    );
    for updated in [None, Some(NOW - 181.0)] {
        let mut silent = host(1);
        silent.updated = updated;
        assert_eq!(
            decide(&snapshot(vec![silent], vec![task(1)])),
            [
                Decision::MarkNotReady { host: HostId(1) },
                wait(1, WaitReason::NotReady { hosts: 1 }),
            ]
        );
    }
}

#[test]
fn refusals_lapse_when_soft() {
    let refusal =
        |host, soft, age| Refusal { task: TaskId(1), host: HostId(host), soft, time: NOW - age };
    let mut s = snapshot(vec![host(1), host(2)], vec![task(1)]);
    s.refusals = vec![refusal(1, true, 899.0)];
    assert_eq!(decide(&s), [assign(1, 2)]);
    s.refusals = vec![refusal(1, true, 901.0)];
    assert_eq!(decide(&s), [assign(1, 1)]);
    s.refusals = vec![refusal(1, false, 90_000.0), refusal(2, true, 1.0)];
    assert_eq!(decide(&s), [wait(1, WaitReason::Refused { hosts: 2 })]);
}

#[test]
fn demand_keeps_shared_hosts_for_those_who_need_them() {
    // host 1 is the only one for channel 2; channel 1 has a choice
    let mut shared = host(1);
    shared.channels = vec![ChannelId(1), ChannelId(2)];
    let mut only = task(2);
    only.channel = ChannelId(2);
    let s = snapshot(vec![shared, host(2)], vec![task(1), only]);
    assert_eq!(decide(&s), [assign(1, 2), assign(2, 1)]);
}

#[test]
fn tasks_are_taken_back() {
    let free = |reason| vec![Decision::Free { task: TaskId(1), host: Some(HostId(1)), reason }];
    let mut s = snapshot(vec![host(1)], vec![]);
    s.active = vec![active(1, 1, 1.0)];
    s.active[0].state = ActiveState::Assigned;
    assert_eq!(decide(&s), []);
    s.active[0].assigned = Some(NOW - 301.0);
    assert_eq!(decide(&s), free(FreeReason::AssignTimeout { refused: true }));
    s.hosts[0].updated = Some(NOW - 400.0);
    s.hosts[0].ready = false;
    assert_eq!(decide(&s), free(FreeReason::AssignTimeout { refused: false }));
    // an administrator's assignment is left alone
    s.active[0].assigned = None;
    assert_eq!(decide(&s), []);

    s.active[0].state = ActiveState::Open;
    s.active[0].assigned = Some(NOW - 5000.0);
    s.hosts[0].updated = Some(NOW - 899.0);
    assert_eq!(decide(&s), []);
    s.hosts[0].updated = Some(NOW - 901.0);
    assert_eq!(decide(&s), free(FreeReason::HostSilent));
    // the database was away so long that nobody could be heard
    s.since = NOW - 10.0;
    assert_eq!(decide(&s), []);
    s.since = 0.0;
    s.hosts[0].enabled = false;
    assert_eq!(decide(&s), free(FreeReason::HostSilent));
    s.hosts.clear();
    assert_eq!(decide(&s), free(FreeReason::HostGone));
    s.active[0].host = None;
    assert_eq!(
        decide(&s),
        [Decision::Free { task: TaskId(1), host: None, reason: FreeReason::NoHost }]
    );
}

#[test]
fn reasons_read_well() {
    assert_eq!(WaitReason::NotReady { hosts: 1 }.to_string(), "not ready: 1 host");
    assert_eq!(WaitReason::Busy { hosts: 3 }.to_string(), "busy: 3 hosts");
    assert_eq!(FreeReason::AssignTimeout { refused: true }.to_string(), "Task assignment timeout");
}

fn of(user: i64, mut task: FreeTask) -> FreeTask {
    task.owner = UserId(user);
    task
}

fn assigned(s: &Snapshot) -> Vec<i64> {
    let one = |d: &Decision| match d {
        Decision::Assign { task, .. } => Some(task.0),
        _ => None,
    };
    decide(s).iter().filter_map(one).collect()
}

#[test]
fn a_user_does_not_wait_behind_anothers_thousand_tasks() {
    let mut free: Vec<FreeTask> = (10..1010).map(|id| of(1, task(id))).collect();
    free.extend((2000..2003).map(|id| of(2, task(id))));
    let mut s = snapshot(vec![host(1)], free);
    s.config.capacity_overcommit = 0.0;
    s.config.fair_shares = true;
    s.hosts[0].capacity = 6.5;
    assert_eq!(assigned(&s), [10, 2000, 11, 2001, 12, 2002]);
    s.config.fair_shares = false;
    assert_eq!(assigned(&s), [10, 11, 12, 13, 14, 15]);
}

#[test]
fn what_a_user_has_running_counts_and_urgent_tasks_still_go_first() {
    let mut urgent = of(1, task(12));
    urgent.priority = 5;
    let mut s = snapshot(vec![host(1)], vec![of(1, task(10)), of(2, task(11)), urgent]);
    s.active = vec![active(1, 1, 2.0)];
    s.config.fair_shares = true;
    s.hosts[0].capacity = 50.0;
    assert_eq!(assigned(&s), [12, 11, 10]);
    s.active[0].waiting = true;
    assert_eq!(assigned(&s), [12, 11, 10], "the urgent task counts already");
    s.free.pop();
    assert_eq!(assigned(&s), [10, 11], "a task that waits for its subtasks does not count");
}

#[test]
fn channels_share_before_users_do() {
    let mut other = of(1, task(30));
    other.channel = ChannelId(2);
    let mut free: Vec<FreeTask> = (10..13).map(|id| of(1, task(id))).collect();
    free.extend((20..23).map(|id| of(2, task(id))));
    free.push(other);
    let mut s = snapshot(vec![host(1)], free);
    s.hosts[0].channels.push(ChannelId(2));
    s.config.fair_shares = true;
    s.hosts[0].capacity = 50.0;
    assert_eq!(assigned(&s), [10, 30, 20, 11, 21, 12, 22]);
}

#[test]
fn each_host_says_what_keeps_it() {
    let mut hosts: Vec<Host> = (1..=10).map(host).collect();
    hosts[0].enabled = false;
    hosts[1].channels.clear();
    hosts[2].arches = vec!["s390x".into()];
    hosts[3].ready = false;
    hosts[4].updated = Some(NOW - 500.0);
    hosts[5].max_jobs = Some(1);
    hosts[8].lost = Some(NOW - 7.0);
    hosts[9].pressure = Some("free memory 3 MiB".into());
    let mut s = snapshot(hosts, vec![task(10)]);
    s.config.capacity_overcommit = 0.0;
    s.free[0].weight = 1.5;
    s.active = vec![active(1, 6, 0.1), active(2, 7, 1.0)];
    s.refusals = vec![Refusal { task: TaskId(10), host: HostId(8), soft: true, time: NOW - 100.0 }];
    let found: Vec<Obstacle> = obstacles(&s, &s.free[0]).into_values().collect();
    assert_eq!(
        found,
        [
            Obstacle::Disabled,
            Obstacle::OtherChannel,
            Obstacle::OtherArch,
            Obstacle::NotReady,
            Obstacle::Silent(500.0),
            Obstacle::MaxJobs(1),
            Obstacle::Capacity { free: 1.0, needed: 1.5 },
            Obstacle::Refused(Some(800.0)),
            Obstacle::Lost(7.0),
            Obstacle::Pressure("free memory 3 MiB".into()),
        ]
    );
    s.refusals.clear();
    assert_eq!(obstacles(&s, &s.free[0])[&HostId(8)], Obstacle::Queued);
}

#[test]
fn a_forecast_counts_by_channel_and_arch_and_more_hosts_change_it() {
    let mut s = snapshot(vec![host(1)], (10..20).map(task).collect());
    s.config.capacity_overcommit = 0.0;
    s.hosts[0].capacity = 2.5;
    let key = (ChannelId(1), "x86_64".to_owned());
    assert_eq!(forecast(&s)[&key], Queue { assigned: 2, waiting: 8 });
    s.hosts.extend((2..5).map(|id| Host { capacity: 2.5, ..host(id) }));
    assert_eq!(forecast(&s)[&key], Queue { assigned: 8, waiting: 2 });
    assert_eq!(position(&s, TaskId(12)), Some((3, 10)));
    assert_eq!(position(&s, TaskId(99)), None);
}

#[test]
fn a_lost_host_gets_no_tasks_and_loses_its_own() {
    let free = |id| Decision::Free {
        task: TaskId(id),
        host: Some(HostId(1)),
        reason: FreeReason::HostLost,
    };
    let mut s = snapshot(vec![host(1)], vec![task(9)]);
    s.hosts[0].lost = Some(NOW - 20.0);
    s.active = vec![active(1, 1, 1.0), active(2, 1, 1.0), active(3, 1, 1.0)];
    s.active[1].state = ActiveState::Assigned;
    (s.active[2].assigned, s.active[2].state) = (None, ActiveState::Assigned);
    let waits = wait(9, WaitReason::NotReady { hosts: 1 });
    assert_eq!(decide(&s), [waits]);
    assert_eq!(next_check(&s), Some(NOW));
    s.now += 0.5;
    assert_eq!(decide(&s), [waits, free(1), free(2)], "what an administrator assigned stays");
    // a hub that has just started gives builders the time to come back
    s.since = NOW;
    assert_eq!(decide(&s), [waits]);
    assert_eq!(next_check(&s), Some(NOW + 20.0));
}

#[test]
fn a_host_under_pressure_gets_no_tasks() {
    let mut s = snapshot(vec![host(1)], vec![task(9)]);
    s.hosts[0].pressure = Some("free memory 3 MiB".into());
    s.active = vec![active(1, 1, 1.0)];
    assert_eq!(decide(&s), [wait(9, WaitReason::Pressed { hosts: 1 })]);
    s.hosts.push(host(2));
    assert_eq!(decide(&s), [assign(9, 2)]);
    s.active.push(active(2, 2, 5.0));
    assert_eq!(decide(&s), [wait(9, WaitReason::Busy { hosts: 1 })]);
}

#[test]
fn the_longest_of_a_build_goes_first_and_older_builds_before_newer() {
    let of_tree = |id, tree, expected| FreeTask { tree, expected, ..task(id) };
    let free = vec![
        of_tree(10, 1.0, 50.0),
        of_tree(11, 1.0, 900.0),
        of_tree(12, 2.0, 5000.0),
        of_tree(13, 1.0, 0.0),
    ];
    let mut s = snapshot(vec![host(1)], free);
    s.hosts[0].capacity = 50.0;
    assert_eq!(assigned(&s), [11, 10, 13, 12]);
    s.free[0].priority = 19;
    assert_eq!(assigned(&s), [10, 11, 13, 12], "priority comes first");
    s.config.critical_path = false;
    assert_eq!(assigned(&s), [10, 11, 12, 13]);
}

#[test]
fn time_alone_changes_nothing_before_the_next_check() {
    let mut s = snapshot(vec![host(1)], vec![]);
    assert_eq!(next_check(&s), Some(NOW - 1.0 + 180.0));
    s.active = vec![active(1, 1, 1.0)];
    s.active[0].state = ActiveState::Assigned;
    s.active[0].assigned = Some(NOW - 290.0);
    assert_eq!(next_check(&s), Some(NOW + 10.0));
    s.refusals = vec![Refusal { task: TaskId(9), host: HostId(1), soft: true, time: NOW - 899.0 }];
    assert_eq!(next_check(&s), Some(NOW + 10.0), "nobody waits for the refusal to lapse");
    s.free = vec![task(9)];
    assert_eq!(next_check(&s), Some(NOW + 1.0));
    s.hosts.clear();
    s.active.clear();
    s.free.clear();
    assert_eq!(next_check(&s), None);
}
