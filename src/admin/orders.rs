//! Orders: commands that change something.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::grammar::{Command, PARAMETERS};
use super::line::{Failure, Line};
use super::look::is_outdated;
use super::refusals::{error, wrong_state};
use super::{Host, ShutdownMode, help};
use crate::config;
use crate::control::Order;
use crate::pool::Pool;
use crate::sqlstate;
use crate::types::Name;
use crate::wire::{ErrorFields, Severity};

/// Names of the console's database.
const CONSOLE: [&str; 2] = ["pgusher", "pgbouncer"];

/// Refuses a command that its giver has no right to.
pub(super) fn check_rights(
    command: &Command,
    is_admin: bool,
    host: &dyn Host,
) -> Result<(), ErrorFields> {
    let is_free = match command {
        Command::Set(key, _) => is_chatter(key, host),
        other => other.only_looks(),
    };
    if is_admin || is_free {
        return Ok(());
    }
    Err(error(sqlstate::INSUFFICIENT_PRIVILEGE, "admin access needed")
        .hint("Only users in admin_users may give orders; stats_users may use SHOW."))
}

/// True for parameters that clients of PostgreSQL SET for themselves: there is nothing here that they could change.
/// PgBouncer knows a few of them, and takes every other one for a setting of its own.
fn is_chatter(key: &str, host: &dyn Host) -> bool {
    if host.is_drop_in() {
        return PARAMETERS.iter().any(|known| known.name.eq_ignore_ascii_case(key));
    }
    !is_setting(key, host)
}

/// True for what SHOW CONFIG lists, by any of its names.
pub(super) fn is_setting(key: &str, host: &dyn Host) -> bool {
    let key = config::canonical(key);
    host.settings().iter().any(|setting| setting.key.eq_ignore_ascii_case(key))
}

/// Somebody who gives orders, and whom they are given to.
pub(super) struct Desk<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) line: &'a mut Line,
}

impl Desk<'_> {
    /// Carries an order out; gives the tag of its CommandComplete. SHOW is no order.
    pub(super) async fn carry_out(
        &mut self,
        command: &Command,
    ) -> Result<Cow<'static, str>, Failure> {
        let tag = match command {
            Command::Show(_) | Command::ShowOf(..) | Command::ShowParameter(_) => Ok("SHOW"),
            Command::Help => {
                self.line.notice(&help::text());
                Ok("SHOW")
            }
            Command::Set(key, value) => return self.set(key, value).await,
            Command::SetOther => self.ignore().map(|()| "SET"),
            Command::Reload => self.reload().await.map(|()| "RELOAD"),
            Command::Suspend => self.suspend().await.map(|()| "SUSPEND"),
            Command::Pause(name) => self.pause(name.as_ref()).await.map(|()| "PAUSE"),
            Command::Resume(name) => self.resume(name.as_ref()).map(|()| "RESUME"),
            Command::Reconnect(name) => self.reconnect(name.as_ref()).map(|()| "RECONNECT"),
            Command::Kill(name) => self.kill(name.as_ref()).map(|()| "KILL"),
            Command::WaitClose(name) => self.wait_close(name.as_ref()).await.map(|()| "WAIT_CLOSE"),
            Command::Disable(name) => {
                self.set_disabled("disable", name.as_ref(), true).map(|()| "DISABLE")
            }
            Command::Enable(name) => {
                self.set_disabled("enable", name.as_ref(), false).map(|()| "ENABLE")
            }
            Command::KillClient(id) => self.kill_client(*id).map(|()| "KILL_CLIENT"),
            Command::Shutdown(mode) => self.shutdown(*mode).await.map(|()| "SHUTDOWN"),
        };
        tag.map(Cow::Borrowed)
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

    /// Refuses what makes no sense while nothing runs.
    fn check_running(&self) -> Result<(), Failure> {
        let pools = self.host.pools();
        if pools.is_paused() || pools.context.records.is_suspended() {
            return Err(wrong_state("already suspended/paused").into());
        }
        Ok(())
    }

    fn ignore(&mut self) -> Result<(), Failure> {
        let ignored = ErrorFields::new(Severity::Notice, sqlstate::SUCCESS, "SET ignored");
        self.line.notice(&ignored);
        Ok(())
    }

    async fn set(&mut self, key: &str, value: &str) -> Result<Cow<'static, str>, Failure> {
        if is_chatter(key, self.host) {
            return self.ignore().map(|()| Cow::Borrowed("SET"));
        }
        let notes = self.host.set(key, value).await.map_err(|why| {
            error(sqlstate::INVALID_PARAMETER_VALUE, "SET failed").detail(why.trim_end())
        })?;
        for note in notes {
            self.line.notice(&ErrorFields::new(Severity::Notice, sqlstate::SUCCESS, note));
        }
        Ok(Cow::Owned(format!("SET {key}={value}")))
    }

    async fn reload(&mut self) -> Result<(), Failure> {
        let warnings = self.host.reload().await.map_err(|mistakes| {
            let message = "RELOAD failed, see logs for additional details";
            error(sqlstate::CONFIG_FILE_ERROR, message).detail(mistakes)
        })?;
        for warning in warnings {
            self.line.notice(&ErrorFields::new(Severity::Warning, sqlstate::WARNING, warning));
        }
        Ok(())
    }

    /// Pauses, and waits until every server is free and closed. Whoever interrupts the wait resumes.
    async fn pause(&mut self, name: Option<&Name>) -> Result<(), Failure> {
        self.check_running()?;
        self.check_database("pause", name)?;
        if self.host.is_draining() {
            return Err(wrong_state("pooler is shutting down").into());
        }
        let pools = Arc::clone(self.host.pools());
        let is_fresh = pools.pause(name);
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
        if ended.is_err() && is_fresh {
            pools.resume(name);
        }
        ended
    }

    /// Has every client stand still, and waits until no byte is under way. Whoever interrupts the wait resumes.
    async fn suspend(&mut self) -> Result<(), Failure> {
        self.check_running()?;
        if !self.host.pools().paused_databases().is_empty() {
            return Err(wrong_state("cannot suspend with paused databases").into());
        }
        let records = Arc::clone(&self.host.pools().context.records);
        records.suspend();
        let mut patience =
            self.host.config().process.suspend_timeout.map(|limit| (Instant::now(), limit));
        let is_over = || {
            if !records.is_suspended() {
                return Some(Err(wrong_state("RESUME came before everything was suspended")));
            }
            let restless = records.restless();
            if patience.take_if(|(since, limit)| since.elapsed() >= *limit).is_some() {
                restless.iter().for_each(|client| client.control.give(Order::CloseNow));
            }
            restless.is_empty().then_some(Ok(()))
        };
        let ended = self.line.wait(is_over).await;
        match ended {
            Ok(()) if self.host.is_drop_in() => records.shut_doors(),
            Ok(()) => {}
            Err(_) => records.resume(),
        }
        ended
    }

    fn resume(&self, name: Option<&Name>) -> Result<(), Failure> {
        let pools = self.host.pools();
        let Some(name) = name else { return self.resume_all() };
        if !CONSOLE.contains(&name.as_ref()) {
            self.check_database("resume", Some(name))?;
        }
        if pools.resume(Some(name)) {
            return Ok(());
        }
        Err(wrong_state(format!("database {name} is not paused")).into())
    }

    /// PgBouncer's RESUME leaves databases paused that were paused by name.
    fn resume_all(&self) -> Result<(), Failure> {
        if self.host.is_draining() {
            return Err(wrong_state("pooler is shutting down").into());
        }
        let pools = self.host.pools();
        let records = &pools.context.records;
        let mut was = records.is_suspended();
        records.resume();
        was |= pools.resume(None);
        if !self.host.is_drop_in() {
            for name in pools.paused_databases() {
                was |= pools.resume(Some(&name));
            }
        }
        if was { Ok(()) } else { Err(wrong_state("pooler is not paused/suspended").into()) }
    }

    fn reconnect(&self, name: Option<&Name>) -> Result<(), Failure> {
        self.check_database("reconnect", name)?;
        self.host.pools().affected(name).iter().for_each(|pool| pool.reconnect());
        Ok(())
    }

    /// Pauses databases and sends their clients away. Clients that come later wait for RESUME.
    fn kill(&self, name: Option<&Name>) -> Result<(), Failure> {
        self.check_running()?;
        self.check_database("kill", name)?;
        let pools = self.host.pools();
        let names: BTreeSet<Name> = match name {
            Some(name) => BTreeSet::from([Name::clone(name)]),
            None => pools.all().iter().map(|pool| Name::clone(&pool.key.database)).collect(),
        };
        for name in &names {
            pools.pause(Some(name));
        }
        for client in pools.context.records.clients() {
            if names.contains(&client.database) {
                client.control.give(Order::CloseRemoved);
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

    fn set_disabled(&self, verb: &str, name: Option<&Name>, disabled: bool) -> Result<(), Failure> {
        let Some(name) = name else {
            return Err(error(sqlstate::SYNTAX_ERROR, "a database is required").into());
        };
        self.check_database(verb, Some(name))?;
        self.host.set_disabled(name, disabled);
        Ok(())
    }

    fn kill_client(&self, id: Option<u64>) -> Result<(), Failure> {
        let id = id.ok_or_else(|| {
            error(sqlstate::SYNTAX_ERROR, "invalid client pointer supplied")
                .hint("KILL_CLIENT needs the id of a client, as in SHOW CLIENTS.")
        })?;
        let client = self.host.pools().context.records.client(id);
        let client = client.or_else(|| self.host.consoles().find(id));
        let client = client.ok_or_else(|| error(sqlstate::UNDEFINED_OBJECT, "client not found"))?;
        client.control.give(Order::CloseNow);
        Ok(())
    }

    /// PgBouncer answers an immediate SHUTDOWN with the end of the connection.
    async fn shutdown(&mut self, mode: ShutdownMode) -> Result<(), Failure> {
        self.host.shutdown(mode);
        if mode == ShutdownMode::Immediate && self.host.is_drop_in() {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}
