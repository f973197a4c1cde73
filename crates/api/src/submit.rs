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

    /// Submits the build of images from a KIWI description and returns the task's number.
    #[access(permission, "image")]
    #[python("kiwiBuild")]
    write kiwiBuild(
        target: Value, arches: Value, desc_url: Value, desc_path: Value,
        optional_arches: Value = None, profile: Value = None, scratch: Value = false,
        priority: Option<i64> = None, make_prep: Value = false, repos: Value = None,
        release: Value = None, type: Value = None, type_attr: Value = None,
        result_bundle_name_format: Value = None, use_buildroot_repo: Value = true,
        version: Value = None, repo_releasever: Value = None
    ) -> i64;

    /// Submits the build of a driver update disk and returns the task's number.
    #[access(permission, "image")]
    #[python("dudBuild")]
    write dudBuild(
        dud_name: Value, dud_version: Value, arches: Value, target: Value, pkg_list: Value,
        optional_arches: Value = None, scratch: Value = false, alldeps: Value = false,
        scmurl: Value = None, priority: Option<i64> = None
    ) -> i64;
}
