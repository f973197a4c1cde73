//! `RLIMIT_…`: limits of this process.

use anyhow::{Context as _, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Sets a limit: one number for the soft limit, or two for soft and hard.
pub(super) fn set(name: &str, value: &str) -> anyhow::Result<()> {
    let resource = match name {
        "RLIMIT_AS" => Resource::As,
        "RLIMIT_CORE" => Resource::Core,
        "RLIMIT_CPU" => Resource::Cpu,
        "RLIMIT_DATA" => Resource::Data,
        "RLIMIT_FSIZE" => Resource::Fsize,
        "RLIMIT_MEMLOCK" => Resource::Memlock,
        "RLIMIT_NOFILE" | "RLIMIT_OFILE" => Resource::Nofile,
        "RLIMIT_NPROC" => Resource::Nproc,
        "RLIMIT_RSS" => Resource::Rss,
        "RLIMIT_STACK" => Resource::Stack,
        _ => bail!("there is no such limit"),
    };
    let numbers: Vec<i64> = value
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context("must be one or two numbers")?;
    // -1 is no limit, as for Python's setrlimit.
    let limit = |number: i64| u64::try_from(number).ok();
    let limits = match numbers[..] {
        [soft] => Rlimit { current: limit(soft), maximum: getrlimit(resource).maximum },
        [soft, hard] => Rlimit { current: limit(soft), maximum: limit(hard) },
        _ => bail!("must be one or two numbers"),
    };
    setrlimit(resource, limits).context("refused by the system")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_set() {
        let hard = getrlimit(Resource::Core).maximum;
        set("RLIMIT_CORE", "0").unwrap();
        assert_eq!(getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: hard });
        for (name, value) in [("RLIMIT_CORE", "x"), ("RLIMIT_CORE", "1 2 3"), ("RLIMIT_X", "1")] {
            assert!(set(name, value).is_err(), "{name} {value}");
        }
    }
}
