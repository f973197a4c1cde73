//! NATS JetStream: messages with ids, each acknowledged by the stream.

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::{self, Context, message::PublishMessage, stream};
use async_nats::{Client, ConnectOptions};

use crate::{Broker, Error, Header, Message};

/// Attempts after which a broken connection is given up: the next one is a new line.
const RECONNECTS: usize = 1;

pub(crate) struct Wire {
    client: Client,
    stream: Context,
}

impl Wire {
    pub(crate) async fn open(broker: &Broker) -> Result<Wire, Error> {
        // A line that is given up may still send what it had: JetStream knows that by its id.
        let mut options = ConnectOptions::new().name("toji").max_reconnects(RECONNECTS);
        options = options.connection_timeout(broker.timeout);
        if let Some(path) = &broker.credentials {
            let text = crate::file(path)?;
            let with = options.credentials(&String::from_utf8_lossy(&text));
            options = with.map_err(|source| Error::File { path: path.clone(), source })?;
        }
        if let Some(path) = &broker.authorities {
            options = options.add_root_certificates(path.clone());
        }
        if let Some((certificate, key)) = &broker.certificate {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        if broker.url.starts_with("tls:") {
            options = options.require_tls(true);
        }
        let client = options.connect(broker.url.as_str()).await;
        let client = client.map_err(|error| Error::Broker(error.to_string()))?;
        let context = jetstream::new(client.clone());
        let config = stream::Config {
            name: broker.stream.clone(),
            subjects: broker.subjects.clone(),
            ..stream::Config::default()
        };
        let made = context.get_or_create_stream(config).await;
        made.map_err(|error| Error::Broker(format!("stream {}: {error}", broker.stream)))?;
        Ok(Wire { client, stream: context })
    }

    pub(crate) async fn publish(&self, message: &Message) -> Result<(), Error> {
        let mut publish = PublishMessage::build().message_id(&message.id);
        for (name, value) in &message.headers {
            let text = match value {
                Header::Text(text) => text.clone(),
                Header::Int(number) => number.to_string(),
                Header::Bool(truth) => truth.to_string(),
            };
            // A line break would end the header.
            publish = publish.header(name.as_str(), text.replace(['\r', '\n'], " "));
        }
        let publish = publish.payload(message.body.clone().into());
        let sent = self.stream.send_publish(message.topic.clone(), publish).await;
        sent.map_err(failed)?.await.map(drop).map_err(failed)
    }

    pub(crate) async fn close(self) {
        self.client.drain().await.ok();
    }
}

/// What is too large will always be.
fn failed(error: PublishError) -> Error {
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => Error::Refused(error.to_string()),
        _ => Error::Broker(error.to_string()),
    }
}
