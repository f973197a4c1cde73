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
}
