//! Calls about the hub itself.

use toji_api::Declaration;
use toji_api::system::*;
use toji_value::{Args, Default as Preset, Fault, Map, ParamKind, Value, list, map};

use crate::Call;
use crate::dispatch::{Handle, invoke};

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
        let names = call.hub.declarations().map(|d| Value::from(d.signature.name));
        Ok(Value::Array(names.collect()))
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

/// A call as `_listapi` shows it; `argspec` has the layout of Python's `getfullargspec`.
fn describe(declaration: &Declaration) -> Map {
    let params = declaration.signature.params;
    let names = |kind| params.iter().filter(move |p| p.kind == kind);
    let plain: Vec<&str> = names(ParamKind::Plain).map(|p| p.name).collect();
    let first = |kind| names(kind).next().map(|p| p.name);
    let defaults: Vec<Value> =
        params.iter().filter_map(|p| p.default.as_ref()).map(Preset::value).collect();
    let defaults = (!defaults.is_empty()).then_some(defaults);
    let args: Vec<Value> = params
        .iter()
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
    let params = declaration.signature.params.iter().map(|p| match (p.kind, &p.default) {
        (ParamKind::Rest, _) => format!("*{}", p.name),
        (ParamKind::Keywords, _) => format!("**{}", p.name),
        (ParamKind::Plain, Some(default)) => format!("{}={}", p.name, default.value().repr()),
        (ParamKind::Plain, None) => p.name.to_owned(),
    });
    format!("({})", params.collect::<Vec<_>>().join(", "))
}

impl Handle for GetLastEvent {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = toji_db::event::last(&mut call.tx, self.before).await?;
        match found {
            Some(row) => Ok(row.into_map().into()),
            None if self.strict => Err(Fault::generic("No event found")),
            None => Ok(Value::Nil),
        }
    }
}

impl Handle for GetEvent {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        match toji_db::event::get(&mut call.tx, self.id).await? {
            Some(row) => Ok(row.into_map().into()),
            None if self.strict => Err(Fault::generic(format!("No such event: {}", self.id))),
            None => Ok(Value::Nil),
        }
    }
}

impl Handle for Count {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let answer = listing(call, &self.method_name, self.args, self.kw).await?;
        Ok(i64::try_from(answer.len()).unwrap_or(i64::MAX))
    }
}

impl Handle for FilterResults {
    async fn handle(mut self, call: &mut Call) -> Result<Value, Fault> {
        let options = self.kw.remove("filterOpts").unwrap_or_default();
        let answer = listing(call, &self.method_name, self.args, self.kw).await?;
        Ok(Value::Array(filter(answer, &options)?))
    }
}

impl Handle for CountAndFilterResults {
    async fn handle(mut self, call: &mut Call) -> Result<Value, Fault> {
        let options = self.kw.remove("filterOpts").unwrap_or_default();
        let answer = listing(call, &self.method_name, self.args, self.kw).await?;
        let total = answer.len();
        Ok(list![total, Value::Array(filter(answer, &options)?)])
    }
}

/// Runs another call of the hub that answers a list.
async fn listing(
    call: &mut Call,
    method: &str,
    positional: Vec<Value>,
    keywords: Map,
) -> Result<Vec<Value>, Fault> {
    let args = Args { positional, keywords };
    match Box::pin(invoke(call, method, args)).await? {
        Value::Array(items) => Ok(items),
        Value::Nil => Ok(Vec::new()),
        _ => Err(Fault::generic(format!("{method} does not return a list"))),
    }
}

/// Orders by members (`-name` descends), then takes offset and limit.
fn filter(mut items: Vec<Value>, options: &Value) -> Result<Vec<Value>, Fault> {
    if let Some(order) = options.get("order").as_str() {
        // Sorting by the last key first keeps the sort stable over all keys.
        for key in order.split(',').rev() {
            let (name, descending) = key.strip_prefix('-').map_or((key, false), |k| (k, true));
            items.sort_by(|a, b| {
                let order = compare(a.get(name), b.get(name));
                if descending { order.reverse() } else { order }
            });
        }
    }
    let offset = usize::try_from(options.get("offset").as_int().unwrap_or(0)).unwrap_or(0);
    let limit = options.get("limit").as_int().and_then(|l| usize::try_from(l).ok());
    Ok(items.into_iter().skip(offset).take(limit.unwrap_or(usize::MAX)).collect())
}

/// Nil sorts first; numbers and texts among themselves; other pairs are equal.
fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a, b) {
        (Value::Str(a), Value::Str(b)) => a.cmp(b),
        (Value::Nil, Value::Nil) => std::cmp::Ordering::Equal,
        (Value::Nil, _) => std::cmp::Ordering::Less,
        (_, Value::Nil) => std::cmp::Ordering::Greater,
        _ => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => std::cmp::Ordering::Equal,
        },
    }
}
