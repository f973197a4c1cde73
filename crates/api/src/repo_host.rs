//! What builders do for repositories.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area repo_host;

    /// Makes a repository of a tag in the state INIT, with its directory and package lists.
    ///
    /// Returns its id and its event.
    #[access(host)]
    #[python("HostExports.repoInit")]
    write host.repoInit(
        tag: Value, task_id: Option<i64> = None, event: Option<i64> = None, opts: Value = None,
    ) -> Value;

    /// Makes the metadata of one arch of a repository from what the hub keeps of each RPM.
    ///
    /// Returns the number of packages. A call of Toji's own: other builders upload metadata.
    #[access(host)]
    #[python("HostExports.createRepo")]
    write host.createRepo(repo_id: i64, arch: String) -> i64;

    /// Moves uploaded metadata into place and makes the repository READY.
    ///
    /// `data` has for each arch the upload directory and the names of the files in it.
    #[access(host)]
    #[python("HostExports.repoDone")]
    write host.repoDone(
        repo_id: i64, data: Value, expire: bool = false, repo_json_updates: Value = None,
    ) -> Value;

    /// Moves one arch of a repository for distribution from the upload area to its place.
    #[access(host)]
    #[python("HostExports.distRepoMove")]
    write host.distRepoMove(repo_id: i64, uploadpath: String, arch: String) -> Value;

    /// Makes the metadata of one arch of a repository for distribution, of the packages that the task
    /// has uploaded a list of, and leaves them with that list.
    ///
    /// Returns the number of packages. A call of Toji's own: other builders upload metadata.
    #[access(host)]
    #[python("HostExports.createDistRepo")]
    write host.createDistRepo(task_id: i64, repo_id: i64, arch: String) -> i64;
}
