//! The first accounts of a new hub.

use crate::{Result, Tx, params, versioned};

/// Makes a user with this password and the permission `admin`, as far as that is missing.
pub async fn administrator(tx: &mut Tx, name: &str, password: &str) -> Result<()> {
    let known = tx.query_opt("SELECT id FROM users WHERE name = $1", params![name]).await?;
    let user_id: i64 = match known {
        Some(row) => row.get("id")?,
        None => {
            tx.scalar(
                "INSERT INTO users (name, password, status, usertype)
                 VALUES ($1, $2, 0, 0) RETURNING id",
                params![name, password],
            )
            .await?
        }
    };
    let granted = "SELECT up.user_id FROM user_perms up JOIN permissions p ON p.id = up.perm_id
                    WHERE up.user_id = $1 AND p.name = 'admin' AND up.active = TRUE";
    if tx.query_opt(granted, params![user_id]).await?.is_none() {
        let event = versioned::event(tx).await?;
        tx.execute(
            "INSERT INTO user_perms (user_id, perm_id, create_event, creator_id, active)
             SELECT $1, id, $2, $1, TRUE FROM permissions WHERE name = 'admin'",
            params![user_id, event],
        )
        .await?;
    }
    Ok(())
}

/// Sets a user's password.
pub async fn set_password(tx: &mut Tx, name: &str, password: &str) -> Result<()> {
    let sql = "UPDATE users SET password = $2 WHERE name = $1";
    tx.execute(sql, params![name, password]).await.map(drop)
}
