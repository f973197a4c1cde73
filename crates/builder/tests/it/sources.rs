//! Sources of all kinds: what is refused before a program runs, and real repositories where no server is needed.

use std::path::Path;
use std::process::Command;

use super::*;

fn run(dir: &Path, words: &[&str]) -> String {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(dir).env("HGRCPATH", "").env("HGUSER", "a <a@b>");
    let output = command.output().unwrap_or_else(|_| panic!("{} is needed", words[0]));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Submits the making of a source package, and gives its end: nothing for success, or the fault's text.
async fn fault(world: &World, url: &str) -> Option<String> {
    let request = vec![url.into(), 2.into(), map! {"repo_id" => 1}.into()];
    let id = world.hub.submit("buildSRPMFromSCM", request);
    world.hub.ended(id).await;
    world.result(id).err().map(|fault| fault.message)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_could_misunderstand_is_refused() {
    let world = World::with(true, |config| config.allowed_scms = "*:*:no: :*:no:".to_owned()).await;
    let trap = world.dir.path().join("trap");
    let run = format!("touch {}", trap.display()).replace(' ', "${IFS}");
    for url in [
        format!("git+ssh://-oProxyCommand={run}/x#1"),
        format!("git+ssh://-oProxyCommand={run}@host/x#1"),
        format!("hg+ssh://-oProxyCommand={run}/x#1"),
        format!("svn+ssh://-oProxyCommand={run}/x#1"),
        format!("cvs://host/root?-d:ext:{run}#1"),
        format!("hg+file:///srv/x#--config=alias.update=!{run}"),
        "svn+file:///srv/x?a/../../etc#1".to_owned(),
    ] {
        let text = fault(&world, &url).await.unwrap_or_default();
        assert!(
            text.starts_with("Invalid SCM URL") || text.contains("Unable to parse"),
            "{url}: {text}"
        );
    }
    for url in [format!("ext::{run}"), format!("git+ext://{run}/x#1")] {
        let text = fault(&world, &url).await.unwrap_or_default();
        assert!(text.starts_with("Invalid scheme in scm url."), "{url}: {text}");
    }
    for (url, text) in [
        ("cvs://h/root#1", "CVS needs a module in the SCM URL: cvs://h/root#1"),
        ("svn+ssh://h/root?x#1", "No user specified for repository access scheme: svn+ssh://"),
        ("cvs+ssh://h/root?x#1", "No user specified for repository access scheme: cvs+ssh://"),
    ] {
        assert_eq!(fault(&world, url).await.as_deref(), Some(text), "{url}");
    }
    assert!(!trap.exists());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_builder_without_the_program_says_so() {
    let world = World::with(true, |config| {
        config.allowed_scms = "*:*:no:".to_owned();
        config.environment.insert("PATH".to_owned(), config.workdir.display().to_string());
    })
    .await;
    for (scheme, program) in
        [("svn", "svn"), ("hg+https", "hg"), ("cvs", "cvs"), ("git+http", "git")]
    {
        let text = fault(&world, &format!("{scheme}://h/root?module#1")).await;
        let wanted = format!(
            "{scheme}:// needs the program {program}, which is not installed on this builder"
        );
        assert_eq!(text, Some(wanted));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revisions_of_subversion_and_mercurial_are_checked_out() {
    let world = World::with(true, |config| config.allowed_scms = ":/*:no:".to_owned()).await;
    world.publish(&[]);
    let dir = world.dir.path().join("repositories");
    std::fs::create_dir_all(dir.join("tree")).expect("directory");
    let write = |tree: &Path, text: &str| {
        let spec = spec_text("pkg", "Source0: notes.txt", "cat %{SOURCE0}");
        std::fs::write(tree.join("pkg.spec"), spec).expect("spec");
        std::fs::write(tree.join("notes.txt"), text).expect("source");
    };
    write(&dir.join("tree"), "the first\n");
    run(&dir, &["svnadmin", "create", "svn"]);
    let svn = format!("file://{}/svn", dir.display());
    run(&dir, &["svn", "import", "-q", "-m", "x", "tree", &format!("{svn}/pkg/trunk")]);
    run(&dir, &["svn", "checkout", "-q", &format!("{svn}/pkg/trunk"), "work"]);
    write(&dir.join("work"), "the second\n");
    // What a repository would fetch from elsewhere stays away.
    let outside = format!("file://{}/other there", dir.display());
    run(&dir, &["svn", "propset", "-q", "svn:externals", &outside, "work"]);
    run(&dir, &["svn", "commit", "-q", "-m", "y", "work"]);
    run(&dir, &["hg", "init", "hg"]);
    write(&dir.join("hg"), "the first\n");
    run(&dir, &["hg", "-R", "hg", "commit", "-q", "--addremove", "-m", "x"]);
    let node = run(&dir, &["hg", "-R", "hg", "log", "-r", ".", "-T", "{node}"]);
    write(&dir.join("hg"), "the second\n");
    run(&dir, &["hg", "-R", "hg", "commit", "-q", "-m", "y"]);
    let place = dir.display().to_string();
    for (url, exact) in [
        (format!("svn+file://{place}/svn?pkg/trunk#1"), None),
        (format!("svn+file://{place}/svn?pkg/trunk#HEAD"), None),
        (format!("hg+file://{place}/hg#{}", &node[..12]), Some(node.as_str())),
    ] {
        let request = vec![url.clone().into(), 2.into(), map! {"repo_id" => 1}.into()];
        let id = world.hub.submit("buildSRPMFromSCM", request);
        let ended = world.hub.ended(id).await.state;
        let log = world.hub.read(&format!("tasks/{id}/{id}/checkout.log"));
        assert_eq!(ended, CLOSED, "{url} {:?}\n{log}", world.result(id));
        let source = world.result(id).expect("result").get("source").clone();
        let wanted = exact.map_or(url.clone(), |node| format!("hg+file://{place}/hg#{node}"));
        assert_eq!(source, map! {"url" => url, "source" => wanted}.into());
    }
    for url in [
        format!("svn+file://{place}/svn?pkg/trunk#99"),
        format!("svn+file://{place}/svn?none#1"),
        format!("hg+file://{place}/hg#none"),
        format!("hg+file://{place}/none#tip"),
    ] {
        let text = fault(&world, &url).await.unwrap_or_default();
        assert!(text.starts_with("Error running "), "{url}: {text}");
    }
    let text = fault(&world, &format!("hg+file://{place}/hg?none#tip")).await;
    assert_eq!(text.as_deref(), Some("none is not in the repository"));
    world.stop().await;
}
