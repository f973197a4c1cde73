//! Rules about who uses whom: edges between crates, and libraries that stand for a duty.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::{Problem, read};

const FILE: &str = "xtask/edges.toml";

/// The rules, as `xtask/edges.toml` has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    edges: BTreeMap<String, Vec<String>>,
    /// `"a -> b"` to the page that allows it.
    extra: BTreeMap<String, String>,
    only: BTreeMap<String, Vec<String>>,
    pure: Pure,
}

#[derive(Deserialize)]
struct Pure {
    crates: Vec<String>,
    never: Vec<String>,
}

impl Rules {
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        toml::from_str(&read(&root.join(FILE))?).context("failed to understand xtask/edges.toml")
    }
}

/// A workspace member with what it uses when it is built for users; tests may use more.
#[derive(Debug, Deserialize)]
pub(super) struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

/// The members of the workspace at `root`, as cargo sees them.
pub(super) fn metadata(root: &Path) -> anyhow::Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let out = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root)
        .output()
        .context("failed to run cargo metadata")?;
    ensure!(
        out.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&out.stdout)?;
    Ok(metadata.packages)
}

/// Everything that breaks `rules`.
pub(super) fn check(packages: &[Package], rules: &Rules, root: &Path) -> Vec<Problem> {
    let mut problems = Vec::new();
    for package in packages {
        let user = short(&package.name);
        let manifest = if user == "xtask" {
            "xtask/Cargo.toml".into()
        } else {
            format!("crates/{user}/Cargo.toml")
        };
        let mut add = |message: String| problems.push(Problem::new(&manifest, 0, "edge", message));
        if !rules.edges.contains_key(user) {
            add(format!("{user} is missing from {FILE}"));
        }
        for used in package.dependencies.iter().filter(|d| d.kind.as_deref() != Some("dev")) {
            if let Some(message) = refuse(user, used, rules) {
                add(message);
            }
        }
    }
    let pages = rules.extra.iter().filter(|(_, page)| !root.join(page).is_file());
    problems.extend(pages.map(|(edge, page)| {
        Problem::new(FILE, 0, "edge", format!("{edge}: {page} does not exist"))
    }));
    problems
}

fn refuse(user: &str, used: &Dependency, rules: &Rules) -> Option<String> {
    let name = short(&used.name);
    if used.path.is_some() {
        let listed = rules.edges.get(user).is_some_and(|uses| uses.iter().any(|u| u == name));
        let decided = rules.extra.contains_key(&format!("{user} -> {name}"));
        return (!listed && !decided)
            .then(|| format!("{user} may not use {name}: it is not in {FILE}"));
    }
    let dutiful = rules
        .only
        .get(name)
        .is_none_or(|users| user == "testkit" || users.iter().any(|u| u == user));
    if !dutiful {
        return Some(format!("{user} may not use {name}: that is another crate's duty"));
    }
    let pure =
        rules.pure.crates.iter().any(|c| c == user) && rules.pure.never.iter().any(|n| n == name);
    pure.then(|| format!("{user} is pure and may not use {name}"))
}

fn short(name: &str) -> &str {
    name.strip_prefix("toji-").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Package, Rules, check};

    fn problems(json: &str) -> Vec<String> {
        let rules: Rules = toml::from_str(
            "[edges]\nhub = [\"db\"]\ndb = []\ntypes = []\n[extra]\n\"db -> types\" = \"Cargo.toml\"\n\
             [only]\naxum = [\"server\"]\n[pure]\ncrates = [\"types\"]\nnever = [\"tokio\"]\n",
        )
        .unwrap();
        let packages: Vec<Package> = serde_json::from_str(json).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        check(&packages, &rules, root).into_iter().map(|p| p.message).collect()
    }

    fn package(name: &str, uses: &str, kind: &str, path: &str) -> String {
        format!(
            r#"[{{"name": "toji-{name}", "dependencies": [{{"name": "{uses}", "kind": {kind}, "path": {path}}}]}}]"#
        )
    }

    #[test]
    fn edges_follow_the_table() {
        assert!(problems(&package("hub", "toji-db", "null", "\"p\"")).is_empty());
        assert_eq!(problems(&package("db", "toji-hub", "null", "\"p\"")).len(), 1);
        assert_eq!(problems(&package("db", "toji-hub", "\"build\"", "\"p\"")).len(), 1);
    }

    #[test]
    fn a_decision_allows_an_edge_and_tests_may_use_anything() {
        assert!(problems(&package("db", "toji-types", "null", "\"p\"")).is_empty());
        assert!(problems(&package("db", "toji-hub", "\"dev\"", "\"p\"")).is_empty());
    }

    #[test]
    fn a_crate_outside_the_table_is_refused() {
        assert_eq!(problems(&package("new", "serde", "null", "null")).len(), 1);
    }

    #[test]
    fn duties_stay_apart_and_pure_crates_pure() {
        assert_eq!(problems(&package("hub", "axum", "null", "null")).len(), 1);
        assert_eq!(problems(&package("types", "tokio", "null", "null")).len(), 1);
        assert!(problems(&package("hub", "tokio", "null", "null")).is_empty());
    }

    #[test]
    fn a_decision_page_must_exist() {
        let rules: Rules =
            toml::from_str("[edges]\n[extra]\n\"a -> b\" = \"docs/none.md\"\n[only]\n[pure]\ncrates = []\nnever = []\n").unwrap();
        assert_eq!(check(&[], &rules, Path::new("/")).len(), 1);
    }
}
