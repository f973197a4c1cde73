//! Whether a builder's machine has enough left for another task.

/// What a machine has left; what it does not tell is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Resources {
    /// Percent of time in which some work waited for a processor.
    pub cpu_pressure: Option<f64>,
    /// Percent of time in which some work waited for memory.
    pub memory_pressure: Option<f64>,
    /// Percent of time in which all work waited for storage.
    pub io_pressure: Option<f64>,
    /// The load average for each processor.
    pub load_average: Option<f64>,
    /// Free memory in MiB.
    pub memory_free_mib: Option<i64>,
    /// Free space of the work directory in MiB.
    pub disk_free_mib: Option<i64>,
}

/// Bounds beyond which a host gets no further task; 0 turns one off.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// `MaxCPUPressure`, in percent.
    pub cpu_pressure: f64,
    /// `MaxMemoryPressure`, in percent.
    pub memory_pressure: f64,
    /// `MaxIOPressure`, in percent.
    pub io_pressure: f64,
    /// `MaxLoadAverage`, for each processor.
    pub load_average: f64,
    /// `MinFreeMemory`, in MiB.
    pub memory_free_mib: i64,
    /// `MinFreeDisk`, in MiB.
    pub disk_free_mib: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            // a build that uses all processors is what a builder is for
            cpu_pressure: 0.0,
            memory_pressure: 40.0,
            io_pressure: 90.0,
            load_average: 0.0,
            memory_free_mib: 128,
            disk_free_mib: 0,
        }
    }
}

/// A host that was refused tasks gets some again when it is this far within a limit, lest it flutter.
const RELIEF: f64 = 0.8;

impl Limits {
    /// What is too short, in words; `pressed` tells whether it was so before.
    pub(crate) fn check(&self, r: &Resources, pressed: bool) -> Option<String> {
        let slack = if pressed { RELIEF } else { 1.0 };
        let high = |name: &str, value: Option<f64>, limit: f64, unit: &str| {
            let value = value.filter(|value| limit > 0.0 && *value > limit * slack)?;
            Some(format!("{name} {value:.0}{unit}"))
        };
        let low = |name: &str, value: Option<i64>, limit: i64| {
            let least = (limit as f64 / slack) as i64;
            let value = value.filter(|value| limit > 0 && *value < least)?;
            Some(format!("{name} {value} MiB"))
        };
        high("pressure on processors", r.cpu_pressure, self.cpu_pressure, " %")
            .or_else(|| high("pressure on memory", r.memory_pressure, self.memory_pressure, " %"))
            .or_else(|| high("pressure on storage", r.io_pressure, self.io_pressure, " %"))
            .or_else(|| high("load average", r.load_average, self.load_average, ""))
            .or_else(|| low("free memory", r.memory_free_mib, self.memory_free_mib))
            .or_else(|| low("free disk space", r.disk_free_mib, self.disk_free_mib))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_some_slack_before_a_host_is_trusted_again() {
        let limits = Limits { cpu_pressure: 80.0, memory_free_mib: 1000, ..Limits::default() };
        let cpu = |percent| Resources { cpu_pressure: Some(percent), ..Resources::default() };
        assert_eq!(limits.check(&cpu(80.0), false), None);
        assert_eq!(limits.check(&cpu(81.0), false).unwrap(), "pressure on processors 81 %");
        assert!(limits.check(&cpu(70.0), true).is_some());
        assert_eq!(limits.check(&cpu(63.0), true), None);
        let memory = |free| Resources { memory_free_mib: Some(free), ..Resources::default() };
        assert_eq!(limits.check(&memory(999), false).unwrap(), "free memory 999 MiB");
        assert!(limits.check(&memory(1200), true).is_some());
        assert_eq!(limits.check(&memory(1250), true), None);
        let off = Limits { memory_free_mib: 0, ..limits };
        assert_eq!(off.check(&memory(1), false), None);
        assert_eq!(off.check(&Resources::default(), true), None);
    }
}
