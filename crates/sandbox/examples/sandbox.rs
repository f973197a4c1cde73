//! Runs a command in a fresh buildroot: `sandbox WORK TOPDIR [RPM…] -- COMMAND…`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use toji_sandbox::{Buildroot, CancellationToken, Command, Limits, Stream};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, toji_sandbox::Error> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.splitn(2, |word| word == "--").collect();
    let [[work, topdir, rpms @ ..], argv] = words[..] else {
        println!("usage: sandbox WORK TOPDIR [RPM…] -- COMMAND…");
        return Ok(ExitCode::from(2));
    };
    let rpms: Vec<_> = rpms.iter().map(PathBuf::from).collect();
    let root = Buildroot::builder(work)
        .writable(topdir, "/builddir/build")
        .packages(&rpms)
        .build()
        .await?;
    let mut sink = |_: Stream, chunk: &[u8]| io::stdout().write_all(chunk);
    let command = Command::new(argv).limits(Limits::for_build());
    let outcome = root.run(&command, &mut sink, &CancellationToken::new()).await?;
    println!("{} after {:.1} s", outcome.reason, outcome.elapsed.as_secs_f64());
    root.remove()?;
    Ok(if outcome.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
