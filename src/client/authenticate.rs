//! A client proves who it is.

use super::gate::LoginResult;
use super::handshake::Incoming;
use super::identity::Identities;
use super::refusal::{Refusal, malformed};
use super::replies;
use crate::auth::{
    ChannelBinding, Exchange, Md5Server, ScramKeys, ScramServer, ScramSubject, StoredSecret,
    exchange_for,
};
use crate::config::{AuthType, Config};
use crate::types::Name;
use crate::wire::tag::frontend as tag;
use crate::wire::{backend, frame, frontend};

/// Longest message of a login.
const MAX_LOGIN_MESSAGE: usize = 8 * 1024;

/// One client's proof, under way.
pub(super) struct Proof<'a> {
    pub(super) config: &'a Config,
    pub(super) user: &'a Name,
    pub(super) incoming: &'a mut Incoming,
}

impl Proof<'_> {
    /// Asks for the proof that the configuration demands.
    pub(super) async fn run(mut self, identities: &Identities) -> Result<(), Refusal> {
        let secret = identities.secret(self.config, self.user);
        let auth_type = self.config.process.auth_type;
        let user = self.user;
        let refused = |reason: &dyn std::fmt::Display| {
            tracing::info!(user = %user, %reason, "authentication failed");
            Refusal::new(LoginResult::AuthFailed, replies::wrong_password(user))
        };
        if auth_type == AuthType::Trust {
            let known = identities.is_open(self.config) || identities.knows(self.config, user);
            return if known { Ok(()) } else { Err(refused(&"the user is not known")) };
        }
        match exchange_for(auth_type, secret.as_ref()) {
            Exchange::None => Ok(()),
            Exchange::Refuse(reason) => Err(refused(&format!("{reason:?}"))),
            Exchange::Md5 => {
                let md5 = Md5Server::new(user, secret.as_ref()).map_err(|error| refused(&error))?;
                let mut bytes = Vec::new();
                backend::put_auth_md5(&mut bytes, md5.salt());
                self.incoming.send(&bytes).await?;
                let message = self.password_message().await?;
                let answer =
                    frontend::read_password(&message).map_err(|error| malformed(&error))?;
                md5.response(answer).map_err(|error| refused(&error))
            }
            Exchange::Scram => {
                let subject = identities.verifiers.subject(user, secret.as_ref());
                let keys = self.scram(subject, &refused).await?;
                if let Some(StoredSecret::Scram(verifier)) = &secret {
                    identities.verifiers.remember(user, verifier, keys);
                }
                Ok(())
            }
        }
    }

    async fn scram(
        &mut self,
        subject: ScramSubject,
        refused: &(dyn Fn(&dyn std::fmt::Display) -> Refusal + Sync),
    ) -> Result<ScramKeys, Refusal> {
        let end_point = self.incoming.tls.as_ref().and_then(|tls| tls.end_point.clone());
        let mut bytes = Vec::new();
        backend::put_auth_sasl(&mut bytes, ChannelBinding::mechanisms(end_point.as_deref()));
        self.incoming.send(&bytes).await?;
        let message = self.password_message().await?;
        let (mechanism, data) =
            frontend::read_sasl_initial(&message).map_err(|error| malformed(&error))?;
        let Some(binding) = ChannelBinding::chosen(end_point.as_deref(), mechanism) else {
            let text = "client selected an invalid SASL authentication mechanism";
            return Err(Refusal::new(LoginResult::Protocol, replies::bad_login(text)));
        };
        let scram = ScramServer::new(subject, binding).map_err(|error| refused(&error))?;
        let (scram, first) = scram.client_first(data).map_err(|error| refused(&error))?;
        bytes.clear();
        backend::put_auth_sasl_continue(&mut bytes, &first);
        self.incoming.send(&bytes).await?;
        let message = self.password_message().await?;
        let data = message.get(frame::HEADER..).unwrap_or_default();
        let success = scram.client_final(data).map_err(|error| refused(&error))?;
        bytes.clear();
        backend::put_auth_sasl_final(&mut bytes, &success.server_final);
        self.incoming.send(&bytes).await?;
        Ok(success.keys)
    }

    /// The next message, which must be a password or a SASL response.
    async fn password_message(&mut self) -> Result<Vec<u8>, Refusal> {
        loop {
            let header =
                frame::header(self.incoming.buffer.filled()).map_err(|error| malformed(&error))?;
            if let Some(header) = header {
                if header.tag != tag::PASSWORD || header.size > MAX_LOGIN_MESSAGE {
                    let text = "expected password response";
                    return Err(Refusal::new(LoginResult::Protocol, replies::bad_login(text)));
                }
                if let Some(message) = self.incoming.buffer.filled().get(..header.size) {
                    let message = message.to_vec();
                    self.incoming.buffer.consume(header.size);
                    return Ok(message);
                }
            }
            if self.incoming.stream.recv(&mut self.incoming.buffer).await? == 0 {
                let text = "the client closed the connection during authentication";
                return Err(Refusal::new(LoginResult::Protocol, replies::bad_login(text)));
            }
        }
    }
}
