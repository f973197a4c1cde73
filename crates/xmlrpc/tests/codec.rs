//! What is accepted, what is refused, and that everything written can be read again.

use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use toji_value::{Fault, Key, Map, Value, list, map};
use toji_xmlrpc::{
    Error, Limits, fuzz, parse_call, parse_response, write_call, write_fault, write_response,
};

fn value(inner: &str) -> Result<Value, Error> {
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<methodCall><methodName>m</methodName>\
         <params><param>{inner}</param></params></methodCall>"
    );
    parse_call(document.as_bytes(), &Limits::CALL).map(|(_, mut params)| params.remove(0))
}

#[test]
fn every_type_is_read() {
    for tag in ["i1", "i2", "i4", "i8", "int", "bigint", "biginteger", "ex:i8"] {
        assert_eq!(value(&format!("<value><{tag}> -7 </{tag}></value>")), Ok(Value::Int(-7)));
    }
    let cases = [
        ("<value><double>1.5</double></value>", Value::Double(1.5)),
        ("<value><float>2</float></value>", Value::Double(2.0)),
        ("<value><boolean>1</boolean></value>", Value::Bool(true)),
        ("<value><nil/></value>", Value::Nil),
        ("<value><ex:nil/></value>", Value::Nil),
        ("<value> plain &amp; text </value>", Value::Str(" plain & text ".into())),
        ("<value/>", Value::Str(String::new())),
        ("<value><string/></value>", Value::Str(String::new())),
        ("<value> <string> a\r\nb&#x41;&#66;</string> </value>", Value::Str(" a\nbAB".into())),
        ("<value><string><![CDATA[<&>]]>x<!-- y -->z</string></value>", Value::Str("<&>xz".into())),
        ("<value><base64>\n aGVs\r\n bG8=\n</base64></value>", Value::Bytes(b"hello".to_vec())),
        (
            "<value><dateTime.iso8601>20261122T06:00:00</dateTime.iso8601></value>",
            Value::DateTime("20261122T06:00:00".into()),
        ),
        ("<value><array><data></data></array></value>", list![]),
        ("<value><array> <data><value>a</value><value/></data> </array></value>", list!["a", ""]),
        (
            "<value><struct><member><name>k</name><value><i4>1</i4></value></member>\
             <member><name>k</name><value><i4>2</i4></value></member></struct></value>",
            Value::Struct(map! {"k" => 2}),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text), Ok(expected), "{text}");
    }
}

#[test]
fn a_call_may_have_no_params() {
    let call = b"<methodCall><methodName>getAPIVersion</methodName></methodCall>";
    assert_eq!(parse_call(call, &Limits::CALL), Ok(("getAPIVersion".into(), vec![])));
}

#[test]
fn wrong_documents_are_refused() {
    let cases = [
        "<value><int>x</int></value>",
        "<value><int>9223372036854775808</int></value>",
        "<value><boolean>2</boolean></value>",
        "<value><base64>a</base64></value>",
        "<value><string>a<b/></string></value>",
        "<value>text<int>1</int></value>",
        "<value><int>1</int><int>2</int></value>",
        "<value><unknown>1</unknown></value>",
        "<value><array><value/></array></value>",
        "<value><struct><member><value/><name>x</name></member></struct></value>",
        "<value><struct><member><name>x</name></member></struct></value>",
        "<value><string>&nbsp;</string></value>",
        "<value><string>&#0;</string></value>",
        "<value><string>&#xD800;</string></value>",
        "<value><string>&#+65;</string></value>",
        "<value><string>\u{1}</string></value>",
        "<value><string>a</value></string>",
        "<int>1</int>",
    ];
    for text in cases {
        assert!(value(text).is_err(), "{text} was accepted as {:?}", value(text));
    }
}

#[test]
fn declarations_and_entities_are_refused() {
    let laughs = "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;\">]><methodCall><methodName>&b;</methodName></methodCall>";
    assert_eq!(parse_call(laughs.as_bytes(), &Limits::CALL), Err(Error::Dtd));
    let external = "<methodCall><methodName>&file;</methodName></methodCall>";
    assert_eq!(parse_call(external.as_bytes(), &Limits::CALL), Err(Error::Entity("file".into())));
    let latin = "<?xml version='1.0' encoding='ISO-8859-1'?><methodCall/>";
    assert_eq!(parse_call(latin.as_bytes(), &Limits::CALL), Err(Error::Encoding));
    assert_eq!(parse_call(b"<methodCall>\xff</methodCall>", &Limits::CALL), Err(Error::Encoding));
    let trailing = b"<methodCall><methodName>a</methodName></methodCall><x/>";
    assert!(parse_call(trailing, &Limits::CALL).is_err());
}

#[test]
fn limits_hold() {
    let nested = |n: usize| {
        "<value><array><data>".repeat(n) + "<value/>" + &"</data></array></value>".repeat(n)
    };
    assert!(value(&nested(64)).is_ok());
    assert_eq!(value(&nested(65)), Err(Error::TooDeep(64)));
    assert_eq!(value(&nested(100_000)), Err(Error::TooDeep(64)));
    assert_eq!(value(&"<value><array><data>".repeat(100_000)), Err(Error::TooDeep(64)));
    let small = Limits { bytes: 100, depth: 64, elements: 3 };
    assert_eq!(parse_call(&[b' '; 101], &small), Err(Error::TooLong(100)));
    let many = b"<methodCall><methodName>m</methodName><params><param/></params></methodCall>";
    assert_eq!(parse_call(many, &small), Err(Error::TooMany(3)));
}

#[test]
fn a_document_cut_anywhere_is_refused() {
    let mut document = Vec::new();
    let args = [Value::Struct(map! {"é&" => list![1, 2.5, Value::Nil, Value::Bytes(vec![1; 60])]})];
    write_call("m", &args, &mut document);
    let whole = document.trim_ascii_end().len();
    for end in 0..whole {
        assert!(parse_call(&document[..end], &Limits::CALL).is_err(), "cut at {end}");
        fuzz(&document[..end]);
    }
    assert!(parse_call(&document[..whole], &Limits::CALL).is_ok());
}

#[test]
fn faults_and_other_responses() {
    let mut out = Vec::new();
    let fault = Fault::generic("no such <build>");
    write_fault(&fault, &mut out);
    assert_eq!(parse_response(&out, &Limits::RESPONSE), Ok(Err(fault)));
    for body in ["", "<params/>", "<fault><value/></fault>", "<params/><params/>"] {
        let document = format!("<methodResponse>{body}</methodResponse>");
        assert!(parse_response(document.as_bytes(), &Limits::RESPONSE).is_err(), "{body}");
    }
}

#[test]
fn forbidden_characters_are_left_out_and_cr_survives() {
    let mut out = Vec::new();
    write_response(&Value::from("a\0b\u{1b}c\u{ffff}d\r\n\t\u{fffd}\u{7f}"), &mut out);
    let read = parse_response(&out, &Limits::RESPONSE);
    assert_eq!(read, Ok(Ok(Value::from("abcd\r\n\t\u{fffd}\u{7f}"))));
}

/// Python writes values, we read and write them again: the bytes must be the same, and Python must
/// read ours.
#[test]
fn python_agrees() {
    const SCRIPT: &str = r#"
import sys, datetime, xmlrpc.client as x
v = [None, True, False, 0, -2**31, 2**31-1, 1.0, 0.1, 1e16, 1e-5, -1.5e300, 123456789.125,
     "", " a & b < c > d \" ' \t\n", "\u00e9\u4e2d\U0001f600", x.Binary(bytes(range(256))), x.Binary(b""),
     x.DateTime("20261122T06:00:00"), [], {}, [[1], [2, [3]]], {"a": {"b": [None, ""]}, "<&>": 1}]
text = x.dumps((v,), methodresponse=True, allow_none=True)
if sys.argv[1] == "write":
    sys.stdout.buffer.write(text.encode())
else:
    mine = x.loads(sys.stdin.buffer.read())[0][0]
    assert mine == v, (mine, v)
"#;
    let run = |mode: &str, input: &[u8]| {
        let mut child = Command::new("python3")
            .args(["-c", SCRIPT, mode])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed");
        child.stdin.take().expect("piped").write_all(input).expect("write");
        let output = child.wait_with_output().expect("wait");
        assert!(output.status.success());
        output.stdout
    };
    let theirs = run("write", b"");
    let value = parse_response(&theirs, &Limits::RESPONSE).expect("parse").expect("result");
    let mut mine = Vec::new();
    write_response(&value, &mut mine);
    assert_eq!(String::from_utf8_lossy(&mine), String::from_utf8_lossy(&theirs));
    run("read", &mine);
}

fn xml_text() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|s| {
        s.chars()
            .filter(|c| *c >= ' ' || "\t\n\r".contains(*c))
            .filter(|c| !"\u{fffe}\u{ffff}".contains(*c))
            .collect()
    })
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter("comparable", |d| !d.is_nan()).prop_map(Value::Double),
        xml_text().prop_map(Value::Str),
        "[0-9]{8}T[0-9:]{8}".prop_map(Value::DateTime),
        any::<Vec<u8>>().prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::vec((xml_text().prop_map(Key::from), inner), 0..8)
                .prop_map(|pairs| Value::Struct(Map::from_pairs(pairs))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(method in "[a-zA-Z.]{1,20}", args in prop::collection::vec(any_value(), 0..4)) {
        let mut out = Vec::new();
        write_call(&method, &args, &mut out);
        prop_assert_eq!(parse_call(&out, &Limits::CALL), Ok((method, args)));
    }

    #[test]
    fn a_changed_byte_never_breaks_the_reader(args in any_value(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut out = Vec::new();
        write_response(&args, &mut out);
        let at = at.index(out.len());
        out[at] = byte;
        fuzz(&out);
    }

    #[test]
    fn arbitrary_bytes_never_break_the_reader(data in any::<Vec<u8>>()) {
        fuzz(&data);
    }
}
