//! In place of libsolv, in a program that was built without it: pools cannot be made.

use std::convert::Infallible;
use std::marker::PhantomData;

use crate::Error;

/// Never made.
pub(crate) struct Raw(Infallible);

pub(crate) type RawRule = [i32; 4];

/// Never made.
pub(crate) struct RawAnswer<'p>(Infallible, PhantomData<&'p ()>);

macro_rules! never {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $out:ty;)*) => {
        $( pub(crate) fn $name(&mut self $(, $arg: $kind)*) -> $out {
            $( let _ = $arg; )*
            match self.0 {}
        } )*
    };
}

impl Raw {
    pub(crate) fn new(_arch: &str) -> Result<Self, Error> {
        Err(Error::Without)
    }

    never! {
        string(text: &str, create: bool) -> i32;
        relation(name: i32, evr: i32, flags: i32, create: bool) -> i32;
        repository(name: &str, priority: i32, cost: i32) -> i32;
        package(repository: i32, name: i32, arch: i32, evr: i32) -> i32;
        dependency(package: i32, kind: u8, dependency: i32, mark: i32) -> ();
        ready() -> ();
        providers(dependency: i32) -> Vec<i32>;
        matches(package: i32, dependency: i32) -> bool;
        exclude(packages: &[i32]) -> ();
        solve(job: &[i32], flags: i32, millis: u32) -> Option<RawAnswer<'_>>;
    }
}

impl RawAnswer<'_> {
    pub(crate) fn installs(&self) -> Vec<i32> {
        match self.0 {}
    }

    pub(crate) fn problems(&self) -> usize {
        match self.0 {}
    }

    never! {
        problem(number: usize) -> Vec<RawRule>;
        words(rule: &RawRule) -> String;
    }
}
