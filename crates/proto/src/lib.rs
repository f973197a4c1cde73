//! The gRPC protocol: the builder's live connection, the watching of events, and the calls of the hub.
//!
//! Servers and clients use [`tonic`] from here, so that one version of it is in the tree.

pub mod hub;

pub use tonic;

/// The builder's live connection (`toji.builder.v1`).
#[allow(missing_docs, clippy::all, unreachable_pub)]
pub mod builder {
    tonic::include_proto!("toji.builder.v1");
}

/// The watching of events (`toji.events.v1`).
#[allow(missing_docs, clippy::all, unreachable_pub)]
pub mod events {
    tonic::include_proto!("toji.events.v1");
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use crate::builder::{Assigned, FromBuilder, ToBuilder, from_builder, to_builder};

    /// A field as a newer version of the protocol may have it: number 900, bytes.
    const NEWER: &[u8] = &[0xa2, 0x38, 3, b'n', b'e', b'w'];

    #[test]
    fn ids_are_64_bits_wide() {
        let task_id = i64::from(i32::MAX) + 7;
        let sent = ToBuilder {
            message: Some(to_builder::Message::Assigned(Assigned {
                task_id,
                method: String::new(),
            })),
        };
        let bytes = sent.encode_to_vec();
        assert_eq!(ToBuilder::decode(bytes.as_slice()).ok(), Some(sent));
    }

    #[test]
    fn a_message_of_a_newer_version_is_no_message() {
        assert_eq!(ToBuilder::decode(NEWER).map(|m| m.message).ok(), Some(None));
        assert_eq!(FromBuilder::decode(NEWER).map(|m| m.message).ok(), Some(None));
    }

    #[test]
    fn fields_of_a_newer_version_are_passed_over() {
        let hello = |text: &str| crate::builder::Hello {
            session_id: 7,
            session_key: text.to_owned(),
            ..Default::default()
        };
        let mut body = hello("key").encode_to_vec();
        body.extend_from_slice(NEWER);
        // Field 1 of the envelope, with a length.
        let mut bytes = vec![0x0a, u8::try_from(body.len()).unwrap()];
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(NEWER);
        let read = FromBuilder::decode(bytes.as_slice()).unwrap();
        assert_eq!(read.message, Some(from_builder::Message::Hello(hello("key"))));
    }

    #[test]
    fn fields_that_an_older_version_does_not_send_have_defaults() {
        let welcome = [0x0a, 2, 0x08, 5];
        let read = ToBuilder::decode(welcome.as_slice()).unwrap();
        let Some(to_builder::Message::Welcome(read)) = read.message else { panic!("no welcome") };
        assert_eq!((read.host_id, read.heartbeat_ms), (5, 0));
    }
}
