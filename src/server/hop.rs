//! The way to a server: a connection, with TLS over it as the settings want it.

use std::sync::Arc;

use crate::config::{SslMode, SslNegotiation};
use crate::net::{Buffer, Dialler, Stream};
use crate::tls::{Connector, ServerFacts};
use crate::types::ServerAddress;
use crate::wire::startup;

/// A connection on which nobody has logged in yet.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) stream: Stream,
    /// What TLS has settled; `None` without it.
    pub(super) tls: Option<ServerFacts>,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HopError {
    /// No connection at all.
    Connect(String),
    /// A connection, but no TLS.
    Tls(String),
}

/// What one attempt does about encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    None,
    /// TLS if the server says that it has it.
    IfOffered,
    Required,
}

/// The attempts that libpq would make, in order: the next one only when the last one failed for want of encryption, or
/// because of it.
pub(super) fn attempts(address: &ServerAddress, mode: SslMode) -> &'static [Encryption] {
    match (address, mode) {
        (ServerAddress::Unix { .. }, _) | (_, SslMode::Disable) => &[Encryption::None],
        (_, SslMode::Allow) => &[Encryption::None, Encryption::Required],
        (_, SslMode::Prefer) => &[Encryption::IfOffered, Encryption::None],
        (_, SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => &[Encryption::Required],
    }
}

/// Connects to `address`. `host` is the name that a certificate has to bear.
pub(super) async fn open(
    address: &ServerAddress,
    host: &str,
    dialler: &Dialler,
    connector: &Arc<Connector>,
    encryption: Encryption,
) -> Result<Hop, HopError> {
    let connected = dialler.connect(address).await;
    let mut stream = connected.map_err(|error| HopError::Connect(error.to_string()))?;
    if encryption == Encryption::None {
        return Ok(Hop { stream, tls: None });
    }
    let asks = connector.settings.sslnegotiation == SslNegotiation::Postgres;
    if asks && !is_offered(&mut stream).await? {
        return match encryption {
            Encryption::Required => {
                Err(HopError::Tls("the server does not support TLS, but it is required".to_owned()))
            }
            _ => Ok(Hop { stream, tls: None }),
        };
    }
    let (stream, facts) = shake_hands(stream, host, connector).await.map_err(HopError::Tls)?;
    Ok(Hop { stream, tls: Some(facts) })
}

/// Asks a server whether it speaks TLS.
async fn is_offered(stream: &mut Stream) -> Result<bool, HopError> {
    let lost = |error: std::io::Error| HopError::Connect(error.to_string());
    let mut packet = Vec::new();
    startup::put_ssl_request(&mut packet);
    stream.send_all(&packet).await.map_err(lost)?;
    let mut answer = Buffer::new();
    stream.recv(&mut answer).await.map_err(lost)?;
    match answer.filled() {
        b"S" => Ok(true),
        b"N" => Ok(false),
        // Whoever is there would not say more without TLS.
        [] => {
            Err(HopError::Connect("the server closed the connection when asked for TLS".to_owned()))
        }
        // Whoever put them there is not the server, or not alone (CVE-2021-23222).
        [b'S' | b'N', ..] => {
            Err(HopError::Tls("received unencrypted data after the answer for TLS".to_owned()))
        }
        [b'E', ..] => Err(HopError::Tls("the server answered with an error to TLS".to_owned())),
        [other, ..] => {
            Err(HopError::Tls(format!("received invalid response to TLS: 0x{other:02x}")))
        }
    }
}

async fn shake_hands(
    stream: Stream,
    host: &str,
    connector: &Connector,
) -> Result<(Stream, ServerFacts), String> {
    let ssl = connector.begin(host).map_err(|error| error.to_string())?;
    let stream = stream.secure(ssl).await?;
    let ssl = stream.tls().ok_or("there is no TLS")?;
    let facts = connector.check(ssl, host)?;
    Ok((stream, facts))
}
