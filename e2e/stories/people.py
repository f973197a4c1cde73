"""Users and permissions, with the stock client."""

from harness.story import eq, has, lacks, matches, story, that


@story()
def users(w):
    """A user is added, shown, renamed, locked out and let in again."""
    name, other = w.name("carl"), w.name("carla")
    said = w.koji("add-user", name, "--principal", f"{name}@EXAMPLE.COM")
    number = w.hub.call("getUser", name)["id"]
    eq(said.out, f"Added user {name} ({number})\n", "the output")
    has(w.koji("add-user", name, code=1).err, f"GenericError: user already exists: {name}")
    has(w.koji("add-user", "bad name!", code=1).err, "Name bad name! does not match RegexUserName value")
    info = w.koji("userinfo", name)
    eq(info.out, f"User name: {name}\nUser ID: {number}\nkrb principals:\n  {name}@EXAMPLE.COM\nStatus: NORMAL\nUsertype: NORMAL\n"
       "Number of packages: 0\nNumber of tasks: 0\nNumber of builds: 0\n\n", "the user's information")
    has(w.anonymous("userinfo", "nobody-here", name).err, "No such user: nobody-here\n")

    eq(w.koji("edit-user", name, "--rename", other, "--edit-krb", f"{name}@EXAMPLE.COM={other}@EXAMPLE.COM",
              "--add-krb", f"{other}@EXAMPLE.ORG").out, "", "the output")
    found = w.hub.call("getUser", number)
    eq((found["name"], sorted(found["krb_principals"])), (other, [f"{other}@EXAMPLE.COM", f"{other}@EXAMPLE.ORG"]), "the user")
    w.koji("edit-user", other, "--remove-krb", f"{other}@EXAMPLE.ORG")
    eq(w.hub.call("getUser", number)["krb_principals"], [f"{other}@EXAMPLE.COM"], "the principals")
    has(w.koji("edit-user", name, "--rename", "x", code=1).err, name)
    has(w.koji("edit-user", other, "--rename", w.ready["admin_user"], code=1).err, "already")

    w.koji("disable-user", other)
    has(w.koji("userinfo", other), "Status: BLOCKED")
    has(w.koji("disable-user", "nobody-here", code=1).err, "nobody-here")
    w.koji("enable-user", other)
    has(w.koji("userinfo", other), "Status: NORMAL")
    has(w.koji("enable-user", "nobody-here", code=1).err, "nobody-here")
    w.koji("add-user", "--disable", w.name("locked"))
    has(w.koji("userinfo", w.name("locked")), "Status: BLOCKED")


@story()
def locked_out(w):
    """A disabled user cannot log in, and sessions that are open end."""
    name = w.user()
    has(w.as_user(name, "moshimoshi"), f"{name}!")
    w.koji("disable-user", name)
    said = w.as_user(name, "moshimoshi", code=None)
    that(said.code != 0, f"a disabled user logged in:\n{said}")
    has(said.err, "AuthError")
    w.koji("enable-user", name)
    has(w.as_user(name, "moshimoshi"), f"{name}!")


@story()
def user_lists(w):
    """Users are listed by type, prefix and permission."""
    one, two, perm = w.name("listed-a"), w.name("listed-b"), w.name("sweep")
    w.koji("add-user", one)
    w.koji("add-user", two)
    w.koji("grant-permission", "--new", perm, one)
    eq(w.koji("list-users", "--prefix", w.name("listed-a")[:-1]).out.count(one), 1, "the users with the prefix")
    eq(w.koji("list-users", "--perm", perm).out, f"{one}\n", "the users with the permission")
    eq(w.koji("list-users", "--perm", perm, "--inherited-perm").out, f"{one}\n", "the users with the inherited permission")
    has(w.koji("list-users", "--usertype", "host"), "builder.localdomain\n")
    lacks(w.koji("list-users"), "builder.localdomain\n")
    has(w.koji("list-users", "--usertype", "any"), "builder.localdomain\n", f"{one}\n", f"{two}\n")
    has(w.koji("list-users", "--perm", "nosuchperm", code=1).err, "Invalid permission: nosuchperm")
    has(w.koji("list-users", "--usertype", "robot", code=1).err, "Invalid usertype: robot")


@story()
def permissions(w):
    """A permission is made, described, granted, used and revoked."""
    name, perm = w.user(), w.name("polish")
    eq(w.koji("grant-permission", "--new", "--description", "may polish", perm, name).out, "", "the output")
    matches(w.koji("list-permissions"), rf"{perm}\s+may polish")
    has(w.koji("list-permissions"), "Permission name", "Description", "admin")
    w.koji("edit-permission", perm, "may polish all day")
    matches(w.koji("list-permissions", "--quiet"), rf"{perm}\s+may polish all day")
    matches(w.koji("list-permissions", "--user", name), rf"{perm}\s*")
    matches(w.as_user(name, "list-permissions", "--mine"), rf"{perm}\s*")
    has(w.koji("userinfo", name), f"Permissions:\n  {perm}\n")
    has(w.koji("grant-permission", perm, name, code=1).err, f"user {name} already has permission: {perm}")
    has(w.koji("grant-permission", "nosuchperm", name, code=1).err, "No such entry in table permissions: nosuchperm")
    has(w.koji("grant-permission", perm, "nobody-here", code=2).err, "No such user: nobody-here")
    has(w.koji("edit-permission", "nosuchperm", "x", code=1).err, "nosuchperm")

    tag = w.name("theirs")
    has(w.as_user(name, "add-tag", tag, code=2).err, "This action requires tag or admin privileges")
    has(w.as_user(name, "call", "createTag", tag, code=1).err, f"ActionNotAllowed: tag permission required (logged in as {name})")
    w.koji("grant-permission", "tag", name)
    w.as_user(name, "add-tag", tag)
    eq(w.hub.call("getTag", tag)["name"], tag, "the tag")
    w.koji("revoke-permission", "tag", name)
    has(w.as_user(name, "remove-tag", tag, code=2).err, "This action requires tag or admin privileges")
    has(w.koji("revoke-permission", "tag", name, code=1).err, f"user {name} does not have permission: tag")
    has(w.koji("revoke-permission", perm, "nobody-here", code=2).err, "No such user: nobody-here")
    w.koji("revoke-permission", perm, name)
    lacks(w.koji("userinfo", name), "Permissions:")


@story()
def only_administrators(w):
    """Who has no permission changes nothing, whatever the command."""
    name = w.user()
    other = w.user("victim")
    host = "builder.localdomain"
    refused = f"admin permission required (logged in as {name})"
    for argv in (["add-user", w.name("x")], ["edit-user", other, "--rename", w.name("x")], ["disable-user", other],
                 ["grant-permission", "admin", name], ["add-channel", w.name("x")], ["add-external-repo", w.name("x"), "http://h/"],
                 ["add-volume", w.name("x")], ["edit-permission", "admin", "x"]):
        has(w.as_user(name, *argv, code=1).err, refused)
    for argv in (["disable-host", host], ["add-host", w.name("x"), "x86_64"], ["edit-host", host, "--capacity", "1"]):
        has(w.as_user(name, *argv, code=1).err, f"(logged in as {name})")
    eq(w.hub.call("getUserPerms", name), [], "the permissions")
    eq(w.hub.call("getUser", other)["status"], 0, "the other's status")
    eq(w.hub.call("getHost", host)["enabled"], True, "the host")
    for kind in ("user", "host"):
        eq(w.anonymous("search", "--exact", kind, w.name("x")).out, "", f"the {kind}")
