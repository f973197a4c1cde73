//! Users, groups of users, and permissions.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area user;

    /// Returns a user by id, name or Kerberos principal, or nil.
    #[access(anonymous)]
    #[python("get_user")]
    #[example(r#"["kojiadmin"]"#)]
    read getUser(
        userInfo: Value = None,
        strict: bool = false,
        krb_princs: bool = true,
        groups: bool = false,
    ) -> Value;

    /// Returns the names of the caller's permissions.
    #[access(anonymous)]
    #[example(r#"[]"#)]
    read getPerms() -> Value;

    /// Tells whether the caller has exactly this permission.
    #[access(anonymous)]
    #[example(r#"["tag"]"#)]
    read hasPerm(perm: Value, strict: bool = false) -> bool;

    /// Returns every permission.
    #[access(anonymous)]
    #[example(r#"[]"#)]
    read getAllPerms() -> Value;

    /// Returns the names of a user's permissions.
    #[access(anonymous)]
    read getUserPerms(userID: Value = None, with_groups: bool = true) -> Value;

    /// Returns a user's permissions, each with the groups that give it (nil: the user's own).
    #[access(anonymous)]
    read getUserPermsInheritance(userID: Value) -> Value;

    /// Returns the groups of a user.
    #[access(anonymous)]
    read getUserGroups(user: Value) -> Value;

    /// Lists users by type, name and permission.
    #[access(anonymous)]
    #[example(r#"[]"#)]
    read listUsers(
        userType: Value = 0,
        prefix: Value = None,
        queryOpts: Value = None,
        perm: Value = None,
        inherited_perm: bool = false,
    ) -> Value;

    /// Makes a user and returns its id.
    #[access(admin)]
    write createUser(username: Value, status: Value = None, krb_principal: Value = None) -> Value;

    /// Renames a user or changes its Kerberos principals.
    #[access(admin)]
    #[python("edit_user")]
    write editUser(
        userInfo: Value,
        name: Value = None,
        krb_principal_mappings: Value = None,
    ) -> Value;

    /// Lets a user log in.
    #[access(custom, "administrators")]
    write enableUser(username: Value) -> Value;

    /// Keeps a user from logging in.
    #[access(custom, "administrators")]
    write disableUser(username: Value) -> Value;

    /// Gives a user a permission, which is made if asked for.
    #[access(admin)]
    write grantPermission(
        userinfo: Value,
        permission: Value,
        create: bool = false,
        description: Value = None,
    ) -> Value;

    /// Takes a permission from a user.
    #[access(admin)]
    write revokePermission(userinfo: Value, permission: Value) -> Value;

    /// Changes the description of a permission.
    #[access(admin)]
    write editPermission(permission: Value, description: Value) -> Value;

    /// Makes a group of users and returns its id.
    #[access(admin)]
    #[python("new_group")]
    write newGroup(name: Value) -> Value;

    /// Puts a user into a group.
    #[access(admin)]
    #[python("add_group_member")]
    write addGroupMember(group: Value, user: Value, strict: bool = true) -> Value;

    /// Takes a user out of a group.
    #[access(admin)]
    #[python("drop_group_member")]
    write dropGroupMember(group: Value, user: Value) -> Value;

    /// Returns the members of a group.
    #[access(anonymous)]
    #[python("get_group_members")]
    read getGroupMembers(group: Value) -> Value;

    /// Gives a user a Kerberos principal and returns the user id.
    #[access(admin)]
    write addUserKrbPrincipal(user: Value, krb_principal: Value) -> Value;

    /// Takes a Kerberos principal from a user and returns the user id.
    #[access(admin)]
    write removeUserKrbPrincipal(user: Value, krb_principal: Value) -> Value;
}
