//! Thousands of tasks and hundreds of hosts take milliseconds.

use std::time::Instant;

use toji_sched::*;
use toji_types::{ChannelId, HostId, TaskId, UserId};

fn large(tasks: i64, hosts: i64) -> Snapshot {
    let arches = ["x86_64", "aarch64", "ppc64le", "s390x"];
    let arch = |n: i64| arches[(n % 4) as usize].to_owned();
    Snapshot {
        now: 1000.0,
        since: 0.0,
        config: Config::default(),
        hosts: (0..hosts)
            .map(|n| Host {
                id: HostId(n),
                enabled: true,
                ready: n % 10 != 0,
                updated: Some(990.0),
                capacity: 2.0 + (n % 5) as f64,
                max_jobs: None,
                lost: None,
                pressure: None,
                arches: vec![arch(n), "i686".into()],
                channels: (1..=1 + n % 4).map(ChannelId).collect(),
            })
            .collect(),
        free: (0..tasks)
            .map(|n| FreeTask {
                id: TaskId(n),
                owner: UserId(n % 11),
                channel: ChannelId(1 + n % 4),
                arch: if n % 3 == 0 { "noarch".into() } else { arch(n) },
                subtask: n % 2 == 0,
                weight: 0.5 + (n % 7) as f64,
                priority: n % 5,
                created: n as f64,
                tree: n as f64,
                expected: 0.0,
            })
            .collect(),
        active: (0..hosts)
            .map(|n| ActiveTask {
                id: TaskId(tasks + n),
                owner: UserId(n % 11),
                channel: ChannelId(1 + n % 4),
                host: Some(HostId(n)),
                state: ActiveState::Open,
                waiting: n % 2 == 0,
                weight: 1.5,
                assigned: Some(900.0),
            })
            .collect(),
        served: Vec::new(),
        refusals: (0..tasks)
            .map(|n| Refusal { task: TaskId(n), host: HostId(n % hosts), soft: true, time: 950.0 })
            .collect(),
    }
}

fn fastest(snapshot: &Snapshot) -> f64 {
    let time = || {
        let start = Instant::now();
        let decisions = decide(snapshot);
        assert!(decisions.len() >= snapshot.free.len());
        start.elapsed().as_secs_f64()
    };
    (0..5).map(|_| time()).fold(f64::MAX, f64::min)
}

#[test]
fn ten_thousand_tasks_and_a_thousand_hosts() {
    let seconds = fastest(&large(10_000, 1_000));
    // unoptimised this is about a tenth of the bound; trying each host for each task is ten times over it
    assert!(seconds < 1.0, "{seconds} s");
}
