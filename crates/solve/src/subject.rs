//! What a text means: the packages that `dnf install TEXT` would choose from.

use crate::Pool;
use crate::glob;
use crate::package::path_hash;
use crate::rich::Expr;

/// What was found for a text.
pub(crate) struct Found {
    pub(crate) packages: Vec<u32>,
    /// The text was nothing but a name, or a pattern of names.
    pub(crate) by_name: bool,
    /// A pattern of arches: one package of each that fits.
    pub(crate) each_arch: bool,
}

/// The parts of a text that names packages.
#[derive(Debug, Default, PartialEq)]
struct Parts<'t> {
    name: &'t str,
    epoch: Option<&'t str>,
    version: Option<&'t str>,
    release: Option<&'t str>,
    arch: Option<&'t str>,
}

/// Characters that no part of a package's name has, or the text is a capability.
fn is_part(text: &str, dashes: bool) -> bool {
    !text.is_empty()
        && !text.contains([':', '(', '/', '=', '<', '>', ' '])
        && (dashes || !text.contains('-'))
}

impl<'t> Parts<'t> {
    fn checked(self) -> Option<Self> {
        let plain = [self.version, self.release, self.arch];
        let legal =
            is_part(self.name, true) && plain.iter().flatten().all(|part| is_part(part, false));
        let epoch =
            self.epoch.is_none_or(|e| !e.is_empty() && e.bytes().all(|c| c.is_ascii_digit()));
        let arch = self.arch.is_none_or(|arch| !arch.contains('.'));
        (legal && epoch && arch).then_some(self)
    }

    /// `name-[epoch:]version-release`
    fn nevr(text: &'t str) -> Option<Self> {
        let (rest, release) = text.rsplit_once('-')?;
        Some(Self { release: Some(release), ..Self::nev_parts(rest)? })
    }

    fn nev_parts(text: &'t str) -> Option<Self> {
        let (name, ev) = text.rsplit_once('-')?;
        let (epoch, version) = match ev.split_once(':') {
            Some((epoch, version)) => (Some(epoch), version),
            None => (None, ev),
        };
        Some(Self { name, epoch, version: Some(version), ..Self::default() })
    }

    /// The readings of a text, in the order in which dnf tries them.
    fn readings(text: &'t str) -> impl Iterator<Item = Self> {
        let dot = text.rsplit_once('.');
        let nevra =
            dot.and_then(|(rest, arch)| Some(Self { arch: Some(arch), ..Self::nevr(rest)? }));
        let na = dot.map(|(name, arch)| Self { name, arch: Some(arch), ..Self::default() });
        let name = Some(Self { name: text, ..Self::default() });
        let all = [nevra, na, name, Self::nevr(text), Self::nev_parts(text)];
        all.into_iter().flatten().filter_map(Self::checked)
    }

    fn is_name(&self) -> bool {
        self.version.is_none() && self.arch.is_none()
    }
}

fn fits(pattern: Option<&str>, text: &str) -> bool {
    pattern.is_none_or(|pattern| {
        pattern == text || glob::is_pattern(pattern) && glob::matches(pattern, text)
    })
}

impl Pool {
    /// The packages that a text means; `left_out` are those that do not exist for this question.
    pub(crate) fn find(&mut self, text: &str, left_out: &[bool]) -> Found {
        let exists = |n: &u32| !left_out.get(*n as usize).is_some_and(|out| *out);
        for parts in Parts::readings(text) {
            let packages: Vec<u32> = self.fitting(&parts).into_iter().filter(exists).collect();
            if !packages.is_empty() {
                let each_arch = parts.arch.is_some_and(glob::is_pattern);
                return Found { packages, by_name: parts.is_name(), each_arch };
            }
        }
        let mut packages = if glob::is_pattern(text) {
            self.by_pattern(text)
        } else {
            self.providers(&Expr::parse(text))
        };
        packages.retain(exists);
        if packages.is_empty() && (text.starts_with('/') || text.starts_with("*/")) {
            packages = self.with_file(text);
            packages.retain(exists);
        }
        Found { packages, by_name: false, each_arch: false }
    }

    /// Packages other than sources with these parts, by number.
    fn fitting(&self, parts: &Parts<'_>) -> Vec<u32> {
        let wanted = |n: &u32| {
            let package = self.package(*n);
            !package.is_source()
                && parts.epoch.is_none_or(|e| e.parse() == Ok(package.epoch))
                && fits(parts.version, &package.version)
                && fits(parts.release, &package.release)
                && fits(parts.arch, &package.arch)
        };
        let mut found: Vec<u32> = if glob::is_pattern(parts.name) {
            let named = |n: &u32| fits(Some(parts.name), &self.package(*n).name);
            (0..self.packages.len() as u32).filter(named).filter(wanted).collect()
        } else {
            self.named(parts.name).iter().copied().filter(wanted).collect()
        };
        found.sort_unstable();
        found
    }

    /// Packages with a capability whose name the pattern matches.
    fn by_pattern(&self, pattern: &str) -> Vec<u32> {
        let provides = |n: &u32| {
            let package = self.package(*n);
            let mut provides = package.deps_of(crate::package::Kind::Provides);
            !package.is_source()
                && (fits(Some(pattern), &package.name)
                    || provides.any(|dep| fits(Some(pattern), dep.name)))
        };
        (0..self.packages.len() as u32).filter(provides).collect()
    }

    /// Packages with a file, or with one of `primary.xml` that a pattern matches.
    pub(crate) fn with_file(&self, path: &str) -> Vec<u32> {
        let pattern = glob::is_pattern(path);
        let hash = path_hash(path);
        let has = |n: &u32| {
            let package = self.package(*n);
            !package.is_source()
                && if pattern {
                    package.listed().any(|file| glob::matches(path, file))
                } else {
                    package.paths().contains(&hash)
                }
        };
        (0..self.packages.len() as u32).filter(has).collect()
    }

    /// Packages that obsolete one of these.
    pub(crate) fn obsoleting(&mut self, packages: &[u32]) -> Vec<u32> {
        let mut found = Vec::new();
        let mut names: Vec<&str> =
            packages.iter().map(|n| &*self.packages[*n as usize].name).collect();
        names.dedup();
        let candidates: Vec<(u32, i32)> = names
            .into_iter()
            .filter_map(|name| self.obsoletes.get(&self.raw.string(name, false)))
            .flatten()
            .copied()
            .collect();
        for (number, dependency) in candidates {
            let hits = |n: &u32| self.raw.matches(self.first + *n as i32, dependency);
            if packages.iter().any(hits) {
                found.push(number);
            }
        }
        found
    }

    /// Which packages the patterns of names and versions leave out.
    pub(crate) fn excluded(&self, patterns: &[String]) -> Vec<bool> {
        let mut out = vec![false; if patterns.is_empty() { 0 } else { self.packages.len() }];
        for pattern in patterns {
            let found =
                Parts::readings(pattern).map(|parts| self.fitting(&parts)).find(|f| !f.is_empty());
            found.into_iter().flatten().for_each(|n| out[n as usize] = true);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_several_readings() {
        let read = |text| -> Vec<Parts<'_>> { Parts::readings(text).collect() };
        let found = read("a-b-1:2.0-3.x86_64");
        assert_eq!(found[0].name, "a-b");
        assert_eq!((found[0].epoch, found[0].version), (Some("1"), Some("2.0")));
        assert_eq!((found[0].release, found[0].arch), (Some("3"), Some("x86_64")));
        assert_eq!(
            read("glibc.i686")[0],
            Parts { name: "glibc", arch: Some("i686"), ..Parts::default() }
        );
        assert_eq!(read("bash"), [Parts { name: "bash", ..Parts::default() }]);
        assert!(
            read("perl(A)").is_empty()
                && read("/usr/bin/sh").is_empty()
                && read("a >= 1").is_empty()
        );
    }
}
