//! Archives: files of builds that are no RPMs.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area archive;

    /// Returns what makes a build a Maven build, or nil.
    #[access(anonymous)]
    #[python("get_maven_build")]
    read getMavenBuild(buildInfo: Value, strict: bool = false) -> Value;

    /// Returns what makes a build a Windows build, or nil.
    #[access(anonymous)]
    #[python("get_win_build")]
    read getWinBuild(buildInfo: Value, strict: bool = false) -> Value;

    /// Returns the id of an image build, or nil for other builds.
    #[access(anonymous)]
    #[python("get_image_build")]
    read getImageBuild(buildInfo: Value, strict: bool = false) -> Value;

    /// Returns archives that fit all the filters given.
    ///
    /// `type` adds the members of that type (maven, win, image, or another build type); `typeInfo`
    /// restricts by them.
    #[access(anonymous)]
    #[python("list_archives")]
    read listArchives(
        buildID: Option<i64> = None, buildrootID: Option<i64> = None,
        componentBuildrootID: Option<i64> = None, hostID: Option<i64> = None,
        type: Option<String> = None, filename: Option<String> = None, size: Option<i64> = None,
        checksum: Option<String> = None, checksum_type: Option<i64> = None,
        typeInfo: Value = None, queryOpts: Value = None, imageID: Option<i64> = None,
        archiveID: Option<i64> = None, strict: bool = false,
    ) -> Value;

    /// Returns an archive with what its type adds, or nil.
    #[access(anonymous)]
    #[python("get_archive")]
    read getArchive(archive_id: i64, strict: bool = false) -> Value;

    /// Returns what an archive is for Maven, or nil.
    #[access(anonymous)]
    #[python("get_maven_archive")]
    read getMavenArchive(archive_id: i64, strict: bool = false) -> Value;

    /// Returns what an archive is for Windows, or nil.
    #[access(anonymous)]
    #[python("get_win_archive")]
    read getWinArchive(archive_id: i64, strict: bool = false) -> Value;

    /// Returns what an archive is as an image, or nil.
    #[access(anonymous)]
    #[python("get_image_archive")]
    read getImageArchive(archive_id: i64, strict: bool = false) -> Value;

    /// Returns the files in a zip file or tarball; other archives have none, or with `strict` fail.
    #[access(anonymous)]
    #[python("list_archive_files")]
    read listArchiveFiles(
        archive_id: i64, queryOpts: Value = None, strict: bool = false
    ) -> Value;

    /// Returns one file of a zip file or tarball, or nil.
    #[access(anonymous)]
    #[python("get_archive_file")]
    read getArchiveFile(archive_id: i64, filename: String, strict: bool = false) -> Value;

    /// Returns the archives of the builds in a tag, and those builds.
    #[access(anonymous)]
    read listTaggedArchives(
        tag: Value, event: Value = None, inherit: bool = false, latest: Value = false,
        package: Value = None, type: Option<String> = None, strict: bool = true,
        extra: bool = true
    ) -> Value;

    /// Returns the Maven archives that a repository of a tag holds.
    ///
    /// Of a group and artifact that is the newest version, or all of them in tags that include all.
    #[access(anonymous)]
    read getLatestMavenArchives(
        tag: Value, event: Value = None, inherit: bool = true
    ) -> Vec<Value>;
}
