//! What the machine has left, as the kernel tells it.

use std::path::Path;

use toji_proto::builder::Resources;

/// Measures; what the kernel does not tell is left out.
pub(crate) fn measure(dir: &Path) -> Resources {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let stall = |kind: &str, line| pressure(&read(&format!("/proc/pressure/{kind}"))?, line);
    let memory = read("/proc/meminfo");
    let memory = |name| mebibytes(memory.as_deref()?, name);
    let disk = rustix::fs::statvfs(dir).ok();
    let blocks = |count: fn(&rustix::fs::StatVfs) -> u64| {
        disk.as_ref().and_then(|d| i64::try_from(count(d).saturating_mul(d.f_frsize) >> 20).ok())
    };
    Resources {
        cpu_pressure: stall("cpu", "some"),
        memory_pressure: stall("memory", "some"),
        io_pressure: stall("io", "full"),
        load_average: load_average(),
        memory_free_mib: memory("MemAvailable:"),
        memory_total_mib: memory("MemTotal:"),
        disk_free_mib: blocks(|d| d.f_bavail),
        disk_total_mib: blocks(|d| d.f_blocks),
    }
}

/// The load average of the last minute for each processor.
pub(crate) fn load_average() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Some(load / cpus as f64)
}

/// Percent of the last ten seconds: `some avg10=1.25 avg60=… total=…`.
fn pressure(text: &str, line: &str) -> Option<f64> {
    let line = text.lines().find(|l| l.split_whitespace().next() == Some(line))?;
    line.split_whitespace().find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
}

/// A line of meminfo: `MemAvailable:   12345 kB`.
fn mebibytes(text: &str, name: &str) -> Option<i64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kib: i64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib >> 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let text = "some avg10=1.25 avg60=17.58 avg300=25.36 total=15340015754\n\
                    full avg10=0.50 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(pressure(text, "some"), Some(1.25));
        assert_eq!(pressure(text, "full"), Some(0.5));
        assert_eq!(pressure("", "full"), None);
        assert_eq!(
            mebibytes("MemTotal: 2048 kB\nMemAvailable:  1024 kB\n", "MemAvailable:"),
            Some(1)
        );
        let here = measure(Path::new("/"));
        assert!(here.disk_total_mib > Some(0) && here.memory_total_mib > Some(0), "{here:?}");
    }
}
