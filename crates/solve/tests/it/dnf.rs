//! dnf's answers, from a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use toji_solve::{Job, Want};

use crate::universe::Written;

/// dnf with some repositories loaded.
pub(crate) struct Dnf {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What dnf says.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    Packages(Vec<String>),
    Missing(Vec<String>),
    Problems(Vec<Vec<String>>),
}

impl Dnf {
    pub(crate) fn start(work: &Path, repos: &[Written]) -> Self {
        let oracle = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/oracle.py");
        let mut process = Command::new("/usr/bin/python3")
            .arg("-B")
            .arg(oracle)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut dnf = Self { process, input, output };
        let list: Vec<Value> = repos
            .iter()
            .map(|r| json!({"id": r.id, "path": r.dir, "priority": r.priority, "cost": r.cost}))
            .collect();
        let (root, cache) = (work.join("root"), work.join("cache"));
        let setup = json!({"root": root, "cache": cache, "arch": "x86_64", "repos": list});
        assert!(dnf.ask(&setup)["count"].as_u64() > Some(0));
        dnf
    }

    pub(crate) fn solve(&mut self, job: &Job) -> Said {
        let wants: Vec<Value> = job
            .wants
            .iter()
            .map(|want| match want {
                Want::Install { spec, optional } => {
                    json!({"kind": "install", "text": spec, "optional": optional})
                }
                Want::Require(text) => json!({"kind": "require", "text": text}),
                Want::Group { name, with, optional } => {
                    json!({"kind": "group", "name": name, "with": with, "optional": optional})
                }
            })
            .collect();
        let request =
            json!({"wants": wants, "weak": job.weak, "best": job.best, "exclude": job.exclude});
        let mut answer = self.ask(&request);
        let list = |value: Value| serde_json::from_value(value).unwrap();
        match () {
            () if answer["packages"].is_array() => Said::Packages(list(answer["packages"].take())),
            () if answer["missing"].is_array() => Said::Missing(list(answer["missing"].take())),
            () => Said::Problems(serde_json::from_value(answer["problems"].take()).unwrap()),
        }
    }

    fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.input, "{request}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("dnf: {line}: {error}"))
    }
}

impl Drop for Dnf {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
