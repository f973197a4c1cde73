//! Faults as statuses of gRPC, with Koji's code in their details.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::HeaderMap;
use toji_proto::hub::wire::Malformed;
use toji_proto::tonic::{Code, Status};
use toji_value::{Fault, code};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of the details (`google.rpc.ErrorInfo`).
const DOMAIN: &str = "koji";

/// The status that says most of what a fault says, and has all of it in its details.
pub(super) fn of_fault(fault: &Fault) -> Status {
    let kind = match fault.code {
        code::UNEXPECTED => Code::Internal,
        code::PARAMETER | code::NAME_VALIDATION => Code::InvalidArgument,
        code::AUTH | code::AUTH_EXPIRED | code::GSSAPI => Code::Unauthenticated,
        code::ACTION_NOT_ALLOWED => Code::PermissionDenied,
        code::LOCK | code::AUTH_LOCK | code::SEQUENCE | code::RETRY => Code::Aborted,
        code::OFFLINE => Code::Unavailable,
        _ => Code::FailedPrecondition,
    };
    with_details(kind, fault)
}

/// The status for a name that no call has.
pub(super) fn unknown(method: &str) -> Status {
    with_details(Code::Unimplemented, &Fault::generic(format!("Invalid method: {method}")))
}

fn with_details(kind: Code, fault: &Fault) -> Status {
    let code = HashMap::from([("faultCode".to_owned(), fault.code.to_string())]);
    let details = ErrorDetails::with_error_info(fault.class(), DOMAIN, code);
    Status::with_error_details(kind, &fault.message, details)
}

/// The status for a message that cannot be read.
pub(super) fn malformed(error: Malformed) -> Status {
    Status::invalid_argument(format!("malformed message: {}", error.0))
}

/// The time that the client gives a call (`grpc-timeout`).
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let wrong = || Status::invalid_argument("grpc-timeout is malformed");
    let text = value.to_str().map_err(|_| wrong())?;
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    if number.is_empty() || number.len() > 8 {
        return Err(wrong());
    }
    let number: u64 = number.parse().map_err(|_| wrong())?;
    Ok(Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return Err(wrong()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_units() {
        let read = |text: &str| {
            let headers = HeaderMap::from_iter([(
                axum::http::HeaderName::from_static("grpc-timeout"),
                text.parse().unwrap(),
            )]);
            timeout(&headers).map_err(drop)
        };
        assert_eq!(read("250m"), Ok(Some(Duration::from_millis(250))));
        assert_eq!(read("99999999H"), Ok(Some(Duration::from_secs(99_999_999 * 3600))));
        for wrong in ["", "m", "5", "5x", "-5S", "999999999S", "5 S"] {
            assert_eq!(read(wrong), Err(()), "{wrong:?}");
        }
        assert!(matches!(timeout(&HeaderMap::new()), Ok(None)));
    }
}
