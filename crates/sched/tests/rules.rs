//! The scheduler's rules, one by one.

use toji_sched::*;
use toji_types::{ChannelId, HostId, TaskId};

const NOW: f64 = 1_000_000.0;

fn host(id: i64) -> Host {
    Host {
        id: HostId(id),
        enabled: true,
        ready: true,
        updated: Some(NOW - 1.0),
        capacity: 2.0,
        max_jobs: None,
        arches: vec!["x86_64".into(), "i686".into()],
        channels: vec![ChannelId(1)],
    }
}

fn task(id: i64) -> FreeTask {
    FreeTask {
        id: TaskId(id),
        channel: ChannelId(1),
        arch: "x86_64".into(),
        weight: 1.0,
        priority: 20,
        created: id as f64,
    }
}

fn active(id: i64, host: i64, weight: f64) -> ActiveTask {
    ActiveTask {
        id: TaskId(id),
        host: Some(HostId(host)),
        state: ActiveState::Open,
        waiting: false,
        weight,
        assigned: Some(NOW - 10.0),
    }
}

fn snapshot(hosts: Vec<Host>, free: Vec<FreeTask>) -> Snapshot {
    Snapshot { now: NOW, hosts, free, ..Snapshot::default() }
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
