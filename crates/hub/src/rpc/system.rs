//! Calls about the hub itself.

use toji_api::Declaration;
use toji_api::system::*;
use toji_value::{Args, Default as Preset, Fault, Map, ParamKind, Value, list, map};

use crate::Call;
use crate::dispatch::{Handle, invoke};
use crate::listing::compare;

/// The version of Koji whose behaviour is followed.
pub const KOJI_VERSION: &str = "1.36.1";

impl Handle for Hello {
    async fn handle(self, _: &mut Call) -> Result<String, Fault> {
        Ok("Hello World".to_owned())
    }
}

impl Handle for Echo {
    async fn handle(self, _: &mut Call) -> Result<Value, Fault> {
        Ok(Value::Array(self.args))
    }
}

impl Handle for Error {
    async fn handle(self, _: &mut Call) -> Result<Value, Fault> {
        Err(Fault::generic("test error"))
    }
}

impl Handle for toji_api::system::Fault {
    async fn handle(self, _: &mut Call) -> Result<Value, toji_value::Fault> {
        Err(toji_value::Fault::unexpected("test exception"))
    }
}

impl Handle for GetAPIVersion {
    async fn handle(self, _: &mut Call) -> Result<i64, Fault> {
        Ok(1)
    }
}

impl Handle for GetKojiVersion {
    async fn handle(self, _: &mut Call) -> Result<String, Fault> {
        Ok(KOJI_VERSION.to_owned())
    }
}

impl Handle for ShowOpts {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let config = &call.hub.config;
        let options = map! {
            "KojiDir" => config.topdir.to_string_lossy().into_owned(),
            "KojiWebURL" => &config.web_url,
            "EmailDomain" => &config.email_domain,
            "NotifyOnSuccess" => config.notify_on_success,
            "DisableNotifications" => config.disable_notifications,
            "LoginCreatesUser" => config.login_creates_user,
            "CheckClientIP" => config.check_client_ip,
            "LockOut" => config.lock_out,
            "SessionRenewalTimeout" => config.session_renewal_timeout,
            "EnableMaven" => config.enable_maven,
            "EnableWin" => config.enable_win,
        };
        let options = Value::Struct(options);
        Ok(if self.as_string { Value::Str(options.repr()) } else { options })
    }
}

impl Handle for Listapi {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        Ok(Value::Array(call.hub.declarations().map(|d| describe(d).into()).collect()))
    }
}

impl Handle for SystemListMethods {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let names = call.hub.declarations().map(|d| d.signature.name);
        let mut names: Vec<&str> = names.filter(|name| !OWN.contains(name)).collect();
        names.sort_by_key(place);
        Ok(Value::Array(names.into_iter().map(Value::from).collect()))
    }
}

impl Handle for SystemMethodHelp {
    async fn handle(self, call: &mut Call) -> Result<String, Fault> {
        let Ok(method) = call.hub.registry.get(&self.method) else { return Ok(String::new()) };
        let declaration = &method.declaration;
        let call_text = format!("{}{}", self.method, signature_text(declaration));
        Ok(format!("{call_text}\ndescription: {}", declaration.doc))
    }
}

impl Handle for SystemMethodSignature {
    async fn handle(self, _: &mut Call) -> Result<String, Fault> {
        Ok("signatures not supported".to_owned())
    }
}

/// Calls that a Koji hub does not have, or only with plugins that few sites load; clients that compare lists of
/// methods are not told of them.
const OWN: &[&str] = &[
    "createBuilderToken",
    "dropBuilderToken",
    "dudBuild",
    "host.createDistRepo",
    "host.createRepo",
    "host.enrol",
    "host.planBuildRoot",
    "host.planRepo",
    "host.renewCredential",
    "host.returnTask",
    "host.setBuildRootLockfile",
    "host.uploadToken",
    "kiwiBuild",
    "keys.add",
    "keys.list",
    "keys.remove",
    "listBuilderTokens",
    "provenance.get",
    "provenance.keys",
    "provenance.renew",
    "provenance.sbom",
    "rebuildCompare",
    "renameRPMSig",
    "repo.metadataJob",
    "repo.setMetadataJob",
    "revokeBuilder",
    "runInFailedTree",
    "scheduler.explain",
    "scheduler.forecast",
    "signatures.index",
    "signatures.list",
    "signatures.verify",
    "signing.cancel",
    "signing.fail",
    "signing.header",
    "signing.list",
    "signing.request",
    "signing.submit",
    "signing.take",
    "solve.depends",
    "solve.install",
    "solve.lockfile",
    "solve.lockfiles",
    "solve.why",
    "uploads.begin",
    "uploads.finish",
];

/// Groups of calls in the order in which a Koji hub registers them; others come in between, by name.
const FIRST: &[&str] =
    &["_listapi", "system.listMethods", "system.methodSignature", "system.methodHelp"];
const AREAS: &[&str] = &["host.", "scheduler.", "repo."];
const LAST: &[&str] = &[
    "login",
    "sslLogin",
    "logout",
    "subsession",
    "logoutChild",
    "exclusiveSession",
    "sharedSession",
    "createSideTag",
    "removeSideTag",
    "listSideTags",
    "editSideTag",
    "runroot",
    "saveFailedTree",
];

/// What a call's name sorts by in the list of methods.
fn place<'a>(name: &&'a str) -> (usize, usize, &'a str) {
    let within = |list: &[&str]| list.iter().position(|n| n == name);
    if let Some(n) = within(FIRST) {
        return (0, n, name);
    }
    if let Some(n) = within(LAST) {
        return (AREAS.len() + 2, n, name);
    }
    (1, AREAS.iter().position(|a| name.starts_with(a)).map_or(0, |n| n + 1), name)
}

/// A call as `_listapi` shows it; `argspec` has the layout of Python's `getfullargspec`.
fn describe(declaration: &Declaration) -> Map {
    let params = declaration.signature.params;
    let listed = || params.iter().filter(|p| p.kind != ParamKind::Named);
    let names = |kind| params.iter().filter(move |p| p.kind == kind);
    let plain: Vec<&str> = names(ParamKind::Plain).map(|p| p.name).collect();
    let first = |kind| names(kind).next().map(|p| p.name);
    let defaults: Vec<Value> =
        listed().filter_map(|p| p.default.as_ref()).map(Preset::value).collect();
    let defaults = (!defaults.is_empty()).then_some(defaults);
    let args: Vec<Value> = listed()
        .map(|p| match &p.default {
            Some(default) => list![p.name, default.value()],
            None => Value::from(p.name),
        })
        .collect();
    map! {
        "name" => declaration.signature.name,
        "doc" => declaration.doc,
        "argspec" => list![
            plain, first(ParamKind::Rest), first(ParamKind::Keywords), defaults,
            list![], Value::Nil, Value::Struct(Map::new())
        ],
        "argdesc" => signature_text(declaration),
        "args" => args,
    }
}

/// The parameters as Python writes a signature: `(tag, event=None, *args, **kw)`.
fn signature_text(declaration: &Declaration) -> String {
    let params = declaration.signature.params.iter();
    let listed = params.filter(|p| p.kind != ParamKind::Named);
    let params = listed.map(|p| match (p.kind, &p.default) {
        (ParamKind::Named, _) => String::new(),
        (ParamKind::Rest, _) => format!("*{}", p.name),
        (ParamKind::Keywords, _) => format!("**{}", p.name),
        (ParamKind::Plain, Some(default)) => format!("{}={}", p.name, default.value().repr()),
        (ParamKind::Plain, None) => p.name.to_owned(),
    });
    format!("({})", params.collect::<Vec<_>>().join(", "))
}

impl Handle for GetLastEvent {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let before = match &self.before {
            Value::Nil => None,
            Value::Bool(b) => Some(f64::from(u8::from(*b))),
            Value::Int(_) | Value::Double(_) => self.before.as_f64(),
            other => {
                let kind = other.type_name();
                let text = format!("Invalid type for before: <class '{kind}'>");
                return Err(Fault::generic(text));
            }
        };
        let found = toji_db::event::last(&mut call.tx, before).await?;
        match found {
            Some(row) => Ok(row.into_map().into()),
            None if self.strict.0 => Err(toji_db::Error::NoRows.into()),
            None => Ok(Value::Nil),
        }
    }
}

impl Handle for GetEvent {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        match toji_db::event::get(&mut call.tx, crate::lookup::fit(self.id)).await? {
            Some(row) => Ok(row.into_map().into()),
            None if self.strict.0 => Err(toji_db::Error::NoRows.into()),
            None => Ok(Value::Nil),
        }
    }
}

impl Handle for Count {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        known(call, &self.method_name)?;
        let args = Args { positional: self.args, keywords: self.kw };
        let length = match Box::pin(invoke(call, &self.method_name, args)).await? {
            Value::Nil => 0,
            Value::Array(items) => items.len(),
            Value::Struct(map) => map.len(),
            _ => 1,
        };
        Ok(i64::try_from(length).unwrap_or(i64::MAX))
    }
}

impl Handle for FilterResults {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        Ok(filtered(call, &self.method_name, self.args, self.kw).await?.1)
    }
}

impl Handle for CountAndFilterResults {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let (total, items) = filtered(call, &self.method_name, self.args, self.kw).await?;
        Ok(list![total, items])
    }
}

fn known(call: &Call, method: &str) -> Result<(), Fault> {
    let missing = |_| Fault::generic(format!("Invalid method: {method}"));
    call.hub.registry.get(method).map(drop).map_err(missing)
}

/// Runs another call of the hub that answers a list; gives its length and what the member
/// `filterOpts` of the keywords leaves of it.
async fn filtered(
    call: &mut Call,
    method: &str,
    positional: Vec<Value>,
    mut keywords: Map,
) -> Result<(usize, Value), Fault> {
    known(call, method)?;
    let options = keywords.remove("filterOpts").unwrap_or_else(|| Map::new().into());
    let args = Args { positional, keywords };
    let answer = Box::pin(invoke(call, method, args)).await.map_err(|fault| {
        Fault::generic(format!("method {method} raised an exception ({})", fault.message))
    })?;
    match answer {
        // Koji's answer of `echo` is a tuple.
        Value::Array(items) if method != "echo" => {
            Ok((items.len(), Value::Array(filter(items, &options)?)))
        }
        Value::Nil => Ok((0, Value::Nil)),
        _ => Err(Fault::generic(format!("{method}() did not return a list"))),
    }
}

/// Orders by one member (`-name` descends; nil is greatest unless `noneGreatest` is false), then takes
/// offset and limit, which count from the end where they are negative.
fn filter(mut items: Vec<Value>, options: &Value) -> Result<Vec<Value>, Fault> {
    if options.as_struct().is_none() {
        return Err(Fault::parameter(format!("filterOpts must be a struct: {}", options.repr())));
    }
    if options.get("order").truthy() {
        let order = crate::check::text(options.get("order"))?;
        let nil_last = options.as_struct().and_then(|map| map.get("noneGreatest"));
        let nil_last = nil_last.is_none_or(Value::truthy);
        let (name, descending) = order.strip_prefix('-').map_or((order, false), |k| (k, true));
        let known = |item: &Value| item.as_struct().is_some_and(|map| map.contains_key(name));
        if !items.iter().all(known) {
            return Err(Fault::generic(format!("Invalid order: {name}")));
        }
        items.sort_by(|a, b| {
            let (a, b) = (a.get(name), b.get(name));
            let order = match a.is_nil() != b.is_nil() && !nil_last {
                true => compare(b, a),
                false => compare(a, b),
            };
            if descending { order.reverse() } else { order }
        });
    }
    if let Some(offset) = slice_end(options.get("offset"), items.len())? {
        items.drain(..offset);
    }
    if let Some(limit) = slice_end(options.get("limit"), items.len())? {
        items.truncate(limit);
    }
    Ok(items)
}

/// The place in a list of `length` items that a slice's bound means; nil is no bound.
fn slice_end(bound: &Value, length: usize) -> Result<Option<usize>, Fault> {
    let from_end =
        |n: i64| length.saturating_sub(usize::try_from(n.unsigned_abs()).unwrap_or(length));
    Ok(match bound {
        Value::Nil => None,
        Value::Int(n) if *n < 0 => Some(from_end(*n)),
        Value::Int(n) => Some(usize::try_from(*n).unwrap_or(length).min(length)),
        Value::Bool(b) => Some(usize::from(*b).min(length)),
        other => {
            let text = format!("slice indices must be integers or None: {}", other.repr());
            return Err(Fault::parameter(text));
        }
    })
}
