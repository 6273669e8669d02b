//! A client's side of proving who it is.

use crate::error_fields::ErrorFields;
use crate::frontend;
use crate::message::{Message, Reader};
use crate::raw_client::RawClient;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};

/// Answers every request for a proof, up to ReadyForQuery or an error.
pub(crate) async fn authenticate(
    client: &mut RawClient,
    user: &str,
    password: &str,
) -> Result<(), ErrorFields> {
    let mut scram = None;
    loop {
        let message = client.recv().await;
        match message.tag {
            b'R' => answer(client, &message, user, password, &mut scram).await,
            b'E' => return Err(message.error()),
            b'Z' => return Ok(()),
            b'K' | b'S' | b'N' | b'v' => {}
            _ => panic!("not a message of a login: {message:?}"),
        }
    }
}

async fn answer(
    client: &mut RawClient,
    message: &Message,
    user: &str,
    password: &str,
    scram: &mut Option<ScramSha256>,
) {
    let mut reader = Reader::new(&message.body);
    match reader.int32() {
        0 => {}
        3 => client.send(&frontend::password(password)).await,
        5 => {
            let salt = reader.bytes(4)[..].try_into().expect("a salt of four bytes");
            let hash = md5_hash(user.as_bytes(), password.as_bytes(), salt);
            client.send(&frontend::password(&hash)).await;
        }
        10 => {
            let start = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
            client.send(&frontend::sasl_initial(SCRAM_SHA_256, start.message())).await;
            *scram = Some(start);
        }
        11 => {
            let scram = scram.as_mut().expect("a SASL exchange under way");
            scram.update(&reader.rest()).expect("a good first message of the server");
            let response = scram.message().to_vec();
            client.send(&frontend::sasl_response(&response)).await;
        }
        12 => {
            let scram = scram.as_mut().expect("a SASL exchange under way");
            scram.finish(&reader.rest()).expect("a server that knows the password too");
        }
        other => panic!("no answer to authentication request {other}"),
    }
}
