//! Who is behind a connection: certificates, front ends that may say so, and everybody else.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::HeaderMap;
use rustls::ServerConfig;
use toji_gssapi::Acceptor;
use toji_hub::{Identity, Subject};

use crate::network::Network;

/// What a front end says of its client, and no client may say of itself.
const REMOTE_USER: &str = "x-remote-user";
const VERIFY: &str = "x-ssl-client-verify";
const SUBJECT: &str = "x-ssl-client-s-dn";

/// How logins come in, and what is believed.
#[derive(Clone, Default)]
pub struct Front {
    /// Front ends whose `X-Forwarded-For` is believed.
    pub proxies: Vec<Network>,
    /// Whether their `X-Remote-User` is believed.
    pub trust_kerberos: bool,
    /// Whether their `X-SSL-Client-Verify` and `X-SSL-Client-S-DN` are believed.
    pub trust_certificate: bool,
    /// The keys of this service, if it accepts Kerberos itself.
    pub kerberos: Option<Arc<Acceptor>>,
    /// Keys and certificates of the listener with TLS.
    pub tls: Option<Arc<ServerConfig>>,
}

/// What is known of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) tls: bool,
    /// The subject of the client's certificate, verified in the handshake.
    pub(crate) subject: Option<Subject>,
}

/// What is known of a request's client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) identity: Option<Identity>,
    /// Whether nobody else can read or repeat what it sends to this hub.
    pub(crate) private: bool,
}

impl Front {
    /// The client behind a request; the text says why its headers are refused.
    pub(crate) fn client(&self, peer: &Peer, headers: &HeaderMap) -> Result<Client, String> {
        let trusted = self.proxies.iter().any(|network| network.has(peer.address.ip()));
        for name in headers.keys().map(|name| name.as_str()) {
            let kind = match name {
                _ if !claims_identity(name) => continue,
                REMOTE_USER => self.trust_kerberos,
                VERIFY | SUBJECT => self.trust_certificate,
                _ => false,
            };
            if !(trusted && kind) {
                return Err(format!(
                    "the header {name} is not accepted from {}",
                    peer.address.ip()
                ));
            }
        }
        let private = peer.tls || trusted;
        if !trusted {
            let identity = peer.subject.clone().map(Identity::Certificate);
            return Ok(Client { address: peer.address, identity, private });
        }
        Ok(Client { address: self.forwarded(peer, headers)?, identity: claimed(headers)?, private })
    }

    /// The last address in `X-Forwarded-For` that is not a front end's own.
    fn forwarded(&self, peer: &Peer, headers: &HeaderMap) -> Result<SocketAddr, String> {
        let mut lists = Vec::new();
        for value in headers.get_all("x-forwarded-for") {
            lists.push(value.to_str().map_err(|_| "X-Forwarded-For is not text".to_owned())?);
        }
        let hops = lists.iter().rev().flat_map(|list| list.rsplit(',')).map(str::trim);
        let mut client = None;
        for hop in hops.filter(|hop| !hop.is_empty()) {
            let address: IpAddr =
                hop.parse().map_err(|_| format!("X-Forwarded-For has no address: {hop:?}"))?;
            client = Some(address);
            if !self.proxies.iter().any(|network| network.has(address)) {
                break;
            }
        }
        Ok(client.map_or(peer.address, |address| SocketAddr::new(address, 0)))
    }
}

/// What headers of verified certificates begin with.
const SSL: &str = "ssl-client";

/// Whether a header is one that servers use for verified identities, in any of their spellings.
fn claims_identity(name: &str) -> bool {
    let name = name.as_bytes();
    let name = match name {
        [b'x', b'-' | b'_', rest @ ..] => rest,
        name => name,
    };
    let same = |said: &[u8], known: &str| {
        let letters = said.iter().map(|letter| if *letter == b'_' { b'-' } else { *letter });
        letters.eq(known.bytes())
    };
    name.get(..SSL.len()).is_some_and(|start| same(start, SSL))
        || same(name, "remote-user")
        || same(name, "forwarded-user")
}

/// The identity that a believed front end names.
fn claimed(headers: &HeaderMap) -> Result<Option<Identity>, String> {
    let one = |name: &str| -> Result<Option<&str>, String> {
        let mut values = headers.get_all(name).iter();
        let value = values.next().map(|value| std::str::from_utf8(value.as_bytes()));
        if values.next().is_some() {
            return Err(format!("the header {name} is there twice"));
        }
        let value = value.transpose().map_err(|_| format!("the header {name} is not text"))?;
        Ok(value.map(str::trim).filter(|text| !text.is_empty()))
    };
    if let Some(user) = one(REMOTE_USER)? {
        return Ok(Some(Identity::Kerberos(user.to_owned())));
    }
    match (one(VERIFY)?, one(SUBJECT)?) {
        (Some("SUCCESS"), Some(text)) => {
            let wrong =
                || format!("the header {SUBJECT} has no subject of a certificate: {text:?}");
            Ok(Some(Identity::Certificate(Subject::parse(text).ok_or_else(wrong)?)))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front() -> Front {
        let proxies = vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        Front { proxies, trust_kerberos: true, trust_certificate: true, ..Front::default() }
    }

    fn peer(address: &str) -> Peer {
        Peer { address: address.parse().unwrap(), tls: false, subject: None }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_front_end_names_its_client() {
        let said = [
            ("x-remote-user", "alice@EXAMPLE.COM"),
            ("x-forwarded-for", "6.6.6.6, 192.0.2.1, 10.9.9.9"),
        ];
        let client = front().client(&peer("10.1.2.3:5"), &headers(&said)).unwrap();
        assert_eq!(client.identity, Some(Identity::Kerberos("alice@EXAMPLE.COM".into())));
        assert_eq!(client.address, "192.0.2.1:0".parse().unwrap());
        let said = [("x-ssl-client-verify", "SUCCESS"), ("x-ssl-client-s-dn", "CN=alice,O=E")];
        let client = front().client(&peer("[::1]:5"), &headers(&said)).unwrap();
        let subject = Subject::parse("/O=E/CN=alice").unwrap();
        assert_eq!(client.identity, Some(Identity::Certificate(subject)));
        let empty =
            [("x-ssl-client-verify", "NONE"), ("x-ssl-client-s-dn", ""), ("x-remote-user", "")];
        assert_eq!(front().client(&peer("[::1]:5"), &headers(&empty)).unwrap().identity, None);
        let failed = [("x-ssl-client-verify", "FAILED"), ("x-ssl-client-s-dn", "CN=alice")];
        assert_eq!(front().client(&peer("[::1]:5"), &headers(&failed)).unwrap().identity, None);
    }

    #[test]
    fn nobody_else_may() {
        for name in [
            "x-remote-user",
            "remote_user",
            "remote-user",
            "ssl_client_s_dn",
            "x-ssl-client-cert",
            "ssl-client-verify",
            "x-forwarded-user",
            "ssl_client_s_dn_cn",
            "x_remote_user",
            "x_ssl_client_verify",
        ] {
            let said = headers(&[(name, "x")]);
            assert!(front().client(&peer("192.0.2.1:5"), &said).is_err(), "{name}");
            let fine = matches!(name, "x-remote-user");
            assert_eq!(front().client(&peer("10.0.0.1:5"), &said).is_ok(), fine, "{name}");
        }
        let spoofed = headers(&[("x-forwarded-for", "10.0.0.1")]);
        let client = front().client(&peer("192.0.2.1:5"), &spoofed).unwrap();
        assert_eq!(client.address, "192.0.2.1:5".parse().unwrap());
        assert!(!client.private);
    }

    #[test]
    fn only_what_a_front_end_verifies() {
        let said = headers(&[("x-remote-user", "alice")]);
        let certificates = Front { trust_kerberos: false, ..front() };
        assert!(certificates.client(&peer("10.0.0.1:5"), &said).is_err());
        let twice = headers(&[("x-remote-user", "alice"), ("x-remote-user", "root")]);
        assert!(front().client(&peer("10.0.0.1:5"), &twice).is_err());
        let wrong = headers(&[("x-forwarded-for", "alice")]);
        assert!(front().client(&peer("10.0.0.1:5"), &wrong).is_err());
    }

    #[test]
    fn a_certificate_of_the_connection() {
        let subject = Subject::parse("/CN=alice");
        let peer = Peer { tls: true, subject: subject.clone(), ..peer("192.0.2.1:5") };
        let client = front().client(&peer, &HeaderMap::new()).unwrap();
        assert_eq!(client.identity, subject.map(Identity::Certificate));
        assert!(client.private);
    }
}
