//! Task results, which builders hand to the hub as the text of an XML-RPC response.

use toji_value::{Fault, Value};
use toji_xmlrpc::{write_fault, write_response};

/// The text for `host.closeTask` (a value) or `host.failTask` (a fault).
pub fn task_response(result: Result<&Value, &Fault>) -> String {
    let mut text = Vec::new();
    match result {
        Ok(value) => write_response(value, &mut text),
        Err(fault) => write_fault(fault, &mut text),
    }
    // The writer only takes characters from strings and its own ASCII.
    String::from_utf8_lossy(&text).into_owned()
}

/// The arguments in a task's request, the text of an XML-RPC call; nothing when it is none.
pub fn task_request(text: &str) -> Option<Vec<Value>> {
    let (_, args) =
        toji_xmlrpc::parse_call(text.as_bytes(), &toji_xmlrpc::Limits::RESPONSE).ok()?;
    Some(args)
}
