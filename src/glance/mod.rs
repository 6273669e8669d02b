//! What people look at before they read: the load of each pool, its rates between two looks, and who waits for whom.
//!
//! The console shows a [`Load`] as a row of SHOW LOAD; `pgusher top` makes it from that row again, and the web page
//! from the same snapshot. Both show a [`Glance`], and both give it as the same JSON.

mod load;
mod rates;
mod value;

use serde_json::{Value, json};

pub use load::Load;
pub use rates::{Rates, waits_between};
pub use value::{Row, value};

/// Everything at one moment, as the console's tables have it.
#[derive(Clone, Debug, Default)]
pub struct Glance {
    /// What SHOW VERSION says.
    pub version: String,
    /// When, in seconds since 1970.
    pub at: f64,
    /// `active`, `paused` or `suspended`.
    pub state: String,
    /// SHOW LOAD.
    pub pools: Vec<Load>,
    /// SHOW WAITERS.
    pub waiters: Vec<Row>,
    /// SHOW BLOCKERS.
    pub blockers: Vec<Row>,
    /// SHOW PINS.
    pub pins: Vec<Row>,
    /// SHOW AUDIT.
    pub audit: Vec<Row>,
}

impl Glance {
    /// The rates of a pool since an earlier look; `None` where there is nothing to compare with.
    pub fn rates(&self, load: &Load, before: &Glance) -> Option<Rates> {
        Rates::between(&load.among(&before.pools), load, self.at - before.at)
    }

    /// What concerns one database only.
    pub fn only(&mut self, database: &str) {
        self.pools.retain(|pool| pool.database == database);
        for table in [&mut self.waiters, &mut self.blockers, &mut self.pins, &mut self.audit] {
            table.retain(|row| row.get("database").and_then(Value::as_str) == Some(database));
        }
    }

    /// The look as JSON: tables under their names, columns under theirs, and each pool's rates since an earlier look.
    pub fn json(&self, before: Option<&Glance>) -> Value {
        let pool = |load: &Load| {
            let rates = before.and_then(|before| self.rates(load, before));
            let mut pool = serde_json::to_value(load).unwrap_or_default();
            if let Value::Object(fields) = &mut pool {
                fields.insert("rates".to_owned(), json!(rates));
            }
            pool
        };
        json!({
            "version": self.version,
            "at": self.at,
            "interval_seconds": before.map(|before| self.at - before.at),
            "state": self.state,
            "pools": self.pools.iter().map(pool).collect::<Vec<_>>(),
            "waiters": self.waiters,
            "blockers": self.blockers,
            "pins": self.pins,
            "audit": self.audit,
        })
    }
}
