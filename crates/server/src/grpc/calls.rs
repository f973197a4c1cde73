//! `toji.hub.v1`: a method for each declared call, calls by name, and many in one transaction.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use toji_api::Declaration;
use toji_proto::hub::message::{self, Named};
use toji_proto::hub::wire::Back;
use toji_proto::tonic::Status;
use toji_value::{Args, Fault, Value};
use tokio::time::timeout_at;

use super::{multicall, raw, status, unary};
use crate::crowd::Place;
use crate::front::Client;
use crate::{Shared, crowd, door};

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

impl Caller {
    /// Waits for something as long as the caller does.
    async fn waits<T>(&self, work: impl Future<Output = T>) -> Result<T, Status> {
        match self.end {
            Some(end) => timeout_at(end, work).await.map_err(|_| late()),
            None => Ok(work.await),
        }
    }
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
        let (parts, body) = request.into_parts();
        let name = method(&parts);
        let Some(declaration) = self.methods.get(name).copied() else {
            return refuse(status::unknown(name));
        };
        let logs_in = declaration.signature.name == door::SSL_LOGIN;
        let (caller, login) = match self.caller(&parts, logs_in).await {
            Ok(caller) => caller,
            Err(response) => return response,
        };
        let mut response =
            self.declared(declaration, &caller, &parts.headers, body).await.unwrap_or_else(refuse);
        if let Some(login) = login {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, login);
        }
        response
    }

    async fn declared(
        &self,
        declaration: Declaration,
        caller: &Caller,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, Status> {
        let name = declaration.signature.name;
        let sent = caller.waits(unary::read(headers, body, self.limit())).await??;
        let args = door::off_thread(sent.len(), move || message::read_args(&declaration, &sent));
        let args = args.await.map_err(|fault| status::of_fault(&fault))?;
        let args = args.map_err(status::malformed)?;
        let (_place, value) = call(&self.shared, caller, name, args, declaration.writes).await?;
        let result = message::write_result(&declaration, &value).ok_or_else(|| {
            tracing::error!(name, "an answer is not of the declared type");
            status::of_fault(&Fault::unexpected("the answer is not of its declared type"))
        })?;
        Ok(unary::answer(headers, result.framed()).await)
    }

    /// Answers a method of the service for calls by name.
    pub(super) async fn calls(self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let (caller, _) = match self.caller(&parts, false).await {
            Ok(caller) => caller,
            Err(response) => return response,
        };
        match method(&parts) {
            "Call" => self.by_name(&caller, &parts.headers, body).await.unwrap_or_else(refuse),
            "Multicall" => {
                let gzip = unary::accepts_gzip(&parts.headers);
                let packed = match unary::is_packed(&parts.headers) {
                    Ok(packed) => packed,
                    Err(status) => return refuse(status),
                };
                let sent = raw::messages(body, packed, self.limit());
                let answers = multicall::answer(self.shared.clone(), caller, sent, gzip);
                unary::begin(Body::new(answers), gzip)
            }
            name => refuse(Status::unimplemented(format!("Invalid method: {name}"))),
        }
    }

    async fn by_name(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, Status> {
        let sent = caller.waits(unary::read(headers, body, self.limit())).await??;
        let named = door::off_thread(sent.len(), move || message::read_named(&sent)).await;
        let named = named.map_err(|fault| status::of_fault(&fault))?;
        let Named { method, args, .. } = named.map_err(status::malformed)?;
        let known = self.shared.hub.declaration(&method);
        let writes = known.is_none_or(|declaration| declaration.writes);
        let (_place, value) = call(&self.shared, caller, &method, args, writes).await?;
        let mut out = Back::default();
        out.value(1, &value);
        Ok(unary::answer(headers, out.framed()).await)
    }

    async fn caller(
        &self,
        request: &Parts,
        logs_in: bool,
    ) -> Result<(Caller, Option<HeaderValue>), Response> {
        if !unary::is_grpc(&request.headers) {
            return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response());
        }
        let Some(client) = request.extensions.get::<Client>().cloned() else {
            return Err(refuse(Status::internal("the client of a request is not known")));
        };
        let headers = &request.headers;
        let end = status::timeout(headers).map_err(refuse)?;
        let end =
            end.map(|time| tokio::time::Instant::now() + time.min(Duration::from_secs(86_400)));
        let caller = door::caller_or_bearer(headers, &client);
        let mut caller = caller.map_err(|fault| refuse(status::of_fault(&fault)))?;
        let login = door::identify(&self.shared, &client, headers, &mut caller, logs_in).await?;
        Ok((Caller { request: caller, end }, login))
    }
}

/// The method in the path of a request.
fn method(request: &Parts) -> &str {
    request.uri.path().rsplit('/').next().unwrap_or_default()
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
) -> Result<(Option<Place<'static>>, Value), Status> {
    if writes && caller.end.is_some_and(|end| end <= tokio::time::Instant::now()) {
        return Err(late());
    }
    // A large state, which every hand would copy.
    let call = pin!(crowd::call(&shared.hub, &caller.request, method, args));
    let (place, done) = caller.waits(call).await?;
    Ok((place, done.map_err(|f| fault(method, &f))?))
}

fn late() -> Status {
    Status::deadline_exceeded("the time for the call is over")
}

fn fault(method: &str, fault: &Fault) -> Status {
    tracing::info!(method, code = fault.code, text = fault.message, "call failed");
    status::of_fault(fault)
}
