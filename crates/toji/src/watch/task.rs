//! `toji watch-task`: tasks and all below them until they are finished, as a tree on terminals, else line by line.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use futures::StreamExt as _;
use toji_client::{Client, FaultKind, Task, TaskChange, TaskState, Value, args};

use super::screen::{Row, Screen};
use super::{Selection, Site, interrupted, plain};
use crate::repo::Exit;

/// What `toji watch-task` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The tasks.
    #[arg(value_name = "TASK")]
    tasks: Vec<i64>,
    /// Print nothing; the exit code tells.
    #[arg(long)]
    quiet: bool,
    /// Print lines on terminals, too.
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    site: Site,
}

/// Watches; fails if one of the tasks themselves did.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    super::run(async {
        let hub = options.site.hub(options.selection.mine).await?;
        let mut tasks = options.tasks.clone();
        if tasks.is_empty() {
            anyhow::ensure!(!options.selection.is_empty(), "say which tasks to watch");
            tasks = options.selection.tasks(&hub).await?;
            if tasks.is_empty() {
                writeln!(std::io::stdout(), "(no tasks)")?;
                return Ok(());
            }
        }
        let live = !options.quiet && !options.plain && std::io::stdout().is_terminal();
        let screen = if live { Some(Screen::new().await) } else { None };
        let (seen, hosts) = (BTreeMap::new(), BTreeMap::new());
        let mut view = View { hub, quiet: options.quiet, screen, seen, hosts };
        tokio::select! {
            done = view.watch(&tasks) => done,
            () = interrupted() => view.leave(),
        }
    })
}

/// A task as it was seen last.
struct Seen {
    task: Task,
    level: usize,
    /// The state in words.
    words: String,
    /// When it will be finished, as far as that can be known.
    completes: Option<toji_client::time::OffsetDateTime>,
}

struct View {
    hub: Client,
    quiet: bool,
    screen: Option<Screen>,
    seen: BTreeMap<i64, Seen>,
    hosts: BTreeMap<i64, String>,
}

impl View {
    async fn watch(&mut self, tasks: &[i64]) -> anyhow::Result<()> {
        self.say("Watching tasks (this may be safely interrupted)...")?;
        let mut changes = self.hub.watch_trees(tasks);
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                change = changes.next() => match change {
                    Some(change) => self.saw(change?).await?,
                    None => break,
                },
                _ = tick.tick(), if self.screen.is_some() => self.draw()?,
            }
        }
        self.draw()?;
        self.screen = None;
        self.say("")?;
        let mut failed = false;
        for id in tasks {
            let Some(seen) = self.seen.get(id) else { continue };
            let end = match seen.task.state() {
                Some(TaskState::Closed) => "completed successfully",
                Some(TaskState::Failed) => "failed",
                Some(TaskState::Canceled) => "was canceled",
                _ => "has not completed",
            };
            failed |= seen.task.state() != Some(TaskState::Closed);
            self.say(&format!("{} {end}", name(seen)))?;
        }
        if failed { Err(Exit(1).into()) } else { Ok(()) }
    }

    /// What is left when somebody interrupts.
    fn leave(&mut self) -> anyhow::Result<()> {
        self.draw()?;
        self.screen = None;
        let open: Vec<&Seen> = self.seen.values().filter(|seen| !is_over(&seen.task)).collect();
        if !open.is_empty() && !self.quiet {
            let mut out = std::io::stdout().lock();
            writeln!(out, "\nTasks still running; 'toji watch-task' continues to watch them:")?;
            for seen in open {
                writeln!(out, "{}: {}", name(seen), seen.words)?;
            }
        }
        Err(Exit(1).into())
    }

    async fn saw(&mut self, change: TaskChange) -> anyhow::Result<()> {
        let TaskChange { task, level, .. } = change;
        let Some(id) = task.id() else { return Ok(()) };
        let words = if self.quiet { String::new() } else { self.words(&task, level).await? };
        let now = toji_client::time::OffsetDateTime::now_utc();
        let completes = match (&self.screen, task.state()) {
            // What cannot be estimated is shown without.
            (Some(_), Some(TaskState::Open)) if level == 0 => {
                task.estimate(now).await.ok().flatten().map(|estimate| estimate.completes)
            }
            _ => None,
        };
        let over = is_over(&task);
        let before = self.seen.insert(id, Seen { task, level, words, completes });
        let seen = &self.seen[&id];
        let line = match &before {
            Some(before) => format!("{}: {} -> {}", name(seen), before.words, seen.words),
            None => format!("{}: {}", name(seen), seen.words),
        };
        if self.screen.is_some() {
            if seen.task.state() == Some(TaskState::Failed) && before.is_some() {
                self.above(&line)?;
            }
            return self.draw();
        }
        self.say(&line)?;
        if over && before.is_some() {
            let [free, open, done, failed] = self.count();
            self.say(&format!("  {free} free  {open} open  {done} done  {failed} failed"))?;
        }
        Ok(())
    }

    /// How many tasks are free, open, done and failed.
    fn count(&self) -> [usize; 4] {
        let mut all = [0; 4];
        for seen in self.seen.values() {
            match seen.task.state() {
                Some(TaskState::Free) => all[0] += 1,
                Some(TaskState::Open | TaskState::Assigned) => all[1] += 1,
                Some(TaskState::Failed) => all[3] += 1,
                _ => all[2] += 1,
            }
        }
        all
    }

    /// The state of a task: with its host, or why it failed and where its logs are.
    async fn words(&mut self, task: &Task, level: usize) -> anyhow::Result<String> {
        let Some(state) = task.state() else { return Ok("unknown".to_owned()) };
        let word = state.name().to_lowercase();
        match state {
            TaskState::Open | TaskState::Assigned => {
                let Some(host) = task.get("host_id").as_int() else { return Ok(word) };
                if !self.hosts.contains_key(&host) {
                    let info = self.hub.call("getHost", (host,)).await?;
                    self.hosts.insert(host, info.get("name").display());
                }
                Ok(plain(&format!("{word} ({})", self.hosts[&host])))
            }
            TaskState::Failed => {
                let Some(id) = task.id() else { return Ok(word) };
                let why = match self.hub.call("getTaskResult", (id,)).await {
                    Err(toji_client::Error::Fault(fault)) => {
                        format!("{}: {}", FaultKind::from(&fault).name(), fault.message.trim())
                    }
                    Err(error) => return Err(error.into()),
                    Ok(_) => String::new(),
                };
                let logs = self.logs(id, "  ".repeat(level + 1).as_str()).await?;
                Ok(plain(&format!("FAILED: {why}{logs}")))
            }
            _ => Ok(word),
        }
    }

    /// Where the logs of a failed task are.
    async fn logs(&self, id: i64, indent: &str) -> anyhow::Result<String> {
        let files = self.hub.call("listTaskOutput", args!(id; "all_volumes" => true)).await?;
        let mut text = String::new();
        for (file, volumes) in files.as_struct().into_iter().flat_map(|files| files.iter()) {
            let volumes = volumes.as_array().unwrap_or_default().iter();
            for volume in volumes.filter_map(Value::as_str).filter(|_| file.ends_with("log")) {
                let top = self.hub.files_url();
                let volume = match volume {
                    "DEFAULT" => String::new(),
                    other => format!("vol/{other}/"),
                };
                if text.is_empty() {
                    text = format!("\n{indent}Relevant logs:");
                }
                text +=
                    &format!("\n{indent}  {top}/{volume}work/tasks/{}/{id}/{file}", id % 10_000);
            }
        }
        Ok(text)
    }

    fn say(&self, line: &str) -> anyhow::Result<()> {
        if !self.quiet {
            writeln!(std::io::stdout(), "{line}")?;
        }
        Ok(())
    }

    /// Prints something that stays, above the tree.
    fn above(&mut self, text: &str) -> anyhow::Result<()> {
        if let Some(screen) = &mut self.screen {
            screen.clear()?;
        }
        self.say(text)
    }

    /// Draws the tree anew.
    fn draw(&mut self) -> anyhow::Result<()> {
        let Some(mut screen) = self.screen.take() else { return Ok(()) };
        let mut rows = Vec::new();
        let mut tops: Vec<i64> = Vec::new();
        let mut below: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (id, seen) in &self.seen {
            match seen.task.parent_id().filter(|parent| self.seen.contains_key(parent)) {
                Some(parent) => below.entry(parent).or_default().push(*id),
                None => tops.push(*id),
            }
        }
        let now = toji_client::time::OffsetDateTime::now_utc();
        let mut waiting: Vec<i64> = tops.into_iter().rev().collect();
        while let Some(id) = waiting.pop() {
            let Some(seen) = self.seen.get(&id) else { continue };
            rows.push(Row {
                name: plain(&name(seen)),
                words: seen.words.lines().next().unwrap_or_default().to_owned(),
                state: seen.task.state(),
                took: seen.task.duration(now),
                left: seen.completes.and_then(|at| Duration::try_from(at - now).ok()),
            });
            waiting.extend(below.remove(&id).into_iter().flatten().rev());
        }
        let drawn = screen.draw(&rows, self.count());
        self.screen = Some(screen);
        Ok(drawn?)
    }
}

fn is_over(task: &Task) -> bool {
    task.state().is_none_or(TaskState::is_finished)
}

/// The task as it is called in each line.
fn name(seen: &Seen) -> String {
    let (indent, id) = ("  ".repeat(seen.level), seen.task.id().unwrap_or_default());
    plain(&format!("{indent}{id} {}", seen.task.label()))
}
