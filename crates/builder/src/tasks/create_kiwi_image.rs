//! `createKiwiImage`: has KIWI make the image of one arch, in a buildroot of the tag's group `kiwi-build`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use toji_sandbox::results;
use toji_value::{Default, Value, map};

use super::kiwi_build::{checkout, read, wrong};
use super::{method, take, texts};
use crate::buildroot::{Room, Wish};
use crate::context::{Context, int_of, text_of};
use crate::failure::{Failure, Result};
use crate::kiwi::{Description, Told};
use crate::repository::{Addresses, addresses};

method!(
    "createKiwiImage",
    2.0,
    [
        name,
        version,
        release,
        arch,
        target_info,
        build_tag,
        repo_info,
        desc_url,
        desc_path,
        opts = Default::Nil
    ]
);

/// The tag's group with KIWI and what it needs.
const GROUP: &str = "kiwi-build";
/// Where the description is in the root, below the place where things stay.
const TREE: &str = "kiwi";
/// Files that a description may include; real ones have some.
const MOST_INCLUDED: usize = 100;
/// Where kiwi leaves the image, as seen inside, and the files of it that are kept, below the home directory.
const IMAGE: &str = "/builddir/result/image";
const BUNDLE: &str = "result/bundle";
/// Where kiwi keeps the packages of the image.
const PACKAGES: &str = "/var/cache/kiwi/dnf";

/// What a task is asked for.
struct Asked<'v> {
    arch: &'v str,
    release: &'v str,
    /// Where the description is in its sources.
    path: &'v Value,
    opts: &'v Value,
}

impl Asked<'_> {
    /// The directory of the description in its sources.
    fn dir(&self) -> &str {
        self.path.as_str().and_then(|path| path.rsplit_once('/')).map_or("", |(dir, _)| dir)
    }
}

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [name, version, release, arch, target, _, repo, url, path, opts] = take(values)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (name, version, release, arch) = (text(&name), text(&version), text(&release), text(&arch));
    let asked = Asked { arch: &arch, release: &release, path: &path, opts: &opts };
    let (tag, repo_id) = (int_of(&target, "build_tag")?, int_of(&repo, "id")?);
    let (newest, like, group) = (None, None, GROUP);
    let wish = Wish { tag, arch: &arch, repo_id, newest, like, again: false, group, network: true };
    let mut room = Room::for_image(task, &wish, opts.get("mount_dev").truthy()).await?;
    room.fill_for_image().await?;
    let tree = checkout(task, &url, &opts).await?;
    let own = match opts.get("use_buildroot_repo").truthy() {
        true => addresses(task, (tag, text_of(&target, "build_tag_name")?), &repo, &arch).await?,
        false => Addresses::default(),
    };
    let repos = [texts(opts.get("repos")), own.equal].concat();
    let releasever = opts.get("repo_releasever").as_str().unwrap_or(&version).to_owned();
    let told = Told {
        name: &name,
        version: &version,
        releasever: &releasever,
        repos: &repos,
        behind: &own.behind,
    };
    let inside = room.bring_tree(&tree, TREE)?;
    let made = make(task, &mut room, &inside, &asked, &told).await;
    task.log_paths().await?;
    let description = made?;
    let mut files = Vec::new();
    for made in room.image_files(BUNDLE).await? {
        let name = made.file_name().unwrap_or_default().to_string_lossy().into_owned();
        task.upload_result(&made, &name).await?;
        files.push(Value::from(name));
    }
    let rpmlist = match opts.get("scratch").truthy() {
        true => Value::Array(Vec::new()),
        false => room.image_packages(PACKAGES).await?,
    };
    room.expire().await?;
    Ok(Value::Struct(map! {
        "arch" => arch, "task_id" => task.id, "logs" => vec![Value::from(description)],
        "name" => name, "version" => version, "release" => release, "rpmlist" => rpmlist,
        "files" => files,
    }))
}

/// Has the image made, and the files of it that are kept; gives the name of the description of this build.
async fn make(
    task: &Context,
    room: &mut Room<'_>,
    inside: &str,
    asked: &Asked<'_>,
    told: &Told<'_>,
) -> Result<String> {
    let dir = format!("{inside}/{}", asked.dir());
    if asked.opts.get("make_prep").truthy() {
        let words = ["make", "prep"].map(str::to_owned);
        let log = format!("prep.{}.log", asked.arch);
        if !room.run_for_image(&dir, &words, &log).await? {
            return Err(Failure::generic("Preparation step failed"));
        }
    }
    let file = describe(task, room, asked, told).await?;
    let words = image(asked, &file, &dir);
    kiwi(task, room, inside, (&format!("image-root.{}.log", asked.arch), words)).await?;
    let words = bundle(asked);
    kiwi(task, room, inside, (&format!("kiwi-result-bundle.{}.log", asked.arch), words)).await?;
    Ok(file)
}

/// Writes the description of this build beside the one that was checked out, which goes; gives its name.
async fn describe(
    task: &Context,
    room: &Room<'_>,
    asked: &Asked<'_>,
    told: &Told<'_>,
) -> Result<String> {
    let tree = room.staying(TREE)?;
    let (_, description) = read(&tree, asked.path)?;
    let bad = |error| wrong(asked.path, &error);
    let mut included = Vec::new();
    let files = description.includes().map_err(bad)?;
    if files.len() > MOST_INCLUDED {
        return Err(Failure::build(format!("more than {MOST_INCLUDED} files are included")));
    }
    for file in files {
        let beside: PathBuf = Path::new(asked.dir()).join(file);
        included.push(read(&tree, &beside.display().to_string().into())?.1);
    }
    let text = Description::prepare(description, included, told).map_err(bad)?;
    let old = Path::new(asked.path.as_str().unwrap_or_default());
    let stem = old.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("{stem}.{}.kiwi", asked.arch);
    let own = task.make_dir("own")?.join(&name);
    let failed = || Failure::local::<std::io::Error>("write the description");
    std::fs::write(&own, &text).map_err(failed())?;
    // What is in the directory may be the work of `make prep`: no link is followed.
    let place = results::directory(&tree, Path::new(asked.dir())).map_err(failed())?;
    std::fs::remove_file(place.join(old.file_name().unwrap_or_default())).map_err(failed())?;
    let new = place.join(&name);
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed()(error)),
        _ => {}
    }
    let mut new = std::fs::File::create_new(new).map_err(failed())?;
    new.write_all(text.as_bytes()).map_err(failed())?;
    task.upload(&own, &name).await?;
    Ok(name)
}

/// The options of kiwi for the image itself.
fn image(asked: &Asked<'_>, file: &str, dir: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut add = |more: &[&str]| words.extend(more.iter().map(ToString::to_string));
    for (option, name) in [("--profile", "profile"), ("--type", "type")] {
        if let Some(value) = asked.opts.get(name).as_str().filter(|value| !value.is_empty()) {
            add(&[option, value]);
        }
    }
    add(&["--kiwi-file", file, "--debug", "--logfile", LOG, "system", "build"]);
    add(&["--description", dir, "--target-dir", IMAGE]);
    for attribute in texts(asked.opts.get("type_attr")) {
        add(&["--set-type-attr", &attribute]);
    }
    words
}

/// The options of kiwi for the files that are kept.
fn bundle(asked: &Asked<'_>) -> Vec<String> {
    let dir = format!("/builddir/{BUNDLE}");
    let words = ["--debug", "--logfile", LOG, "result", "bundle", "--target-dir", IMAGE];
    let mut words: Vec<String> = words.map(str::to_owned).into();
    words.extend(["--bundle-dir", &dir, "--id", asked.release].map(str::to_owned));
    if let Some(format) = asked.opts.get("result_bundle_name_format").as_str() {
        words.extend(["--bundle-format".to_owned(), format.to_owned()]);
    }
    words
}

/// Stands for the log among the options.
const LOG: &str = "@log@";

/// Calls kiwi, whose log becomes the task's.
async fn kiwi(
    task: &Context,
    room: &mut Room<'_>,
    cwd: &str,
    (log, options): (&str, Vec<String>),
) -> Result<()> {
    // What runs here tells it while it goes; mock has a log of its own.
    let inside = format!("/tmp/{log}");
    let place = if room.is_mock() { inside.as_str() } else { "stdout" };
    let options = options.into_iter().map(|word| if word == LOG { place.to_owned() } else { word });
    let words: Vec<String> = std::iter::once("kiwi-ng".to_owned()).chain(options).collect();
    let done = room.run_for_image(cwd, &words, log).await?;
    if room.is_mock() {
        let to = task.make_dir("logs")?.join(log);
        if room.copy_out(&inside, &to)? {
            task.upload(&to, log).await?;
        }
    }
    match done {
        true => Ok(()),
        false => Err(Failure::generic(format!("Kiwi failed; see {log} for more information"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_task_are_kiwis() {
        let attributes = vec![Value::from("a=b"), Value::from("c=d")];
        let opts = Value::Struct(map! {
            "profile" => "Live", "type" => "iso", "type_attr" => attributes,
            "result_bundle_name_format" => "%N-%I",
        });
        let path = Value::from("a/b/x.kiwi");
        let asked = Asked { arch: "x86_64", release: "7", path: &path, opts: &opts };
        assert_eq!(asked.dir(), "a/b");
        assert_eq!(
            image(&asked, "x.x86_64.kiwi", "/d/a/b").join(" "),
            "--profile Live --type iso --kiwi-file x.x86_64.kiwi --debug --logfile @log@ system build \
             --description /d/a/b --target-dir /builddir/result/image --set-type-attr a=b --set-type-attr c=d"
        );
        assert_eq!(
            bundle(&asked).join(" "),
            "--debug --logfile @log@ result bundle --target-dir /builddir/result/image \
             --bundle-dir /builddir/result/bundle --id 7 --bundle-format %N-%I"
        );
    }
}
