//! `chainmaven`: runs Maven builds and wrappers in the order of their dependencies, as many at a time as may be.

use std::collections::{BTreeMap, BTreeSet};

use toji_client::args;
use toji_value::{Default, Map, Value, map};

use super::{method, need_listed, take, texts};
use crate::context::{Context, int_of, text_of};
use crate::failure::{Failure, Result};
use crate::wait::Wait;

method!("chainmaven", 0.2, [builds, target, opts = Default::Nil]);

/// Members of a package that are no options of its task.
const OWN: [&str; 3] = ["scmurl", "buildrequires", "type"];
/// Options of Maven that do not change what is built.
const TALK: [&str; 8] =
    ["-e", "--errors", "-q", "--quiet", "-V", "--show-version", "-X", "--debug"];

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [builds, target, opts] = take(values)?;
    let info = task.call("getBuildTarget", (target.clone(),)).await?;
    if info.is_nil() {
        return Err(Failure::build(format!("unknown build target: {}", target.display())));
    }
    let dest = args!(info.get("dest_tag"); "strict" => true);
    let dest = task.call("getTag", dest).await?;
    let builds = builds.as_struct().cloned().unwrap_or_default();
    if !opts.get("scratch").truthy() && !opts.get("skip_tag").truthy() {
        for (package, _) in builds.iter() {
            let config = task.call("getPackageConfig", (int_of(&dest, "id")?, package)).await?;
            need_listed(&config, package, text_of(&dest, "name")?)?;
        }
    }
    let needs = builds.iter().map(|(package, params)| {
        (package.to_owned(), texts(params.get("buildrequires")).into_iter().collect())
    });
    let todo = needs.collect();
    let mut chain = Chain {
        task,
        info,
        target,
        opts,
        builds,
        todo,
        running: BTreeMap::new(),
        done: BTreeMap::new(),
        results: Vec::new(),
    };
    chain.work(text_of(&dest, "name")?).await?;
    Ok(Value::Array(chain.results))
}

/// The state of a chain.
struct Chain<'t> {
    task: &'t Context,
    info: Value,
    target: Value,
    opts: Value,
    builds: Map,
    /// Packages that wait, with those that they wait for.
    todo: BTreeMap<String, BTreeSet<String>>,
    running: BTreeMap<i64, String>,
    /// NVRs of finished builds; tasks of scratch builds.
    done: BTreeMap<String, Value>,
    results: Vec<Value>,
}

impl Chain<'_> {
    async fn work(&mut self, dest: &str) -> Result<()> {
        loop {
            let ready = |(package, needs): (&String, &BTreeSet<String>)| {
                needs.is_empty().then(|| package.clone())
            };
            let ready: Vec<String> = self.todo.iter().filter_map(ready).collect();
            if ready.is_empty() && self.running.is_empty() {
                break;
            }
            for package in ready {
                self.begin(&package, dest).await?;
            }
            if !self.running.is_empty() {
                self.wait().await?;
            }
        }
        if self.todo.is_empty() {
            return Ok(());
        }
        Err(Failure::build("unable to run chain build, circular dependencies"))
    }

    fn param(&self, package: &str, key: &str) -> Value {
        self.builds.get(package).map(|params| params.get(key).clone()).unwrap_or_default()
    }

    fn is_wrapper(&self, package: &str) -> Result<bool> {
        match self.param(package, "type").as_str() {
            None | Some("maven") => Ok(false),
            Some("wrapper") => Ok(true),
            Some(other) => Err(Failure::build(format!("unsupported build type: {other}"))),
        }
    }

    async fn begin(&mut self, package: &str, dest: &str) -> Result<()> {
        let wrapper = self.is_wrapper(package)?;
        let params =
            self.builds.get(package).and_then(Value::as_struct).cloned().unwrap_or_default();
        let mut options: Map = params
            .iter()
            .filter(|(key, _)| !OWN.contains(key))
            .map(|(key, value)| (key.to_owned().into(), value.clone()))
            .collect();
        if !wrapper {
            let deps = self.all_needs(package);
            if !deps.is_empty() {
                options.insert("deps", deps);
            }
        }
        let url = self.param(package, "scmurl");
        if !self.opts.get("force").truthy()
            && let Some(nvr) = self.made_before(package, dest, &options).await?
        {
            let line = format!("{nvr} previously built from {}", url.display());
            self.finish(package, nvr.into(), line);
            self.todo.remove(package);
            return Ok(());
        }
        for key in ["skip_tag", "scratch"] {
            if self.opts.as_struct().is_some_and(|opts| opts.get(key).is_some()) {
                options.insert(key, self.opts.get(key).clone());
            }
        }
        let label = map! {"label" => package};
        let id = if wrapper {
            let args = self.wrapping(package, url, options).await?;
            self.task.subtask("wrapperRPM", args, label).await?
        } else {
            if self.opts.get("debug").truthy() {
                let mut words = texts(options.get("maven_options").unwrap_or(&Value::Nil));
                words.push("--debug".to_owned());
                options.insert("maven_options", words);
            }
            let args = vec![url, self.target.clone(), Value::Struct(options)];
            self.task.subtask("maven", args, label).await?
        };
        self.running.insert(id, package.to_owned());
        self.todo.remove(package);
        Ok(())
    }

    /// What all the package needs, near and far, has become.
    fn all_needs(&self, package: &str) -> Vec<Value> {
        let (mut open, mut seen) = (vec![package.to_owned()], BTreeSet::new());
        while let Some(next) = open.pop() {
            for need in texts(&self.param(&next, "buildrequires")) {
                if seen.insert(need.clone()) {
                    open.push(need);
                }
            }
        }
        seen.iter().filter_map(|need| self.done.get(need).cloned()).collect()
    }

    async fn wrapping(&self, package: &str, url: Value, mut options: Map) -> Result<Vec<Value>> {
        let wrapped = self.wrapped(package)?;
        let (build, task) = match wrapped.as_int() {
            Some(id) => {
                let call = args!(id; "request" => true);
                (Value::Nil, self.task.call("getTaskInfo", call).await?)
            }
            None => {
                (self.task.call("getBuild", args!(&wrapped; "strict" => true)).await?, Value::Nil)
            }
        };
        let repo = self.task.get_repo(int_of(&self.info, "build_tag")?, &[], false).await?;
        options.insert("repo_id", int_of(&repo, "id")?);
        Ok(vec![url, self.info.clone(), build, task, Value::Struct(options)])
    }

    /// The build or task that a wrapper is about: the first that it needs.
    fn wrapped(&self, package: &str) -> Result<Value> {
        let needs = texts(&self.param(package, "buildrequires"));
        let found = needs.first().and_then(|need| self.done.get(need)).cloned();
        found.ok_or_else(|| Failure::build(format!("{package} wraps nothing")))
    }

    /// The latest build of the package, if it was made of the same source with the same options.
    async fn made_before(
        &self,
        package: &str,
        dest: &str,
        options: &Map,
    ) -> Result<Option<String>> {
        let call = args!(dest; "package" => package);
        let builds = self.task.call("getLatestBuilds", call).await?;
        let Some(build) = builds.as_array().and_then(<[Value]>::first) else { return Ok(None) };
        let Some(task) = build.get("task_id").as_int().filter(|id| *id != 0) else {
            return Ok(None);
        };
        let info = self.task.call("getTaskInfo", args!(task; "request" => true)).await?;
        let request = info.get("request").as_array().unwrap_or_default();
        if request.first() != Some(&self.param(package, "scmurl")) {
            return Ok(None);
        }
        let same = if self.is_wrapper(package)? {
            let old = request.get(2).map(|build| build.get("nvr").clone()).unwrap_or_default();
            old == self.wrapped(package)?
        } else {
            let old = request.get(2).and_then(Value::as_struct).cloned().unwrap_or_default();
            telling(&old) == telling(options)
        };
        Ok(same.then(|| build.get("nvr").display()))
    }

    async fn wait(&mut self) -> Result<()> {
        let ids: Vec<i64> = self.running.keys().copied().collect();
        let results = match self.task.wait(&ids, Wait::default()).await {
            Ok(results) => results,
            Err(failure) => {
                // The others come to their end before this fails.
                self.task.wait(&ids, Wait { all: true, fail_any: false }).await?;
                return Err(failure);
            }
        };
        for id in results.into_keys() {
            let Some(package) = self.running.remove(&id) else { continue };
            let url = self.param(&package, "scmurl").display();
            if self.opts.get("scratch").truthy() {
                let made = if self.is_wrapper(&package)? { id } else { self.output_of(id).await? };
                let line = format!("{package} built from {url} by task {id}");
                self.finish(&package, made.into(), line);
            } else {
                let builds = self.task.call("listBuilds", args!(; "taskID" => id)).await?;
                let nvr =
                    builds.as_array().and_then(<[Value]>::first).map(|b| b.get("nvr").clone());
                let lacks = || Failure::build(format!("could not find build for task {id}"));
                let nvr = nvr.ok_or_else(lacks)?;
                let line = format!("{} built from {url}", nvr.display());
                self.finish(&package, nvr, line);
            }
        }
        Ok(())
    }

    /// The child of a Maven task whose output is a repository.
    async fn output_of(&self, task: i64) -> Result<i64> {
        let children = self.task.call("getTaskChildren", (task,)).await?;
        let mut all = children.as_array().unwrap_or_default().iter();
        let found = all.find(|child| child.get("method").as_str() == Some("buildMaven"));
        let lacks = || Failure::build(format!("could not find buildMaven subtask of {task}"));
        int_of(found.ok_or_else(lacks)?, "id")
    }

    fn finish(&mut self, package: &str, made: Value, line: String) {
        self.done.insert(package.to_owned(), made);
        self.results.push(line.into());
        for needs in self.todo.values_mut() {
            needs.remove(package);
        }
    }
}

/// The options that make a difference, lists as sorted texts.
fn telling(options: &Map) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (key, value) in options.iter() {
        let text = match (key, value) {
            ("skip_tag" | "scratch" | "jvm_options", _) => continue,
            (_, Value::Array(list)) => {
                let mut words: Vec<String> = list.iter().map(Value::repr).collect();
                if key == "maven_options" {
                    let talk =
                        |word: &String| TALK.iter().any(|talk| *word == Value::from(*talk).repr());
                    words.retain(|word| !talk(word));
                    if words.is_empty() {
                        continue;
                    }
                }
                words.sort();
                words.join(" ")
            }
            (_, value) => value.repr(),
        };
        found.insert(key.to_owned(), text);
    }
    found
}

#[cfg(test)]
mod tests {
    use toji_value::list;

    use super::*;

    #[test]
    fn options_that_only_talk_make_no_difference() {
        let one =
            map! {"goals" => list!["a", "b"], "maven_options" => list!["-e"], "scratch" => true};
        let two = map! {"goals" => list!["b", "a"], "jvm_options" => list!["-Xmx1g"]};
        assert_eq!(telling(&one), telling(&two));
        assert_ne!(telling(&one), telling(&map! {"goals" => list!["a"]}));
    }
}
