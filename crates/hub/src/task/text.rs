//! Requests and results of tasks as they are stored: the text of XML-RPC messages.

use std::borrow::Cow;

use base64::Engine as _;
use toji_value::{Fault, Value, map};
use toji_xmlrpc::Limits;

/// The stored form of a request.
pub fn write_request(method: &str, args: &[Value]) -> String {
    let mut out = Vec::new();
    toji_xmlrpc::write_call(method, args, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// The stored form of a result.
pub fn write_result(result: &Result<Value, Fault>) -> String {
    let mut out = Vec::new();
    match result {
        Ok(value) => toji_xmlrpc::write_response(value, &mut out),
        Err(fault) => toji_xmlrpc::write_fault(fault, &mut out),
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The arguments of a stored request.
///
/// # Errors
/// A generic fault when the text is not a request.
pub fn read_request(stored: &str) -> Result<Vec<Value>, Fault> {
    let text = message(stored, "methodCall", "<methodName>x</methodName>");
    let read = toji_xmlrpc::parse_call(text.as_bytes(), &Limits::RESPONSE);
    let (_, args) = read.map_err(|e| Fault::generic(format!("unreadable task request: {e}")))?;
    Ok(args)
}

/// The result of a stored response, or the fault that it holds.
///
/// # Errors
/// A generic fault when the text is not a response.
pub fn read_result(stored: &str) -> Result<Result<Value, Fault>, Fault> {
    let text = message(stored, "methodResponse", "");
    toji_xmlrpc::parse_response(text.as_bytes(), &Limits::RESPONSE)
        .map_err(|e| Fault::generic(format!("unreadable task result: {e}")))
}

/// A fault in the form of a multicall's answer, for callers who want no fault.
pub fn fault_map(fault: &Fault) -> Value {
    map! { "faultCode" => fault.code, "faultString" => &fault.message }.into()
}

/// The whole message: old rows hold it in base64, and some lack the outermost element.
fn message<'a>(stored: &'a str, element: &str, head: &str) -> Cow<'a, str> {
    let text = plain(stored);
    let at = text.find("?>").map_or(0, |at| at + 2);
    let body = text[at..].trim_start();
    if body.starts_with("<params") || body.starts_with("<fault") {
        return format!("<{element}>{head}{body}</{element}>").into();
    }
    text
}

fn plain(stored: &str) -> Cow<'_, str> {
    if stored.trim_start().starts_with('<') {
        return stored.into();
    }
    let packed: Vec<u8> = stored.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    match base64::engine::general_purpose::STANDARD.decode(packed) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
        Err(_) => stored.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toji_value::list;

    #[test]
    fn old_forms_are_read() {
        let args = vec![Value::from("a"), list![1, Value::Nil]];
        let text = write_request("build", &args);
        assert!(text.starts_with("<?xml version='1.0'?>\n<methodCall>\n<methodName>build<"));
        let packed = base64::engine::general_purpose::STANDARD.encode(&text);
        let bare =
            "<?xml version='1.0'?>\n<params><param><value><int>1</int></value></param></params>";
        assert_eq!(read_request(&text), Ok(args.clone()));
        assert_eq!(read_request(&packed), Ok(args));
        assert_eq!(read_request(bare), Ok(vec![Value::Int(1)]));
        assert_eq!(read_result(bare), Ok(Ok(Value::Int(1))));
        assert!(read_request("").is_err());
    }

    #[test]
    fn faults_stay_faults() {
        let stored = write_result(&Err(Fault::build("no")));
        assert_eq!(read_result(&stored), Ok(Err(Fault::build("no"))));
    }
}
