//! From a method name and arguments to a handler, in one transaction.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::pin::Pin;

use toji_api::task::MakeTask;
use toji_api::{Access, Declaration, Rpc};
use toji_bus::{Message, Topic};
use toji_db::Clash;
use toji_value::{Args, Fault, IntoValue, Map, Value, code};

use crate::batch::is_multicall;
use crate::plugin::{self, Plugins};
use crate::{Call, Hub, Request, batch, session};

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
    run: Run,
}

#[derive(Clone, Copy)]
enum Run {
    Handler(for<'a> fn(Args, &'a mut Call) -> Work<'a>),
    /// A call that the plugin of this number adds.
    Plugin(usize),
}

impl Method {
    fn of<R: Handle>() -> Self {
        Method { declaration: Declaration::of::<R>(), run: Run::Handler(run::<R>) }
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

/// Runs a call of a plugin, with the checks that every call has.
async fn run_added(
    args: Args,
    call: &mut Call,
    declaration: &Declaration,
    plugin: usize,
) -> Result<Value, Fault> {
    let values = args.bind(&declaration.signature)?;
    session::check_access(call, declaration.access).await?;
    plugin::call(call, plugin, declaration.signature.name, values).await
}

/// All methods by name.
pub(crate) struct Registry(HashMap<&'static str, Method>);

impl Registry {
    pub(crate) fn new(plugins: &Plugins) -> Self {
        let mut methods = HashMap::new();
        macro_rules! register {
            ($($rpc:ty),*) => {
                $( methods.insert(<$rpc as Rpc>::SIGNATURE.name, Method::of::<$rpc>()); )*
            };
        }
        toji_api::archive_rpcs!(register);
        toji_api::build_rpcs!(register);
        toji_api::builder_rpcs!(register);
        toji_api::buildroot_rpcs!(register);
        toji_api::buildroot_task_rpcs!(register);
        toji_api::catalog_rpcs!(register);
        toji_api::external_repo_rpcs!(register);
        toji_api::generator_rpcs!(register);
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
        toji_api::provenance_rpcs!(register);
        toji_api::repo_rpcs!(register);
        toji_api::scheduler_rpcs!(register);
        toji_api::task_rpcs!(register);
        toji_api::repo_host_rpcs!(register);
        toji_api::session_rpcs!(register);
        toji_api::sidetag_rpcs!(register);
        toji_api::signature_rpcs!(register);
        toji_api::signing_rpcs!(register);
        toji_api::solve_rpcs!(register);
        toji_api::submit_rpcs!(register);
        toji_api::system_rpcs!(register);
        toji_api::tag_rpcs!(register);
        toji_api::tagged_rpcs!(register);
        toji_api::target_rpcs!(register);
        toji_api::upload_rpcs!(register);
        toji_api::uploads_rpcs!(register);
        toji_api::user_rpcs!(register);
        for (at, export) in plugins.calls() {
            let declaration = plugin::declaration(export);
            let method = Method { declaration, run: Run::Plugin(at) };
            // What the hub itself answers cannot be taken from it.
            if let Entry::Vacant(free) = methods.entry(declaration.signature.name) {
                free.insert(method);
            } else {
                tracing::error!(method = export.name, "a plugin adds a call that exists");
            }
        }
        Registry(methods)
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Method, Fault> {
        self.0.get(name).ok_or_else(|| Fault::generic(format!("Invalid method: {name}")))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Declaration> {
        self.0.values().map(|m| &m.declaration)
    }
}

impl Hub {
    /// Answers one request: a call, or a multicall, in one transaction.
    ///
    /// When the database takes the transaction back because of another one (a deadlock, a change of the same
    /// rows), it is done again; the caller does not notice.
    ///
    /// # Errors
    /// The fault for the caller; nothing is changed then.
    pub async fn call(&self, request: &Request, method: &str, args: Args) -> Result<Value, Fault> {
        self.online()?;
        if !is_multicall(method) {
            self.registry.get(method)?;
        }
        let writes = is_multicall(method) || self.registry.get(method)?.declaration.writes;
        if !writes {
            return self.attempt(request, method, args).await.0;
        }
        // Nobody's files are in any place: who has not logged in takes back all by going away.
        if is_multicall(method) && request.session.is_none() && request.identity.is_none() {
            return self.write(request, method, args).await;
        }
        // A caller that goes away does not take back what was begun: its files may be in their places.
        let (hub, request, method) = (self.clone(), request.clone(), method.to_owned());
        let done = tokio::spawn(async move { hub.write(&request, &method, args).await });
        done.await.unwrap_or_else(|error| Err(Fault::unexpected(error.to_string())))
    }

    /// A call that may change something; done again when another one was in the way.
    async fn write(&self, request: &Request, method: &str, mut args: Args) -> Result<Value, Fault> {
        for number in 1.. {
            let again = (number < ATTEMPTS).then(|| args.clone());
            match (self.attempt(request, method, args).await, again) {
                ((result, Some(clash)), Some(again)) if number < attempts(clash) => {
                    let cause = result.err();
                    tracing::debug!(
                        method,
                        number,
                        ?clash,
                        ?cause,
                        "another transaction was in the way"
                    );
                    pause(number).await;
                    args = again;
                }
                ((result, _), _) => return result,
            }
        }
        Err(Fault::lock("the database is busy with conflicting changes, try again"))
    }

    /// One attempt in a transaction of its own; tells whether it met another transaction.
    async fn attempt(
        &self,
        request: &Request,
        method: &str,
        args: Args,
    ) -> (Result<Value, Fault>, Option<Clash>) {
        let mut call = Call::new(self.clone(), self.db.begin(), request.clone());
        call.method = method.to_owned();
        let result = answer(&mut call, method, args).await;
        let clash = call.tx.clash();
        // After a conflict, answers within a multicall may be wrong: it begins anew as a whole.
        let conflict = clash == Some(Clash::Conflict);
        match result {
            Ok(value) if !conflict && !call.doomed => match commit_with(call, Some(&value)).await {
                Ok(()) => (Ok(value), None),
                Err(refusal) => (Err(refusal.fault), refusal.clash),
            },
            other => {
                let Call { tx, files, .. } = call;
                tx.rollback().await.ok();
                files.abandon(self).await;
                let busy =
                    || Fault::lock("the database is busy with conflicting changes, try again");
                (other.and_then(|said| if conflict { Err(busy()) } else { Ok(said) }), clash)
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

    /// Opens a session-less call that only looks.
    pub fn reading(&self) -> Call {
        Call::new(self.clone(), self.db.begin(), Request::default())
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

    /// The declaration of a call, if this hub answers it.
    pub fn declaration(&self, method: &str) -> Option<&Declaration> {
        self.registry.0.get(method).map(|found| &found.declaration)
    }

    /// The declarations of all calls that this hub answers.
    pub fn declarations(&self) -> impl Iterator<Item = &Declaration> {
        self.registry.all()
    }
}

/// How often a call is begun at most.
const ATTEMPTS: u32 = 20;

/// How often a call is begun at most that met another one in this way: a key that is taken stays taken.
fn attempts(clash: Clash) -> u32 {
    match clash {
        Clash::Key => 6,
        Clash::Conflict => ATTEMPTS,
    }
}

/// Gives the other transactions time to end.
///
/// The spread grows with each attempt up to a second, in which PostgreSQL looks for deadlocks: of several calls that met each
/// other, one is then done before the others begin again.
async fn pause(number: u32) {
    use std::hash::{BuildHasher, RandomState};
    let longest = (8_u64 << number.min(7)).min(1000);
    let spread = RandomState::new().hash_one(number) % longest;
    tokio::time::sleep(std::time::Duration::from_millis(2 + spread)).await;
}

async fn answer(call: &mut Call, method: &str, args: Args) -> Result<Value, Fault> {
    match session::open(call).await {
        Err(fault) if fault.code == code::RETRY => {
            return session::kept_answer(call).await?.ok_or(fault);
        }
        other => other?,
    }
    if is_multicall(method) {
        return batch::multicall(call, args).await;
    }
    invoke(call, method, args).await
}

/// Runs one method within the transaction of `call`.
pub(crate) async fn invoke(call: &mut Call, method: &str, args: Args) -> Result<Value, Fault> {
    let hub = call.hub.clone();
    let found = hub.registry.get(method)?;
    session::check_lock(call, method).await?;
    match found.run {
        Run::Handler(handler) => handler(args, call).await,
        Run::Plugin(plugin) => run_added(args, call, &found.declaration, plugin).await,
    }
}

/// Makes a task for a caller who is logged in, whoever that is.
pub(crate) async fn make_task(call: &mut Call, args: Args) -> Result<Value, Fault> {
    let values = args.bind(&MakeTask::SIGNATURE)?;
    session::check_access(call, Access::Login).await?;
    Ok(MakeTask::from_bound(values)?.handle(call).await?.into_value())
}

/// A commit that did not come about.
pub(crate) struct Refusal {
    fault: Fault,
    clash: Option<Clash>,
    /// Whether it may have come about nevertheless: the connection was lost before the answer.
    undecided: bool,
}

impl From<toji_db::Error> for Refusal {
    fn from(error: toji_db::Error) -> Refusal {
        let clash = matches!(error, toji_db::Error::Conflict).then_some(Clash::Conflict);
        let undecided = matches!(error, toji_db::Error::Lost(_));
        Refusal { fault: error.into(), clash, undecided }
    }
}

/// Commits and then tells others; a failed commit tells nobody, and leaves no files.
pub(crate) async fn commit(call: Call) -> Result<(), Refusal> {
    commit_with(call, None).await
}

async fn commit_with(mut call: Call, answer: Option<&Value>) -> Result<(), Refusal> {
    let wrote = call.tx.has_writes();
    let after = wrote && call.listens("postCommit");
    let mut prepared = Ok(());
    if wrote {
        prepared = call.callback("preCommit", Map::new).await;
    }
    if prepared.is_ok() {
        prepared = session::remember_callnum(&mut call).await;
    }
    if let (Ok(()), Some(answer)) = (&prepared, answer) {
        prepared = session::keep_answer(&mut call, answer).await;
    }
    let Call { hub, tx, files, request, session, method, signals, messages, .. } = call;
    let committed = match prepared {
        Ok(()) => tx.commit().await.map_err(Refusal::from),
        Err(fault) => Err(Refusal { fault, clash: tx.clash(), undecided: false }),
    };
    if let Err(refusal) = committed {
        // What is undecided is left to the import journal, which looks at the database.
        if !refusal.undecided {
            files.abandon(&hub).await;
        }
        return Err(refusal);
    }
    files.finish(&hub).await;
    tell(&hub, signals, messages);
    if after {
        let mut call = Call::new(hub.clone(), hub.db.begin(), request);
        call.session = session;
        call.method = method;
        after_commit(call).await;
    }
    Ok(())
}

/// Runs the callback `postCommit`, in a transaction of its own: the call has succeeded, whatever comes of it.
async fn after_commit(mut call: Call) {
    let done = call.callback("postCommit", Map::new).await;
    let Call { hub, tx, files, signals, messages, .. } = call;
    let done = match done {
        Ok(()) => tx.commit().await.map_err(Fault::from),
        Err(fault) => {
            tx.rollback().await.ok();
            Err(fault)
        }
    };
    match done {
        Ok(()) => {
            files.finish(&hub).await;
            tell(&hub, signals, messages);
        }
        Err(fault) => {
            files.abandon(&hub).await;
            tracing::error!("{}", fault.message);
        }
    }
}

/// Wakes who waits for what was committed.
fn tell(hub: &Hub, signals: Vec<Topic>, messages: Vec<Message>) {
    signals.into_iter().for_each(|topic| hub.bus.signal(topic));
    if !messages.is_empty() {
        hub.bus.post(messages);
    }
}

impl Call {
    /// Commits the hub's own work and tells others.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn commit(self) -> Result<(), Fault> {
        commit(self).await.map_err(|refusal| refusal.fault)
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
