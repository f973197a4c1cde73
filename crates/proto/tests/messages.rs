//! Messages of calls: what is written is read, and nothing breaks the reader.

use proptest::prelude::*;
use toji_api::Declaration;
use toji_proto::hub::message::{
    self, Named, Said, Sent, read_args, read_named, read_result, read_sent, write_args,
    write_named, write_result, write_said,
};
use toji_proto::hub::wire::{self, Back, Budget, Malformed};
use toji_value::{Args, Fault, Key, Map, Value, list, map};

fn call(name: &str) -> &'static Declaration {
    toji_api::declarations().find(|call| call.signature.name == name).unwrap()
}

#[test]
fn arguments_take_their_places() {
    let get_tag = call("getTag");
    let mut args = Args { positional: vec!["f43".into(), true.into()], keywords: Map::new() };
    args.keywords.insert("blocked", true);
    let bytes = write_args(get_tag, &args).unwrap();
    let read = read_args(get_tag, &bytes).unwrap();
    let bound = read.bind(&get_tag.signature).unwrap();
    assert_eq!(bound, ["f43".into(), true.into(), Value::Nil, true.into()]);
    // What a newer client sends is passed over.
    let mut newer = bytes.clone();
    newer.extend_from_slice(&[0xa2, 0x38, 1, b'x']);
    assert_eq!(read_args(get_tag, &newer).unwrap().bind(&get_tag.signature).unwrap(), bound);
    // A required parameter that is absent is missing; one that is nil is not.
    let none = read_args(get_tag, &[]).unwrap().bind(&get_tag.signature);
    assert!(
        none.unwrap_err().message.contains("missing 1 required positional argument: 'tagInfo'")
    );
    assert!(
        write_args(get_tag, &Args { positional: vec![1.into(), 1.into()], ..Args::default() })
            .is_err()
    );
}

#[test]
fn further_arguments_are_collected() {
    let count = call("count");
    let args = Args {
        positional: vec!["listTags".into(), Value::Nil, list![1]],
        keywords: map! { "perms" => false },
    };
    let bytes = write_args(count, &args).unwrap();
    let read = read_args(count, &bytes).unwrap();
    assert_eq!(read.bind(&count.signature), args.bind(&count.signature));
}

#[test]
fn answers_have_their_types() {
    for (name, value) in [
        ("getAPIVersion", Value::Int(1)),
        ("checkTagPackage", Value::Bool(false)),
        ("getTag", Value::Nil),
        ("getTag", map! { "id" => 1 }.into()),
        ("getKojiVersion", "1.36".into()),
    ] {
        let bytes = write_result(call(name), &value).unwrap();
        assert_eq!(read_result(call(name), bytes.as_bytes()), Ok(value), "{name}");
        let framed = bytes.framed();
        let [0, length @ ..] = framed.as_bytes() else { panic!("{framed:?}") };
        let (length, message) = length.split_first_chunk().unwrap();
        assert_eq!(u32::from_be_bytes(*length) as usize, message.len());
    }
    assert!(write_result(call("getAPIVersion"), &"1".into()).is_none());
}

#[test]
fn multicalls() {
    let named = Named { id: -3, method: "getTag".into(), args: Args::default() };
    let mut out = Back::default();
    out.message(2, |out| write_named(&named, out));
    let bytes = out.as_bytes();
    assert_eq!(read_sent(bytes), Ok(Sent::Call(named, bytes.len())));
    assert_eq!(read_sent(&[]), Ok(Sent::Unknown));
    assert_eq!(read_sent(&[0x0a, 2, 8, 1]), Ok(Sent::Options { strict: true }));
    assert_eq!(read_sent(&[0x1a, 0]), Ok(Sent::Commit));
    let said = write_said(&Said::Answer { id: 1, outcome: Err(Fault::tag("no")) });
    assert!(said.as_bytes().windows(8).any(|part| part == b"TagError"));
}

#[test]
fn limits_hold() {
    let nested = |depth: usize| {
        let mut out = Back::default();
        let value = (0..depth).fold(Value::Nil, |inner, _| list![inner]);
        out.kind(&value);
        out.as_bytes().to_vec()
    };
    assert!(Budget::call().value(&nested(63)).is_ok());
    assert_eq!(Budget::call().value(&nested(64)), Err(Malformed("nested too deeply")));
    // Two bytes for each value that is nil.
    let many = [0x0a, 0].repeat(2_000_001);
    assert_eq!(Budget::call().items(&many), Err(Malformed("too many values")));
    // A length beyond the end, and one that does not fit at all.
    for cut in [
        &[0x0a, 5, 1][..],
        &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        &[0x0a],
    ] {
        assert!(read_named(cut).is_err(), "{cut:?}");
    }
    assert!(read_named(&[0x12, 1, 0xff]).is_err(), "text that is not UTF-8");
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter("comparable", |d| !d.is_nan()).prop_map(Value::Double),
        any::<String>().prop_map(Value::Str),
        "[0-9]{8}T[0-9:]{8}".prop_map(Value::DateTime),
        any::<Vec<u8>>().prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        let key = "[$a-z]{0,3}".prop_map(Key::from);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::vec((key, inner), 0..8)
                .prop_map(|pairs| Value::Struct(Map::from_pairs(pairs))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(value in any_value()) {
        let mut out = Back::default();
        out.kind(&value);
        prop_assert_eq!(Budget::call().value(out.as_bytes()), Ok(value.clone()));
        let mut text = Vec::new();
        toji_value::write(&value, &mut toji_value::json::Json, &mut text);
        let read = toji_value::json::parse(&text, &toji_value::json::Limits::CALL);
        prop_assert_eq!(read.map_err(|error| error.to_string()), Ok(value));
    }

    #[test]
    fn a_changed_byte_never_breaks_the_readers(value in any_value(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let named = Named { id: 1, method: "m".into(), args: Args { positional: vec![value], keywords: Map::new() } };
        let mut out = Back::default();
        write_named(&named, &mut out);
        let mut bytes = out.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        wire::fuzz(&bytes);
        message::fuzz(&bytes);
        toji_value::json::fuzz(&bytes);
    }

    #[test]
    fn arbitrary_bytes_never_break_the_readers(data in any::<Vec<u8>>()) {
        wire::fuzz(&data);
        message::fuzz(&data);
        toji_value::json::fuzz(&data);
    }
}
