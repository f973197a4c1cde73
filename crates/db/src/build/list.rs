//! The listing of builds by any of their properties.

use toji_value::Value;

use crate::{Param, QueryOpts, Result, Select, Tx, sql};

/// A build type and what its details must be.
#[derive(Clone, Debug)]
pub enum Type {
    /// Maven: column and value of each wanted detail.
    Maven(Vec<(&'static str, String)>),
    /// Windows: the platform.
    Win(Option<String>),
    /// An image.
    Image,
    /// A type of the newer kind, by its number.
    Other(i64),
}

/// Which builds are wanted; everything that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The package.
    pub package: Option<i64>,
    /// The owner.
    pub owner: Option<i64>,
    /// Who promoted it from a draft.
    pub promoter: Option<i64>,
    /// The volume.
    pub volume: Option<i64>,
    /// The task; -1 is any.
    pub task: Option<i64>,
    /// Pattern (of ILIKE) of the source.
    pub source: Option<String>,
    /// Beginning of the package's name.
    pub prefix: Option<String>,
    /// Pattern (of ILIKE) of name, version and release.
    pub pattern: Option<String>,
    /// The state.
    pub state: Option<i64>,
    /// The content generator.
    pub cg: Option<i64>,
    /// Whether drafts are wanted, or the others.
    pub draft: Option<bool>,
    /// The type.
    pub btype: Option<Type>,
    /// Limits in time: column (`created`, `completed`, `promoted`), whether before, moment.
    pub times: Vec<(&'static str, bool, Param)>,
}

/// Builds as the options want them.
pub async fn list(tx: &mut Tx, filter: Filter, opts: &QueryOpts) -> Result<Value> {
    let nvr = "package.name || '-' || build.version || '-' || build.release";
    let select = Select::from("build")
        .fields(&[
            ("build.id", "build_id"),
            ("build.completion_time", "completion_time"),
            ("date_part('epoch', build.completion_time)", "completion_ts"),
            ("events.id", "creation_event_id"),
            ("events.time", "creation_time"),
            ("date_part('epoch', events.time)", "creation_ts"),
            ("build.draft", "draft"),
            ("build.epoch", "epoch"),
            ("build.extra", "extra:json"),
        ])
        .join("LEFT JOIN events ON build.create_event = events.id")
        .join("LEFT JOIN package ON build.pkg_id = package.id")
        .join("LEFT JOIN volume ON build.volume_id = volume.id")
        .join("LEFT JOIN users ON build.owner = users.id")
        .join("LEFT JOIN users AS promoter ON build.promoter = promoter.id")
        .opts(opts);
    let mut select = typed(select, filter.btype.as_ref())
        .filter_opt("package.id = ?", filter.package)
        .filter_opt("users.id = ?", filter.owner)
        .filter_opt("build.promoter = ?", filter.promoter)
        .filter_opt("volume.id = ?", filter.volume)
        .filter_opt("build.source ILIKE ?", filter.source)
        .filter_opt("package.name ILIKE ? || '%'", filter.prefix)
        .filter_opt(sql![nvr, " ILIKE ?"], filter.pattern)
        .filter_opt("build.state = ?", filter.state)
        .filter_opt("build.cg_id = ?", filter.cg);
    select = match filter.task {
        Some(-1) => select.filter_text("build.task_id IS NOT NULL"),
        task => select.filter_opt("build.task_id = ?", task),
    };
    select = match filter.draft {
        Some(true) => select.filter_text("build.draft IS TRUE"),
        Some(false) => select.filter_text("build.draft IS NOT TRUE"),
        None => select,
    };
    for (what, before, moment) in filter.times {
        let column = match what {
            "created" => "events.time",
            "completed" => "build.completion_time",
            _ => "build.promotion_time",
        };
        let sign = if before { "<" } else { ">" };
        if what == "created" && !before {
            // Follows from the condition itself; the numbers of events have an index in both tables.
            let first =
                "build.create_event >= (SELECT min(id) FROM events WHERE time > ?::timestamptz)";
            select = select.filter(first, moment.clone());
        }
        select = select.filter(sql![column, " ", sign, " ?::timestamptz"], moment);
    }
    select.fetch(tx).await
}

/// Adds the columns and conditions of a type, in the order of all names.
fn typed(select: Select, btype: Option<&Type>) -> Select {
    const REST: &[(&str, &str)] = &[
        ("package.name", "name"),
        ("package.name || '-' || build.version || '-' || build.release", "nvr"),
        ("users.id", "owner_id"),
        ("users.name", "owner_name"),
        ("package.id", "package_id"),
        ("package.name", "package_name"),
    ];
    const END: &[(&str, &str)] = &[
        ("promoter.id", "promoter_id"),
        ("promoter.name", "promoter_name"),
        ("build.promotion_time", "promotion_time"),
        ("date_part('epoch', build.promotion_time)", "promotion_ts"),
        ("build.release", "release"),
        ("build.source", "source"),
        ("build.start_time", "start_time"),
        ("date_part('epoch', build.start_time)", "start_ts"),
        ("build.state", "state"),
        ("build.task_id", "task_id"),
        ("build.version", "version"),
        ("volume.id", "volume_id"),
        ("volume.name", "volume_name"),
    ];
    match btype {
        None => select.fields(REST).fields(END),
        Some(Type::Maven(details)) => {
            let select = select
                .field("maven_builds.artifact_id", "maven_artifact_id")
                .field("maven_builds.group_id", "maven_group_id")
                .field("maven_builds.version", "maven_version")
                .fields(REST)
                .fields(END)
                .join("maven_builds ON build.id = maven_builds.build_id");
            details.iter().fold(select, |select, (column, value)| {
                select.filter(sql!["maven_builds.", *column, " = ?"], value)
            })
        }
        Some(Type::Win(platform)) => select
            .fields(REST)
            .field("win_builds.platform", "platform")
            .fields(END)
            .join("win_builds ON build.id = win_builds.build_id")
            .filter_opt("win_builds.platform = ?", platform.as_ref()),
        Some(Type::Image) => {
            select.fields(REST).fields(END).join("image_builds ON build.id = image_builds.build_id")
        }
        Some(Type::Other(id)) => select.fields(REST).fields(END).join_with(
            "build_types ON build.id = build_types.build_id AND build_types.btype_id = ?",
            vec![(*id).into()],
        ),
    }
}
