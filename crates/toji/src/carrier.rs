//! Messages to brokers, by AMQP 1.0.

use toji_amqp::{Broker, Message, Property};
use toji_hub::config::messages::MessageOptions;
use toji_hub::courier::{Carrier, Delivery, Parcel, Sending};
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
