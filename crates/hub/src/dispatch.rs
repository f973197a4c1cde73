//! From a method name and arguments to a handler, in one transaction.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;

use toji_api::{Access, Declaration, Rpc};
use toji_value::{Args, Fault, IntoValue, Map, Value};

use crate::files::Mark;
use crate::{Call, Hub, Request, session};

/// The handler of a declared call.
///
/// Every declared call must have one, or the registration in this module does not compile.
pub trait Handle: Rpc {
    /// Does the work; access has been checked as declared.
    fn handle(self, call: &mut Call) -> impl Future<Output = Result<Self::Output, Fault>> + Send;
}

type Work<'a> = Pin<Box<dyn Future<Output = Result<Value, Fault>> + Send + 'a>>;

/// A declared call with its handler.
pub(crate) struct Method {
    pub(crate) declaration: Declaration,
    run: for<'a> fn(Args, &'a mut Call) -> Work<'a>,
}

impl Method {
    fn of<R: Handle>() -> Self {
        Method { declaration: Declaration::of::<R>(), run: run::<R> }
    }
}

fn run<R: Handle>(args: Args, call: &mut Call) -> Work<'_> {
    Box::pin(async move {
        let values = args.bind(&R::SIGNATURE)?;
        session::check_access(call, R::ACCESS).await?;
        let request = R::from_bound(values)?;
        Ok(request.handle(call).await?.into_value())
    })
}

/// All methods by name.
pub(crate) struct Registry(HashMap<&'static str, Method>);

impl Registry {
    pub(crate) fn new() -> Self {
        let mut methods = HashMap::new();
        macro_rules! register {
            ($($rpc:ty),*) => {
                $( methods.insert(<$rpc as Rpc>::SIGNATURE.name, Method::of::<$rpc>()); )*
            };
        }
        toji_api::archive_rpcs!(register);
        toji_api::build_rpcs!(register);
        toji_api::buildroot_rpcs!(register);
        toji_api::catalog_rpcs!(register);
        toji_api::external_repo_rpcs!(register);
        toji_api::group_rpcs!(register);
        toji_api::history_rpcs!(register);
        toji_api::host_archive_rpcs!(register);
        toji_api::host_build_rpcs!(register);
        toji_api::import_rpcs!(register);
        toji_api::rpm_rpcs!(register);
        toji_api::tagging_rpcs!(register);
        toji_api::host_rpcs!(register);
        toji_api::host_task_rpcs!(register);
        toji_api::notification_rpcs!(register);
        toji_api::package_rpcs!(register);
        toji_api::policy_rpcs!(register);
        toji_api::repo_rpcs!(register);
        toji_api::scheduler_rpcs!(register);
        toji_api::task_rpcs!(register);
        toji_api::repo_host_rpcs!(register);
        toji_api::session_rpcs!(register);
        toji_api::submit_rpcs!(register);
        toji_api::system_rpcs!(register);
        toji_api::tag_rpcs!(register);
        toji_api::tagged_rpcs!(register);
        toji_api::target_rpcs!(register);
        toji_api::upload_rpcs!(register);
        toji_api::user_rpcs!(register);
        Registry(methods)
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Method, Fault> {
        self.0.get(name).ok_or_else(|| Fault::generic(format!("Invalid method: {name}")))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Declaration> {
        self.0.values().map(|m| &m.declaration)
    }
}

/// The two names of the call that carries other calls.
fn is_multicall(method: &str) -> bool {
    matches!(method, "multiCall" | "system.multicall")
}

impl Hub {
    /// Answers one request: a call, or a multicall, in one transaction.
    ///
    /// # Errors
    /// The fault for the caller; nothing is changed then.
    pub async fn call(&self, request: &Request, method: &str, args: Args) -> Result<Value, Fault> {
        self.online()?;
        if !is_multicall(method) {
            self.registry.get(method)?;
        }
        let tx = self.db.begin();
        let mut call = Call::new(self.clone(), tx, request.clone());
        call.method = method.to_owned();
        let result = answer(&mut call, method, args).await;
        match result {
            Ok(value) => {
                commit(call).await?;
                Ok(value)
            }
            Err(fault) => {
                let Call { tx, mut files, .. } = call;
                tx.rollback().await.ok();
                files.roll_back(self, Mark::default()).await;
                Err(fault)
            }
        }
    }

    /// Opens a session-less call for the hub's own work (scheduler, repository daemon).
    ///
    /// # Errors
    /// When the database's writer cannot be had.
    pub async fn internal(&self) -> Result<Call, Fault> {
        Ok(Call::new(self.clone(), self.db.begin_write().await?, Request::default()))
    }

    /// The host of a builder that shows its session outside a call (its live connection).
    ///
    /// # Errors
    /// `AuthError` for everybody but a builder in its exclusive session.
    pub async fn identify_host(&self, request: &Request) -> Result<i64, Fault> {
        self.online()?;
        let mut call = Call::new(self.clone(), self.db.begin(), request.clone());
        session::open(&mut call).await?;
        call.verified_host().await
    }

    /// The declarations of all calls that this hub answers.
    pub fn declarations(&self) -> impl Iterator<Item = &Declaration> {
        self.registry.all()
    }
}

async fn answer(call: &mut Call, method: &str, args: Args) -> Result<Value, Fault> {
    session::open(call).await?;
    if is_multicall(method) {
        return multicall(call, args).await;
    }
    invoke(call, method, args).await
}

/// Runs one method within the transaction of `call`.
pub(crate) async fn invoke(call: &mut Call, method: &str, args: Args) -> Result<Value, Fault> {
    let hub = call.hub.clone();
    let found = hub.registry.get(method)?;
    session::check_lock(call, method).await?;
    (found.run)(args, call).await
}

/// Runs the calls of a multicall one after the other, each in a savepoint.
///
/// Each result is a list of one value, each failure a fault struct (the convention of
/// `system.multicall`).
async fn multicall(call: &mut Call, args: Args) -> Result<Value, Fault> {
    let Some(Value::Array(calls)) = args.positional.into_iter().next() else {
        return Err(Fault::parameter("a multicall needs a list of calls"));
    };
    let mut results = Vec::with_capacity(calls.len());
    for inner in calls {
        let savepoint = call.tx.savepoint().await?;
        let signals = call.signals.len();
        let files = call.files.mark();
        match inner_call(call, inner).await {
            Ok(value) => {
                call.tx.release(savepoint).await?;
                results.push(Value::Array(vec![value]));
            }
            Err(fault) => {
                call.tx.rollback_to(savepoint).await?;
                call.signals.truncate(signals);
                let hub = call.hub.clone();
                call.files.roll_back(&hub, files).await;
                results.push(Value::Struct(fault_struct(&fault)));
            }
        }
        // A later call must not reuse an event that a rollback may have taken away.
        call.tx.reset_event();
    }
    Ok(Value::Array(results))
}

async fn inner_call(call: &mut Call, inner: Value) -> Result<Value, Fault> {
    let Value::Struct(mut inner) = inner else {
        return Err(Fault::parameter("each call of a multicall is a struct"));
    };
    let method = match inner.remove("methodName") {
        Some(Value::Str(name)) => name,
        _ => return Err(Fault::parameter("a call of a multicall has no methodName")),
    };
    let params = match inner.remove("params") {
        Some(Value::Array(params)) => params,
        _ => return Err(Fault::parameter("a call of a multicall has no list of params")),
    };
    if is_multicall(&method) {
        return Err(Fault::generic("a multicall cannot hold another one"));
    }
    call.method.clone_from(&method);
    Box::pin(invoke(call, &method, Args::decode(params))).await
}

fn fault_struct(fault: &Fault) -> Map {
    toji_value::map! {
        "faultCode" => fault.code,
        "faultString" => &fault.message,
        "traceback" => toji_value::list![],
    }
}

/// Commits and then tells others; a failed commit tells nobody.
pub(crate) async fn commit(mut call: Call) -> Result<(), Fault> {
    session::remember_callnum(&mut call).await?;
    let mut signals = std::mem::take(&mut call.signals);
    let Call { hub, tx, files, .. } = call;
    tx.commit().await?;
    files.finish(&hub).await;
    for topic in signals.drain(..) {
        hub.bus.signal(topic);
    }
    Ok(())
}

impl Call {
    /// Commits the hub's own work and tells others.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn commit(self) -> Result<(), Fault> {
        commit(self).await
    }

    /// Whether a declared access would be granted to this caller.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn allows(&mut self, access: Access) -> Result<bool, Fault> {
        match session::check_access(self, access).await {
            Ok(()) => Ok(true),
            Err(fault) if fault.code == toji_value::code::UNEXPECTED => Err(fault),
            Err(_) => Ok(false),
        }
    }
}
