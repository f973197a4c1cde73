//! Tells why a task failed: in its fault, and in two files beside its logs.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use toji_explain::{Explanation, Findings, Scanner};

use crate::context::Context;
use crate::failure::{Failure, Whose, chain};

/// The explanation as text: a log, so that clients show and fetch it with the others.
const TEXT: &str = "explanation.log";
/// The explanation as data.
const DATA: &str = "explanation.json";
/// The companions of builds that tell nothing of a failure.
const DUMB: [&str; 3] = ["hw_info.log", "state.log", TEXT];
/// How much is read of the beginning of a log, in bytes.
const HEAD: u64 = 32 << 20;
/// How much is read of its end; the lines between are only counted.
const TAIL: u64 = 64 << 20;
const PIECE: usize = 256 << 10;

/// Adds to a failure what the task's logs tell of it.
///
/// The first line of the fault stays as it is: programs look for it.
pub(crate) async fn add(task: &Context, failure: &mut Failure) {
    let Failure(fault, Whose::Task) = failure else { return };
    let useful = |(name, _): &(String, PathBuf)| {
        !DUMB.contains(&name.as_str()) && !name.ends_with("-ts.log")
    };
    let files: Vec<_> = task.logs.files().into_iter().filter(useful).collect();
    if files.is_empty() {
        return;
    }
    let text = fault.message.clone();
    let made = tokio::task::spawn_blocking(move || {
        let logs = files.into_iter().map(|(name, path)| Ok((name, read(&path)?)));
        let logs = logs.collect::<io::Result<Vec<_>>>()?;
        io::Result::Ok(toji_explain::explain(&text, logs))
    });
    let told = match made.await.map_err(io::Error::other).and_then(|made| made) {
        Ok(made) if made.log.is_none() => return,
        Ok(made) => {
            fault.message.push('\n');
            fault.message.push_str(&made.summary());
            tell(task, &made).await
        }
        Err(error) => Err(Failure::local("read the logs")(error)),
    };
    if let Err(Failure(fault, _)) = told {
        tracing::warn!(task = task.id, error = fault.message, "a failure was not explained");
    }
}

async fn tell(task: &Context, made: &Explanation) -> Result<(), Failure> {
    task.log(TEXT)?.line(made.text().trim_end());
    let data = serde_json::to_string_pretty(made);
    let data = data.map_err(|error| Failure::generic(chain(&error)))?;
    let file = task.work.join(DATA);
    std::fs::write(&file, data).map_err(Failure::local("write the explanation"))?;
    task.upload(&file, DATA).await.map(drop)
}

/// Reads a log; of a very large one its ends.
fn read(path: &Path) -> io::Result<Findings> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Findings::default()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let middle = if length > HEAD + TAIL { HEAD..length - TAIL } else { 0..0 };
    let (mut scanner, mut piece, mut at) = (Scanner::new(), vec![0; PIECE], 0);
    loop {
        let got = file.read(&mut piece)?;
        if got == 0 {
            return Ok(scanner.finish());
        }
        match middle.contains(&at) {
            true => scanner.skip(&piece[..got]),
            false => scanner.feed(&piece[..got]),
        }
        at += got as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_log_that_went_tells_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let found = read(&dir.path().join("build.log")).unwrap();
        let made = toji_explain::explain("no", vec![("build.log".to_owned(), found)]);
        assert_eq!(made.log, None);
    }

    #[test]
    fn of_a_huge_log_the_ends_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("build.log");
        let mut file = File::create(&path).unwrap();
        writeln!(file, "Executing(%build): x").unwrap();
        // A hole of zeros, without lines.
        file.set_len(HEAD + TAIL + (64 << 20)).unwrap();
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        writeln!(file, "\na.c:1:2: error: no").unwrap();
        let made = toji_explain::explain(
            "failed; see build.log for more",
            vec![("build.log".to_owned(), read(&path).unwrap())],
        );
        assert_eq!(made.step.as_deref(), Some("%build"));
        assert_eq!(made.lines.last().map(|line| line.number), Some(3));
    }
}
