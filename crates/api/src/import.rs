//! Builds of other types than RPM that users import, and their archives.

use toji_api_macros::rpcs;
use toji_value::{Map, Value};

rpcs! {
    area import;

    /// Makes a build a Maven build; it is made if it does not exist.
    #[access(permission, "maven-import")]
    write createMavenBuild(build_info: Value, maven_info: Value) -> Value;

    /// Makes a build a Windows build; it is made if it does not exist.
    #[access(permission, "win-import")]
    write createWinBuild(build_info: Value, win_info: Value) -> Value;

    /// Makes a build an image build; it is made if it does not exist.
    #[access(permission, "image-import")]
    write createImageBuild(build_info: Value) -> Value;

    /// Imports an uploaded archive into a build of its type (maven, win or image).
    #[access(custom, "the permission of the type: maven-import, win-import, image-import")]
    write importArchive(
        filepath: String, buildinfo: Value, type: String, typeInfo: Value
    ) -> Value;

    /// Enters an RPM of an external repository; meant for tests.
    #[access(admin)]
    write addExternalRPM(rpminfo: Map, external_repo: Value, strict: bool = true) -> Value;
}
