//! Repositories and the requests for them.

use toji_api_macros::rpcs;
use toji_value::{Map, Value};

rpcs! {
    area repo;

    /// Returns all repositories that are not deleted.
    #[access(anonymous)]
    #[python("get_active_repos")]
    #[example("[]")]
    read getActiveRepos() -> Value;

    /// Returns the newest repository of a tag in a state (ready by default), or nil.
    #[access(anonymous)]
    #[python("old_get_repo")]
    #[example(r#"["f1-build"]"#)]
    read getRepo(
        tag: Value,
        state: Value = None,
        event: Value = None,
        dist: Value = false,
        min_event: Value = None,
    ) -> Value;

    /// Returns a repository, or nil.
    #[access(anonymous)]
    #[python("repo_info")]
    #[example("[1]")]
    read repoInfo(repo_id: Option<i64>, strict: bool = false) -> Value;

    /// Marks a repository expired: it is kept for those who still use it.
    #[access(permission, "repo")]
    write repoExpire(repo_id: i64) -> Value;

    /// Marks a repository deleted unless buildroots still use it; returns how many do.
    #[access(permission, "repo")]
    write repoDelete(repo_id: i64) -> i64;

    /// Marks a repository broken.
    #[access(permission, "repo")]
    write repoProblem(repo_id: i64) -> Value;

    /// Makes a newRepo task and returns its id.
    #[access(custom, "the permission repo or regen-repo; only where the hub allows the call")]
    write newRepo(
        tag: Value,
        event: Option<i64> = None,
        src: bool = false,
        debuginfo: bool = false,
        separate_src: bool = false,
    ) -> i64;

    /// Asks for a repository of a tag that holds a given state of it.
    ///
    /// Returns `repo` when there is one, otherwise `request`: a new one, or with `duplicate` one that
    /// asks for the same. `min_event` may be `last`, for the tag's latest change.
    #[access(login)]
    #[python("request_repo")]
    write repo.request(
        tag: Value,
        min_event: Value = None,
        at_event: Value = None,
        opts: Value = None,
        priority: Option<i64> = None,
        force: bool = false,
    ) -> Value;

    /// Returns the newest ready repository of a tag that fits, or nil.
    #[access(anonymous)]
    #[python("get_repo")]
    #[example(r#"["f1-build"]"#)]
    read repo.get(
        tag: Value,
        min_event: Option<i64> = None,
        at_event: Option<i64> = None,
        opts: Value = None,
    ) -> Value;

    /// Returns a request with its repository, or the task that makes it.
    #[access(anonymous)]
    #[python("check_repo_request")]
    read repo.checkRequest(req_id: i64) -> Value;

    /// Changes the priority of a request.
    #[access(admin)]
    #[python("RepoExports.setRequestPriority")]
    write repo.setRequestPriority(req_id: i64, priority: i64) -> Value;

    /// Returns what the repository daemon noted of an external repository, or nil.
    #[access(anonymous)]
    #[python("get_external_repo_data")]
    read repo.getExternalRepoData(erepo: Value) -> Value;

    /// Notes something of an external repository, such as its newest time stamp.
    #[access(permission, "repo")]
    #[python("RepoExports.setExternalRepoData")]
    write repo.setExternalRepoData(external_repo_id: Value, data: Value) -> Value;

    /// Returns the buildroots that still use a repository.
    #[access(anonymous)]
    #[python("RepoExports.references")]
    #[example("[1]")]
    read repo.references(repo_id: Value) -> Value;

    /// Moves a repository to a state.
    #[access(permission, "repo")]
    #[python("RepoExports.setState")]
    write repo.setState(repo_id: i64, state: Value) -> Value;

    /// Returns repositories; `clauses` are `[field, value]` or `[field, operator, value]`.
    #[access(anonymous)]
    #[python("RepoExports.query")]
    #[example("[[]]")]
    read repo.query(clauses: Value, fields: Value = None, opts: Value = None) -> Value;

    /// Returns requests for repositories.
    #[access(anonymous)]
    #[python("RepoExports.queryQueue")]
    #[example("[]")]
    read repo.queryQueue(clauses: Value = None, fields: Value = None, opts: Value = None) -> Value;

    /// Requests repositories for the tags that are set to have them made automatically.
    #[access(permission, "repo")]
    #[python("RepoExports.autoRequests")]
    write repo.autoRequests() -> Value;

    /// Looks after the requests: makes tasks, tries again, forgets old ones.
    #[access(permission, "repo")]
    #[python("RepoExports.checkQueue")]
    write repo.checkQueue() -> Value;

    /// Notes, for ready repositories, the event that made them out of date.
    #[access(permission, "repo")]
    #[python("RepoExports.updateEndEvents")]
    write repo.updateEndEvents() -> Value;

    /// Submits a repository for distribution, of copies signed with one of the keys, and returns the
    /// task's number.
    #[access(custom, "permission dist-repo or admin, or the policy dist_repo")]
    write distRepo(tag: Value, keys: Value, **task_opts: Map) -> i64;

    /// Tells how far the job is that makes the repository metadata of RPMs that have none: `state` (`working`,
    /// `paused` or `done`), `looked` and `of` (numbers of RPMs), `made`, `failed`, `failures` (the newest ones: `nvra`,
    /// `reason`, …), `rate`, `workers` and times. Not in Koji.
    #[access(anonymous)]
    #[example("[]")]
    read repo.metadataJob(failures: i64 = 20) -> Value;

    /// Sets how that job works: `paused`, `rate` (RPMs in a second, 0 for no limit), `workers`; with `retry` it looks
    /// again at what failed. Returns what `repo.metadataJob` does. Not in Koji.
    #[access(admin)]
    write repo.setMetadataJob(
        paused: Option<bool> = None,
        rate: Option<i64> = None,
        workers: Option<i64> = None,
        retry: bool = false,
    ) -> Value;
}
