//! SHOW PEERS, PEER_POOLS, DNS_HOSTS and DNS_ZONES: other processes, and the names of servers.

use super::look::View;
use super::table::{Cell, Field, Row};
use crate::cancel::PeerFacts;
use crate::config::Peer;
use crate::net::{KnownName, KnownZone};

/// A row of SHOW PEERS.
pub(super) struct PeerRow {
    id: u16,
    peer: Peer,
    /// `default_pool_size`, for peers without a size of their own.
    default_size: usize,
}

impl Row for PeerRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::int("peer_id", |row| Cell::Number(row.id.into())),
        Field::text("host", |row| row.peer.address.host().into()),
        Field::int("port", |row| Cell::Number(row.peer.address.port().into())),
        Field::int("pool_size", |row| row.peer.pool_size.unwrap_or(row.default_size).into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        let config = view.host.config();
        let default_size = config.defaults.pool_size;
        let row = |(id, peer): (&u16, &Peer)| PeerRow { id: *id, peer: peer.clone(), default_size };
        config.peers.iter().map(row).collect()
    }
}

/// A row of SHOW PEER_POOLS.
pub(super) struct PeerPoolRow {
    id: u16,
    facts: PeerFacts,
}

impl Row for PeerPoolRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::int("peer_id", |row| Cell::Number(row.id.into())),
        Field::int("cl_active_cancel_req", |row| row.facts.forwarding.into()),
        Field::int("cl_waiting_cancel_req", |row| row.facts.waiting.into()),
        Field::int("sv_active_cancel", |row| {
            row.facts.forwarding.saturating_sub(row.facts.connecting).into()
        }),
        Field::int("sv_login", |row| row.facts.connecting.into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        let row = |id: &u16| PeerPoolRow { id: *id, facts: view.host.peer(*id) };
        view.host.config().peers.keys().map(row).collect()
    }
}

/// A row of SHOW DNS_HOSTS.
pub(super) struct DnsHostRow(KnownName);

impl Row for DnsHostRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("hostname", |row| row.0.name.as_str().into()),
        Field::long("ttl", |row| row.0.left.as_secs().into()),
        Field::text("addrs", |row| {
            let addresses = row.0.addresses.iter().map(ToString::to_string);
            addresses.collect::<Vec<_>>().join(",").into()
        }),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        view.host.pools().context.dialler.names.all().into_iter().map(DnsHostRow).collect()
    }
}

/// A row of SHOW DNS_ZONES.
pub(super) struct DnsZoneRow(KnownZone);

impl Row for DnsZoneRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("zonename", |row| row.0.name.as_str().into()),
        Field::long("serial", |row| u64::from(row.0.serial).into()),
        Field::int("count", |row| row.0.names.into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        view.host.pools().context.dialler.names.zones().into_iter().map(DnsZoneRow).collect()
    }
}
