//! A tree of tasks that is drawn again in its place.

use std::io::Write as _;
use std::time::Duration;

use toji_client::TaskState;

/// What a terminal has that does not tell its size.
const USUAL: (usize, usize) = (24, 80);

/// A line of the tree.
pub(super) struct Row {
    /// Number and label, indented.
    pub(super) name: String,
    pub(super) words: String,
    pub(super) state: Option<TaskState>,
    pub(super) took: Option<Duration>,
    pub(super) left: Option<Duration>,
}

/// The part of the terminal that is drawn again.
pub(super) struct Screen {
    /// Lines and columns.
    size: (usize, usize),
    /// Lines that are drawn now.
    drawn: usize,
}

impl Screen {
    /// The terminal as it is now.
    pub(super) async fn new() -> Screen {
        Screen { size: size().await.unwrap_or(USUAL), drawn: 0 }
    }

    /// Takes away what is drawn.
    pub(super) fn clear(&mut self) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.drawn > 0 {
            write!(out, "\x1b[{}A\r\x1b[J", self.drawn)?;
        }
        self.drawn = 0;
        out.flush()
    }

    /// Draws the tree and its sum.
    pub(super) fn draw(&mut self, rows: &[Row], count: [usize; 4]) -> std::io::Result<()> {
        let lines = lines(rows, count, self.size);
        let mut text = String::new();
        if self.drawn > 0 {
            text += &format!("\x1b[{}A\r", self.drawn);
        }
        for line in &lines {
            text += line;
            text += "\x1b[K\n";
        }
        text += "\x1b[J";
        self.drawn = lines.len();
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

/// The lines, no more than fit: what is finished gives way first.
fn lines(rows: &[Row], count: [usize; 4], (height, width): (usize, usize)) -> Vec<String> {
    let room = height.saturating_sub(2).max(1);
    let over = |row: &&Row| row.state.is_some_and(TaskState::is_finished);
    let mut shown: Vec<&Row> = rows.iter().collect();
    if shown.len() > room {
        shown.retain(|row| !over(row));
    }
    shown.truncate(room);
    let mut lines: Vec<String> = shown.iter().map(|row| line(row, width)).collect();
    let [free, open, done, failed] = count;
    let hidden = rows.len() - shown.len();
    let more = if hidden > 0 { format!("  ({hidden} not shown)") } else { String::new() };
    let sum = format!("  {free} free  {open} open  {done} done  {failed} failed{more}");
    lines.push(format!("\x1b[2m{}\x1b[0m", cut(&sum, width)));
    lines
}

/// A line: the state as a colour and in words, and how long it has taken.
fn line(row: &Row, width: usize) -> String {
    let (mark, colour) = match row.state {
        Some(TaskState::Open) => ('▶', 36),
        Some(TaskState::Assigned) => ('▷', 36),
        Some(TaskState::Closed) => ('✔', 32),
        Some(TaskState::Failed) => ('✘', 31),
        Some(TaskState::Canceled) => ('■', 33),
        Some(TaskState::Free) | None => ('·', 37),
    };
    let took = row.took.map_or(String::new(), span);
    let left = row.left.map_or(String::new(), |left| format!(", {} left", span(left)));
    let end = format!("  {took}{left}");
    let room = width.saturating_sub(end.chars().count() + 3);
    let body = cut(&format!("{}: {}", row.name, row.words), room);
    format!("\x1b[{colour}m{mark}\x1b[0m {body}\x1b[2m{end}\x1b[0m")
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept + "…"
}

/// Hours, minutes and seconds.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Lines and columns of the terminal.
async fn size() -> Option<(usize, usize)> {
    let mut stty = tokio::process::Command::new("stty");
    let stty = stty.arg("size").stdin(std::process::Stdio::inherit());
    let said = stty.stderr(std::process::Stdio::null()).output().await.ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let mut numbers = said.split_whitespace().filter_map(|word| word.parse().ok());
    Some((numbers.next()?, numbers.next()?)).filter(|(lines, columns)| *lines > 2 && *columns > 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, state: TaskState) -> Row {
        let took = Some(Duration::from_secs(3725));
        let left = Some(Duration::from_secs(61));
        Row { name: name.into(), words: "open (b1)".into(), state: Some(state), took, left }
    }

    #[test]
    fn lines_fit() {
        let rows: Vec<Row> = (0..9)
            .map(|n| {
                let state = if n < 4 { TaskState::Closed } else { TaskState::Open };
                row(&format!("{n} build (f43, a-long-name-{n}.src.rpm)"), state)
            })
            .collect();
        let found = lines(&rows, [0, 5, 4, 0], (8, 50));
        assert_eq!(found.len(), 6, "{found:#?}");
        assert!(found[0].contains("4 build"), "{found:#?}");
        assert!(found[5].contains("(4 not shown)"), "{found:#?}");
        for line in &found {
            let mut shown = line.clone();
            while let Some(at) = shown.find('\x1b') {
                let end = at + shown[at..].find('m').unwrap();
                shown.replace_range(at..=end, "");
            }
            assert!(shown.chars().count() <= 50, "{shown}");
        }
        assert!(found[0].ends_with("  1:02:05, 1:01 left\x1b[0m"), "{found:#?}");
    }
}
