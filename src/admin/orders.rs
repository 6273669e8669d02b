//! Orders: commands that change something.

use std::sync::Arc;

use super::grammar::{Command, Mistake};
use super::line::{Failure, Line};
use super::look::is_outdated;
use super::{Host, ShutdownMode};
use crate::config::{self, Section};
use crate::control::Order;
use crate::pool::Pool;
use crate::sqlstate::{self, SqlState};
use crate::types::Name;
use crate::wire::{ErrorFields, Severity};

/// Names of the console's database.
const CONSOLE: [&str; 2] = ["pgusher", "pgbouncer"];

fn error(code: SqlState, message: impl Into<String>) -> ErrorFields {
    ErrorFields::new(Severity::Error, code, message)
}

fn wrong_state(message: impl Into<String>) -> ErrorFields {
    error(sqlstate::NOT_IN_PREREQUISITE_STATE, message)
}

/// What a text gets that is no command.
pub(super) fn syntax_error(mistake: Mistake) -> ErrorFields {
    let error = |message: &str| error(sqlstate::SYNTAX_ERROR, message);
    match mistake {
        Mistake::Unknown(text) => error(&format!("invalid command '{text}', use SHOW HELP;"))
            .hint("SHOW HELP lists the commands of the console."),
        Mistake::Arguments(message) => error(message),
        Mistake::NoDatabase => error("a database is required"),
        Mistake::Unterminated => error("unterminated quoted text"),
    }
}

/// Refuses a command that its giver has no right to.
pub(super) fn check_rights(command: &Command, is_admin: bool) -> Result<(), ErrorFields> {
    let only_looks = match command {
        Command::Set(key) => !is_setting(key),
        other => other.only_looks(),
    };
    if is_admin || only_looks {
        return Ok(());
    }
    Err(error(sqlstate::INSUFFICIENT_PRIVILEGE, "admin access needed")
        .hint("Only users in admin_users may give orders; stats_users may use SHOW."))
}

/// True for a setting of the whole process; those of databases have names that clients SET for themselves.
fn is_setting(key: &str) -> bool {
    let of_process =
        |section| matches!(section, Section::Process | Section::Http | Section::Defaults);
    config::settings()
        .iter()
        .any(|setting| of_process(setting.section) && setting.key.eq_ignore_ascii_case(key))
}

/// Somebody who gives orders, and whom they are given to.
pub(super) struct Desk<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) line: &'a mut Line,
}

impl Desk<'_> {
    /// Carries an order out; gives the tag of its CommandComplete. SHOW is no order.
    pub(super) async fn carry_out(&mut self, command: &Command) -> Result<&'static str, Failure> {
        match command {
            Command::Show(_) | Command::ShowParameter(_) => Ok("SHOW"),
            Command::Help => {
                self.line.notice(&help());
                Ok("SHOW")
            }
            Command::Set(key) => self.set(key).map(|()| "SET"),
            Command::Reload => self.reload().await.map(|()| "RELOAD"),
            Command::Suspend => Err(cannot_suspend().into()),
            Command::Pause(name) => self.pause(name.as_ref()).await.map(|()| "PAUSE"),
            Command::Resume(name) => self.resume(name.as_ref()).map(|()| "RESUME"),
            Command::Reconnect(name) => {
                self.each_pool("reconnect", name.as_ref(), Pool::reconnect).map(|()| "RECONNECT")
            }
            Command::Kill(name) => self.kill(name.as_ref()).map(|()| "KILL"),
            Command::WaitClose(name) => self.wait_close(name.as_ref()).await.map(|()| "WAIT_CLOSE"),
            Command::Disable(name) => self.set_disabled("disable", name, true).map(|()| "DISABLE"),
            Command::Enable(name) => self.set_disabled("enable", name, false).map(|()| "ENABLE"),
            Command::KillClient(id) => self.kill_client(*id).map(|()| "KILL_CLIENT"),
            Command::Shutdown(mode) => self.shutdown(*mode).map(|()| "SHUTDOWN"),
        }
    }

    /// Refuses names of databases that nobody can connect to.
    fn check_database(&self, verb: &str, name: Option<&Name>) -> Result<(), Failure> {
        let Some(name) = name else { return Ok(()) };
        if CONSOLE.contains(&name.as_ref()) {
            let message = format!("cannot {verb} admin db: {name}");
            return Err(error(sqlstate::FEATURE_NOT_SUPPORTED, message).into());
        }
        let pools = self.host.pools();
        if self.host.config().database(name).is_none() && pools.of_database(name).is_empty() {
            let message = format!("no such database: {name}");
            return Err(error(sqlstate::UNDEFINED_DATABASE, message).into());
        }
        Ok(())
    }

    fn set(&mut self, key: &str) -> Result<(), Failure> {
        if is_setting(key) {
            let message = format!("{key} cannot be set on the console");
            return Err(error(sqlstate::FEATURE_NOT_SUPPORTED, message)
                .hint("Change the configuration file, then use RELOAD.")
                .into());
        }
        let ignored = ErrorFields::new(Severity::Notice, sqlstate::SUCCESS, "SET ignored");
        self.line.notice(&ignored);
        Ok(())
    }

    async fn reload(&mut self) -> Result<(), Failure> {
        let warnings = self.host.reload().await.map_err(|mistakes| {
            error(sqlstate::CONFIG_FILE_ERROR, "RELOAD failed, nothing has changed")
                .detail(mistakes)
        })?;
        for warning in warnings {
            self.line.notice(&ErrorFields::new(Severity::Warning, sqlstate::WARNING, warning));
        }
        Ok(())
    }

    /// Pauses, and waits until every server is free and closed. Whoever interrupts the wait resumes.
    async fn pause(&mut self, name: Option<&Name>) -> Result<(), Failure> {
        self.check_database("pause", name)?;
        if self.host.is_draining() {
            return Err(wrong_state("pooler is shutting down").into());
        }
        let pools = Arc::clone(self.host.pools());
        if !pools.pause(name) {
            return Err(wrong_state(match name {
                Some(name) => format!("database {name} is already paused"),
                None => "already suspended/paused".to_owned(),
            })
            .into());
        }
        let is_over = || {
            let affected = pools.affected(name);
            if affected.iter().all(|pool| pool.total_servers() == 0) {
                return Some(Ok(()));
            }
            let still =
                name.map_or_else(|| pools.is_paused(), |name| pools.is_database_paused(name));
            (!still).then(|| Err(wrong_state("RESUME came before everything was paused")))
        };
        let ended = self.line.wait(is_over).await;
        if ended.is_err() {
            pools.resume(name);
        }
        ended
    }

    fn resume(&self, name: Option<&Name>) -> Result<(), Failure> {
        self.check_database("resume", name)?;
        if self.host.pools().resume(name) {
            return Ok(());
        }
        Err(wrong_state(match name {
            Some(name) => format!("database {name} is not paused"),
            None => "pooler is not paused/suspended".to_owned(),
        })
        .into())
    }

    fn each_pool(
        &self,
        verb: &str,
        name: Option<&Name>,
        change: impl Fn(&Pool),
    ) -> Result<(), Failure> {
        self.check_database(verb, name)?;
        self.host.pools().affected(name).iter().for_each(|pool| change(pool));
        Ok(())
    }

    /// Pauses and sends everybody away. Clients that come later wait for RESUME.
    fn kill(&self, name: Option<&Name>) -> Result<(), Failure> {
        self.check_database("kill", name)?;
        let pools = self.host.pools();
        pools.pause(name);
        for client in pools.context.records.clients() {
            if name.is_none_or(|name| client.database == *name) {
                client.control.give(Order::CloseNow);
            }
        }
        Ok(())
    }

    async fn wait_close(&mut self, name: Option<&Name>) -> Result<(), Failure> {
        self.check_database("wait in", name)?;
        let pools = Arc::clone(self.host.pools());
        let has_outdated =
            |pool: &Arc<Pool>| pool.census().servers.iter().any(|server| is_outdated(server));
        self.line.wait(|| (!pools.affected(name).iter().any(has_outdated)).then_some(Ok(()))).await
    }

    fn set_disabled(&self, verb: &str, name: &Name, disabled: bool) -> Result<(), Failure> {
        self.check_database(verb, Some(name))?;
        self.host.set_disabled(name, disabled);
        Ok(())
    }

    fn kill_client(&self, id: u64) -> Result<(), Failure> {
        let client = self.host.pools().context.records.client(id);
        let client = client.ok_or_else(|| error(sqlstate::UNDEFINED_OBJECT, "client not found"))?;
        client.control.give(Order::CloseNow);
        Ok(())
    }

    fn shutdown(&self, mode: ShutdownMode) -> Result<(), Failure> {
        self.host.shutdown(mode);
        Ok(())
    }
}

fn cannot_suspend() -> ErrorFields {
    error(sqlstate::FEATURE_NOT_SUPPORTED, "SUSPEND is not supported")
        .hint("PAUSE waits until all servers are free and closes them.")
}

fn help() -> ErrorFields {
    ErrorFields::new(Severity::Notice, sqlstate::SUCCESS, "Console usage").detail(
        "\n\tSHOW HELP|CLIENTS|SERVERS|POOLS|DATABASES|USERS|LISTS|STATE|CONFIG|VERSION\
         \n\tSHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS\
         \n\tSHOW PEERS|PEER_POOLS|DNS_HOSTS|DNS_ZONES\
         \n\tRELOAD\
         \n\tPAUSE [<db>]\
         \n\tRESUME [<db>]\
         \n\tDISABLE <db>\
         \n\tENABLE <db>\
         \n\tRECONNECT [<db>]\
         \n\tKILL [<db>]\
         \n\tKILL_CLIENT <client_id>\
         \n\tWAIT_CLOSE [<db>]\
         \n\tSHUTDOWN\
         \n\tSHUTDOWN WAIT_FOR_SERVERS\
         \n\tSHUTDOWN WAIT_FOR_CLIENTS",
    )
}
