//! The policies in force where a configuration names none.

/// Name and text of each default policy, as a Koji hub has them; `failed_tree`, `signing` and `solve_urls` are Toji's own.
///
/// Policies that are neither here nor configured (`tag`, `dist_repo`, `sidetag` …) are missing, and
/// the hub's `MissingPolicyOk` decides.
pub const DEFAULT_POLICIES: &[(&str, &str)] = &[
    ("build_from_repo_id", ADMIN_ONLY),
    ("build_from_scm", ADMIN_ONLY),
    ("build_from_srpm", ADMIN_ONLY),
    ("build_rpm", "all :: allow"),
    ("cg_import", "all :: allow"),
    ("channel", "has req_channel :: req\nis_child_task :: parent\nall :: use default"),
    (
        "draft_promotion",
        "has_perm draft-promoter :: allow\nis_build_owner :: allow\n\
         all :: deny Only draft-promoter and build owner can do this via default policy",
    ),
    (
        "failed_tree",
        "bool own_task :: allow\nhas_perm admin :: allow\n\
         all :: deny Only the owner of the failed task and admin can do this via default policy",
    ),
    (
        "package_list",
        "has_perm admin :: allow\nhas_perm tag :: allow\n\
         all :: deny Only admin/tag can do this via default policy",
    ),
    ("priority", "all :: stay"),
    (
        "signing",
        "has_perm sign :: allow\nhas_perm admin :: allow\n\
         all :: deny Only admin/sign can do this via default policy",
    ),
    (
        "solve_urls",
        "bool known_urls :: allow\nhas_perm admin :: allow\n\
         all :: deny Only admin can ask about others than external repositories via default policy",
    ),
    (
        "vm",
        "has_perm admin win-admin :: allow\n\
         all :: deny Only admin/win-admin can do this via default policy",
    ),
    ("volume", "all :: DEFAULT"),
];

const ADMIN_ONLY: &str =
    "has_perm admin :: allow\nall :: deny Only admin can do this via default policy";
