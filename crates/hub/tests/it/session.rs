//! Logins by verified identities, and the life of sessions.

use toji_db::Db;
use toji_hub::{Config, Identity, Request, SessionKey, Subject};
use toji_testkit::both_databases;
use toji_value::{Args, Fault, Map, Value, list, map};

use super::office::{Office, Who};

fn principal(name: &str) -> Identity {
    Identity::Kerberos(name.to_owned())
}

fn certificate(subject: &str) -> Identity {
    Identity::Certificate(Subject::parse(subject).unwrap())
}

async fn log_in(office: &Office, identity: Identity, kw: Map) -> Result<Value, Fault> {
    let request = Request { identity: Some(identity), ..Request::default() };
    office.hub.call(&request, "sslLogin", Args { positional: vec![], keywords: kw }).await
}

async fn refused(office: &Office, identity: Identity, kw: Map) -> String {
    let fault = log_in(office, identity, kw).await.unwrap_err();
    format!("{}: {}", fault.code, fault.message)
}

/// The request of somebody with this session.
fn holder(session: &Value, callnum: Option<i64>) -> Request {
    let key = SessionKey {
        id: session.get("session-id").as_int().unwrap(),
        key: session.get("session-key").as_str().unwrap().to_owned(),
        callnum,
    };
    Request { session: Some(key), ..Request::default() }
}

async fn call(
    office: &Office,
    request: &Request,
    method: &str,
    args: Value,
) -> Result<Value, Fault> {
    let positional = args.as_array().unwrap().to_vec();
    office.hub.call(request, method, Args { positional, keywords: Map::new() }).await
}

/// Name of the user of a session, and how the user logged in.
async fn who(office: &Office, session: &Value) -> (String, i64) {
    let user = call(office, &holder(session, None), "getLoggedInUser", list![]).await.unwrap();
    (user.get("name").display(), user.get("authtype").as_int().unwrap())
}

fn proxies(config: &mut Config) {
    config.logins.proxy_principals = vec!["koji/web@A.COM".into()];
    config.logins.proxy_dns = vec!["CN=web,O=E".into()];
}

both_databases! {
    async fn principals_find_or_make_accounts(db: Db) {
        let office = Office::new(db, |config| {
            config.logins.allowed_realms = Some(vec!["A.COM".into(), "B.COM".into()]);
        }).await;
        let session = log_in(&office, principal("carl@A.COM"), Map::new()).await.unwrap();
        assert_eq!(who(&office, &session).await, ("carl".to_owned(), 3));
        // The same account again, by its principal; another realm's carl becomes the same one.
        log_in(&office, principal("carl@A.COM"), Map::new()).await.unwrap();
        log_in(&office, principal("carl@B.COM"), Map::new()).await.unwrap();
        let user = office.boss("getUser", list!["carl"]).await;
        assert_eq!(user.get("krb_principals"), &list!["carl@A.COM", "carl@B.COM"]);
        // A principal that an account has counts, not its name.
        let kw = map! { "krb_principal" => "mate@A.COM" };
        office.boss_kw("createUser", list!["mary"], kw).await;
        let session = log_in(&office, principal("mate@A.COM"), Map::new()).await.unwrap();
        assert_eq!(who(&office, &session).await.0, "mary");
        for (name, text) in [
            ("carl@C.COM", "1002: Kerberos principal's realm: C.COM is not allowed"),
            ("carl@", "1002: invalid Kerberos principal: carl@"),
            ("@A.COM", "1000: a user must have a non-empty name"),
        ] {
            assert_eq!(refused(&office, principal(name), Map::new()).await, text);
        }
        let kw = map! { "krb_principal" => "x@C.COM" };
        let text = office.fault(Who::Boss, "createUser", list!["x"], kw).await;
        assert_eq!(text, "1002: Kerberos principal's realm: C.COM is not allowed");
    }

    async fn identities_without_an_account(db: Db) {
        let office = Office::new(db, |config| config.login_creates_user = false).await;
        let session = log_in(&office, certificate("/O=E/CN=mate"), Map::new()).await.unwrap();
        assert_eq!(who(&office, &session).await, ("mate".to_owned(), 2));
        let text = refused(&office, certificate("/O=E/CN=carl"), Map::new()).await;
        assert_eq!(text, "1002: Unknown user: carl");
        let text = refused(&office, principal("mate@A.COM"), Map::new()).await;
        assert_eq!(text, "1002: Unknown user: mate@A.COM");
        let text = refused(&office, certificate("/O=E"), Map::new()).await;
        assert_eq!(text, "1002: unable to get user information (CN) from client certificate");
        office.boss("disableUser", list!["mate"]).await;
        let text = refused(&office, certificate("/O=E/CN=mate"), Map::new()).await;
        assert_eq!(text, "1002: logins by mate are not allowed");
        let nobody = office.ask(Who::Nobody, "sslLogin", list![], Map::new()).await.unwrap_err();
        assert_eq!(nobody.message, "could not verify client: None");
    }

    async fn only_proxies_log_in_others(db: Db) {
        let office = Office::new(db, proxies).await;
        let mate = || map! { "proxyuser" => "mate" };
        for identity in [principal("koji/web@A.COM"), certificate("/O=E/CN=web")] {
            let session = log_in(&office, identity, mate()).await.unwrap();
            assert_eq!(who(&office, &session).await.0, "mate");
        }
        for (identity, shown) in [
            (principal("mate@A.COM"), "mate@A.COM"),
            (principal("/O=E/CN=web"), "/O=E/CN=web"),
            (certificate("/O=E/CN=mate"), "/O=E/CN=mate"),
            (certificate("/CN=web"), "/CN=web"),
            (certificate("/CN=web/O=E"), "/CN=web/O=E"),
        ] {
            let text = format!("1002: {shown} is not authorized to login other users");
            assert_eq!(refused(&office, identity, mate()).await, text);
        }
        let other = map! { "proxyuser" => "mate@A.COM", "proxyauthtype" => 3 };
        let text = refused(&office, certificate("/O=E/CN=web"), other.clone()).await;
        assert!(text.starts_with("1002: Proxy must use same auth mechanism as hub"), "{text}");
        let office = office.reconfigured(|config| {
            proxies(config);
            config.logins.allow_proxy_auth_type = true;
        });
        let session = log_in(&office, certificate("/O=E/CN=web"), other).await.unwrap();
        assert_eq!(who(&office, &session).await, ("mate".to_owned(), 3));
        let wrong = map! { "proxyuser" => "mate", "proxyauthtype" => 0 };
        let text = refused(&office, certificate("/O=E/CN=web"), wrong).await;
        assert_eq!(text, "1002: Proxied authtype 0 is not valid for sslLogin");
    }

    async fn renewing_keeps_the_session_and_begins_its_numbers_anew(db: Db) {
        let office = Office::new(db, |_| {}).await;
        let old = log_in(&office, principal("carl@A.COM"), map! { "exclusive" => true }).await.unwrap();
        let id = old.get("session-id").as_int().unwrap();
        expire(&office, id).await;
        let request = holder(&old, Some(7));
        let fault = call(&office, &request, "getLoggedInUser", list![]).await.unwrap_err();
        assert_eq!((fault.code, fault.message), (1007, format!("session \"{id}\" has expired")));

        let renew = map! { "renew" => true, "exclusive" => true };
        let asking = Request { identity: Some(principal("carl@A.COM")), ..request.clone() };
        let args = Args { positional: vec![], keywords: renew.clone() };
        let new = office.hub.call(&asking, "sslLogin", args.clone()).await.unwrap();
        assert_eq!(new.get("session-id"), old.get("session-id"));
        assert_ne!(new.get("session-key"), old.get("session-key"));
        call(&office, &holder(&new, Some(0)), "getLoggedInUser", list![]).await.unwrap();
        assert!(call(&office, &request, "getLoggedInUser", list![]).await.is_err(), "the old key");
        // A session that is alive needs no login.
        let asking = Request { identity: Some(principal("carl@A.COM")), ..holder(&new, None) };
        let fault = office.hub.call(&asking, "sslLogin", args.clone()).await.unwrap_err();
        assert_eq!(fault.message, "Already logged in");
        // Nobody gets into another user's session.
        expire(&office, id).await;
        let thief = Request { identity: Some(principal("eve@A.COM")), ..holder(&new, None) };
        assert_eq!(office.hub.call(&thief, "sslLogin", args).await.unwrap(), Value::Nil);
    }

    async fn a_subsession_is_not_renewed_without_its_parent(db: Db) {
        let office = Office::new(db, |_| {}).await;
        let parent = log_in(&office, principal("carl@A.COM"), Map::new()).await.unwrap();
        let child = call(&office, &holder(&parent, None), "subsession", list![]).await.unwrap();
        assert_eq!(who(&office, &child).await, ("carl".to_owned(), 3));
        let id = child.get("session-id").as_int().unwrap();
        expire(&office, id).await;
        // Only the parent is closed, as a hub that stopped in between would leave it.
        set(&office, "UPDATE sessions SET closed = TRUE WHERE id = $1", parent.get("session-id")).await;
        let asking = Request { identity: Some(principal("carl@A.COM")), ..holder(&child, None) };
        let args = Args { positional: vec![], keywords: map! { "renew" => true } };
        assert_eq!(office.hub.call(&asking, "sslLogin", args).await.unwrap(), Value::Nil);
    }

    async fn numbers_of_calls_that_changed_something_are_kept(db: Db) {
        let office = Office::new(db, |_| {}).await;
        let args = Args { positional: list!["boss", "secret"].as_array().unwrap().to_vec(), keywords: Map::new() };
        let session = office.hub.call(&Request::default(), "login", args).await.unwrap();
        let with = |callnum| holder(&session, Some(callnum));
        call(&office, &with(3), "createTag", list!["one"]).await.unwrap();
        let fault = call(&office, &with(3), "createTag", list!["two"]).await.unwrap_err();
        let text = format!("unable to retry call 3 (method createTag) for session {}", session.get("session-id").display());
        assert_eq!((fault.code, fault.message), (1009, text));
        let fault = call(&office, &with(2), "getTag", list!["one"]).await.unwrap_err();
        assert_eq!(fault.code, 1008);
        // A call that only reads, or that fails, leaves its number free.
        call(&office, &with(5), "getTag", list!["one"]).await.unwrap();
        call(&office, &with(5), "createTag", list!["one"]).await.unwrap_err();
        call(&office, &with(5), "createTag", list!["two"]).await.unwrap();
        // What may be done twice may be asked for twice.
        call(&office, &with(6), "repoExpire", list![1]).await.ok();
        let again = call(&office, &with(6), "repoExpire", list![1]).await;
        assert!(again.as_ref().err().is_none_or(|fault| fault.code != 1009), "{again:?}");
    }

    async fn nothing_is_answered_while_offline(db: Db) {
        let office = Office::new(db, |_| {}).await;
        let offline = office.reconfigured(|config| config.offline = Some("back at ten".into()));
        for (who, method) in [(Who::Boss, "getKojiVersion"), (Who::Nobody, "login"), (Who::Boss, "noSuchCall")] {
            assert_eq!(offline.fault(who, method, list![], Map::new()).await, "1014: back at ten");
        }
        let locked = offline.reconfigured(|config| config.lock_out = true);
        let text = locked.fault(Who::Mate, "getKojiVersion", list![], Map::new()).await;
        assert_eq!(text, "1014: Server disabled for maintenance");
        locked.boss("getKojiVersion", list![]).await;
    }

    async fn sessions_of_others_are_not_ended(db: Db) {
        let office = Office::new(db, |_| {}).await;
        let theirs = log_in(&office, principal("carl@A.COM"), Map::new()).await.unwrap();
        let id = theirs.get("session-id").clone();
        let text = office.fault(Who::Mate, "logout", list![id.clone()], Map::new()).await;
        assert_eq!(text, "1000: query returned no rows");
        office.ask(Who::Mate, "logoutChild", list![id.clone()], Map::new()).await.unwrap();
        assert_eq!(who(&office, &theirs).await.0, "carl");
        office.boss("logout", list![id]).await;
        let fault = call(&office, &holder(&theirs, None), "getLoggedInUser", list![]).await.unwrap_err();
        assert_eq!((fault.code, fault.message.as_str()), (1002, "Invalid session or bad credentials"));
    }
}

async fn set(office: &Office, sql: &'static str, value: &Value) {
    let mut call = office.hub.internal().await.unwrap();
    call.tx.execute(sql, &[value.as_int().unwrap().into()]).await.unwrap();
    call.commit().await.unwrap();
}

async fn expire(office: &Office, id: i64) {
    set(office, "UPDATE sessions SET expired = TRUE WHERE id = $1", &id.into()).await;
}
