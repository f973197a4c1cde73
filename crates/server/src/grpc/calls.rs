//! `toji.hub.v1`: a method for each declared call, calls by name, and many in one transaction.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use toji_api::Declaration;
use toji_proto::hub::message::{self, Named};
use toji_proto::hub::wire::Back;
use toji_proto::tonic::{self, Status, Streaming};
use toji_value::{Args, Fault, Value};
use tokio::time::timeout_at;

use super::{multicall, raw, status};
use crate::front::Client;
use crate::{Shared, door};

/// A client that has not sent its message by then is given up.
const MESSAGE: Duration = Duration::from_secs(60);

/// The services' state.
#[derive(Clone)]
pub(super) struct Service {
    shared: Shared,
    /// The declared calls by their names in gRPC.
    methods: Arc<HashMap<&'static str, Declaration>>,
}

/// Who calls, and how long they wait.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) request: toji_hub::Request,
    pub(super) end: Option<tokio::time::Instant>,
}

impl Service {
    pub(super) fn new(shared: Shared) -> Self {
        let declared = toji_api::declarations().map(|call| (call.type_name, *call));
        let methods = Arc::new(declared.collect());
        Service { shared, methods }
    }

    fn limit(&self) -> usize {
        self.shared.hub.config.max_request_length
    }

    /// Answers a method of the service with all calls.
    pub(super) async fn hub(self, request: Request) -> Response {
        let name = method(&request);
        let Some(declaration) = self.methods.get(name.as_str()).copied() else {
            return refuse(status::unknown(&name));
        };
        let logs_in = declaration.signature.name == door::SSL_LOGIN;
        let (request, caller, login) = match self.caller(request, logs_in).await {
            Ok(caller) => caller,
            Err(response) => return response,
        };
        let shared = self.shared.clone();
        let begun = Begun::default();
        let come = begun.clone();
        let answer = move |sent: tonic::Request<Bytes>| {
            let (shared, caller) = (shared.clone(), caller.clone());
            come.0.store(true, Ordering::Relaxed);
            async move {
                let args = message::read_args(&declaration, &sent.into_inner());
                let args = args.map_err(status::malformed)?;
                let name = declaration.signature.name;
                let value = call(&shared, &caller, name, args, declaration.writes).await?;
                let result = message::write_result(&declaration, &value);
                let result = result.ok_or_else(|| {
                    tracing::error!(name, "an answer is not of the declared type");
                    status::of_fault(&Fault::unexpected("the answer is not of its declared type"))
                })?;
                Ok::<_, Status>(tonic::Response::new(result))
            }
        };
        let mut grpc = raw::grpc(self.limit());
        let mut response = begun.within(grpc.unary(tower::service_fn(answer), request)).await;
        if let Some(login) = login {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, login);
        }
        response
    }

    /// Answers a method of the service for calls by name.
    pub(super) async fn calls(self, request: Request) -> Response {
        let name = method(&request);
        let (request, caller, _) = match self.caller(request, false).await {
            Ok(caller) => caller,
            Err(response) => return response,
        };
        let shared = self.shared.clone();
        let mut grpc = raw::grpc(self.limit());
        match name.as_str() {
            "Call" => {
                let begun = Begun::default();
                let come = begun.clone();
                let answer = move |sent: tonic::Request<Bytes>| {
                    let (shared, caller) = (shared.clone(), caller.clone());
                    come.0.store(true, Ordering::Relaxed);
                    async move { by_name(&shared, &caller, &sent.into_inner()).await }
                };
                begun.within(grpc.unary(tower::service_fn(answer), request)).await
            }
            "Multicall" => {
                let answer = move |sent: tonic::Request<Streaming<Bytes>>| {
                    let (shared, caller) = (shared.clone(), caller.clone());
                    let answers = multicall::answer(shared, caller, sent.into_inner());
                    std::future::ready(Ok::<_, Status>(tonic::Response::new(answers)))
                };
                grpc.streaming(tower::service_fn(answer), request).await.map(Body::new)
            }
            _ => refuse(Status::unimplemented(format!("Invalid method: {name}"))),
        }
    }

    async fn caller(
        &self,
        request: Request,
        logs_in: bool,
    ) -> Result<(Request, Caller, Option<axum::http::HeaderValue>), Response> {
        let Some(client) = request.extensions().get::<Client>().cloned() else {
            return Err(refuse(Status::internal("the client of a request is not known")));
        };
        let headers = request.headers();
        let end = status::timeout(headers).map_err(refuse)?;
        let end =
            end.map(|time| tokio::time::Instant::now() + time.min(Duration::from_secs(86_400)));
        let caller = door::caller_or_bearer(headers, &client);
        let mut caller = caller.map_err(|fault| refuse(status::of_fault(&fault)))?;
        let login = door::identify(&self.shared, &client, headers, &mut caller, logs_in).await?;
        Ok((request, Caller { request: caller, end }, login))
    }
}

/// Whether the message of a call has come.
#[derive(Clone, Default)]
struct Begun(Arc<AtomicBool>);

impl Begun {
    /// The answer of a call, whose message must come in time.
    async fn within(
        &self,
        answer: impl Future<Output = axum::http::Response<tonic::body::Body>>,
    ) -> Response {
        let late = async {
            tokio::time::sleep(MESSAGE).await;
            if self.0.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            response = answer => response.map(Body::new),
            () = late => refuse(Status::deadline_exceeded("the message does not come")),
        }
    }
}

/// The method in the path of a request.
fn method(request: &Request) -> String {
    request.uri().path().rsplit('/').next().unwrap_or_default().to_owned()
}

fn refuse(status: Status) -> Response {
    status.into_http::<Body>().into_response()
}

/// Does a call in the time that its caller gives it.
///
/// A reading call whose caller has gone, or waits no longer, is interrupted, down to its statement. A writing one is not begun
/// then; one that has begun is done whatever happens, as at the other doors.
async fn call(
    shared: &Shared,
    caller: &Caller,
    method: &str,
    args: Args,
    writes: bool,
) -> Result<Value, Status> {
    let late = || Status::deadline_exceeded("the time for the call is over");
    let Some(end) = caller.end else {
        return shared.hub.call(&caller.request, method, args).await.map_err(|f| fault(method, &f));
    };
    if writes && end <= tokio::time::Instant::now() {
        return Err(late());
    }
    let done = timeout_at(end, shared.hub.call(&caller.request, method, args)).await;
    done.map_err(|_| late())?.map_err(|f| fault(method, &f))
}

fn fault(method: &str, fault: &Fault) -> Status {
    tracing::info!(method, code = fault.code, text = fault.message, "call failed");
    status::of_fault(fault)
}

async fn by_name(
    shared: &Shared,
    caller: &Caller,
    sent: &[u8],
) -> Result<tonic::Response<Vec<u8>>, Status> {
    let Named { method, args, .. } = message::read_named(sent).map_err(status::malformed)?;
    let writes = shared.hub.declaration(&method).is_none_or(|declaration| declaration.writes);
    let args = Args { positional: args.positional, keywords: args.keywords };
    let value = call(shared, caller, &method, args, writes).await?;
    let mut out = Back::default();
    out.value(1, &value);
    Ok(tonic::Response::new(out.as_bytes().to_vec()))
}
