//! Who wants to be told of builds and taggings.

use toji_types::{UserStatus, UserType};

use crate::{Result, Row, Tx, params};

/// Subscriptions that match a package and a tag: `user_id`, `email`.
pub async fn subscribers(
    tx: &mut Tx,
    package: i64,
    tag: Option<i64>,
    succeeded: bool,
) -> Result<Vec<Row>> {
    tx.query(
        "SELECT n.user_id AS user_id, n.email AS email
           FROM build_notifications n JOIN users ON n.user_id = users.id
          WHERE users.status = $4 AND users.usertype = ANY($5)
            AND (n.package_id = $1 OR n.package_id IS NULL)
            AND (n.tag_id = $2::int OR n.tag_id IS NULL)
            AND ($3::bool OR n.success_only IS FALSE)
          ORDER BY n.id",
        params![
            package,
            tag,
            succeeded,
            UserStatus::Normal.number(),
            vec![UserType::Normal.number(), UserType::Group.number()]
        ],
    )
    .await
}

/// Those of these users who do not want to be told of a package and a tag.
pub async fn silenced(
    tx: &mut Tx,
    users: &[i64],
    package: i64,
    tag: Option<i64>,
) -> Result<Vec<i64>> {
    let sql = "SELECT DISTINCT user_id FROM build_notifications_block
                WHERE user_id = ANY($1) AND (package_id = $2 OR package_id IS NULL)
                  AND (tag_id = $3::int OR tag_id IS NULL)";
    let rows = tx.query(sql, params![users, package, tag]).await?;
    rows.iter().map(|row| row.get("user_id")).collect()
}
