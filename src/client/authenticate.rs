//! A client proves who it is.

use super::handshake::Incoming;
use super::login_counts::LoginResult;
use super::proof::{Claim, Found};
use super::refusal::{Refusal, malformed};
use super::replies;
use super::turn::Turn;
use super::vouch;
use crate::auth::{
    Asked, AuthError, ChannelBinding, Exchange, Md5Server, ScramKeys, ScramServer, ScramSubject,
    ServerCredential, StoredSecret, exchange_for, judge_plain,
};
use crate::authority::{self, Verdict};
use crate::config::AuthType;
use crate::hba::{ClientCert, Demand, Method};
use crate::secret::Secret;
use crate::wire::tag::frontend as tag;
use crate::wire::{backend, frame, frontend};

/// Longest message of a login; a password may be as long as PgBouncer's longest.
const MAX_LOGIN_MESSAGE: usize = 66 * 1024;

/// Room for each message that is sent in an exchange with the usual nonces and salts.
const LONGEST_USUAL: usize = 192;

/// One client's proof, under way.
pub(super) struct Proof<'a> {
    pub(super) claim: &'a Claim<'a>,
    pub(super) incoming: &'a mut Incoming,
    pub(super) turn: &'a mut Turn,
}

/// Why a proof is none. Only the log may tell these apart.
#[derive(Debug)]
pub(super) enum Rejected {
    /// The demand's certificate is not there.
    CertificateMissing,
    /// The proof does not hold.
    Because(&'static str),
    /// The exchange of a password failed.
    Auth(AuthError),
    /// The same with SCRAM, which may have been spoken where md5 was asked for.
    Scram(AuthError),
    /// Somebody who would have to be asked cannot be.
    Unavailable(authority::Unavailable),
    /// The client reads this.
    Told(Refusal),
}

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Self {
        Rejected::Told(refusal)
    }
}

impl From<std::io::Error> for Rejected {
    fn from(error: std::io::Error) -> Self {
        Rejected::Told(error.into())
    }
}

impl From<AuthError> for Rejected {
    fn from(error: AuthError) -> Self {
        Rejected::Auth(error)
    }
}

impl Proof<'_> {
    /// Asks for the proof that is demanded. What the client has shown beside it is kept for logins to servers.
    pub(super) async fn run(mut self, demand: &Demand) -> Result<(), Refusal> {
        let user = self.claim.user;
        let result = self.attempt(demand).await;
        result.map_err(|rejected| {
            let method = demand.method.as_str();
            let mut failed = &demand.method;
            let reason = match rejected {
                Rejected::Told(refusal) => return refusal,
                Rejected::CertificateMissing => {
                    let fields = replies::no_certificate();
                    return Refusal::new(LoginResult::AuthFailed, fields);
                }
                Rejected::Unavailable(error) => {
                    tracing::error!(?user, method, %error, "authentication is not possible");
                    return Refusal::new(LoginResult::Server, replies::no_lookup());
                }
                Rejected::Because(reason) => reason.to_owned(),
                Rejected::Auth(error) => error.to_string(),
                Rejected::Scram(error) => {
                    failed = &Method::ScramSha256;
                    error.to_string()
                }
            };
            tracing::info!(?user, method, reason, "authentication failed");
            Refusal::new(LoginResult::AuthFailed, replies::auth_failed(failed, user))
        })
    }

    async fn attempt(&mut self, demand: &Demand) -> Result<(), Rejected> {
        vouch::has_certificate(demand, self.incoming.tls.as_deref())?;
        match &demand.method {
            // Whoever asks for a demand has said no already.
            Method::Reject => return Err(Rejected::Because("rejected")),
            Method::Trust => self.check_known().await?,
            Method::Password => self.password(Asked::Plain).await?,
            Method::Md5 => self.password(Asked::Md5).await?,
            Method::ScramSha256 => self.password(Asked::Scram).await?,
            Method::Cert => {
                self.check_certificate(demand)?;
                self.check_known().await?;
            }
            Method::Peer => {
                self.check_peer(demand).await?;
                self.check_known().await?;
            }
            Method::Ldap(_) | Method::Pam(_) => self.ask_authority(&demand.method).await?,
        }
        let is_cert = demand.method == Method::Cert;
        if demand.client_cert == ClientCert::VerifyFull && !is_cert {
            self.check_certificate(demand)?;
        }
        Ok(())
    }

    fn check_certificate(&self, demand: &Demand) -> Result<(), Rejected> {
        let tls = self.incoming.tls.as_deref();
        let maps = self.claim.identities.maps();
        vouch::certificate_names_user(demand, tls, maps, self.claim.user)
    }

    /// Those who need no password must be known, unless there is nowhere to be known.
    async fn check_known(&mut self) -> Result<(), Rejected> {
        let Claim { config, identities, .. } = *self.claim;
        if config.process.auth_type == AuthType::Any {
            return Ok(());
        }
        let found = self.find(true).await?;
        if let (None, Some(secret)) = (&found.in_files, &found.secret) {
            self.remember(&found, ServerCredential::Stored(secret.clone()));
        }
        let open = identities.is_open(config) && !self.claim.asks_servers();
        if found.is_known || open {
            Ok(())
        } else {
            Err(Rejected::Because("the user is not known"))
        }
    }

    /// Looks the user up. A server may take its time, and others have the turn meanwhile.
    async fn find(&mut self, may_be_cached: bool) -> Result<Found, Refusal> {
        self.turn.pause();
        let found = self.claim.find(may_be_cached).await;
        self.turn.begin().await;
        found
    }

    async fn password(&mut self, asked: Asked) -> Result<(), Rejected> {
        let found = self.find(true).await?;
        let usual = self.claim.usual();
        match exchange_for(asked, found.secret.as_ref(), usual) {
            Exchange::Plain => {
                let password = self.ask_password().await?;
                let result = self.judge(&found, &password).await;
                let (found, result) = match result {
                    // The password may be younger than the answer.
                    Err(Rejected::Auth(_)) if found.is_cached => {
                        let found = self.find(false).await?;
                        let result = self.judge(&found, &password).await;
                        (found, result)
                    }
                    result => (found, result),
                };
                result?;
                let shown = ServerCredential::Stored(StoredSecret::Plain(password));
                self.remember(&found, shown);
            }
            Exchange::Md5 => self.md5(found).await?,
            Exchange::Scram => {
                let result = self.scram(&found).await;
                if matches!(result, Err(Rejected::Auth(_))) && found.is_cached {
                    // Too late for this login: its proof is for the old verifier. The next one finds the new one.
                    self.find(false).await?;
                }
                let keys = result.map_err(|rejected| match rejected {
                    Rejected::Auth(error) => Rejected::Scram(error),
                    other => other,
                })?;
                if let Some(StoredSecret::Scram(_)) = found.secret {
                    self.remember(&found, ServerCredential::Keys(keys));
                } else {
                    self.remember_looked_up(&found);
                }
            }
        }
        Ok(())
    }

    async fn judge(&mut self, found: &Found, password: &Secret) -> Result<(), Rejected> {
        let Claim { gate, identities, user, .. } = *self.claim;
        let (user, secret, usual) = (user.clone(), found.secret.clone(), self.claim.usual());
        let mock = std::sync::Arc::new(identities.kept.verifiers.mock(&user));
        let password = password.clone();
        let judged = gate.desks.run(async move {
            judge_plain(&user, secret.as_ref(), usual, &mock, password.expose().as_bytes())
        });
        Ok(judged.await.ok_or(Rejected::Because("the process is ending"))??)
    }

    async fn md5(&mut self, found: Found) -> Result<(), Rejected> {
        let user = self.claim.user;
        let md5 = Md5Server::new(user, found.secret.as_ref())?;
        let salt = md5.salt();
        let mut bytes = Vec::new();
        backend::put_auth_md5(&mut bytes, salt);
        self.incoming.send(&bytes).await?;
        let message = self.password_message().await?;
        let answer = frontend::read_password(&message).map_err(|error| malformed(&error))?;
        let found = match md5.response(answer) {
            Ok(()) => found,
            // The password may be younger than the answer.
            Err(_) if found.is_cached => {
                let found = self.find(false).await?;
                Md5Server::with_salt(user, found.secret.as_ref(), salt).response(answer)?;
                found
            }
            Err(error) => return Err(error.into()),
        };
        self.remember_looked_up(&found);
        Ok(())
    }

    async fn scram(&mut self, found: &Found) -> Result<ScramKeys, Rejected> {
        let Claim { gate, identities, user, .. } = *self.claim;
        let verifiers = std::sync::Arc::clone(&identities.kept.verifiers);
        let (name, secret) = (user.clone(), found.secret.clone());
        let subject = match verifiers.ready(&name, secret.as_ref()) {
            Some(subject) => subject,
            None => {
                let made = gate.desks.run(async move { verifiers.subject(&name, secret.as_ref()) });
                made.await.ok_or(Rejected::Because("the process is ending"))?
            }
        };
        self.scram_exchange(subject).await
    }

    async fn scram_exchange(&mut self, subject: ScramSubject) -> Result<ScramKeys, Rejected> {
        let end_point = self.incoming.tls.as_ref().and_then(|tls| tls.end_point.clone());
        let mut bytes = Vec::with_capacity(LONGEST_USUAL);
        backend::put_auth_sasl(&mut bytes, ChannelBinding::mechanisms(end_point.as_deref()));
        self.incoming.send(&bytes).await?;
        let message = self.password_message().await?;
        let (mechanism, data) =
            frontend::read_sasl_initial(&message).map_err(|error| malformed(&error))?;
        let Some(binding) = ChannelBinding::chosen(end_point.as_deref(), mechanism) else {
            let text = "client selected an invalid SASL authentication mechanism";
            return Err(Refusal::new(LoginResult::Protocol, replies::bad_login(text)).into());
        };
        let (scram, first) = ScramServer::new(subject, binding)?.client_first(data)?;
        bytes.clear();
        backend::put_auth_sasl_continue(&mut bytes, &first);
        self.incoming.send(&bytes).await?;
        let message = self.password_message().await?;
        let data = message.get(frame::HEADER..).unwrap_or_default();
        let success = scram.client_final(data)?;
        bytes.clear();
        backend::put_auth_sasl_final(&mut bytes, &success.server_final);
        // What comes next is said without another word of the client's.
        self.incoming.hold_back(&bytes);
        Ok(success.keys)
    }

    /// LDAP or PAM tries the password. Nobody there tells whether the user exists.
    async fn ask_authority(&mut self, method: &Method) -> Result<(), Rejected> {
        let password = self.ask_password().await?;
        self.turn.pause();
        let _leave = self.claim.gate.turns.go_outside().await;
        let (user, asked) = (self.claim.user.clone(), password.clone());
        let from = self.incoming.peer.ip();
        let verdict = match method.clone() {
            // It may have to be asked over TLS.
            Method::Ldap(options) => {
                let ask = async move { authority::check_ldap(&options, &user, &asked).await };
                self.claim.gate.desks.run(ask).await
            }
            Method::Pam(service) => {
                let ask = move || authority::check_pam(&service, &user, &asked, from);
                tokio::task::spawn_blocking(ask).await.ok()
            }
            _ => return Err(Rejected::Because("nobody to ask")),
        };
        let verdict = verdict.ok_or(Rejected::Because("the process is ending"))?;
        match verdict.map_err(Rejected::Unavailable)? {
            Verdict::Accepted => {
                let Claim { config, identities, user, .. } = *self.claim;
                let in_files = identities.secret(config, user);
                let shown = ServerCredential::Stored(StoredSecret::Plain(password));
                self.keep(in_files, shown);
                Ok(())
            }
            Verdict::Denied => Err(Rejected::Because("the password was not accepted")),
        }
    }

    /// A secret that a server has told is kept: nobody else knows it when a server is made later.
    fn remember_looked_up(&self, found: &Found) {
        if let (None, Some(secret)) = (&found.in_files, &found.secret) {
            self.remember(found, ServerCredential::Stored(secret.clone()));
        }
    }

    fn remember(&self, found: &Found, credential: ServerCredential) {
        self.keep(found.in_files.clone(), credential);
    }

    fn keep(&self, in_files: Option<StoredSecret>, credential: ServerCredential) {
        let Claim { identities, database, user, .. } = *self.claim;
        identities.kept.shown.remember(database, user, in_files, credential);
    }

    /// Asks for the password itself.
    async fn ask_password(&mut self) -> Result<Secret, Rejected> {
        let mut bytes = Vec::new();
        backend::put_auth_cleartext(&mut bytes);
        self.incoming.send(&bytes).await?;
        let message = self.password_message().await?;
        let answer = frontend::read_password(&message).map_err(|error| malformed(&error))?;
        let text = std::str::from_utf8(answer);
        Ok(Secret::new(text.map_err(|_| Rejected::Because("the password is not UTF-8"))?))
    }

    /// The next message, which must be a password or a SASL response. Others may have the turn meanwhile.
    async fn password_message(&mut self) -> Result<Vec<u8>, Refusal> {
        loop {
            // No message begins so; a start-up packet does.
            if self.incoming.buffer.filled().first() == Some(&0) {
                let fields = replies::bad_login("a second start-up packet")
                    .brief("client re-sent startup pkt");
                return Err(Refusal::new(LoginResult::Protocol, fields));
            }
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
                    self.turn.begin().await;
                    return Ok(message);
                }
                self.incoming.buffer.reserve(header.size);
            }
            self.turn.pause();
            if self.incoming.line.recv(&mut self.incoming.buffer).await? == 0 {
                let text = "the client closed the connection during authentication";
                return Err(Refusal::new(LoginResult::Protocol, replies::bad_login(text)));
            }
        }
    }
}
