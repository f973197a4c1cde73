//! Logging in with an identity that the transport has verified (behaviour of `kojihub/auth.py`).

use toji_db::user as db;
use toji_types::{AuthType, UserStatus, UserType};
use toji_value::{Fault, Map, Value};

use super::start;
use crate::Call;
use crate::identity::{Identity, Subject};

/// What a caller of `sslLogin` asks for beside a session.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// The user to log in instead of the caller.
    pub proxy_user: Option<String>,
    /// How that user has authenticated (`AuthType`).
    pub proxy_authtype: Option<i64>,
    /// A new key for the session that the request names, instead of a new session.
    pub renew: bool,
}

/// Logs in the user of the transport's identity, or the one that it may log in; gives the user, too.
///
/// # Errors
/// `AuthError` that says why not.
pub async fn log_in(call: &mut Call, wishes: Wishes) -> Result<(i64, Value), Fault> {
    if call.session.is_some() {
        return Err(Fault::auth("Already logged in"));
    }
    let Some(identity) = call.request.identity.clone() else {
        return Err(Fault::auth("could not verify client: None"));
    };
    let (mut name, mut authtype) = name(call, &identity)?;
    if let Some(user) = wishes.proxy_user.filter(|user| !user.is_empty()) {
        authtype = proxied(call, &identity, authtype, wishes.proxy_authtype)?;
        name = user;
    }
    let user_id = account(call, &name, authtype).await?;
    start::check_allowed(call, user_id).await?;
    let session = start::create(call, user_id, authtype as i64, None, wishes.renew).await?;
    Ok((user_id, session.map_or(Value::Nil, Value::Struct)))
}

/// The name that an identity has here, and how it was verified.
fn name(call: &Call, identity: &Identity) -> Result<(String, AuthType), Fault> {
    match identity {
        Identity::Kerberos(principal) => Ok((principal.clone(), AuthType::Gssapi)),
        Identity::Certificate(subject) => {
            let part = &call.hub.config.logins.dn_username_component;
            let missing = || {
                let text =
                    format!("unable to get user information ({part}) from client certificate");
                Fault::auth(text)
            };
            let name = subject.part(part).filter(|name| !name.is_empty()).ok_or_else(missing)?;
            Ok((name.to_owned(), AuthType::Ssl))
        }
    }
}

/// Refuses identities that may not log in others; gives how the other has authenticated.
fn proxied(
    call: &Call,
    identity: &Identity,
    own: AuthType,
    wanted: Option<i64>,
) -> Result<AuthType, Fault> {
    let options = &call.hub.config.logins;
    let (allowed, shown) = match identity {
        Identity::Kerberos(principal) => {
            (options.proxy_principals.contains(principal), principal.clone())
        }
        Identity::Certificate(subject) => {
            let same = |text: &String| Subject::parse(text).is_some_and(|one| one == *subject);
            (options.proxy_dns.iter().any(same), subject.to_string())
        }
    };
    if !allowed {
        return Err(Fault::auth(format!("{shown} is not authorized to login other users")));
    }
    let Some(wanted) = wanted else { return Ok(own) };
    if !options.allow_proxy_auth_type && wanted != own as i64 {
        return Err(Fault::auth(
            "Proxy must use same auth mechanism as hub (behaviour can be overriden via \
             AllowProxyAuthType hub option)",
        ));
    }
    match AuthType::try_from(wanted) {
        Ok(kind @ (AuthType::Gssapi | AuthType::Ssl)) => Ok(kind),
        _ => Err(Fault::auth(format!("Proxied authtype {wanted} is not valid for sslLogin"))),
    }
}

/// The account of a verified name, made if it is missing and `LoginCreatesUser` is on.
async fn account(call: &mut Call, name: &str, authtype: AuthType) -> Result<i64, Fault> {
    let is_principal = authtype == AuthType::Gssapi && name.contains('@');
    let mut key = db::Key::default();
    if is_principal {
        check_realm(call, name)?;
        key.principal = Some(name.to_owned());
    } else {
        key.name = Some(name.to_owned());
    }
    if let Some(row) = db::find(&mut call.tx, &key).await? {
        return Ok(row.get("id")?);
    }
    if !call.hub.config.login_creates_user {
        return Err(Fault::auth(format!("Unknown user: {name}")));
    }
    let (user, principal) = match name.split_once('@') {
        Some((user, _)) if is_principal => (user, Some(name)),
        _ => (name, None),
    };
    let key = db::Key { name: Some(user.to_owned()), ..db::Key::default() };
    let id = match db::find(&mut call.tx, &key).await? {
        // An account without this principal gets it: realms are the administrator's to allow.
        Some(row) => row.get("id")?,
        None if user.is_empty() => return Err(Fault::generic("a user must have a non-empty name")),
        None => {
            let (kind, status) = (UserType::Normal as i64, UserStatus::Normal as i64);
            db::create(&mut call.tx, user, kind, status).await?
        }
    };
    if let Some(principal) = principal {
        db::add_principal(&mut call.tx, id, principal).await?;
    }
    Ok(id)
}

/// Refuses principals of realms that `AllowedKrbRealms` does not have.
///
/// # Errors
/// `AuthError` with Koji's wording.
pub fn check_realm(call: &Call, principal: &str) -> Result<(), Fault> {
    let Some(allowed) = &call.hub.config.logins.allowed_realms else { return Ok(()) };
    let invalid = || Fault::auth(format!("invalid Kerberos principal: {principal}"));
    let (_, realm) = principal.split_once('@').ok_or_else(invalid)?;
    if realm.is_empty() {
        return Err(invalid());
    }
    if !allowed.iter().any(|one| one == realm) {
        return Err(Fault::auth(format!("Kerberos principal's realm: {realm} is not allowed")));
    }
    Ok(())
}

/// Arguments of `sslLogin` in Koji's order.
///
/// # Errors
/// `ParameterError` for values of another type.
pub fn wishes(args: Vec<Value>, mut named: Map) -> Result<(Wishes, bool), Fault> {
    let mut args = args.into_iter();
    let mut take = |name: &str| args.next().or_else(|| named.remove(name)).unwrap_or_default();
    let wrong = |name: &str| Fault::parameter(format!("{name} has the wrong type"));
    let proxy_user = match take("proxyuser") {
        Value::Nil => None,
        Value::Str(user) => Some(user),
        _ => return Err(wrong("proxyuser")),
    };
    let proxy_authtype = match take("proxyauthtype") {
        Value::Nil => None,
        Value::Int(number) => Some(number),
        _ => return Err(wrong("proxyauthtype")),
    };
    let renew = take("renew").truthy();
    let exclusive = take("exclusive").truthy();
    Ok((Wishes { proxy_user, proxy_authtype, renew }, exclusive))
}
