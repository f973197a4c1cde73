//! From the facts about a build to its provenance.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use toji_attest::statement::{Builder, Definition, Metadata, Provenance, RPM_HEADER, Run};
use toji_attest::{Digests, Resource, Statement};
use toji_db::Time;
use toji_value::Map;

use super::gather::Facts;
use super::write::Seen;

/// Says what the parameters of a statement mean: `docs/guide/provenance.md`.
const BUILD_TYPE: &str = "tag:toji,2026:build/v1";

/// Seconds since 1970 as RFC 3339 has them, in UTC and without fractions.
pub(super) fn rfc3339(seconds: f64) -> Option<String> {
    let text = Time::from_epoch(seconds.floor()).ok()?.to_text();
    Some(text.get(..19)?.replace(' ', "T") + "Z")
}

/// The statement about the files as they were seen on the disk; `bill` is the SHA-256 of the bill of materials.
pub(super) fn compose(facts: &Facts, seen: &[Seen], web_url: &str, bill: &str) -> Statement {
    let rpms = facts.rpms.iter().zip(seen).map(|(rpm, seen)| Resource {
        name: Some(rpm.file.clone()),
        uri: Some(rpm.purl.clone()),
        digest: [("sha256", &seen.sha256), (RPM_HEADER, &seen.header_sha256)]
            .into_iter()
            .map(|(kind, digest)| (kind.to_owned(), digest.clone()))
            .collect(),
        ..Resource::default()
    });
    let archives = facts.archives.iter().map(|archive| Resource {
        name: Some(archive.file.clone()),
        digest: archive.digests.clone(),
        ..Resource::default()
    });
    let definition = Definition {
        build_type: BUILD_TYPE.to_owned(),
        external_parameters: external(facts),
        internal_parameters: internal(facts),
        resolved_dependencies: dependencies(facts),
    };
    let run_details = Run {
        builder: Builder {
            id: web_url.to_owned(),
            version: BTreeMap::from([("toji".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]),
        },
        metadata: metadata(facts, web_url),
        byproducts: vec![Resource {
            name: Some(super::BILL.to_owned()),
            media_type: Some("application/spdx+json".to_owned()),
            digest: Digests::from([("sha256".to_owned(), bill.to_owned())]),
            ..Resource::default()
        }],
    };
    let provenance = Provenance { build_definition: definition, run_details };
    Statement::new(rpms.chain(archives).collect(), provenance)
}

/// What the submitter asked for; the names of a plain build's parameters are spelt out.
fn external(facts: &Facts) -> BTreeMap<String, Json> {
    let Some((method, params)) = &facts.request else { return BTreeMap::new() };
    let name = |key: &str| {
        match key {
            "src" => "source",
            "opts" => "options",
            other => other,
        }
        .to_owned()
    };
    let mut out: BTreeMap<String, Json> =
        params.iter().map(|(key, value)| (name(key), value.to_json())).collect();
    out.insert("method".to_owned(), method.clone().into());
    out
}

fn internal(facts: &Facts) -> BTreeMap<String, Json> {
    let build = &facts.build;
    let roots = facts.buildroots.iter().map(|root| {
        let keys = ["id", "arch", "host", "task_id", "tag", "repo_id", "event"];
        pick(root, &keys)
    });
    let mut out = BTreeMap::new();
    out.insert(
        "build".to_owned(),
        json!({"id": build.id, "nvr": build.nvr(), "epoch": build.epoch}),
    );
    out.insert("buildroots".to_owned(), roots.collect());
    if let Some(generator) = build.shown.value("cg_name").as_str() {
        out.insert("contentGenerator".to_owned(), generator.into());
    }
    out
}

fn pick(map: &Map, keys: &[&str]) -> Json {
    let members = keys.iter().map(|key| ((*key).to_owned(), map.value(key).to_json()));
    Json::Object(members.collect())
}

/// The source, the lockfiles and every package of each buildroot.
fn dependencies(facts: &Facts) -> Vec<Resource> {
    let source = source(&facts.build.shown).into_iter();
    let locks = facts.locks.iter().map(|lock| {
        let roots: Vec<i64> = lock.buildroots.iter().copied().collect();
        let annotations = [
            ("buildroots", json!(roots)),
            ("packages", Json::String(format!("sha256:{}", lock.digest))),
        ];
        Resource {
            name: Some(format!("lockfile-{}.json", lock.arch)),
            media_type: Some("application/json".to_owned()),
            digest: Digests::from([("sha256".to_owned(), lock.sha256.clone())]),
            annotations: annotations.map(|(key, value)| (key.to_owned(), value)).into(),
            ..Resource::default()
        }
    });
    let packages = facts.components.iter().map(super::gather::Component::resource);
    source.chain(locks).chain(packages).collect()
}

/// The source as the build has it: a URL with a commit, or the name of a package that was uploaded.
fn source(build: &Map) -> Option<Resource> {
    let source = build.str("source")?;
    let mut digest = Digests::new();
    if let Some((_, commit)) = source.rsplit_once('#')
        && matches!(commit.len(), 40 | 64)
        && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        digest.insert("gitCommit".to_owned(), commit.to_owned());
    }
    let mut annotations = BTreeMap::new();
    let asked = build.value("extra").get("source").get("original_url");
    if let Some(asked) = asked.as_str() {
        annotations.insert("original_url".to_owned(), asked.into());
    }
    let uri = source.contains("://").then(|| source.to_owned());
    let name = uri.is_none().then(|| source.to_owned());
    if uri.is_none() {
        // an upload is no place that others reach; its name alone is told
        annotations.insert("uploaded".to_owned(), true.into());
    }
    Some(Resource { name, uri, digest, annotations, ..Resource::default() })
}

fn metadata(facts: &Facts, web_url: &str) -> Metadata {
    let shown = &facts.build.shown;
    let moment = |key: &str| shown.value(key).as_f64().and_then(rfc3339);
    let page = |(kind, key, id): (&str, &str, i64)| {
        format!("{}/{kind}?{key}={id}", web_url.trim_end_matches('/'))
    };
    let run = match facts.build.task_id {
        Some(id) => page(("taskinfo", "taskID", id)),
        None => page(("buildinfo", "buildID", facts.build.id)),
    };
    let tasks = facts.tasks.iter().map(|task| {
        let mut out = pick(task, &["id", "parent", "method", "arch", "label", "host_id"]);
        for (name, key) in [("startedOn", "start_ts"), ("finishedOn", "completion_ts")] {
            out[name] = task.value(key).as_f64().and_then(rfc3339).into();
        }
        out
    });
    Metadata {
        invocation_id: Some(run),
        started_on: moment("start_ts").or_else(|| moment("creation_ts")),
        finished_on: moment("completion_ts"),
        tasks: tasks.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toji_value::{Value, map};

    #[test]
    fn moments() {
        assert_eq!(rfc3339(1_700_000_000.75).as_deref(), Some("2023-11-14T22:13:20Z"));
        assert_eq!(rfc3339(0.0).as_deref(), Some("1970-01-01T00:00:00Z"));
    }

    #[test]
    fn sources_are_urls_or_names() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let url = format!("git+https://h/r#{commit}");
        let extra = map! { "source" => map! { "original_url" => "git+https://h/r#main" } };
        let found = source(&map! { "source" => &url, "extra" => extra }).unwrap();
        assert_eq!(found.uri.as_deref(), Some(url.as_str()));
        assert_eq!(found.digest["gitCommit"], commit);
        assert_eq!(found.annotations["original_url"], "git+https://h/r#main");
        let found = source(&map! { "source" => "a-1-1.src.rpm" }).unwrap();
        assert_eq!((found.name.as_deref(), found.uri), (Some("a-1-1.src.rpm"), None));
        assert!(source(&map! { "source" => Value::Nil }).is_none());
    }
}
