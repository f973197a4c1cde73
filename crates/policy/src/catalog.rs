//! Which tests a policy may use, and how each is answered.

use std::collections::BTreeMap;

/// How a named test is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Constant(bool),
    Has,
    Flagged,
    Policy,
    MatchAny,
    MatchAll,
    /// With a fixed field, or the field as first argument.
    Match(Option<String>),
    Bool(Option<String>),
    Compare(Option<String>),
    External,
}

/// Tests of a Koji hub that need its database, by name.
pub const HUB_TESTS: &[&str] = &[
    "buildtag",
    "buildtag_inherits_from",
    "buildtype",
    "cg_match_all",
    "cg_match_any",
    "fromtag",
    "has_perm",
    "hastag",
    "imported",
    "is_build_owner",
    "is_draft",
    "is_new_package",
    "is_sidetag",
    "is_sidetag_owner",
    "package",
    "release",
    "source",
    "tag",
    "user",
    "user_in_group",
    "version",
    "volume",
];

/// The tests that policies may use.
#[derive(Debug, Clone)]
pub struct Catalog(BTreeMap<String, Kind>);

impl Catalog {
    /// The tests that look only at the data, and `policy`.
    pub fn generic() -> Self {
        let kinds = [
            ("true", Kind::Constant(true)),
            ("all", Kind::Constant(true)),
            ("false", Kind::Constant(false)),
            ("none", Kind::Constant(false)),
            ("has", Kind::Has),
            ("flagged", Kind::Flagged),
            ("policy", Kind::Policy),
            ("match_any", Kind::MatchAny),
            ("match_all", Kind::MatchAll),
            ("match", Kind::Match(None)),
            ("bool", Kind::Bool(None)),
            ("compare", Kind::Compare(None)),
            ("target", Kind::Match(Some("target".into()))),
        ];
        Catalog(kinds.map(|(n, k)| (n.to_owned(), k)).into())
    }

    /// All tests of a Koji hub; those of [`HUB_TESTS`] are asked of the caller.
    pub fn hub() -> Self {
        let mut catalog = Self::generic()
            .match_field("operation", "operation")
            .match_field("method", "method")
            .match_field("vm_name", "vm_name")
            .bool_field("by_tag_subtask", "by_tag_subtask")
            .bool_field("is_child_task", "parent")
            .bool_field("skip_tag", "skip_tag");
        for name in HUB_TESTS {
            catalog = catalog.external(name);
        }
        catalog
    }

    /// Adds a test that the caller answers; replaces one of the same name.
    #[must_use]
    pub fn external(self, name: &str) -> Self {
        self.add(name, Kind::External)
    }

    /// Adds a test `name pattern…` over one field.
    #[must_use]
    pub fn match_field(self, name: &str, field: &str) -> Self {
        self.add(name, Kind::Match(Some(field.to_owned())))
    }

    /// Adds a test `name` for the truth of one field.
    #[must_use]
    pub fn bool_field(self, name: &str, field: &str) -> Self {
        self.add(name, Kind::Bool(Some(field.to_owned())))
    }

    /// Adds a test `name OP number` over one field.
    #[must_use]
    pub fn compare_field(self, name: &str, field: &str) -> Self {
        self.add(name, Kind::Compare(Some(field.to_owned())))
    }

    fn add(mut self, name: &str, kind: Kind) -> Self {
        self.0.insert(name.to_owned(), kind);
        self
    }

    pub(crate) fn kind(&self, name: &str) -> Option<&Kind> {
        self.0.get(name)
    }

    /// The names of all tests, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
