//! Logging in to a broker (SASL, part 5.3 of AMQP 1.0), before the connection proper begins.
//!
//! The library knows logins, too, but the one by certificate only together with its own TLS.

use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use url::Url;

use crate::Error;

/// What begins the exchange, on both sides.
const HEADER: &[u8; 8] = b"AMQP\x03\x01\x00\x00";
/// The largest frame of a login.
const LARGEST: usize = 512;
/// Codes of the frames' content.
const MECHANISMS: u8 = 0x40;
const INIT: u8 = 0x41;
const OUTCOME: u8 = 0x44;

/// Who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// Whom the certificate names.
    Certificate,
    /// A user with a password.
    Password(String, String),
    /// Anybody.
    Nobody,
}

impl Credentials {
    /// A user of the URL comes first, then the certificate.
    pub(crate) fn new(url: &Url, certificate: bool) -> Credentials {
        let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        match (url.username(), certificate) {
            ("", true) => Credentials::Certificate,
            ("", false) => Credentials::Nobody,
            (user, _) => {
                Credentials::Password(decoded(user), decoded(url.password().unwrap_or_default()))
            }
        }
    }

    /// The mechanism and its first message.
    fn mechanism(&self) -> (&'static str, Vec<u8>) {
        match self {
            Credentials::Certificate => ("EXTERNAL", Vec::new()),
            Credentials::Password(user, password) => {
                ("PLAIN", format!("\0{user}\0{password}").into_bytes())
            }
            Credentials::Nobody => ("ANONYMOUS", b"anonymous".to_vec()),
        }
    }
}

/// Logs in on a fresh connection.
pub(crate) async fn login<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    host: &str,
    credentials: &Credentials,
) -> Result<(), Error> {
    stream.write_all(HEADER).await?;
    stream.flush().await?;
    let mut header = [0; 8];
    stream.read_exact(&mut header).await?;
    if header != *HEADER {
        return Err(Error::Login(format!("the other side answers {:02x?}", header)));
    }
    let (code, fields) = read(stream).await?;
    let offered = if code == MECHANISMS { symbols(&fields) } else { None };
    let offered = offered.ok_or_else(|| Error::Login("the broker offers no way".to_owned()))?;
    let (mechanism, first) = credentials.mechanism();
    if !offered.iter().any(|name| name == mechanism) {
        let offered = offered.join(", ");
        return Err(Error::Login(format!("{mechanism} is not among {offered}")));
    }
    stream.write_all(&init(mechanism, &first, host)).await?;
    stream.flush().await?;
    match read(stream).await? {
        (OUTCOME, fields) => match code_of(&fields) {
            Some(0) => Ok(()),
            code => Err(Error::Login(format!("the broker refuses, code {code:?}"))),
        },
        (code, _) => Err(Error::Login(format!("unexpected answer 0x{code:02x}"))),
    }
}

/// Reads a frame: the code of its content, and the fields as they are encoded.
async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(u8, Vec<u8>), Error> {
    let wrong = || Error::Login("a frame makes no sense".to_owned());
    let size = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX);
    if !(12..=LARGEST).contains(&size) {
        return Err(wrong());
    }
    let mut frame = vec![0; size - 4];
    stream.read_exact(&mut frame).await?;
    let start = usize::from(frame[0]) * 4;
    // The offset counts from the begin of the size; frames of a login have the type 1.
    let body = start.checked_sub(4).and_then(|at| frame.get(at..)).ok_or_else(wrong)?;
    let (code, list) = match body {
        [0, 0x53, code, list @ ..] => (*code, list),
        [0, 0x80, 0, 0, 0, 0, 0, 0, 0, code, list @ ..] => (*code, list),
        _ => return Err(wrong()),
    };
    let fields = match list {
        [0x45, ..] => &[][..],
        [0xc0, _, _, fields @ ..] => fields,
        [0xd0, _, _, _, _, _, _, _, _, fields @ ..] => fields,
        _ => return Err(wrong()),
    };
    if frame[1] != 1 {
        return Err(wrong());
    }
    Ok((code, fields.to_vec()))
}

/// The symbols of a field that has one or an array of them.
fn symbols(field: &[u8]) -> Option<Vec<String>> {
    let (wide, mut rest, count) = match field {
        [0xa3, rest @ ..] => (false, rest, 1),
        [0xb3, rest @ ..] => (true, rest, 1),
        [0xe0, _, count, kind @ (0xa3 | 0xb3), rest @ ..] => {
            (*kind == 0xb3, rest, usize::from(*count))
        }
        [0xf0, _, _, _, _, a, b, c, d, kind @ (0xa3 | 0xb3), rest @ ..] => {
            let count = u32::from_be_bytes([*a, *b, *c, *d]);
            (*kind == 0xb3, rest, usize::try_from(count).ok()?)
        }
        _ => return None,
    };
    let mut names = Vec::new();
    for _ in 0..count.min(LARGEST) {
        let length;
        (length, rest) = match (wide, rest) {
            (false, [n, rest @ ..]) => (usize::from(*n), rest),
            (true, [a, b, c, d, rest @ ..]) => {
                (usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()?, rest)
            }
            _ => return None,
        };
        let name = rest.get(..length)?;
        rest = rest.get(length..)?;
        names.push(String::from_utf8_lossy(name).into_owned());
    }
    Some(names)
}

/// The code of an outcome.
fn code_of(fields: &[u8]) -> Option<u8> {
    match fields {
        [0x50, code, ..] => Some(*code),
        _ => None,
    }
}

/// The frame that chooses a mechanism.
fn init(mechanism: &str, first: &[u8], host: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    for (kind, bytes) in [(0xb3, mechanism.as_bytes()), (0xb0, first), (0xb1, host.as_bytes())] {
        fields.push(kind);
        fields.extend(length(bytes.len()));
        fields.extend(bytes);
    }
    let mut frame = vec![2, 1, 0, 0, 0, 0x53, INIT, 0xd0];
    frame.extend(length(fields.len() + 4));
    frame.extend([0, 0, 0, 3]);
    frame.extend(fields);
    let mut whole = length(frame.len() + 4).to_vec();
    whole.extend(frame);
    whole
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut frame = length(body.len() + 8).to_vec();
        frame.extend([2, 1, 0, 0]);
        frame.extend(body);
        frame
    }

    /// What a login says to a broker that offers some mechanisms and answers with a code.
    async fn exchange(
        offer: &[u8],
        code: u8,
        credentials: &Credentials,
    ) -> (Result<(), Error>, Vec<u8>) {
        let (mut ours, mut theirs) = tokio::io::duplex(4096);
        let mut said = HEADER.to_vec();
        let mut body = vec![0, 0x53, MECHANISMS, 0xc0, u8::try_from(offer.len() + 1).unwrap(), 1];
        body.extend(offer);
        said.extend(frame(&body));
        said.extend(frame(&[0, 0x53, OUTCOME, 0xc0, 3, 1, 0x50, code]));
        theirs.write_all(&said).await.unwrap();
        let done = login(&mut ours, "host", credentials).await;
        drop(ours);
        let mut heard = Vec::new();
        theirs.read_to_end(&mut heard).await.unwrap();
        (done, heard)
    }

    #[tokio::test]
    async fn a_password_is_given_and_refused() {
        let url = Url::parse("amqp://us%40er:p%2Bw+d@host").unwrap();
        let credentials = Credentials::new(&url, true);
        assert_eq!(credentials, Credentials::Password("us@er".to_owned(), "p+w+d".to_owned()));
        let offer = b"\xe0\x12\x02\xa3\x05PLAIN\x08EXTERNAL";
        let (done, heard) = exchange(offer, 0, &credentials).await;
        done.unwrap();
        assert!(heard.windows(13).any(|part| part == b"\0us@er\0p+w+d\xb1"), "{heard:02x?}");
        let (done, _) = exchange(offer, 1, &credentials).await;
        assert!(done.unwrap_err().to_string().contains("refuses"));
    }

    #[tokio::test]
    async fn what_is_not_offered_is_not_tried() {
        let url = Url::parse("amqp://host").unwrap();
        let nobody = Credentials::new(&url, false);
        let (done, heard) = exchange(b"\xa3\x05PLAIN", 0, &nobody).await;
        assert!(done.unwrap_err().to_string().contains("ANONYMOUS is not among PLAIN"));
        assert_eq!(heard, HEADER);
        let certificate = Credentials::new(&url, true);
        let offer = b"\xf0\0\0\0\x10\0\0\0\x01\xb3\0\0\0\x08EXTERNAL";
        exchange(offer, 0, &certificate).await.0.unwrap();
    }

    #[tokio::test]
    async fn other_servers_are_told_apart() {
        let (mut ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(b"AMQP\0\0\x09\x01").await.unwrap();
        let done = login(&mut ours, "host", &Credentials::Nobody).await;
        assert!(done.unwrap_err().to_string().contains("answers"));
        let (mut ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(HEADER).await.unwrap();
        theirs.write_all(&[0xff; 12]).await.unwrap();
        assert!(login(&mut ours, "host", &Credentials::Nobody).await.is_err());
    }
}
