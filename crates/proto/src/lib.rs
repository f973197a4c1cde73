//! The gRPC protocol: the builder's live connection and the watching of events.
//!
//! Servers and clients use [`tonic`] from here, so that one version of it is in the tree.

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

    use crate::builder::{Assigned, ToBuilder, to_builder};

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
}
