//! The first start: an administrator, a builder and the repository queue's user are made.
//!
//! Every step looks first whether it was done, so that a start that was interrupted goes on.

use anyhow::Context as _;
use toji_hub::{Hub, Request, SessionKey};
use toji_value::{Args, Map, Value, map};

use super::data::{Accounts, Dir, Login};

/// The channels that the builder of a single machine serves: all that this version has tasks for.
const CHANNELS: &[&str] = &["default", "createrepo", "image", "runroot"];

/// Makes the accounts, or finds those of an earlier start; there are logins for at least `builders` builders then.
pub(crate) async fn prepare(hub: &Hub, data: &Dir, builders: usize) -> anyhow::Result<Accounts> {
    let accounts = accounts(data, builders)?;
    let mut tx = hub.db.begin_write().await?;
    let (user, password) = (&accounts.admin_user, &accounts.admin_password);
    toji_db::setup::administrator(&mut tx, user, password).await?;
    tx.commit().await.context("failed to make the administrator")?;

    let admin = Admin::login(hub, &accounts).await?;
    for host in accounts.hosts() {
        add_host(&admin, &host.user).await?;
    }
    let queue_user = hub.config.repo.repo_queue_user.as_str();
    if admin.call("getUser", vec![queue_user.into()], Map::new()).await?.is_nil() {
        admin.call("createUser", vec![queue_user.into()], Map::new()).await?;
        admin.call("grantPermission", vec![queue_user.into(), "repo".into()], Map::new()).await?;
    }
    admin.call("logout", vec![], Map::new()).await?;
    let mut tx = hub.db.begin_write().await?;
    for host in accounts.hosts() {
        toji_db::setup::set_password(&mut tx, &host.user, &host.password).await?;
    }
    tx.commit().await.context("failed to set the builders' passwords")?;
    Ok(accounts)
}

/// The kept accounts, with what is missing added and kept.
fn accounts(data: &Dir, builders: usize) -> anyhow::Result<Accounts> {
    let kept = data.accounts()?;
    let fresh = kept.is_none();
    let mut accounts = match kept {
        Some(accounts) => accounts,
        None => Accounts {
            admin_user: "kojiadmin".to_owned(),
            admin_password: password()?,
            host_user: "builder.localdomain".to_owned(),
            host_password: password()?,
            more_hosts: Vec::new(),
        },
    };
    let missing = builders.saturating_sub(accounts.hosts().len());
    for _ in 0..missing {
        let user = format!("builder{}.localdomain", accounts.hosts().len() + 1);
        accounts.more_hosts.push(Login { user, password: password()? });
    }
    if fresh || missing > 0 {
        data.keep_accounts(&accounts)?;
    }
    Ok(accounts)
}

/// Makes a builder's host, unless it is there, in all channels.
async fn add_host(admin: &Admin<'_>, host: &str) -> anyhow::Result<()> {
    if admin.call("getHost", vec![host.into()], Map::new()).await?.is_nil() {
        let arch = std::env::consts::ARCH;
        admin.call("addHost", vec![host.into(), arch.into()], Map::new()).await?;
        admin.call("editHost", vec![host.into()], map! { "capacity" => 4.0 }).await?;
    }
    for channel in CHANNELS {
        let args = vec![host.into(), (*channel).into()];
        let channels = admin.call("listChannels", vec![host.into()], Map::new()).await?;
        let names = channels.as_array().unwrap_or_default();
        if !names.iter().any(|c| c.get("name").as_str() == Some(channel)) {
            admin.call("addHostToChannel", args, map! { "create" => true }).await?;
        }
    }
    Ok(())
}

/// The administrator's session, in this process.
struct Admin<'a> {
    hub: &'a Hub,
    request: Request,
}

impl<'a> Admin<'a> {
    async fn login(hub: &'a Hub, accounts: &Accounts) -> anyhow::Result<Admin<'a>> {
        let mut admin = Admin { hub, request: Request::default() };
        let credentials =
            vec![accounts.admin_user.as_str().into(), accounts.admin_password.as_str().into()];
        let session = admin.call("login", credentials, Map::new()).await?;
        let (Some(id), Some(key)) =
            (session.get("session-id").as_int(), session.get("session-key").as_str())
        else {
            anyhow::bail!("failed to log in as administrator");
        };
        admin.request.session = Some(SessionKey { id, key: key.to_owned(), callnum: None });
        Ok(admin)
    }

    async fn call(
        &self,
        method: &str,
        positional: Vec<Value>,
        keywords: Map,
    ) -> anyhow::Result<Value> {
        let args = Args { positional, keywords };
        let result = self.hub.call(&self.request, method, args).await;
        result.map_err(|fault| anyhow::anyhow!("failed to set up ({method}): {}", fault.message))
    }
}

/// A password of 24 letters and digits.
fn password() -> anyhow::Result<String> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(bytes.iter().map(|b| char::from(ALPHABET[usize::from(b % 32)])).collect())
}
