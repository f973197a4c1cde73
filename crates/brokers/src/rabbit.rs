//! RabbitMQ: persistent messages to an exchange, each confirmed by the broker.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};

use crate::{Broker, Error, Header, Message, file};

/// Kept on the disk.
const PERSISTENT: u8 = 2;
/// The longest routing key, in bytes.
const LONGEST: usize = 255;

pub(crate) struct Wire {
    connection: Connection,
    channel: Channel,
    exchange: ShortString,
}

impl Wire {
    pub(crate) async fn open(broker: &Broker) -> Result<Wire, Error> {
        let identity = match &broker.certificate {
            Some((pem, key)) => Some(OwnedIdentity::PKCS8 { pem: file(pem)?, key: file(key)? }),
            None => None,
        };
        let authorities = broker.authorities.as_deref().map(file).transpose()?;
        let authorities = authorities.map(|text| String::from_utf8_lossy(&text).into_owned());
        let tls = OwnedTLSConfig { identity, cert_chain: authorities };
        let name = LongString::from("toji");
        let properties = ConnectionProperties::default().with_connection_name(name);
        let runtime = lapin::runtime::default_runtime().map_err(broken)?;
        let url = broker.url.as_str();
        let connection = Connection::connect_with_config(url, properties, tls, runtime).await;
        let connection = connection.map_err(broken)?;
        let channel = connection.create_channel().await.map_err(broken)?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(broken)?;
        Ok(Wire { connection, channel, exchange: short(&broker.exchange)? })
    }

    pub(crate) async fn publish(&self, message: &Message) -> Result<(), Error> {
        let mut properties = BasicProperties::default()
            .with_content_type(short("application/json")?)
            .with_content_encoding(short("utf-8")?)
            .with_delivery_mode(PERSISTENT)
            .with_message_id(short(&message.id)?)
            .with_headers(headers(message)?);
        if let Some(priority) = message.priority {
            properties = properties.with_priority(priority);
        }
        let (exchange, topic) = (self.exchange.clone(), short(&message.topic)?);
        let options = BasicPublishOptions::default();
        let body = message.body.as_bytes();
        let sent = self.channel.basic_publish(exchange, topic, options, body, properties).await;
        match sent.map_err(broken)?.await.map_err(broken)? {
            Confirmation::Ack(_) => Ok(()),
            Confirmation::Nack(_) => Err(Error::Broker("a message is not confirmed".to_owned())),
            Confirmation::NotRequested => Err(Error::Broker("it confirms nothing".to_owned())),
        }
    }

    pub(crate) async fn close(self) {
        self.connection.close(200, "the hub ends".into()).await.ok();
    }
}

fn headers(message: &Message) -> Result<FieldTable, Error> {
    let mut table = FieldTable::default();
    for (name, value) in &message.headers {
        let value = match value {
            Header::Text(text) => AMQPValue::LongString(text.as_str().into()),
            Header::Int(number) => AMQPValue::LongLongInt(*number),
            Header::Bool(truth) => AMQPValue::Boolean(*truth),
        };
        table.insert(short(name)?, value);
    }
    Ok(table)
}

/// A text whose length the protocol has in one byte.
fn short(text: &str) -> Result<ShortString, Error> {
    if text.len() > LONGEST {
        return Err(Error::Refused(format!("a name of {} bytes", text.len())));
    }
    Ok(text.into())
}

fn broken(error: lapin::Error) -> Error {
    Error::Broker(error.to_string())
}
