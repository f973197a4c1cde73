//! The list of declared calls that the repository keeps, and their protocol for gRPC: nothing in them is ever dropped
//! or reordered.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use toji_proto::hub::schema;
use toji_value::{Param, ParamKind};

/// A line for each call, by name: `getBuild(buildInfo, strict=False)`. What is passed by name only
/// follows a star.
pub(crate) fn list() -> String {
    let mut lines: Vec<String> = toji_api::declarations()
        .map(|d| format!("{}({})\n", d.signature.name, params(d.signature.params).join(", ")))
        .collect();
    lines.sort();
    lines.concat()
}

/// Compares the declared calls with the kept list and the kept protocol of gRPC.
pub(crate) fn check(file: &Path, proto: &Path) -> anyhow::Result<()> {
    check_list(file)?;
    let (kept, now) = (read(proto)?, schema::text());
    let broken = schema::broken(&kept, &now);
    ensure!(broken.is_empty(), "programs would notice:\n{}", broken.join("\n"));
    ensure!(kept == now, "{} is not what is declared, so write it anew", proto.display());
    Ok(())
}

fn check_list(file: &Path) -> anyhow::Result<()> {
    let (kept, now) = (read(file)?, list());
    let broken = broken(&kept, &now);
    ensure!(broken.is_empty(), "callers would notice:\n{}", broken.join("\n"));
    if kept != now {
        let lines: Vec<&str> = kept.lines().collect();
        let new: Vec<&str> = now.lines().filter(|l| !lines.contains(l)).collect();
        bail!("{} lacks, so write it anew:\n{}", file.display(), new.join("\n"));
    }
    Ok(())
}

/// Writes the list and the protocol anew; refuses what callers would notice.
pub(crate) fn write(file: &Path, proto: &Path) -> anyhow::Result<()> {
    write_list(file)?;
    let now = schema::text();
    if proto.exists() {
        let broken = schema::broken(&read(proto)?, &now);
        ensure!(broken.is_empty(), "programs would notice:\n{}", broken.join("\n"));
    }
    std::fs::write(proto, now).with_context(|| format!("failed to write {}", proto.display()))
}

fn write_list(file: &Path) -> anyhow::Result<()> {
    let now = list();
    if file.exists() {
        let broken = broken(&read(file)?, &now);
        ensure!(broken.is_empty(), "callers would notice:\n{}", broken.join("\n"));
    }
    std::fs::write(file, now).with_context(|| format!("failed to write {}", file.display()))
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))
}

fn params(params: &[Param]) -> Vec<String> {
    let one = |p: &Param| match (p.kind, &p.default) {
        (ParamKind::Rest, _) => format!("*{}", p.name),
        (ParamKind::Keywords, _) => format!("**{}", p.name),
        (ParamKind::Plain | ParamKind::Named, Some(default)) => {
            format!("{}={}", p.name, default.value().repr())
        }
        (ParamKind::Plain | ParamKind::Named, None) => p.name.to_owned(),
    };
    let named = params.iter().position(|p| p.kind == ParamKind::Named).unwrap_or(params.len());
    let (listed, named) = params.split_at(named);
    let star = (!named.is_empty()).then(|| "*".to_owned());
    listed.iter().map(one).chain(star).chain(named.iter().map(one)).collect()
}

/// Kept calls that a caller of today would miss; new parameters at the end with a default are none.
fn broken(kept: &str, now: &str) -> Vec<String> {
    let split = |line: &str| -> Option<(String, Vec<String>)> {
        let (name, rest) = line.split_once('(')?;
        let params = rest.strip_suffix(')')?;
        let params = params.split(", ").filter(|p| !p.is_empty());
        Some((name.to_owned(), params.map(str::to_owned).collect()))
    };
    let now: Vec<_> = now.lines().filter_map(split).collect();
    let fits = |(name, params): &(String, Vec<String>)| {
        now.iter().any(|(n, ps)| {
            n == name
                && ps.starts_with(params)
                && ps[params.len()..].iter().all(|p| p.contains('=') || p.starts_with('*'))
        })
    };
    kept.lines()
        .filter(|line| split(line).is_none_or(|call| !fits(&call)))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_calls_are_the_kept_ones() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let proto = "crates/proto/proto/toji/hub/v1/hub.proto";
        check(&root.join("docs/api/calls.txt"), &root.join(proto)).unwrap();
    }

    #[test]
    fn finds_what_callers_would_notice() {
        let kept = "a(x, y=None)\nb()\nc(*args)\n";
        assert!(broken(kept, "a(x, y=None, z=1)\nb()\nc(*args, **opts)\nd()\n").is_empty());
        for line in ["a(y=None, x)", "a(x, y=1)", "a(x)", "a(x, y=None, z)", "A(x, y=None)"] {
            let now = format!("{line}\nb()\nc(*args)\n");
            assert_eq!(broken(kept, &now), ["a(x, y=None)"], "{line}");
        }
    }
}
