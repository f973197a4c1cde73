//! Traces that decisions of policies have left, newest first.

use crate::{Result, Row, Tx, params};

/// Builds that entered or left tags: `kind` (`tag`, `untag`), `tag_id`, `tag`, `build_id`, `event`, `user_id`.
pub async fn taggings(tx: &mut Tx, last: i64) -> Result<Vec<Row>> {
    tx.query(
        "SELECT m.kind AS kind, m.tag_id AS tag_id, t.name AS tag, m.build_id AS build_id,
                m.event AS event, m.user_id AS user_id
           FROM (SELECT * FROM (SELECT 'tag' AS kind, tag_id, build_id, create_event AS event,
                                       creator_id AS user_id
                                  FROM tag_listing ORDER BY create_event DESC LIMIT $1) AS entered
                 UNION ALL
                 SELECT * FROM (SELECT 'untag' AS kind, tag_id, build_id, revoke_event AS event,
                                       revoker_id AS user_id
                                  FROM tag_listing WHERE revoke_event IS NOT NULL
                                 ORDER BY revoke_event DESC LIMIT $1) AS gone) AS m
           JOIN tag t ON t.id = m.tag_id
          ORDER BY m.event DESC, m.build_id, m.kind LIMIT $1",
        params![last],
    )
    .await
}

/// Changes of package lists: `kind` (`set`, `gone`), `tag_id`, `tag`, `package_id`, `package`, `blocked`,
/// `event`, `user_id`.
pub async fn package_lists(tx: &mut Tx, last: i64) -> Result<Vec<Row>> {
    tx.query(
        "SELECT m.kind AS kind, m.tag_id AS tag_id, t.name AS tag, m.package_id AS package_id,
                p.name AS package, m.blocked AS blocked, m.event AS event, m.user_id AS user_id
           FROM (SELECT * FROM (SELECT 'set' AS kind, tag_id, package_id, blocked,
                                       create_event AS event, creator_id AS user_id
                                  FROM tag_packages ORDER BY create_event DESC LIMIT $1) AS made
                 UNION ALL
                 SELECT * FROM (SELECT 'gone' AS kind, tag_id, package_id, blocked,
                                       revoke_event AS event, revoker_id AS user_id
                                  FROM tag_packages WHERE revoke_event IS NOT NULL
                                 ORDER BY revoke_event DESC LIMIT $1) AS ended) AS m
           JOIN tag t ON t.id = m.tag_id JOIN package p ON p.id = m.package_id
          ORDER BY m.event DESC, m.package_id, m.kind LIMIT $1",
        params![last],
    )
    .await
}

/// Tasks: `id`, `method`, `request`, `parent`, `label`, `owner`, `arch`; of one method if it is given.
pub async fn tasks(tx: &mut Tx, method: Option<&str>, last: i64) -> Result<Vec<Row>> {
    match method {
        None => {
            let sql = "SELECT id, method, request, parent, label, owner, arch FROM task
                        ORDER BY id DESC LIMIT $1";
            tx.query(sql, params![last]).await
        }
        Some(method) => {
            let sql = "SELECT id, method, request, parent, label, owner, arch FROM task
                        WHERE method = $1 ORDER BY id DESC LIMIT $2";
            tx.query(sql, params![method, last]).await
        }
    }
}

/// Complete builds: `id`, `nvr`, `owner`.
pub async fn builds(tx: &mut Tx, last: i64) -> Result<Vec<Row>> {
    tx.query(
        "SELECT b.id AS id, p.name || '-' || b.version || '-' || b.release AS nvr, b.owner AS owner
           FROM build b JOIN package p ON p.id = b.pkg_id
          WHERE b.state = 1 ORDER BY b.id DESC LIMIT $1",
        params![last],
    )
    .await
}

/// Promotions of drafts: `id`, `nvr`, `release`, `promoter`.
pub async fn promotions(tx: &mut Tx, last: i64) -> Result<Vec<Row>> {
    tx.query(
        "SELECT b.id AS id, p.name || '-' || b.version || '-' || b.release AS nvr,
                b.release AS release, b.promoter AS promoter
           FROM build b JOIN package p ON p.id = b.pkg_id
          WHERE b.promoter IS NOT NULL ORDER BY b.promotion_time DESC LIMIT $1",
        params![last],
    )
    .await
}
