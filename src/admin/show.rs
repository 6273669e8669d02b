//! The tables there are.

use super::show_advice::AdviceRow;
use super::show_databases::{DatabaseRow, UserRow};
use super::show_fds::{FdRow, MemRow};
use super::show_load::LoadRow;
use super::show_network::{DnsHostRow, DnsZoneRow, PeerPoolRow, PeerRow};
use super::show_pins::{AuditRow, PinRow};
use super::show_pools::PoolRow;
use super::show_process::{ConfigRow, ListRow, StateRow, VersionRow};
use super::show_sockets::{ActiveSocketRow, ClientRow, ServerRow, SocketRow};
use super::show_stats::{AveragesRow, StatsRow, SumRow, TotalsRow};
use super::show_waiting::{BlockerRow, WaiterRow};
use super::table::Sheet;

/// A table of SHOW.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    ActiveSockets,
    Advice,
    Audit,
    Blockers,
    Clients,
    Config,
    Databases,
    DnsHosts,
    DnsZones,
    Fds,
    Lists,
    Load,
    Mem,
    PeerPools,
    Peers,
    Pins,
    Pools,
    Servers,
    Sockets,
    State,
    Stats,
    StatsAverages,
    StatsTotals,
    Totals,
    Users,
    Version,
    Waiters,
}

impl Show {
    /// All tables, by name.
    pub(super) const ALL: [Show; 27] = [
        Show::ActiveSockets,
        Show::Advice,
        Show::Audit,
        Show::Blockers,
        Show::Clients,
        Show::Config,
        Show::Databases,
        Show::DnsHosts,
        Show::DnsZones,
        Show::Fds,
        Show::Lists,
        Show::Load,
        Show::Mem,
        Show::PeerPools,
        Show::Peers,
        Show::Pins,
        Show::Pools,
        Show::Servers,
        Show::Sockets,
        Show::State,
        Show::Stats,
        Show::StatsAverages,
        Show::StatsTotals,
        Show::Totals,
        Show::Users,
        Show::Version,
        Show::Waiters,
    ];

    /// The word after SHOW.
    pub(super) fn name(self) -> &'static str {
        match self {
            Show::ActiveSockets => "ACTIVE_SOCKETS",
            Show::Advice => "ADVICE",
            Show::Audit => "AUDIT",
            Show::Blockers => "BLOCKERS",
            Show::Clients => "CLIENTS",
            Show::Config => "CONFIG",
            Show::Databases => "DATABASES",
            Show::DnsHosts => "DNS_HOSTS",
            Show::DnsZones => "DNS_ZONES",
            Show::Fds => "FDS",
            Show::Lists => "LISTS",
            Show::Load => "LOAD",
            Show::Mem => "MEM",
            Show::PeerPools => "PEER_POOLS",
            Show::Peers => "PEERS",
            Show::Pins => "PINS",
            Show::Pools => "POOLS",
            Show::Servers => "SERVERS",
            Show::Sockets => "SOCKETS",
            Show::State => "STATE",
            Show::Stats => "STATS",
            Show::StatsAverages => "STATS_AVERAGES",
            Show::StatsTotals => "STATS_TOTALS",
            Show::Totals => "TOTALS",
            Show::Users => "USERS",
            Show::Version => "VERSION",
            Show::Waiters => "WAITERS",
        }
    }

    /// True when the name of a database may follow.
    pub(super) fn is_by_database(self) -> bool {
        matches!(self, Show::Advice | Show::Blockers | Show::Waiters)
    }

    /// Its columns and rows.
    pub(super) fn sheet(self) -> Sheet {
        match self {
            Show::ActiveSockets => Sheet::of::<ActiveSocketRow>(),
            Show::Advice => Sheet::of::<AdviceRow>(),
            Show::Audit => Sheet::of::<AuditRow>(),
            Show::Blockers => Sheet::of::<BlockerRow>(),
            Show::Clients => Sheet::of::<ClientRow>(),
            Show::Config => Sheet::of::<ConfigRow>(),
            Show::Databases => Sheet::of::<DatabaseRow>(),
            Show::DnsHosts => Sheet::of::<DnsHostRow>(),
            Show::DnsZones => Sheet::of::<DnsZoneRow>(),
            Show::Fds => Sheet::of::<FdRow>(),
            Show::Lists => Sheet::of::<ListRow>(),
            Show::Load => Sheet::of::<LoadRow>(),
            Show::Mem => Sheet::of::<MemRow>(),
            Show::PeerPools => Sheet::of::<PeerPoolRow>(),
            Show::Peers => Sheet::of::<PeerRow>(),
            Show::Pins => Sheet::of::<PinRow>(),
            Show::Pools => Sheet::of::<PoolRow>(),
            Show::Servers => Sheet::of::<ServerRow>(),
            Show::Sockets => Sheet::of::<SocketRow>(),
            Show::State => Sheet::of::<StateRow>(),
            Show::Stats => Sheet::of::<StatsRow>(),
            Show::StatsAverages => Sheet::of::<AveragesRow>(),
            Show::StatsTotals => Sheet::of::<TotalsRow>(),
            Show::Totals => Sheet::of::<SumRow>(),
            Show::Users => Sheet::of::<UserRow>(),
            Show::Version => Sheet::of::<VersionRow>(),
            Show::Waiters => Sheet::of::<WaiterRow>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Column, ColumnKind};

    const SOCKET: &str = "type user database replication state addr port# local_addr local_port# connect_time \
         request_time wait# wait_us# close_needed# ptr link remote_pid# tls application_name prepared_statements# id#";

    /// The columns of the tables that PgBouncer does not have.
    fn own(show: Show) -> Option<&'static str> {
        let columns = match show {
            Show::Advice => {
                "database user topic subject size# wait_p50_seconds wait_p95_seconds wait_p99_seconds \
                 per_second note"
            }
            Show::Audit => "database application_name statement cause count##",
            Show::Blockers => {
                "database pool_user server## remote_pid## state pinned_by held_seconds client## user \
                 application_name addr statement waiting#"
            }
            Show::Load => {
                "database user mode size# reserve# paused# cl_idle# cl_active# waiting# sv_idle# sv_active# \
                 sv_idle_in_transaction# sv_pinned# sv_other# oldest_wait_seconds transactions## queries## \
                 assignments## given_up## received## sent## wait_us## busy_us## saturated_us## \
                 idle_in_transaction_us## queue_us## wait_bounds_us wait_counts"
            }
            Show::Waiters => {
                "database pool_user class place# waited_seconds expected_seconds client## user application_name addr"
            }
            Show::Pins => {
                "client## server## database user application_name cause statement since seconds##"
            }
            _ => return None,
        };
        Some(columns)
    }

    /// PgBouncer 1.25.2's columns, and those of the tables that it does not have. What is behind a name is its type:
    /// nothing for text, # integer, ## bigint, $ numeric, % bytea.
    fn reference(show: Show) -> String {
        let of_stats = |names: &str| {
            let names = names.split_whitespace().map(|name| format!("{name}$"));
            format!("database {}", names.collect::<Vec<_>>().join(" "))
        };
        if let Some(columns) = own(show) {
            return columns.to_owned();
        }
        let columns = match show {
            Show::Clients | Show::Servers => SOCKET,
            Show::Sockets | Show::ActiveSockets => {
                return format!(
                    "{SOCKET} recv_pos# pkt_pos# pkt_remain# send_pos# send_remain# pkt_avail# send_avail#"
                );
            }
            Show::Config => "key value default changeable",
            Show::Databases => {
                "name host port# database force_user pool_size# min_pool_size# reserve_pool_size# server_lifetime# \
                 pool_mode load_balance_hosts max_connections# current_connections# max_client_connections# \
                 current_client_connections# paused# disabled#"
            }
            Show::DnsHosts => "hostname ttl## addrs",
            Show::DnsZones => "zonename serial## count#",
            Show::Fds => {
                "fd# task user database addr port# cancel## link# client_encoding std_strings datestyle timezone \
                 password scram_client_key% scram_server_key%"
            }
            Show::Lists => "list items#",
            Show::Mem => "name size# used# free# memtotal#",
            Show::PeerPools => {
                "peer_id# cl_active_cancel_req# cl_waiting_cancel_req# sv_active_cancel# sv_login#"
            }
            Show::Peers => "peer_id# host port# pool_size#",
            Show::Pools => {
                "database user cl_active# cl_waiting# cl_active_cancel_req# cl_waiting_cancel_req# sv_active# \
                 sv_active_cancel# sv_being_canceled# sv_idle# sv_used# sv_tested# sv_login# maxwait# maxwait_us# \
                 pool_mode load_balance_hosts"
            }
            Show::State => "key value",
            Show::Stats => {
                return of_stats(
                    "total_server_assignment_count total_xact_count total_query_count total_received total_sent \
                     total_xact_time total_query_time total_wait_time total_client_parse_count \
                     total_server_parse_count total_bind_count total_client_login_count \
                     avg_server_assignment_count avg_xact_count avg_query_count avg_recv avg_sent avg_xact_time \
                     avg_query_time avg_wait_time avg_client_parse_count avg_server_parse_count avg_bind_count \
                     avg_client_login_count",
                );
            }
            Show::StatsTotals => {
                return of_stats(
                    "server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time \
                     wait_time client_parse_count server_parse_count bind_count client_login_count",
                );
            }
            Show::StatsAverages => {
                return of_stats(
                    "server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time \
                     wait_time avg_client_parse_count avg_server_parse_count avg_bind_count avg_client_login_count",
                );
            }
            Show::Totals => "name value$",
            Show::Users => {
                "name pool_size reserve_pool_size pool_mode max_user_connections# current_connections# \
                 max_user_client_connections# current_client_connections#"
            }
            Show::Version => "version",
            other => panic!("{other:?} has no reference"),
        };
        columns.to_owned()
    }

    fn written(column: &Column) -> String {
        let kind = match column.kind {
            ColumnKind::Text => "",
            ColumnKind::Int4 => "#",
            ColumnKind::Int8 => "##",
            ColumnKind::Numeric => "$",
            ColumnKind::Bytea => "%",
        };
        format!("{}{kind}", column.name)
    }

    #[test]
    fn columns_are_pgbouncers() {
        for show in Show::ALL {
            let columns: Vec<_> = (show.sheet().columns)().iter().map(written).collect();
            let reference = reference(show);
            let expected: Vec<_> = reference.split_whitespace().collect();
            assert_eq!(columns, expected, "SHOW {}", show.name());
        }
    }
}
