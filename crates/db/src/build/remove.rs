//! The deletion of builds, and of everything that hangs on one that is reset.

use toji_types::BuildState;

use crate::versioned::event;
use crate::{Result, Tx, params};

/// Marks a build deleted; signatures and checksums of its RPMs go, tags lose it.
pub async fn delete(tx: &mut Tx, id: i64, user: i64) -> Result<()> {
    for sql in [
        "DELETE FROM rpmsigs WHERE rpm_id IN (SELECT id FROM rpminfo WHERE build_id = $1)",
        "DELETE FROM toji_rpmsig WHERE rpm_id IN (SELECT id FROM rpminfo WHERE build_id = $1)",
        "DELETE FROM rpm_checksum WHERE rpm_id IN (SELECT id FROM rpminfo WHERE build_id = $1)",
        "DELETE FROM toji_rpm_fragment
          WHERE rpm_id IN (SELECT id FROM rpminfo WHERE build_id = $1)",
    ] {
        tx.execute(sql, params![id]).await?;
    }
    let event = event(tx).await?;
    let sql = "UPDATE tag_listing SET revoke_event = $2, revoker_id = $3, active = NULL
                WHERE build_id = $1 AND active = TRUE";
    tx.execute(sql, params![id, event, user]).await?;
    let sql = "UPDATE build SET state = $2 WHERE id = $1";
    tx.execute(sql, params![id, BuildState::Deleted.number()]).await.map(drop)
}

/// Removes everything of a build but its own row, which becomes a cancelled one without a task.
pub async fn reset(tx: &mut Tx, id: i64) -> Result<()> {
    for sql in [
        "DELETE FROM rpmsigs WHERE rpm_id IN (SELECT id FROM rpminfo WHERE build_id = $1)",
        "DELETE FROM buildroot_listing WHERE rpm_id IN (SELECT id FROM rpminfo WHERE build_id = $1)",
        "DELETE FROM archive_rpm_components
          WHERE rpm_id IN (SELECT id FROM rpminfo WHERE build_id = $1)",
        "DELETE FROM rpm_checksum WHERE rpm_id IN (SELECT id FROM rpminfo WHERE build_id = $1)",
        "DELETE FROM toji_rpm_fragment
          WHERE rpm_id IN (SELECT id FROM rpminfo WHERE build_id = $1)",
        "DELETE FROM rpminfo WHERE build_id = $1",
        "DELETE FROM maven_archives
          WHERE archive_id IN (SELECT id FROM archiveinfo WHERE build_id = $1)",
        "DELETE FROM win_archives
          WHERE archive_id IN (SELECT id FROM archiveinfo WHERE build_id = $1)",
        "DELETE FROM image_archives
          WHERE archive_id IN (SELECT id FROM archiveinfo WHERE build_id = $1)",
        "DELETE FROM buildroot_archives
          WHERE archive_id IN (SELECT id FROM archiveinfo WHERE build_id = $1)",
        "DELETE FROM archive_rpm_components
          WHERE archive_id IN (SELECT id FROM archiveinfo WHERE build_id = $1)",
        "DELETE FROM archive_components
          WHERE archive_id IN (SELECT id FROM archiveinfo WHERE build_id = $1)
             OR component_id IN (SELECT id FROM archiveinfo WHERE build_id = $1)",
        "DELETE FROM archiveinfo WHERE build_id = $1",
        "DELETE FROM maven_builds WHERE build_id = $1",
        "DELETE FROM win_builds WHERE build_id = $1",
        "DELETE FROM image_builds WHERE build_id = $1",
        "DELETE FROM build_types WHERE build_id = $1",
        "DELETE FROM tag_listing WHERE build_id = $1",
    ] {
        tx.execute(sql, params![id]).await?;
    }
    // A build in progress has no time of completion, every other one must have it.
    let sql = "UPDATE build SET state = $2, task_id = NULL, volume_id = 0,
                      completion_time = COALESCE(completion_time, NOW()) WHERE id = $1";
    tx.execute(sql, params![id, BuildState::Canceled.number()]).await.map(drop)
}

/// Clears the types of a build that is taken up again.
pub async fn clear_types(tx: &mut Tx, id: i64) -> Result<()> {
    for sql in [
        "DELETE FROM maven_builds WHERE build_id = $1",
        "DELETE FROM win_builds WHERE build_id = $1",
        "DELETE FROM image_builds WHERE build_id = $1",
        "DELETE FROM build_types WHERE build_id = $1",
    ] {
        tx.execute(sql, params![id]).await?;
    }
    Ok(())
}
