//! What builders call about Maven, Windows and image builds.

use toji_api_macros::rpcs;
use toji_value::{Map, Value};

rpcs! {
    area host_archive;

    /// Enters the Maven build that a task is about to make, with the next release.
    #[access(host)]
    #[python("HostExports.initMavenBuild")]
    write host.initMavenBuild(task_id: i64, build_info: Map, maven_info: Value) -> Map;

    /// Makes a build a Maven build.
    #[access(host)]
    #[python("HostExports.createMavenBuild")]
    write host.createMavenBuild(build_info: Value, maven_info: Value) -> Value;

    /// Imports what a Maven build has made, and completes it.
    #[access(host)]
    #[python("HostExports.completeMavenBuild")]
    write host.completeMavenBuild(
        task_id: i64, build_id: i64, maven_results: Map, rpm_results: Value
    ) -> Value;

    /// Imports an archive of a task into a build; the type is maven or win.
    #[access(host)]
    #[python("HostExports.importArchive")]
    write host.importArchive(
        filepath: String, buildinfo: Value, type: String, typeInfo: Value
    ) -> Value;

    /// Imports the RPMs of a wrapper task into a finished build that has none.
    #[access(host)]
    #[python("HostExports.importWrapperRPMs")]
    write host.importWrapperRPMs(task_id: i64, build_id: i64, rpm_results: Map) -> Value;

    /// Enters the image build that a task is about to make, with the next release if none is given.
    #[access(host)]
    #[python("HostExports.initImageBuild")]
    write host.initImageBuild(task_id: i64, build_info: Map) -> Map;

    /// Imports what an image build has made, and completes it.
    #[access(host)]
    #[python("HostExports.completeImageBuild")]
    write host.completeImageBuild(task_id: i64, build_id: i64, results: Map) -> Value;

    /// Imports images into a build, whose state stays as it is.
    #[access(host)]
    #[python("HostExports.importImage")]
    write host.importImage(task_id: i64, build_info: Value, results: Map) -> Value;

    /// Enters the Windows build that a task is about to make.
    #[access(host)]
    #[python("HostExports.initWinBuild")]
    write host.initWinBuild(task_id: i64, build_info: Map, win_info: Value) -> Map;

    /// Imports what a Windows build has made, and completes it.
    #[access(host)]
    #[python("HostExports.completeWinBuild")]
    write host.completeWinBuild(
        task_id: i64, build_id: i64, results: Map, rpm_results: Value
    ) -> Value;

    /// Moves the files of a Maven scratch build to the directory of the task's owner.
    #[access(host)]
    #[python("HostExports.moveMavenBuildToScratch")]
    write host.moveMavenBuildToScratch(
        task_id: i64, results: Map, rpm_results: Value
    ) -> Value;

    /// Moves the files of a Windows scratch build to the directory of the task's owner.
    #[access(host)]
    #[python("HostExports.moveWinBuildToScratch")]
    write host.moveWinBuildToScratch(task_id: i64, results: Map, rpm_results: Value) -> Value;

    /// Moves the files of an image scratch build to the directory of the task's owner.
    #[access(host)]
    #[python("HostExports.moveImageBuildToScratch")]
    write host.moveImageBuildToScratch(task_id: i64, results: Value) -> Value;

    /// Adds archives to what is in a buildroot.
    #[access(host)]
    #[python("HostExports.updateBuildrootArchives")]
    write host.updateBuildrootArchives(
        brootid: i64, task_id: i64, archives: Vec<Value>, project: bool = false
    ) -> Value;

    /// Adds the Maven artifacts that a build has used to what is in its buildroot.
    #[access(host)]
    #[python("HostExports.updateMavenBuildRootList")]
    write host.updateMavenBuildRootList(
        brootid: i64, task_id: i64, mavenlist: Vec<Value>, ignore: Value = None,
        project: bool = false, ignore_unknown: bool = false, extra_deps: Value = None
    ) -> Value;
}
