//! Commands that want too much.

use std::time::Duration;

use toji_sandbox::{CancellationToken, Command, Held, Limits, Reason, Stream};

use crate::{Place, limited, sh};

/// For what should happen soon, on a machine that may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn sleeping_for_ever_ends_at_the_wall_time() {
    let place = Place::new();
    let root = place.root().await;
    let limits = Limits { wall: Some(Duration::from_secs(3)), ..Limits::default() };
    let (outcome, text) =
        limited(&root, "echo start; trap '' TERM; sleep 1000; sleep 1000", limits).await;
    assert_eq!((outcome.reason, text.as_str()), (Reason::TimedOut, "start\n"));
    assert!(outcome.elapsed < PATIENCE, "{:?}", outcome.elapsed);
    assert_eq!(outcome.limits.wall, Held::Supervisor);
}

#[tokio::test]
async fn silence_ends_a_command_but_talking_does_not() {
    let place = Place::new();
    let root = place.root().await;
    let limits = Limits { silence: Some(Duration::from_secs(3)), ..Limits::default() };
    let (outcome, text) =
        limited(&root, "for i in 1 2 3 4 5 6; do echo $i; sleep 0.6; done; sleep 1000", limits)
            .await;
    assert_eq!((outcome.reason, text.as_str()), (Reason::Silent, "1\n2\n3\n4\n5\n6\n"));
}

#[tokio::test]
async fn endless_output_is_cut_at_the_cap() {
    let place = Place::new();
    let root = place.root().await;
    let limits = Limits { output: Some(100_000), ..Limits::default() };
    let (outcome, text) = limited(&root, "yes", limits.clone()).await;
    assert_eq!(
        (outcome.reason, text.len(), outcome.output),
        (Reason::OutputLimit, 100_000, 100_000)
    );
    let (outcome, text) = limited(&root, "head -c 100000 /dev/zero", limits).await;
    assert_eq!((outcome.reason, text.len()), (Reason::Exited(0), 100_000));
}

#[tokio::test]
async fn a_fork_bomb_stays_below_the_process_limit() {
    let place = Place::new();
    let root = place.root().await;
    let limits = Limits { processes: Some(40), wall: Some(PATIENCE), ..Limits::default() };
    let script = "python3 -c '\nimport os, time\nn = 0\nwhile True:\n  try:\n    if os.fork() == 0: time.sleep(1000)\n    n += 1\n  except OSError: break\nprint(n)'; ls -d /proc/[0-9]* | wc -l";
    let (outcome, text) = limited(&root, &format!("{script} 2>&1"), limits.clone()).await;
    let forked: u32 = text.lines().next().unwrap_or_default().parse().unwrap_or(999);
    assert!((30..40).contains(&forked), "{text} {outcome:?}");
    assert_ne!(outcome.limits.processes, Held::Unlimited);
    let (outcome, _) = limited(
        &root,
        ":(){ :|:& };:; wait",
        Limits { wall: Some(Duration::from_secs(3)), ..limits.clone() },
    )
    .await;
    assert!(outcome.elapsed < PATIENCE, "{outcome:?}");
    let script = "python3 -c '\nimport os, time\nwhile True:\n  if os.fork() == 0: time.sleep(1000)\n' || { sleep 3; exit 1; }";
    let (outcome, text) = limited(&root, script, limits).await;
    assert_eq!(outcome.reason, Reason::ProcessLimit, "{text}");
    let (outcome, text) = sh(&root, "ls -d /proc/[0-9]* | wc -l").await;
    assert!(outcome.success() && text.trim().parse::<u32>().unwrap() < 8, "{text}");
}

#[tokio::test]
async fn memory_is_bounded() {
    let place = Place::new();
    let root = place.root().await;
    let limits = Limits { memory: Some(200 << 20), wall: Some(PATIENCE), ..Limits::default() };
    let hungry = "/usr/bin/python3 -c 'import time; x = [bytes([1]) * 10000000 for _ in range(60)]; time.sleep(5); print(\"fed\")'";
    let (outcome, text) = limited(&root, hungry, limits.clone()).await;
    assert_eq!(outcome.reason, Reason::MemoryLimit, "{text} {outcome:?}");
    assert!(!text.contains("fed"));
    assert!(matches!(outcome.limits.memory, Held::Cgroup | Held::Sampled));
    let modest = "/usr/bin/python3 -c 'x = [bytes([1]) * 10000000 for _ in range(5)]'";
    let (outcome, text) = limited(&root, modest, limits).await;
    assert!(outcome.success(), "{text}");
}

#[tokio::test]
async fn files_are_bounded_in_size_and_number() {
    let place = Place::new();
    let root = place.root().await;
    let limits = Limits { file_size: Some(1 << 20), open_files: Some(64), ..Limits::default() };
    let (_, text) = limited(
        &root,
        "dd if=/dev/zero of=big bs=64k count=100 2>/dev/null; stat -c %s big; ulimit -n; ulimit -c",
        limits,
    )
    .await;
    let numbers: Vec<_> = text.lines().filter_map(|line| line.parse::<u64>().ok()).collect();
    assert_eq!(numbers, [1 << 20, 64, 0], "{text}");
}

#[tokio::test]
async fn cancelling_ends_it() {
    let place = Place::new();
    let root = place.root().await;
    let cancel = CancellationToken::new();
    let trigger = cancel.clone();
    let mut sink = move |_: Stream, chunk: &[u8]| {
        assert_eq!(chunk, b"ready\n");
        trigger.cancel();
        Ok(())
    };
    let command = Command::new(["sh", "-c", "echo ready; sleep 1000"]);
    let outcome = root.run(&command, &mut sink, &cancel).await.unwrap();
    assert_eq!(outcome.reason, Reason::Cancelled);
    assert!(outcome.elapsed < PATIENCE);
}

#[tokio::test]
async fn dropping_the_run_ends_it() {
    let place = Place::new();
    let root = place.root().await;
    let (ready, mut is_ready) = tokio::sync::mpsc::channel(1);
    let mut sink = move |_: Stream, _: &[u8]| {
        let _ = ready.try_send(());
        Ok(())
    };
    let command = Command::new([
        "sh",
        "-c",
        "exec 9>build/lock; flock 9; echo held; while :; do sleep 1; done",
    ]);
    {
        let never = CancellationToken::new();
        let run = root.run(&command, &mut sink, &never);
        tokio::select! {
            outcome = run => panic!("ended by itself: {outcome:?}"),
            _ = is_ready.recv() => {}
        }
    }
    let lock = std::fs::File::open(place.build_dir().join("lock")).unwrap();
    let freed = tokio::task::spawn_blocking(move || lock.lock());
    tokio::time::timeout(PATIENCE, freed)
        .await
        .expect("the holder of the lock dies")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_failing_sink_ends_the_command() {
    let place = Place::new();
    let root = place.root().await;
    let mut full = |_: Stream, _: &[u8]| Err(std::io::Error::from(std::io::ErrorKind::StorageFull));
    let result = root.run(&Command::new(["yes"]), &mut full, &CancellationToken::new()).await;
    assert!(matches!(result, Err(toji_sandbox::Error::Sink(_))), "{result:?}");
}

#[tokio::test]
async fn output_arrives_while_the_command_runs() {
    let place = Place::new();
    let root = place.root().await;
    let answer = place.build_dir().join("answer");
    let mut seen = Vec::new();
    let mut sink = |_: Stream, chunk: &[u8]| {
        seen.extend_from_slice(chunk);
        // The command waits for what only a reader of its first line can give.
        std::fs::write(&answer, "go")
    };
    let limits = Limits { wall: Some(PATIENCE), ..Limits::default() };
    let command = Command::new([
        "sh",
        "-c",
        "echo one; while [ ! -e build/answer ]; do sleep 0.01; done; echo two",
    ]);
    let outcome =
        root.run(&command.limits(limits), &mut sink, &CancellationToken::new()).await.unwrap();
    assert!(outcome.success(), "{outcome:?}");
    assert_eq!(seen, b"one\ntwo\n");
}
