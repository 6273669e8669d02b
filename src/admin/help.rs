//! SHOW HELP.

use crate::sqlstate;
use crate::wire::{ErrorFields, Severity};

/// All commands, in PgBouncer's words; pgusher's own tables have a line of their own.
pub(super) fn text() -> ErrorFields {
    ErrorFields::new(Severity::Notice, sqlstate::SUCCESS, "Console usage").detail(
        "\n\tSHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION\
         \n\tSHOW PEERS|PEER_POOLS\
         \n\tSHOW FDS|SOCKETS|ACTIVE_SOCKETS|LISTS|MEM|STATE\
         \n\tSHOW DNS_HOSTS|DNS_ZONES\
         \n\tSHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS\
         \n\tSHOW PINS|AUDIT|LOAD\
         \n\tSHOW BLOCKERS|WAITERS [<db>]\
         \n\tSET key = arg\
         \n\tRELOAD\
         \n\tPAUSE [<db>]\
         \n\tRESUME [<db>]\
         \n\tDISABLE <db>\
         \n\tENABLE <db>\
         \n\tRECONNECT [<db>]\
         \n\tKILL [<db>]\
         \n\tKILL_CLIENT <client_id>\
         \n\tSUSPEND\
         \n\tSHUTDOWN\
         \n\tSHUTDOWN WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS\
         \n\tWAIT_CLOSE [<db>]",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::show::Show;

    #[test]
    fn every_table_has_its_word() {
        let detail = text().detail.expect("a detail");
        let words: Vec<&str> = detail.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        for show in Show::ALL {
            assert!(words.contains(&show.name()), "SHOW {}", show.name());
        }
    }
}
