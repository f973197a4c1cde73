//! Which arches a package is built for, and on which hosts the arch-independent ones.

use toji_rpmfile::Header;
use toji_types::arch::canonical;
use toji_value::Value;

use super::Build;
use crate::failure::{Failure, Result};
use crate::source::Arches;

impl Build<'_> {
    /// The arches to build: the tag's and the package's extra ones, as the source package restricts them.
    pub(super) async fn arches(&self, header: &Header, extra: Option<&str>) -> Result<Vec<String>> {
        let config = self.build_config().await?;
        let tag = config.get("arches").as_str().unwrap_or_default();
        if tag.trim().is_empty() {
            let (name, id) = (config.get("name").display(), self.build_tag);
            return Err(Failure::build(format!("No arches for tag {name} [{id}]")));
        }
        let wanted = match self.opts.get("arch_override").as_str().filter(|_| self.scratch()) {
            Some(list) => list.split_whitespace().map(str::to_owned).collect(),
            None => restrict(tag, extra.unwrap_or_default(), &Arches::of(header)),
        };
        let mut arches: Vec<String> = Vec::new();
        for arch in wanted {
            let possible = arch == "noarch"
                || tag.split_whitespace().any(|t| canonical(t) == canonical(&arch));
            if possible && !arches.contains(&arch) {
                arches.push(arch);
            }
        }
        if arches.is_empty() {
            return Err(Failure::build("No matching arches were found"));
        }
        Ok(arches)
    }

    /// The arch of a child task: an arch-independent one can run anywhere, unless the arch lists of
    /// the package or the tag leave some of the tag's arches out.
    pub(super) async fn task_arch(&self, arch: &str, header: Option<&Header>) -> Result<String> {
        if arch != "noarch" {
            return Ok(canonical(arch).to_owned());
        }
        let config = self.build_config().await?;
        let list = |value: &Value| canonical_list(value.as_str().unwrap_or_default());
        let limits = header.map(Arches::of);
        let noarch_arches = config.get("extra").get("noarch_arches");
        let tag = list(config.get("arches"));
        place_noarch(&tag, &list(noarch_arches), limits.as_ref())
    }
}

fn canonical_list(text: &str) -> Vec<String> {
    text.split_whitespace().map(|arch| canonical(arch).to_owned()).collect()
}

fn restrict(tag: &str, extra: &str, limits: &Arches) -> Vec<String> {
    let mut list: Vec<String> =
        tag.split_whitespace().chain(extra.split_whitespace()).map(str::to_owned).collect();
    if !limits.build.is_empty() {
        list.clone_from(&limits.build);
    }
    if !limits.exclusive.is_empty() {
        list.retain(|arch| limits.exclusive.contains(arch));
    }
    list.retain(|arch| !limits.exclude.contains(arch));
    // A package that may be built without an arch is, whatever the tag's arches are.
    let has = |arches: &[String]| arches.iter().any(|arch| arch == "noarch");
    if !has(&limits.exclude) && (has(&limits.build) || has(&limits.exclusive)) {
        list.push("noarch".to_owned());
    }
    list
}

fn place_noarch(
    tag: &[String],
    noarch_arches: &[String],
    limits: Option<&Arches>,
) -> Result<String> {
    let canonical_all =
        |list: &[String]| -> Vec<String> { list.iter().map(|a| canonical(a).to_owned()).collect() };
    let exclusive = limits.map(|l| canonical_all(&l.exclusive)).unwrap_or_default();
    let exclude = limits.map(|l| canonical_all(&l.exclude)).unwrap_or_default();
    let mut choices: Vec<&String> = tag.iter().collect();
    if !noarch_arches.is_empty() {
        choices.retain(|arch| noarch_arches.contains(arch));
    }
    if !exclusive.is_empty() {
        choices.retain(|arch| exclusive.contains(arch));
    }
    choices.retain(|arch| !exclude.contains(arch));
    if choices.len() == tag.len() {
        return Ok("noarch".to_owned());
    }
    choices.first().map(|arch| (*arch).clone()).ok_or_else(|| {
        Failure::build(format!(
            "No valid arches were found. tag {tag:?}, extra {noarch_arches:?}, exclusive {exclusive:?}, exclude {exclude:?}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn limits(build: &str, exclusive: &str, exclude: &str) -> Arches {
        Arches { build: words(build), exclusive: words(exclusive), exclude: words(exclude) }
    }

    #[test]
    fn source_packages_restrict_the_tags_arches() {
        let cases = [
            (limits("", "", ""), "x86_64 i686 s390x"),
            (limits("noarch", "", ""), "noarch noarch"),
            (limits("", "x86_64 ppc64", ""), "x86_64"),
            (limits("", "", "s390x"), "x86_64 i686"),
            (limits("", "x86_64 noarch", ""), "x86_64 noarch"),
            (limits("noarch", "", "noarch"), ""),
        ];
        for (limits, expected) in cases {
            assert_eq!(restrict("x86_64 i686", "s390x", &limits), words(expected));
        }
    }

    #[test]
    fn noarch_goes_where_the_package_allows_it() {
        let tag = words("x86_64 s390x");
        let place = |l: Arches, extra: &str| place_noarch(&tag, &words(extra), Some(&l)).ok();
        assert_eq!(place(limits("", "", ""), "").as_deref(), Some("noarch"));
        assert_eq!(place(limits("", "", "x86_64"), "").as_deref(), Some("s390x"));
        assert_eq!(place(limits("", "x86_64", ""), "").as_deref(), Some("x86_64"));
        assert_eq!(place(limits("", "", ""), "s390x").as_deref(), Some("s390x"));
        assert_eq!(place(limits("", "ia64", ""), ""), None);
    }
}
