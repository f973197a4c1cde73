//! Submission of builds that are no plain RPM builds: Maven, Windows, images, wrapper RPMs.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area submit;

    /// Submits a Maven build from a source URL and returns the task's number.
    #[access(login)]
    write mavenBuild(
        url: Value, target: Value, opts: Value = None, priority: Option<i64> = None,
        channel: Value = "maven"
    ) -> i64;

    /// Submits Maven builds that depend on each other and returns the task's number.
    #[access(login)]
    write chainMaven(
        builds: Value, target: Value, opts: Value = None, priority: Option<i64> = None,
        channel: Value = "maven"
    ) -> i64;

    /// Submits the making of RPMs around the archives of a finished build.
    #[access(login)]
    write wrapperRPM(
        build: Value, url: Value, target: Value, priority: Option<i64> = None,
        channel: Value = "maven", opts: Value = None
    ) -> i64;

    /// Submits a Windows build in a virtual machine; the policy `vm` decides.
    #[access(login)]
    write winBuild(
        vm: Value, url: Value, target: Value, opts: Value = None, priority: Option<i64> = None,
        channel: Value = "vm"
    ) -> i64;

    /// Submits a live CD, live media or appliance build from a kickstart file.
    #[access(custom, "the permission that is called as the image type")]
    write buildImage(
        name: Value, version: Value, arch: Value, target: Value, ksfile: Value, img_type: Value,
        opts: Value = None, priority: Option<i64> = None
    ) -> i64;

    /// Submits an image build from two images and a template.
    #[access(permission, "image")]
    write buildImageIndirection(opts: Value = None, priority: Option<i64> = None) -> i64;

    /// Submits a disk image build from an installation tree.
    #[access(custom, "the permission image")]
    write buildImageOz(
        name: Value, version: Value, arches: Value, target: Value, inst_tree: Value,
        opts: Value = None, priority: Option<i64> = None
    ) -> i64;
}
