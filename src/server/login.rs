//! One login on a server: start-up packet, authentication, and what the server says of itself.

use std::sync::Arc;
use std::time::Instant;

use super::connect::{Blueprint, ConnectError, Stage, Tools, lost, unsupported, violation};
use super::hop::Hop;
use super::{Backend, Bulk, Prepared, Progress, Server, ServerId};
use crate::auth::{ClientBinding, MECHANISM_PLUS, ScramClient, ScramClientFinal};
use crate::config::{BindingPolicy, ServerTlsSettings};
use crate::net::{Buffer, Stream, take_message};
use crate::session::params::{Reported, Values};
use crate::stats::{ServerRecord, Traced};
use crate::tls::ServerFacts;
use crate::types::{ServerAddress, WorkerId};
use crate::wire::backend::{self, AuthRequest};
use crate::wire::tag::backend as tag;
use crate::wire::{ErrorFields, frontend, startup};

/// Largest message of the login phase. The longest honest one is an error.
const MAX_LOGIN_MESSAGE: usize = 64 * 1024;
/// Notices of a login that clients are told.
const MAX_NOTICES: usize = 8;
/// More messages than any honest login has.
const MAX_LOGIN_MESSAGES: usize = 1_000;

/// One login under way.
pub(super) struct Login<'a> {
    stream: Stream,
    tls: Option<ServerFacts>,
    buffer: Buffer,
    blueprint: &'a Blueprint,
    settings: &'a ServerTlsSettings,
    /// Nobody on the way can read what is sent.
    is_private: bool,
    reported: Reported,
    key: Option<(u32, Box<[u8]>)>,
    scram: Scram,
    /// The exchange is bound to the TLS channel.
    bound: bool,
    authenticated: bool,
}

/// Where the SCRAM exchange stands.
enum Scram {
    None,
    First(Box<ScramClient>),
    Final(Box<ScramClientFinal>),
    /// The server has proved that it knows the password.
    Done,
}

impl Scram {
    /// The exchange is under way.
    fn is_open(&self) -> bool {
        matches!(self, Scram::First(_) | Scram::Final(_))
    }
}

enum Step {
    More,
    Ready,
}

impl<'a> Login<'a> {
    /// Logs in on a connection.
    pub(super) async fn run(
        blueprint: &'a Blueprint,
        address: &ServerAddress,
        tools: &'a Tools,
        hop: Hop,
        id: ServerId,
    ) -> Result<Box<Server>, ConnectError> {
        let Hop { stream, tls } = hop;
        let mut login = Login {
            stream,
            is_private: tls.is_some() || matches!(address, ServerAddress::Unix { .. }),
            tls,
            buffer: Buffer::new(),
            blueprint,
            settings: &tools.connector.settings,
            reported: Reported::default(),
            key: None,
            bound: false,
            scram: Scram::None,
            authenticated: false,
        };
        login.send_startup().await?;
        for _ in 0..MAX_LOGIN_MESSAGES {
            let message = login.message().await?;
            if let Step::Ready = login.step(&message).await? {
                return login.finish(address, tools, id);
            }
        }
        Err(violation("too many messages"))
    }

    async fn send_startup(&mut self) -> Result<(), ConnectError> {
        let blueprint = self.blueprint;
        let mut packet = Vec::new();
        let fixed = [("user", blueprint.user.as_ref()), ("database", blueprint.database.as_ref())];
        let extra = blueprint
            .startup_parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        startup::put_startup(&mut packet, 0, fixed.into_iter().chain(extra));
        self.send(&packet).await
    }

    /// The next whole message.
    async fn message(&mut self) -> Result<Vec<u8>, ConnectError> {
        loop {
            if let Some(message) = take_message(&mut self.buffer, MAX_LOGIN_MESSAGE)? {
                return Ok(message);
            }
            match self.stream.recv(&mut self.buffer).await {
                Ok(0) => return Err(lost("the server closed the connection during the login")),
                Ok(_) => {}
                Err(error) => {
                    return Err(lost(&format!(
                        "connection to server failed during the login: {error}"
                    )));
                }
            }
        }
    }

    async fn step(&mut self, message: &[u8]) -> Result<Step, ConnectError> {
        match message.first().copied().unwrap_or_default() {
            tag::AUTHENTICATION => self.authenticate(message).await?,
            tag::PARAMETER_STATUS if self.authenticated => {
                let (name, value) = backend::read_parameter_status(message)?;
                let name = String::from_utf8_lossy(name).into_owned();
                self.reported.values.push((name.into(), value.into()));
            }
            tag::BACKEND_KEY_DATA if self.authenticated => {
                let (pid, key) = backend::read_key_data(message)?;
                self.key = Some((pid, key.into()));
            }
            tag::READY_FOR_QUERY if self.authenticated => return Ok(Step::Ready),
            tag::ERROR_RESPONSE => {
                return Err(ConnectError {
                    address: None,
                    fields: Box::new(ErrorFields::read(message)),
                    stage: Stage::Login,
                    by_server: true,
                    id: 0,
                });
            }
            // The clients will be told.
            tag::NOTICE_RESPONSE if self.reported.notices.len() < MAX_NOTICES => {
                self.reported.notices.push(message.into());
            }
            tag::NOTICE_RESPONSE | tag::NEGOTIATE_PROTOCOL_VERSION => {}
            other => return Err(violation(&format!("unexpected message type 0x{other:02x}"))),
        }
        Ok(Step::More)
    }

    async fn authenticate(&mut self, message: &[u8]) -> Result<(), ConnectError> {
        let credential = &self.blueprint.credential;
        let request = AuthRequest::read(message)?;
        self.insist_on_binding(&request)?;
        let mut answer = Vec::new();
        match request {
            AuthRequest::Ok if self.scram.is_open() => {
                return Err(violation("the server ended SCRAM without proving itself"));
            }
            AuthRequest::Ok => self.authenticated = true,
            AuthRequest::Cleartext => {
                let password = credential.cleartext()?;
                self.insist_on_privacy()?;
                frontend::put_password(&mut answer, password.expose().as_bytes());
            }
            AuthRequest::Md5(salt) => {
                let response = credential.md5(&self.blueprint.user, salt)?;
                frontend::put_password(&mut answer, response.expose().as_bytes());
            }
            AuthRequest::Sasl(mechanisms) => self.begin_scram(mechanisms, &mut answer)?,
            AuthRequest::SaslContinue(data) => self.continue_scram(data, &mut answer).await?,
            AuthRequest::SaslFinal(data) => {
                let Scram::Final(scram) = std::mem::replace(&mut self.scram, Scram::None) else {
                    return Err(violation("unexpected SASL message"));
                };
                scram.server_final(data)?;
                self.scram = Scram::Done;
            }
            AuthRequest::Other(code) => {
                return Err(unsupported(&format!(
                    "the server asks for authentication method {code}"
                )));
            }
        }
        self.send(&answer).await
    }

    /// With `channel_binding = "require"` nothing but a bound SCRAM exchange is answered, or accepted.
    fn insist_on_binding(&self, request: &AuthRequest<'_>) -> Result<(), ConnectError> {
        let bound = match request {
            AuthRequest::Sasl(_) => self.tls.is_some(),
            AuthRequest::SaslContinue(_) | AuthRequest::SaslFinal(_) => self.bound,
            AuthRequest::Ok => self.bound && matches!(self.scram, Scram::Done),
            AuthRequest::Cleartext | AuthRequest::Md5(_) | AuthRequest::Other(_) => false,
        };
        if self.settings.channel_binding == BindingPolicy::Require && !bound {
            return Err(unsupported(
                "channel binding is required (server_tls_channel_binding), but the server did not ask for it",
            ));
        }
        Ok(())
    }

    fn insist_on_privacy(&self) -> Result<(), ConnectError> {
        if self.is_private || self.settings.allow_cleartext_password {
            return Ok(());
        }
        let mut error =
            unsupported("the server asks for the password in clear on a connection without TLS");
        error.fields.hint = Some(
            "Use TLS with the server, or scram-sha-256 in its pg_hba.conf; allow_cleartext_password in [tls.server] sends it nevertheless."
                .into(),
        );
        Err(error)
    }

    fn begin_scram(&mut self, offered: &[u8], answer: &mut Vec<u8>) -> Result<(), ConnectError> {
        let offers = |mechanism: &str| {
            offered.split(|&byte| byte == 0).any(|name| name == mechanism.as_bytes())
        };
        let end_point = self
            .tls
            .as_ref()
            .filter(|_| self.settings.channel_binding != BindingPolicy::Disable)
            .and_then(|tls| tls.end_point.clone());
        let binding = match end_point {
            Some(end_point) if offers(MECHANISM_PLUS) => ClientBinding::EndPoint(end_point),
            Some(_) => ClientBinding::NotOffered,
            None => ClientBinding::Unable,
        };
        let mechanism = binding.mechanism();
        if !offers(mechanism) {
            return Err(unsupported("the server offers no SASL mechanism that pgusher knows"));
        }
        self.bound = matches!(binding, ClientBinding::EndPoint(_));
        if self.settings.channel_binding == BindingPolicy::Require && !self.bound {
            return Err(unsupported(
                "channel binding is required (server_tls_channel_binding), but the server does not offer it",
            ));
        }
        let scram = self.blueprint.credential.scram(binding)?;
        frontend::put_sasl_initial(answer, mechanism, &scram.client_first());
        self.scram = Scram::First(Box::new(scram));
        Ok(())
    }

    async fn continue_scram(
        &mut self,
        data: &[u8],
        answer: &mut Vec<u8>,
    ) -> Result<(), ConnectError> {
        let Scram::First(scram) = std::mem::replace(&mut self.scram, Scram::None) else {
            return Err(violation("unexpected SASL message"));
        };
        let data = data.to_vec();
        // How much there is to compute is the server's choice, and others use this thread.
        let computed = tokio::task::spawn_blocking(move || scram.server_first(&data)).await;
        let (next, response) = computed.map_err(|_| violation("SCRAM was given up"))??;
        frontend::put_sasl_response(answer, &response);
        self.scram = Scram::Final(Box::new(next));
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), ConnectError> {
        let sent = self.stream.send_all(bytes).await;
        sent.map_err(|error| {
            lost(&format!("connection to server failed during the login: {error}"))
        })
    }

    fn finish(
        self,
        address: &ServerAddress,
        tools: &Tools,
        id: ServerId,
    ) -> Result<Box<Server>, ConnectError> {
        if !self.buffer.is_empty() {
            return Err(violation("the server sent data after ReadyForQuery"));
        }
        // A server without BackendKeyData cannot be cancelled; such requests are refused by pid 0.
        let (pid, key) = self.key.unwrap_or((0, Box::new([0; 4])));
        let now = Instant::now();
        let label = self.tls.as_ref().map(|tls| tls.label);
        let mut record = ServerRecord::new(id, address, self.stream.socket(), label, pid);
        let mut backend =
            Backend::new(resolved(address, &self.stream), pid, &key, Arc::clone(&tools.dialler));
        record.cancels = Arc::clone(backend.cancels());
        if self.tls.is_some() {
            backend = backend.behind_tls(Arc::clone(&tools.connector), address.host());
        }
        Ok(Box::new(Server {
            backend: Arc::new(backend),
            stream: self.stream,
            bulk: Bulk::default(),
            progress: Progress::default(),
            applied: tools.param_sets.intern(Values::new()),
            reported: Arc::new(self.reported),
            prepared: Prepared::default(),
            unnamed: 0,
            altered: false,
            needs_reset: false,
            is_spent: false,
            is_reset: true,
            fate: super::Fate::default(),
            traced: Traced::default(),
            is_greeted: !self.blueprint.connect_query.is_empty(),
            listens: false,
            audit: super::Audit::default(),
            home: WorkerId::CONTROL,
            lifetime_share: lifetime_share(id),
            record: Arc::new(record),
            connected_at: now,
            last_used: now,
            param_sets: Arc::clone(&tools.param_sets),
        }))
    }
}

/// The address without names, so that a cancel request reaches the same host.
fn resolved(address: &ServerAddress, stream: &Stream) -> ServerAddress {
    let peer = stream.socket().peer_addr().ok().and_then(|peer| peer.as_socket());
    match peer {
        Some(peer) => ServerAddress::Tcp { host: peer.ip().to_string(), port: peer.port() },
        None => address.clone(),
    }
}

/// Spreads lifetimes over nine tenths to the whole, evenly over consecutive servers (golden ratio steps).
fn lifetime_share(id: u64) -> f64 {
    let step = (id as f64 * 0.618_033_988_749_895).fract();
    0.9 + 0.1 * step
}
