//! `toji-rpmgen`: makes RPM packages to test and measure with.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use toji_rpmgen::{debian, limit, odd, signed, synthetic, universe, variants};

#[derive(Parser)]
#[command(about = "Makes RPM packages to test and measure with")]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Packages that use every feature, built by rpmbuild.
    Variants {
        /// Where the packages go.
        out: PathBuf,
    },
    /// Packages converted from those of the Debian mirror that apt uses.
    Debian {
        /// Where the packages go.
        out: PathBuf,
        /// How many.
        #[arg(long, default_value_t = 200)]
        count: usize,
        /// Where downloaded packages are kept for the next time.
        #[arg(long)]
        cache: Option<PathBuf>,
        /// Names of packages to take instead of a sample.
        #[arg(long = "package")]
        packages: Vec<String>,
    },
    /// A distribution to build in: Debian packages with all that they depend on, as a repository.
    Universe {
        /// A file with the names of Debian packages, one on each line.
        list: PathBuf,
        /// Where the repository goes; one that was made of the same packages is kept.
        out: PathBuf,
        /// Where downloaded packages are kept for the next time.
        #[arg(long)]
        cache: PathBuf,
    },
    /// Packages with everything that a header may hold and few headers do.
    Odd {
        /// Where the packages go.
        out: PathBuf,
        /// How many.
        #[arg(long, default_value_t = 800)]
        count: usize,
    },
    /// Packages put together from thin air.
    Synthetic {
        /// Where the packages go.
        out: PathBuf,
        /// How many.
        #[arg(long, default_value_t = 2000)]
        count: usize,
        /// Lay them out as a hub's files, and write a line of JSON about each to standard output.
        #[arg(long)]
        store: bool,
    },
    /// A package of RPM 6's format.
    Rpm6 {
        /// Its name.
        name: String,
        /// The file to write.
        out: PathBuf,
    },
    /// Writes the main header of a package to standard output: what a signature is made of.
    Header {
        /// The package.
        package: PathBuf,
    },
    /// Puts a detached signature of its main header into a package.
    Sign {
        /// The package.
        package: PathBuf,
        /// The signature, binary.
        signature: PathBuf,
        /// The file to write.
        out: PathBuf,
    },
    /// Puts IMA signatures of its files into a package.
    Ima {
        /// The package.
        package: PathBuf,
        /// The file to write.
        out: PathBuf,
        /// The signatures, in the order of the files.
        signatures: Vec<PathBuf>,
    },
    /// Compresses what is in compressed files again, on all processors, and says how long that alone takes.
    Pack {
        /// The files, together as large as memory allows.
        files: Vec<PathBuf>,
        /// gzip's level.
        #[arg(long, default_value_t = 6)]
        level: u32,
    },
}

fn main() -> Result<()> {
    match Cli::parse().what {
        What::Variants { out } => variants::build(&out.join(".work"), &out),
        What::Debian { out, count, cache, packages } => {
            let cache = cache.unwrap_or_else(|| out.join(".debs"));
            let names = if packages.is_empty() { debian::sample(count)? } else { packages };
            let debs = debian::download(&names, &cache)?;
            let failures = debian::convert_all(&debs, &out.join(".work"), &out)?;
            for failure in &failures {
                writeln!(std::io::stderr(), "{failure:#}")?;
            }
            ensure!(failures.len() * 20 <= debs.len(), "{} packages failed", failures.len());
            Ok(())
        }
        What::Universe { list, out, cache } => {
            let text = std::fs::read_to_string(&list)?;
            let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
            let names: Vec<String> = lines.filter(|l| !l.is_empty()).map(str::to_owned).collect();
            // rpmbuild runs elsewhere.
            let places = universe::Places {
                cache: std::path::absolute(cache)?,
                out: std::path::absolute(&out)?,
            };
            let count = universe::make(&names, &places)?;
            writeln!(std::io::stdout(), "{count} packages in {}", out.display())?;
            Ok(())
        }
        What::Synthetic { out, count, store: true } => {
            let mut list = std::io::BufWriter::new(std::io::stdout().lock());
            synthetic::write_store(&out, count, &mut list)?;
            Ok(list.flush()?)
        }
        What::Synthetic { out, count, store: false } => synthetic::write(&out, count).map(drop),
        What::Odd { out, count } => odd::write(&out, count),
        What::Rpm6 { name, out } => Ok(std::fs::write(out, signed::rpm6(&name)?)?),
        What::Header { package } => Ok(std::io::stdout().write_all(&signed::header(&package)?)?),
        What::Sign { package, signature, out } => signed::sign(&package, &signature, &out),
        What::Ima { package, out, signatures } => {
            let signatures: Vec<Vec<u8>> =
                signatures.iter().map(std::fs::read).collect::<std::io::Result<_>>()?;
            signed::ima(&package, &signatures, &out)
        }
        What::Pack { files, level } => {
            let told = limit::pack(&files, level)?;
            Ok(writeln!(std::io::stdout(), "{told}")?)
        }
    }
}
