//! Who is told of builds.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area notification;

    /// Lists a user's build notifications.
    #[access(custom, "logged in, or a user given")]
    read getBuildNotifications(userID: Value = None) -> Value;

    /// Returns a build notification, or nil.
    #[access(anonymous)]
    read getBuildNotification(id: Value, strict: bool = false) -> Value;

    /// Lists a user's blocks of build notifications.
    #[access(custom, "logged in, or a user given")]
    read getBuildNotificationBlocks(userID: Value = None) -> Value;

    /// Returns a block of build notifications, or nil.
    #[access(anonymous)]
    read getBuildNotificationBlock(id: Value, strict: bool = false) -> Value;

    /// Makes a build notification.
    #[access(custom, "the user, or an administrator")]
    write createNotification(
        user_id: Value,
        package_id: Value,
        tag_id: Value,
        success_only: Value,
    ) -> Value;

    /// Changes a build notification.
    #[access(custom, "its user, or an administrator")]
    write updateNotification(
        id: Value,
        package_id: Value,
        tag_id: Value,
        success_only: Value,
    ) -> Value;

    /// Deletes a build notification.
    #[access(custom, "its user, or an administrator")]
    write deleteNotification(id: Value) -> Value;

    /// Makes a block of build notifications.
    #[access(custom, "the user, or an administrator")]
    write createNotificationBlock(
        user_id: Value,
        package_id: Value = None,
        tag_id: Value = None,
    ) -> Value;

    /// Deletes a block of build notifications.
    #[access(custom, "its user, or an administrator")]
    write deleteNotificationBlock(id: Value) -> Value;
}
