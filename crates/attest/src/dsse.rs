//! DSSE envelopes (version 1.0.2): a payload with signatures over it and its type.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::{Error, PublicKey, Result, SigningKey};

/// The type of a payload that is an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A payload with its signatures.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// In base64.
    pub payload: String,
    /// At least one.
    pub signatures: Vec<Signature>,
}

/// A signature.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Signature {
    /// Names the key; only a hint.
    #[serde(default)]
    pub keyid: String,
    /// In base64.
    pub sig: String,
}

impl Envelope {
    /// Signs an in-toto statement.
    pub fn sign(statement: &[u8], key: &SigningKey) -> Self {
        let sig = STANDARD.encode(key.sign(&encoding(PAYLOAD_TYPE, statement)));
        Envelope {
            payload_type: PAYLOAD_TYPE.to_owned(),
            payload: STANDARD.encode(statement),
            signatures: vec![Signature { keyid: key.public().id(), sig }],
        }
    }

    /// Reads an envelope, which is not checked yet.
    pub fn parse(text: &[u8]) -> Result<Self> {
        serde_json::from_slice(text)
            .map_err(|source| Error::Form { what: "a DSSE envelope", source })
    }

    /// The envelope as JSON, with a line end.
    pub fn to_json(&self) -> Result<String> {
        let text = serde_json::to_string(self);
        let text = text.map_err(|source| Error::Form { what: "an envelope", source })?;
        Ok(text + "\n")
    }

    /// The payload, if one of the keys has signed it, and that key.
    ///
    /// # Errors
    /// [`Error::Signature`] when a signature names one of the keys and is not by it, and no other one is good.
    pub fn open(&self, keys: &[PublicKey]) -> Result<(Vec<u8>, PublicKey)> {
        if self.payload_type != PAYLOAD_TYPE {
            let found = self.payload_type.clone();
            return Err(Error::Kind { what: "payload", found, wanted: PAYLOAD_TYPE });
        }
        let payload = decode(&self.payload, "payload")?;
        let message = encoding(&self.payload_type, &payload);
        let mut wrong = None;
        for signature in &self.signatures {
            let bytes = decode(&signature.sig, "signature")?;
            if let Some(key) = keys.iter().find(|key| key.holds(&message, &bytes)) {
                return Ok((payload, *key));
            }
            if keys.iter().any(|key| key.id() == signature.keyid) {
                wrong = Some(signature.keyid.clone());
            }
        }
        let names = || self.signatures.iter().map(|s| s.keyid.as_str()).collect::<Vec<_>>();
        Err(wrong.map_or_else(|| Error::UnknownKey(names().join(", ")), Error::Signature))
    }
}

fn decode(text: &str, what: &'static str) -> Result<Vec<u8>> {
    STANDARD.decode(text).map_err(|_| Error::Base64(what))
}

/// What is signed: DSSE's pre-authentication encoding.
fn encoding(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_pem(&SigningKey::make(&[byte; 32])).unwrap()
    }

    #[test]
    fn what_is_signed() {
        // the example of DSSE's protocol.md
        let want = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
        assert_eq!(encoding("http://example.com/HelloWorld", b"hello world"), want);
    }

    #[test]
    fn only_what_a_known_key_has_signed_is_opened() {
        let (ours, others) = (key(1), key(2));
        let envelope = Envelope::sign(b"{}", &ours);
        let read = Envelope::parse(envelope.to_json().unwrap().as_bytes()).unwrap();
        let keys = [others.public(), ours.public()];
        assert_eq!(read.open(&keys).unwrap(), (b"{}".to_vec(), ours.public()));

        let fault = |envelope: &Envelope, keys: &[PublicKey]| envelope.open(keys).unwrap_err();
        assert!(matches!(fault(&read, &[others.public()]), Error::UnknownKey(_)));
        assert!(matches!(fault(&read, &[]), Error::UnknownKey(_)));
        let mut other = read.clone();
        other.payload = STANDARD.encode("[]");
        assert!(matches!(fault(&other, &keys), Error::Signature(_)));
        let mut other = read.clone();
        other.payload_type = "text/plain".to_owned();
        assert!(matches!(fault(&other, &keys), Error::Kind { .. }));
        // a keyid is a hint that nobody has signed
        let mut other = Envelope::sign(b"{}", &others);
        other.signatures[0].keyid = ours.public().id();
        assert!(matches!(fault(&other, &[ours.public()]), Error::Signature(_)));
        other.signatures.push(read.signatures[0].clone());
        assert!(other.open(&[ours.public()]).is_ok());
    }
}
