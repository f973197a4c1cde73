//! Events as messages for brokers.

use sha2::{Digest as _, Sha256};
use toji_db::outbox::Entry;
use toji_value::{Map, Value, map};

use crate::config::relays::{Format, Relay};
use crate::plugin::fedora;

/// A message for a broker.
#[derive(Clone, Debug, PartialEq)]
pub struct Parcel {
    /// The object that it is about.
    pub key: String,
    /// The topic.
    pub topic: String,
    /// The same whenever and by whichever hub it is sent: a UUID.
    pub id: String,
    /// Texts, numbers and truth values.
    pub headers: Map,
    /// Its priority.
    pub priority: Option<u8>,
    /// A JSON text.
    pub body: String,
}

/// An event in the format of a relay; nothing if it is not for it.
pub(super) fn parcel(relay: &Relay, entry: Entry) -> Option<Parcel> {
    let id = id(&entry);
    match relay.format {
        Format::Toji => own(relay, id, entry),
        Format::Fedora => of_fedora(relay, id, entry),
    }
}

fn own(relay: &Relay, id: String, entry: Entry) -> Option<Parcel> {
    // Messages in other formats tell of what its own events tell.
    let wanted = match relay.kinds.as_slice() {
        [] => entry.kind != fedora::KIND && entry.kind != "protonmsg",
        kinds => kinds.iter().any(|kind| crate::events::is_of_kind(&entry.kind, kind)),
    };
    if !wanted {
        return None;
    }
    let body = serde_json::json!({
        "seq": entry.seq, "kind": &entry.kind, "key": &entry.key, "created": &entry.created,
        "body": entry.body.to_json(),
    });
    Some(Parcel {
        topic: format!("{}.{}", relay.prefix, entry.kind),
        id,
        headers: map! { "toji-seq" => entry.seq, "toji-key" => &entry.key },
        priority: None,
        body: body.to_string(),
        key: entry.key,
    })
}

fn of_fedora(relay: &Relay, id: String, entry: Entry) -> Option<Parcel> {
    let text = |name: &str| entry.body.get(name).as_str().map(str::to_owned);
    if entry.kind != fedora::KIND {
        return None;
    }
    let (topic, body) = (text("topic")?, text("body")?);
    let mut headers = entry.body.get("headers").as_struct().cloned().unwrap_or_default();
    headers.insert("sent-at", whole_seconds(&entry.created));
    let priority = entry.body.get("priority").as_int().and_then(|n| u8::try_from(n).ok());
    let topic = match relay.prefix.as_str() {
        "" => topic,
        prefix => format!("{prefix}.{topic}"),
    };
    Some(Parcel { key: entry.key, topic, id, headers, priority, body })
}

/// A UUID of version 8 made of the event.
fn id(entry: &Entry) -> String {
    let text = format!("toji {} {} {} {}", entry.seq, entry.created, entry.kind, entry.key);
    let mut bytes = Sha256::digest(text.as_bytes());
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let all = hex::encode(&bytes[..16]);
    let parts = [&all[..8], &all[8..12], &all[12..16], &all[16..20], &all[20..]];
    parts.join("-")
}

/// `2026-11-23 11:02:03.45+00` as `2026-11-23T11:02:03+00:00`.
fn whole_seconds(created: &str) -> Value {
    let moment = created.get(..19).unwrap_or(created).replacen(' ', "T", 1);
    Value::from(format!("{moment}+00:00"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn relay(format: Format, kinds: &[&str]) -> Relay {
        Relay {
            name: "r".to_owned(),
            url: "amqp://b".to_owned(),
            format,
            prefix: "p".to_owned(),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            exchange: String::new(),
            stream: String::new(),
            certificate: None,
            authorities: None,
            credentials: None,
            timeout: Duration::from_secs(1),
        }
    }

    fn entry(seq: i64, kind: &str, body: Value) -> Entry {
        let created = "2026-11-23 11:02:03.45+00".to_owned();
        Entry { seq, created, kind: kind.to_owned(), key: "tag:3".to_owned(), body }
    }

    #[test]
    fn own_events() {
        let found =
            parcel(&relay(Format::Toji, &[]), entry(7, "tag.new", map! { "a" => 1 }.into()));
        let found = found.unwrap();
        assert_eq!((found.topic.as_str(), found.key.as_str()), ("p.tag.new", "tag:3"));
        let body: serde_json::Value = serde_json::from_str(&found.body).unwrap();
        assert_eq!((&body["seq"], &body["body"]["a"]), (&7.into(), &1.into()));
        let again =
            parcel(&relay(Format::Toji, &["tag.*"]), entry(7, "tag.new", Value::Nil)).unwrap();
        let next = parcel(&relay(Format::Toji, &[]), entry(8, "tag.new", Value::Nil)).unwrap();
        assert!(found.id == again.id && found.id != next.id && found.id.len() == 36);
        for (kinds, kind) in
            [(&["task.*"][..], "tag.new"), (&[], "protonmsg"), (&[], "fedora.message")]
        {
            assert_eq!(parcel(&relay(Format::Toji, kinds), entry(7, kind, Value::Nil)), None);
        }
    }

    #[test]
    fn messages_of_fedora() {
        let body = map! {
            "topic" => "buildsys.tag", "body" => "{}", "priority" => 2,
            "headers" => map! { "fedora_messaging_severity" => 10 },
        };
        let mut to = relay(Format::Fedora, &[]);
        let found = parcel(&to, entry(7, "fedora.message", body.clone().into())).unwrap();
        assert_eq!((found.topic.as_str(), found.body.as_str()), ("p.buildsys.tag", "{}"));
        assert_eq!(found.headers.str("sent-at"), Some("2026-11-23T11:02:03+00:00"));
        assert_eq!(
            (found.headers.int("fedora_messaging_severity"), found.priority),
            (Some(10), Some(2))
        );
        to.prefix = String::new();
        let found = parcel(&to, entry(7, "fedora.message", body.into())).unwrap();
        assert_eq!(found.topic, "buildsys.tag");
        assert_eq!(parcel(&to, entry(7, "tag.new", Value::Nil)), None);
    }
}
