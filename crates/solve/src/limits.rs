//! Bounds of pools and questions: what comes from outside may not grow without end.

/// Packages of a pool.
pub const PACKAGES: usize = 1_000_000;
/// Dependencies of all packages of a pool.
pub const DEPENDENCIES: usize = 60_000_000;
/// Dependencies of one package; more are refused.
pub const OF_A_PACKAGE: usize = 200_000;
/// Dependencies of a list that are searched for repeats; what follows is added as it is.
pub const UNIQUE: usize = 1000;
/// Bytes of a name, version or dependency; a longer one is nothing that could be asked for.
pub const TEXT: usize = 4096;
/// Depth of a rich dependency; a deeper one is taken for a name, which nothing provides.
pub const DEPTH: usize = 20;
/// Names in a rich dependency, likewise.
pub const LINKS: usize = 512;
/// Terms that a rich dependency may grow to when it is multiplied out, likewise.
pub const TERMS: usize = 4096;
/// Wants of a question.
pub const WANTS: usize = 10_000;
/// Seconds that a question may take unless the caller says otherwise.
pub const SECONDS: f32 = 20.0;
