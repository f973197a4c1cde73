//! The native part of the Python package: one hub, its calls, and what the library knows of tasks, builds and messages.
//!
//! Each method takes `blocking`: it returns the result, or something to await.

mod convert;
mod deliver;
mod facts;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::StreamExt as _;
use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use toji_client::time::OffsetDateTime;
use toji_client::{
    Args, Build, Client, Download, Error, Event, Events, Options, Places, Profile, Task, Upload,
    Value, Watcher,
};
use tokio::sync::Mutex;

use convert::{Answer, failed, from_python, map_from};
use deliver::{attached, future, runtime};

/// Runs work to its end without holding the interpreter, or hands out something to await.
fn settle<'py, T, F>(py: Python<'py>, blocking: bool, work: F) -> PyResult<Bound<'py, PyAny>>
where
    T: for<'a> IntoPyObject<'a> + Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    if !blocking {
        return future(py, work);
    }
    let done = py.detach(|| runtime().block_on(work)).map_err(failed)?;
    done.into_bound_py_any(py)
}

#[pyclass(frozen)]
struct Hub {
    client: Client,
    profile: OnceLock<Profile>,
}

#[pymethods]
impl Hub {
    #[new]
    #[pyo3(signature = (url, weburl=None, topurl=None, timeout=43200.0, max_retries=30, retry_interval=20.0, poll_interval=6.0, serverca=None, cert=None, cache=None))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn new(
        url: &str,
        weburl: Option<String>,
        topurl: Option<String>,
        timeout: f64,
        max_retries: u32,
        retry_interval: f64,
        poll_interval: f64,
        serverca: Option<PathBuf>,
        cert: Option<PathBuf>,
        cache: Option<PathBuf>,
    ) -> PyResult<Hub> {
        let seconds = |s: f64| Duration::try_from_secs_f64(s).unwrap_or_default();
        let read = |path: Option<PathBuf>| path.map(std::fs::read).transpose();
        let options = Options {
            weburl,
            topurl,
            timeout: seconds(timeout),
            max_retries,
            retry_interval: seconds(retry_interval),
            poll_interval: seconds(poll_interval),
            serverca: read(serverca)?,
            cert: read(cert)?,
            cache,
            ..Options::default()
        };
        Ok(Hub { client: Client::new(url, options).map_err(failed)?, profile: OnceLock::new() })
    }

    /// The hub of a profile of the stock client's configuration.
    #[staticmethod]
    fn of_profile(name: &str) -> PyResult<Hub> {
        let profile = Profile::load(name).map_err(|e| failed(e.into()))?;
        let client = Client::of_profile(&profile).map_err(failed)?;
        Ok(Hub { client, profile: OnceLock::from(profile) })
    }

    /// The profile whose web UI has a page.
    #[staticmethod]
    fn profile_of_page(url: &str) -> PyResult<Option<String>> {
        let found = Profile::of_page(url, &Places::system()).map_err(|e| failed(e.into()))?;
        Ok(found.map(|profile| profile.name))
    }

    #[getter]
    fn url(&self) -> &str {
        self.client.hub_url()
    }

    #[getter]
    fn weburl(&self) -> &str {
        self.client.web_url()
    }

    /// The options of the profile as they are written.
    #[getter]
    fn settings(&self) -> std::collections::BTreeMap<String, String> {
        self.profile.get().map(|profile| profile.options.clone()).unwrap_or_default()
    }

    #[pyo3(signature = (method, args, kwargs, blocking))]
    fn call<'py>(
        &self,
        py: Python<'py>,
        method: String,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        blocking: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (client, args) = (self.client.clone(), arguments(args, kwargs)?);
        settle(py, blocking, async move { client.call(&method, args).await.map(Answer) })
    }

    /// Many calls as one; each result is a value or an exception that is not raised.
    #[pyo3(signature = (calls, batch, blocking))]
    fn multicall<'py>(
        &self,
        py: Python<'py>,
        calls: Vec<(String, Bound<'py, PyTuple>, Bound<'py, PyDict>)>,
        batch: Option<usize>,
        blocking: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let calls: Vec<(String, Args)> = calls
            .into_iter()
            .map(|(method, args, kwargs)| Ok((method, arguments(&args, &kwargs)?)))
            .collect::<PyResult<_>>()?;
        let client = self.client.clone();
        settle(py, blocking, async move {
            if calls.is_empty() {
                return Ok(Vec::new());
            }
            let mut list = client.multicall();
            if let Some(size) = batch.filter(|size| *size > 0) {
                list = list.batch(size);
            }
            for (method, args) in calls {
                list.add(&method, args);
            }
            let results = list.send().await?;
            Ok(results.into_iter().map(|result| convert::Entry(result)).collect())
        })
    }

    /// Logs in as the profile says; with a name and a password by them, with a token by that.
    #[pyo3(signature = (user, password, token, blocking))]
    fn login<'py>(
        &self,
        py: Python<'py>,
        user: Option<String>,
        password: Option<String>,
        token: Option<String>,
        blocking: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (client, profile) = (self.client.clone(), self.profile.get().cloned());
        settle(py, blocking, async move {
            match (user, token, profile) {
                (Some(user), _, _) => client.login(&user, &password.unwrap_or_default()).await?,
                (_, Some(token), _) => client.login_with_token(&token).await?,
                (_, _, Some(profile)) => client.login_as(&profile).await?,
                _ if client.options().cert.is_some() => client.login_with_certificate().await?,
                _ => client.login_with_tickets(None).await?,
            }
            Ok(true)
        })
    }

    #[pyo3(signature = (blocking))]
    fn logout<'py>(&self, py: Python<'py>, blocking: bool) -> PyResult<Bound<'py, PyAny>> {
        let client = self.client.clone();
        settle(py, blocking, async move { client.logout().await.map(|()| true) })
    }

    /// The number and key of the session.
    #[pyo3(signature = (blocking))]
    fn session<'py>(&self, py: Python<'py>, blocking: bool) -> PyResult<Bound<'py, PyAny>> {
        let client = self.client.clone();
        settle(py, blocking, async move { Ok(client.session().await.map(|s| (s.id, s.key))) })
    }

    /// The name of a `user` or `tag` by its number, kept on the disk.
    #[pyo3(signature = (kind, id, blocking))]
    fn name<'py>(
        &self,
        py: Python<'py>,
        kind: String,
        id: i64,
        blocking: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let client = self.client.clone();
        settle(py, blocking, async move {
            match kind.as_str() {
                "tag" => client.names().tag(id).await,
                _ => client.names().user(id).await,
            }
        })
    }

    /// Seconds that a package takes on average; with a limit over its last builds only.
    #[pyo3(signature = (package, limit, blocking))]
    fn average<'py>(
        &self,
        py: Python<'py>,
        package: String,
        limit: Option<usize>,
        blocking: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let client = self.client.clone();
        settle(py, blocking, async move {
            let average = match limit {
                Some(limit) => client.average_last_builds(&package, limit).await?,
                None => client.average_build_duration(&package).await?,
            };
            Ok(average.map(|time| time.as_secs_f64()))
        })
    }

    /// When a task or build is finished: duration and time of completion, in seconds.
    #[pyo3(signature = (kind, info, blocking))]
    fn estimate<'py>(
        &self,
        py: Python<'py>,
        kind: String,
        info: &Bound<'py, PyDict>,
        blocking: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (client, info) = (self.client.clone(), map_from(info)?);
        settle(py, blocking, async move {
            let now = OffsetDateTime::now_utc();
            let estimate = match kind.as_str() {
                "task" => Task::new(info, &client).estimate(now).await?,
                _ => Build::new(info, &client).estimate(now).await?,
            };
            Ok(estimate.map(|e| (e.duration.as_secs_f64(), facts::seconds(e.completes))))
        })
    }

    /// Seconds of a task's longest `buildArch`.
    #[pyo3(signature = (info, blocking))]
    fn build_time<'py>(
        &self,
        py: Python<'py>,
        info: &Bound<'py, PyDict>,
        blocking: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (client, info) = (self.client.clone(), map_from(info)?);
        settle(py, blocking, async move {
            let time = Task::new(info, &client).build_time(OffsetDateTime::now_utc()).await?;
            Ok(time.map(|time| time.as_secs_f64()))
        })
    }

    /// What the library knows of a task from what the hub sent.
    fn task_facts<'py>(
        &self,
        py: Python<'py>,
        info: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Ok(Answer(facts::task(&Task::new(map_from(info)?, &self.client)))
            .into_pyobject(py)?
            .into_any())
    }

    /// What the library knows of a build from what the hub sent.
    fn build_facts<'py>(
        &self,
        py: Python<'py>,
        info: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Ok(Answer(facts::build(&Build::new(map_from(info)?, &self.client)))
            .into_pyobject(py)?
            .into_any())
    }

    /// What a message says.
    fn event<'py>(
        &self,
        py: Python<'py>,
        topic: &str,
        headers: &Bound<'py, PyDict>,
        body: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        let event = Event::parse(topic, &map_from(headers)?, body, &self.client);
        let event = event.map_err(|e| pyo3::exceptions::PyValueError::new_err(e.to_string()))?;
        Ok(Answer(facts::event(&event)).into_pyobject(py)?.into_any())
    }

    /// Uploads a file below the hub's work directory; returns size and SHA-256.
    #[pyo3(signature = (file, path, name, overwrite, resume, progress, blocking))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn upload<'py>(
        &self,
        py: Python<'py>,
        file: PathBuf,
        path: String,
        name: String,
        overwrite: bool,
        resume: bool,
        progress: Option<Py<PyAny>>,
        blocking: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let client = self.client.clone();
        settle(py, blocking, async move {
            let watcher = watcher(progress);
            let to = Upload { path: &path, name: &name, overwrite, resume, volume: None, watcher };
            let up = client.upload(&file, &to).await?;
            Ok((up.size, up.sha256))
        })
    }

    /// Downloads a published file; returns its SHA-256.
    #[pyo3(signature = (url, file, size, sha256, progress, blocking))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn download<'py>(
        &self,
        py: Python<'py>,
        url: String,
        file: PathBuf,
        size: Option<u64>,
        sha256: Option<String>,
        progress: Option<Py<PyAny>>,
        blocking: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let client = self.client.clone();
        settle(py, blocking, async move {
            let watcher = watcher(progress);
            let what = Download { url: &url, size, sha256: sha256.as_deref(), watcher };
            client.download(&what, &file).await
        })
    }

    /// Tasks after each change of their state.
    fn watch_tasks(&self, ids: Vec<i64>) -> Watch {
        // The stream begins its timers within the runtime.
        let _inside = runtime().enter();
        Watch { tasks: Arc::new(Mutex::new(self.client.watch_tasks(&ids))) }
    }
}

/// Tasks that are watched.
#[pyclass(frozen)]
struct Watch {
    tasks: Arc<Mutex<Events<Task>>>,
}

#[pymethods]
impl Watch {
    /// The next change; None at the end.
    fn next<'py>(&self, py: Python<'py>, blocking: bool) -> PyResult<Bound<'py, PyAny>> {
        let tasks = self.tasks.clone();
        settle(py, blocking, async move {
            let next = tasks.lock().await.next().await.transpose()?;
            Ok(next.map(|task| Answer(Value::Struct(task.info().clone()))))
        })
    }
}

fn arguments(args: &Bound<'_, PyTuple>, kwargs: &Bound<'_, PyDict>) -> PyResult<Args> {
    let positional = args.iter().map(|arg| from_python(&arg, 0)).collect::<PyResult<_>>()?;
    Ok(Args { positional, keywords: map_from(kwargs)? })
}

/// Calls a Python function with done, total and seconds; what it raises is shown and ignored.
fn watcher(progress: Option<Py<PyAny>>) -> Watcher {
    let Some(progress) = progress else { return Watcher::default() };
    Watcher::new(move |at| {
        attached(|py| {
            if let Err(error) = progress.call1(py, (at.done, at.total, at.elapsed.as_secs_f64())) {
                error.write_unraisable(py, None);
            }
        });
    })
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let kinds = PyList::empty(module.py());
    for kind in toji_client::FaultKind::ALL {
        kinds.append((
            kind.code(),
            kind.name(),
            kind.parent().map(toji_client::FaultKind::name),
        ))?;
    }
    module.add("FAULTS", kinds)?;
    module.add_function(wrap_pyfunction!(deliver::shut, module)?)?;
    module.add_class::<Hub>()?;
    module.add_class::<Watch>()
}
