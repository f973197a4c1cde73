//! A user namespace with numbers of its own, in which a buildroot's root is root and its builder is not.
//!
//! A process that waits for its input to end keeps the namespace there; others join it. Where the caller is root, or
//! has a range of subordinate numbers (`/etc/subuid`), the namespace has thousands of users and groups. Elsewhere it
//! has one, which all files inside belong to.

use std::{
    fs, io,
    io::{PipeWriter, Write},
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    error::{Error, Result},
    identity::{INSIDE_ID, Identity, knows},
    plain::find_program,
    process::Process,
};

/// How many numbers there are inside, where there is room.
const COUNT: u32 = 65_536;
/// And where there is not: enough for the users and groups of distributions.
const FEW: u32 = 2_048;
/// First number that root lends to a buildroot's files, in the range that systemd's list leaves to nobody.
const UNUSED: u32 = 1_880_000_000;
/// The same where only the first 65,536 numbers are there.
const SMALL: u32 = 61_000;

/// Numbers inside and outside: user, then group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Outside, of root inside and those after it.
    first: [u32; 2],
    /// Outside, of the builder.
    builder: [u32; 2],
    count: u32,
}

/// How a namespace's numbers are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// By root itself.
    Direct(Numbers),
    /// By `newuidmap` and `newgidmap`.
    Helpers(Numbers),
    /// The caller's own number alone, which is root inside.
    Single([u32; 2]),
}

/// What others need to know in order to join a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// The process whose namespace it is.
    pub(crate) holder: i32,
    /// Whether there are more numbers than one.
    pub(crate) ranged: bool,
    /// Whether the caller is root outside, and mounts before it joins.
    pub(crate) by_root: bool,
    /// Root's number outside, where the caller may give files away.
    pub(crate) root: Option<[u32; 2]>,
    /// The builder's numbers outside, where the caller may give files away.
    pub(crate) builder: Option<[u32; 2]>,
}

/// A namespace that lasts as long as this value.
#[derive(Debug)]
pub(crate) struct Userns {
    pub(crate) space: Space,
    _holder: Process,
    _input: PipeWriter,
}

impl Userns {
    /// Makes a namespace for one buildroot.
    pub(crate) async fn open() -> Result<Self> {
        let how = How::choose();
        let (input, writer) = io::pipe().map_err(setup)?;
        let mut holder = Command::new("sh");
        holder.args(["-c", "read -r _"]).env_clear().env("PATH", crate::buildroot::PATH);
        holder.stdin(Stdio::from(input)).stdout(Stdio::null()).stderr(Stdio::null());
        crate::process::in_new_user_namespace(&mut holder);
        let holder = Process::spawn(holder, false).await.map_err(|error| {
            setup(io::Error::new(error.kind(), format!("make a user namespace: {error}")))
        })?;
        how.give(holder.id())?;
        let numbers = match how {
            How::Direct(numbers) => Some(numbers),
            How::Helpers(_) | How::Single(_) => None,
        };
        let space = Space {
            holder: holder.id(),
            ranged: !matches!(how, How::Single(_)),
            by_root: rustix::process::geteuid().is_root(),
            root: numbers.map(|numbers| numbers.first),
            builder: numbers.map(|numbers| numbers.builder),
        };
        Ok(Self { space, _holder: holder, _input: writer })
    }
}

/// Names the numbers that files of a namespace have outside, apart from the builder's: trees can be used again with
/// the same ones only.
pub(crate) fn numbering() -> String {
    match How::choose() {
        How::Direct(Numbers { first: [u, g], count, .. }) => format!("root {u}:{g} {count}"),
        How::Helpers(Numbers { first: [u, g], count, .. }) => format!("user {u}:{g} {count}"),
        How::Single([u, g]) => format!("single {u}:{g}"),
    }
}

impl How {
    fn choose() -> Self {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        let own = [uid.as_raw(), gid.as_raw()];
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        if uid.is_root() {
            let Identity::Lent(builder) = Identity::choose() else { return Self::Single(own) };
            let maps = [read("/proc/self/uid_map"), read("/proc/self/gid_map")];
            return match lent(&maps) {
                Some((first, count)) => {
                    Self::Direct(Numbers { first: [first; 2], builder: [builder; 2], count })
                }
                None => Self::Single(own),
            };
        }
        if find_program("newuidmap").is_none() || find_program("newgidmap").is_none() {
            return Self::Single(own);
        }
        let name = user_name(&read("/etc/passwd"), own[0]);
        let range = |file: &str| subordinate(&read(file), name.as_deref(), own[0]);
        match (range("/etc/subuid"), range("/etc/subgid")) {
            (Some((user, many)), Some((group, more))) => Self::Helpers(Numbers {
                first: [user, group],
                builder: own,
                count: many.min(more).min(COUNT),
            }),
            _ => Self::Single(own),
        }
    }

    /// Gives the numbers to the namespace of a process.
    fn give(self, holder: i32) -> Result<()> {
        let write = |file: &str, text: &str| {
            let path = format!("/proc/{holder}/{file}");
            // A map is taken as one write or not at all.
            fs::OpenOptions::new()
                .write(true)
                .open(&path)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .map_err(|error| {
                    setup(io::Error::new(error.kind(), format!("write {path}: {error}")))
                })
        };
        match self {
            Self::Single([uid, gid]) => {
                write("setgroups", "deny")?;
                write("uid_map", &format!("0 {uid} 1"))?;
                write("gid_map", &format!("0 {gid} 1"))
            }
            Self::Direct(numbers) => {
                write("uid_map", &lines(&numbers.extents(0)))?;
                write("gid_map", &lines(&numbers.extents(1)))
            }
            Self::Helpers(numbers) => {
                for (which, program) in ["newuidmap", "newgidmap"].into_iter().enumerate() {
                    let words = numbers.extents(which).into_iter().flatten().map(|n| n.to_string());
                    let output = Command::new(program)
                        .arg(holder.to_string())
                        .args(words)
                        .env("PATH", crate::buildroot::PATH)
                        .stdin(Stdio::null())
                        .output()
                        .map_err(setup)?;
                    if !output.status.success() {
                        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                        return Err(Error::Setup { reason: text });
                    }
                }
                Ok(())
            }
        }
    }
}

impl Numbers {
    /// First inside, first outside, count.
    fn extents(&self, which: usize) -> Vec<[u32; 3]> {
        let (first, after) = (self.first[which], INSIDE_ID + 1);
        let mut all =
            vec![[0, first, INSIDE_ID.min(self.count)], [INSIDE_ID, self.builder[which], 1]];
        if self.count > after {
            all.push([after, first + after, self.count - after]);
        }
        all
    }
}

fn lines(extents: &[[u32; 3]]) -> String {
    extents.iter().map(|[inside, outside, count]| format!("{inside} {outside} {count}\n")).collect()
}

/// A range that both of the caller's own maps know, with its length.
fn lent(maps: &[String; 2]) -> Option<(u32, u32)> {
    [(UNUSED, COUNT), (SMALL, FEW)].into_iter().find(|(first, count)| {
        let ends = [*first, first + count - 1];
        maps.iter().all(|map| ends.iter().all(|id| knows(map, *id)))
    })
}

/// The first range of a file like `/etc/subuid` that is the caller's and long enough.
fn subordinate(text: &str, name: Option<&str>, uid: u32) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut parts = line.trim().split(':');
        let owner = parts.next()?;
        let (first, count): (u32, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let own = Some(owner) == name || owner.parse() == Ok(uid);
        (own && count > INSIDE_ID).then_some((first, count))
    })
}

fn user_name(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// The words that start a command as root of the namespace.
pub(crate) fn entering(space: Space) -> Vec<String> {
    let mut words = vec!["nsenter".to_owned(), format!("--user=/proc/{}/ns/user", space.holder)];
    if space.ranged {
        words.extend(["--setuid", "0", "--setgid", "0"].map(String::from));
    } else {
        words.push("--preserve-credentials".to_owned());
    }
    words.push("--".to_owned());
    words
}

/// Removes a tree with files of numbers that only the namespace of the caller's range has; for ordinary users.
pub(crate) fn remove_with_range(root: &Path) -> io::Result<()> {
    let how = How::choose();
    if matches!(how, How::Direct(_)) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let (input, writer) = io::pipe()?;
    let mut holder = Command::new("sh");
    holder.args(["-c", "read -r _"]).stdin(Stdio::from(input));
    holder.stdout(Stdio::null()).stderr(Stdio::null());
    crate::process::in_new_user_namespace(&mut holder);
    let mut holder = holder.spawn()?;
    let pid = i32::try_from(holder.id()).map_err(io::Error::other)?;
    let removed = how.give(pid).map_err(io::Error::other).and_then(|()| {
        let ranged = !matches!(how, How::Single(_));
        let space = Space { holder: pid, ranged, by_root: false, root: None, builder: None };
        let words = entering(space);
        let mut remove = Command::new(&words[0]);
        remove.args(&words[1..]).args(["rm", "-rf", "--one-file-system", "--"]).arg(root);
        let output = remove.stdin(Stdio::null()).output()?;
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.status.success() { Ok(()) } else { Err(io::Error::other(text)) }
    });
    drop(writer);
    holder.wait()?;
    removed
}

fn setup(error: io::Error) -> Error {
    Error::Setup { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builder_has_a_number_apart_from_the_range() {
        let numbers = Numbers { first: [5000, 6000], builder: [7, 8], count: 2000 };
        assert_eq!(lines(&numbers.extents(0)), "0 5000 1000\n1000 7 1\n1001 6001 999\n");
        assert_eq!(numbers.extents(1)[1], [1000, 8, 1]);
    }

    #[test]
    fn ranges_are_looked_up_by_name_and_number() {
        let text = "other:1:70000\nme:200000:65536\n";
        assert_eq!(subordinate(text, Some("me"), 5), Some((200_000, 65_536)));
        assert_eq!(subordinate("5:9:2000\n", None, 5), Some((9, 2000)));
        assert_eq!(subordinate("me:9:10\n", Some("me"), 5), None);
        assert_eq!(user_name("root:x:0:0::/:\nme:x:5:5::/:\n", 5).as_deref(), Some("me"));
        let whole = ["0 0 4294967295\n".to_owned(), "0 0 4294967295\n".to_owned()];
        assert_eq!(lent(&whole), Some((UNUSED, COUNT)));
        let part = ["0 100000 65536\n".to_owned(), "0 100000 65536\n".to_owned()];
        assert_eq!(lent(&part), Some((SMALL, FEW)));
    }
}
