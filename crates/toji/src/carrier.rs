//! Messages to brokers: by AMQP 1.0, to RabbitMQ, and to NATS JetStream.

use toji_amqp::{Broker, Message, Property};
use toji_hub::config::messages::MessageOptions;
use toji_hub::config::relays::Relay;
use toji_hub::courier::{Carrier, Delivery, Parcel, Sending};
use toji_hub::forward::{self, Work};
use toji_value::Value;

/// Sends as protonmsg.conf says.
pub(crate) struct Amqp(pub(crate) MessageOptions);

impl Carrier for Amqp {
    fn send<'a>(&'a self, url: &'a str, parcels: &'a [Parcel]) -> Sending<'a> {
        Box::pin(async move {
            let options = &self.0;
            let broker = Broker {
                url,
                certificate: options.certificate.as_deref(),
                authorities: options.authorities.as_deref(),
                connect_timeout: options.connect_timeout,
                send_timeout: options.send_timeout,
            };
            let message = |parcel: &'a Parcel| Message {
                address: &parcel.address,
                properties: parcel.props.iter().map(property).collect(),
                body: &parcel.body,
                ttl: options.ttl,
            };
            let messages: Vec<Message<'_>> = parcels.iter().map(message).collect();
            let sent = toji_amqp::send(&broker, &messages).await;
            // The address may have a password in it.
            let shown = url.rsplit('@').next().unwrap_or(url);
            let trouble = sent.error.map(|error| format!("{shown}: {error}"));
            Delivery { taken: sent.accepted, trouble }
        })
    }
}

fn property((name, value): (&str, &Value)) -> (String, Property) {
    let value = match value {
        Value::Nil => Property::Nil,
        Value::Bool(b) => Property::Bool(*b),
        Value::Int(i) => Property::Int(*i),
        Value::Double(d) => Property::Double(*d),
        other => Property::Text(other.display()),
    };
    (name.to_owned(), value)
}

/// Connects as the options of relays say.
pub(crate) struct Brokers;

/// Where a relay's broker is, and what it is sent to.
pub(crate) fn broker(relay: &Relay) -> toji_brokers::Broker {
    let subjects = match relay.prefix.as_str() {
        "" => vec!["buildsys.>".to_owned()],
        prefix => vec![format!("{prefix}.>")],
    };
    toji_brokers::Broker {
        url: relay.url.clone(),
        exchange: relay.exchange.clone(),
        stream: relay.stream.clone(),
        subjects,
        certificate: relay.certificate.clone(),
        authorities: relay.authorities.clone(),
        credentials: relay.credentials.clone(),
        timeout: relay.timeout,
    }
}

impl forward::Carrier for Brokers {
    fn open<'a>(&'a self, relay: &'a Relay) -> Work<'a, Result<Box<dyn forward::Line>, String>> {
        Box::pin(async move {
            let broker = broker(relay);
            let shown = broker.shown().to_owned();
            match toji_brokers::Line::open(&broker).await {
                Ok(line) => Ok(Box::new(Line { line, shown }) as Box<dyn forward::Line>),
                Err(error) => Err(format!("{shown}: {error}")),
            }
        })
    }
}

struct Line {
    line: toji_brokers::Line,
    shown: String,
}

impl forward::Line for Line {
    fn send<'a>(&'a mut self, parcels: &'a [forward::Parcel]) -> Work<'a, forward::Delivery> {
        Box::pin(async move {
            let messages: Vec<toji_brokers::Message> = parcels.iter().map(message).collect();
            let sent = self.line.send(&messages).await;
            let refused = matches!(sent.error, Some(toji_brokers::Error::Refused(_)));
            let trouble = sent.error.map(|error| format!("{}: {error}", self.shown));
            forward::Delivery { taken: sent.taken, trouble, refused }
        })
    }

    fn close(self: Box<Self>) -> Work<'static, ()> {
        Box::pin(self.line.close())
    }
}

fn message(parcel: &forward::Parcel) -> toji_brokers::Message {
    let header = |(name, value): (&str, &Value)| {
        let value = match value {
            Value::Int(number) => toji_brokers::Header::Int(*number),
            Value::Bool(truth) => toji_brokers::Header::Bool(*truth),
            other => toji_brokers::Header::Text(other.display()),
        };
        (name.to_string(), value)
    };
    toji_brokers::Message {
        key: parcel.key.clone(),
        topic: parcel.topic.clone(),
        id: parcel.id.clone(),
        headers: parcel.headers.iter().map(header).collect(),
        priority: parcel.priority,
        body: parcel.body.clone(),
    }
}
