//! The history of the versioned tables, with the names of what their columns refer to.

use crate::{Engine, Param, QueryOpts, Result, Select, Sql, Time, Tx, sql};
use toji_value::Value;

/// A versioned table and its own columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The table.
    pub name: &'static str,
    /// Its columns beside those of the versions.
    pub columns: &'static [&'static str],
}

macro_rules! tables {
    ($($name:literal: $($column:literal)+;)+) => {
        /// The versioned tables by name.
        pub const TABLES: &[Table] = &[$( Table { name: $name, columns: &[$($column),+] } ),+];
    };
}

tables! {
    "build_target_config": "build_target_id" "build_tag" "dest_tag";
    "cg_users": "user_id" "cg_id";
    "external_repo_config": "external_repo_id" "url";
    "external_repo_data": "external_repo_id" "data";
    "group_config": "group_id" "tag_id" "blocked" "exported" "display_name" "is_default"
        "uservisible" "description" "langonly" "biarchonly";
    "group_package_listing": "group_id" "tag_id" "package" "blocked" "type" "basearchonly"
        "requires";
    "group_req_listing": "group_id" "tag_id" "req_id" "blocked" "type" "is_metapkg";
    "host_channels": "host_id" "channel_id";
    "host_config": "host_id" "arches" "capacity" "description" "comment" "enabled";
    "tag_config": "tag_id" "arches" "perm_id" "locked" "maven_support" "maven_include_all";
    "tag_external_repos": "tag_id" "external_repo_id" "priority" "merge_mode" "arches";
    "tag_extra": "tag_id" "key" "value";
    "tag_inheritance": "tag_id" "parent_id" "priority" "maxdepth" "intransitive" "noconfig"
        "pkg_filter";
    "tag_listing": "build_id" "tag_id";
    "tag_package_owners": "package_id" "tag_id" "owner";
    "tag_packages": "package_id" "tag_id" "blocked" "extra_arches";
    "user_groups": "user_id" "group_id";
    "user_perms": "user_id" "perm_id";
}

/// What a row of history may be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A tag.
    Tag,
    /// A build.
    Build,
    /// A host.
    Host,
    /// A channel.
    Channel,
    /// A package.
    Package,
    /// A user.
    User,
    /// A permission.
    Permission,
    /// A content generator.
    Generator,
    /// An external repository.
    ExternalRepo,
    /// A build target.
    Target,
    /// A group of packages.
    Group,
}

/// A column that refers to a table of names: the column, that table, the name under which it is
/// joined, and the name in results (`NAME.name`).
struct Reference(&'static str, Subject, &'static str, &'static str, &'static str);

const REFERENCES: &[Reference] = &[
    Reference("user_id", Subject::User, "users", "users", "user"),
    Reference("perm_id", Subject::Permission, "permissions", "permission", "permission"),
    Reference(
        "cg_id",
        Subject::Generator,
        "content_generator",
        "content_generator",
        "content_generator",
    ),
    Reference("tag_id", Subject::Tag, "tag", "tag", "tag"),
    Reference("host_id", Subject::Host, "host", "host", "host"),
    Reference("channel_id", Subject::Channel, "channels", "channels", "channels"),
    Reference("parent_id", Subject::Tag, "tag", "parent", "parent"),
    Reference("build_target_id", Subject::Target, "build_target", "build_target", "build_target"),
    Reference("build_tag", Subject::Tag, "tag", "build_tag", "build_tag"),
    Reference("dest_tag", Subject::Tag, "tag", "dest_tag", "dest_tag"),
    Reference(
        "external_repo_id",
        Subject::ExternalRepo,
        "external_repo",
        "external_repo",
        "external_repo",
    ),
    Reference("package_id", Subject::Package, "package", "package", "package"),
    Reference("owner", Subject::User, "users", "owner", "owner"),
    Reference("req_id", Subject::Group, "groups", "req", "req"),
];

impl Table {
    /// The table of this name.
    pub fn named(name: &str) -> Option<&'static Table> {
        TABLES.iter().find(|table| table.name == name)
    }

    /// The column that a filter by this subject looks at, as SQL; nothing if the table has none.
    ///
    /// Of several columns the last one counts, as in a Koji hub: the destination tag of a target,
    /// the group of a membership, the required group of a requirement.
    pub fn column(&self, subject: Subject) -> Option<Sql> {
        let refers = |column: &str| {
            REFERENCES.iter().any(|r| r.0 == column && r.1 == subject)
                || match column {
                    "group_id" if self.name == "user_groups" => subject == Subject::User,
                    "group_id" => subject == Subject::Group,
                    "build_id" => subject == Subject::Build,
                    _ => false,
                }
        };
        let found = self.columns.iter().rev().find(|column| refers(column));
        match (found, subject) {
            (Some(column), _) => Some(sql![self.name, ".", *column]),
            // Through the build.
            (None, Subject::Package) if self.columns.contains(&"build_id") => {
                Some("build.pkg_id".into())
            }
            _ => None,
        }
    }

    /// The order in which rows were last changed, which is how a Koji hub tells them: revoking an
    /// entry writes it anew. Where Koji's database goes by an index, entries that count come first.
    fn changes(&self, by_tag: bool) -> Sql {
        let name = self.name;
        let first = match name {
            "tag_config" | "tag_packages" if by_tag => sql![name, ".active IS NULL, "],
            _ => Sql::default(),
        };
        let key = if name == "tag_extra" { "tag_extra.key, " } else { "" };
        sql![
            first,
            "COALESCE(",
            name,
            ".revoke_event, ",
            name,
            ".create_event), ",
            key,
            name,
            ".create_event"
        ]
    }

    fn select(&self) -> Select {
        let name = self.name;
        let mut select = Select::from(name)
            .field("creator.name", "creator_name")
            .field("revoker.name", "revoker_name")
            .field("date_part('epoch', ev1.time)", "create_ts")
            .field("date_part('epoch', ev2.time)", "revoke_ts")
            .join(sql!["events AS ev1 ON ev1.id = ", name, ".create_event"])
            .join(sql!["LEFT JOIN events AS ev2 ON ev2.id = ", name, ".revoke_event"])
            .join(sql!["users AS creator ON creator.id = ", name, ".creator_id"])
            .join(sql!["LEFT JOIN users AS revoker ON revoker.id = ", name, ".revoker_id"]);
        let versions = ["active", "create_event", "revoke_event", "creator_id", "revoker_id"];
        for column in versions.iter().chain(self.columns).copied() {
            select = select.field(sql![name, ".", column], column);
        }
        for column in self.columns.iter().copied() {
            select = self.joined(select, column);
        }
        select
    }

    /// Adds the names that belong to a column.
    fn joined(&self, select: Select, column: &'static str) -> Select {
        let name = self.name;
        match column {
            "group_id" if name == "user_groups" => select
                .field("usergroup.name", "group.name")
                .join("users AS usergroup ON usergroup.id = user_groups.group_id"),
            "group_id" => select.field("groups.name", "group.name").join(sql![
                "groups ON groups.id = ",
                name,
                ".group_id"
            ]),
            "build_id" => select
                .fields(&[("package.name", "name"), ("build.version", "version")])
                .fields(&[("build.release", "release"), ("build.epoch", "epoch")])
                .field("build.state", "build.state")
                .join(sql!["build ON build.id = ", name, ".build_id"])
                .join("package ON package.id = build.pkg_id"),
            _ => match REFERENCES.iter().find(|r| r.0 == column) {
                None => select,
                Some(Reference(_, _, table, alias, shown)) => {
                    select.field(sql![*alias, ".name"], sql![*shown, ".name"]).join(sql![
                        "LEFT JOIN ",
                        *table,
                        " AS ",
                        *alias,
                        " ON ",
                        *alias,
                        ".id = ",
                        name,
                        ".",
                        column
                    ])
                }
            },
        }
    }
}

/// What rows of history are filtered by.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// What they are about: the id of each subject.
    pub subjects: Vec<(Subject, i64)>,
    /// Name of a package in a group.
    pub group_package: Option<String>,
    /// Key of an extra value.
    pub key: Option<String>,
    /// Whether they count now.
    pub active: Option<bool>,
    /// The user who made or revoked them.
    pub editor: Option<i64>,
    /// Made or revoked after this moment.
    pub after: Option<Time>,
    /// Made or revoked before this moment.
    pub before: Option<Time>,
    /// Made or revoked after this event.
    pub after_event: Option<i64>,
    /// Made or revoked before this event.
    pub before_event: Option<i64>,
}

/// The history of a table, as the options want.
pub async fn list(tx: &mut Tx, table: &Table, filter: &Filter, opts: &QueryOpts) -> Result<Value> {
    let name = table.name;
    let mut select = table.select();
    for (subject, id) in &filter.subjects {
        if name == "tag_inheritance" && *subject == Subject::Tag {
            let both = "tag_inheritance.tag_id = ? OR tag_inheritance.parent_id = ?";
            select = select.filter_with(both, vec![(*id).into(), (*id).into()]);
        } else if let Some(column) = table.column(*subject) {
            select = select.filter(sql![column, " = ?"], *id);
        }
    }
    select = select
        .filter_opt(sql![name, ".package = ?"], filter.group_package.clone())
        .filter_opt(sql![name, ".key = ?"], filter.key.clone());
    select = match filter.active {
        None => select,
        Some(true) => select.filter_text(sql![name, ".active = TRUE"]),
        Some(false) => select.filter_text(sql![name, ".active IS NULL"]),
    };
    for (made, revoked, test, value) in [
        ("creator_id", "revoker_id", "=", filter.editor),
        ("create_event", "revoke_event", ">", filter.after_event),
        ("create_event", "revoke_event", "<", filter.before_event),
    ] {
        let Some(value) = value else { continue };
        let text = sql![name, ".", made, " ", test, " ? OR ", name, ".", revoked, " ", test, " ?"];
        select = select.filter_with(text, vec![Param::Int(value), Param::Int(value)]);
    }
    for (test, value) in [(">", filter.after), ("<", filter.before)] {
        let Some(value) = value else { continue };
        let text = sql!["ev1.time ", test, " ? OR ev2.time ", test, " ?"];
        select = select.filter_with(text, vec![Param::Time(value), Param::Time(value)]);
    }
    let by_tag = filter.subjects.iter().any(|(subject, _)| *subject == Subject::Tag);
    if opts.limit.is_none() {
        select = select.order_default_sql(table.changes(by_tag));
    }
    let row = if tx.engine() == Engine::Sqlite { "rowid" } else { "ctid" };
    select = select.order_default("create_event").order_last_sql(sql![name, ".", row]);
    select.opts(opts).fetch(tx).await
}
