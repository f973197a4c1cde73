//! Questions about a universe, the same for the same dice.

use toji_solve::{Job, Want};

use crate::universe::Dice;

/// A question about a universe of `names` names.
pub(crate) fn question(dice: &mut Dice, names: usize) -> Job {
    let kinds = ["lib", "app", "perl-", "font"];
    let name = |n: usize| format!("{}{n:04}", kinds[n % 4]);
    let mut wants = Vec::new();
    for _ in 0..1 + dice.roll(5) {
        let n = dice.roll(names);
        let optional = dice.one_in(8);
        let mut install = |spec: String| wants.push(Want::Install { spec, optional });
        match dice.roll(20) {
            0..=4 => install(name(n)),
            5 => install(format!("{}.{}", name(n), dice.pick(&["x86_64", "i686", "noarch"]))),
            6 => install(format!("{}-1.1", name(n))),
            // a few names: for many, dnf's own order depends on whether its cache is new
            7 => install(format!("{}*", &name(n)[..name(n).len() - 1])),
            8 => install(format!("cap({})", n / 3)),
            9 => install(format!("virtual({}) >= 1.1", n / 5)),
            10 => install(format!("/usr/bin/{}", name(n))),
            11 => install(format!("/usr/share/data/{}", n / 2)),
            12 => wants.push(Want::Require(name(n))),
            13 => wants.push(Want::Require(format!("{} >= 1.2", name(n)))),
            14 => wants.push(Want::Require(format!("/usr/bin/tool{}", n / 4))),
            15 => wants.push(Want::Require(format!("({} or cap({}))", name(n), n / 6))),
            16 => wants.push(Want::Require(format!("({} if {})", name(n), name(n / 2)))),
            17 | 18 => wants.push(Want::Group { name: name(n), with: None, optional }),
            _ => wants.push(Want::Group { name: name(n), with: Some(name(n / 2)), optional }),
        }
    }
    let mut exclude = Vec::new();
    while dice.one_in(4) {
        let n = dice.roll(names);
        exclude.push(match dice.roll(3) {
            0 => name(n),
            1 => format!("{}*", &name(n)[..5]),
            _ => format!("{}-2.0", name(n)),
        });
    }
    Job { wants, weak: dice.one_in(3), best: dice.one_in(5), exclude, seconds: None }
}
