//! Zones that names are in, and the serial numbers they had when they were looked at last.

use std::collections::BTreeMap;
use std::time::Instant;

use parking_lot::Mutex;

use crate::types::Timeout;

/// A zone as SHOW DNS_ZONES lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownZone {
    /// Its name.
    pub name: String,
    /// Its serial number; 0 before anybody has asked.
    pub serial: u32,
    /// How many names in it were looked up.
    pub names: usize,
}

/// What is known of zones.
#[derive(Debug, Default)]
pub(super) struct Zones {
    serials: Mutex<BTreeMap<String, u32>>,
    /// When they were last asked about.
    asked: Mutex<Option<Instant>>,
    /// Held by whoever asks.
    pub(super) asking: tokio::sync::Mutex<()>,
}

impl Zones {
    /// The zones of these names.
    pub(super) fn of<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<KnownZone> {
        let mut counts = BTreeMap::<&str, usize>::new();
        for zone in names.filter_map(zone_of) {
            *counts.entry(zone).or_default() += 1;
        }
        let serials = self.serials.lock();
        let known = |(name, names): (&str, usize)| KnownZone {
            name: name.to_owned(),
            serial: serials.get(name).copied().unwrap_or_default(),
            names,
        };
        counts.into_iter().map(known).collect()
    }

    /// True when so long has passed since this was true.
    pub(super) fn are_due(&self, period: Timeout) -> bool {
        let Some(period) = period else { return false };
        let mut asked = self.asked.lock();
        let is_due = asked.is_none_or(|asked| asked.elapsed() >= period);
        if is_due {
            *asked = Some(Instant::now());
        }
        is_due
    }

    /// Learns a zone's serial number. True when it had another one before.
    pub(super) fn learn(&self, zone: &str, serial: u32) -> bool {
        let before = self.serials.lock().insert(zone.to_owned(), serial);
        before.is_some_and(|before| before != serial)
    }

    /// Forgets all zones but these.
    pub(super) fn keep(&self, zones: &[KnownZone]) {
        self.serials.lock().retain(|name, _| zones.iter().any(|zone| zone.name == *name));
    }
}

/// What stands behind a name's first dot.
pub(super) fn zone_of(name: &str) -> Option<&str> {
    let (_, zone) = name.split_once('.')?;
    let zone = zone.trim_end_matches('.');
    (!zone.is_empty()).then_some(zone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_zone_stands_behind_the_first_dot() {
        for (name, zone) in [
            ("db.example.com", Some("example.com")),
            ("db.example.com.", Some("example.com")),
            ("db", None),
            ("db.", None),
        ] {
            assert_eq!(zone_of(name), zone, "{name}");
        }
    }

    #[test]
    fn only_another_serial_is_news() {
        let zones = Zones::default();
        let named = || zones.of(["a.test", "b.test", "alone"].into_iter());
        assert_eq!(named(), [KnownZone { name: "test".to_owned(), serial: 0, names: 2 }]);
        assert_eq!([7, 7, 6].map(|serial| zones.learn("test", serial)), [false, false, true]);
        assert_eq!(named()[0].serial, 6);
        zones.keep(&[]);
        assert_eq!(named()[0].serial, 0);
        assert!(!zones.are_due(None) && zones.are_due(Some(Duration::MAX)));
        assert!(!zones.are_due(Some(Duration::MAX)) && zones.are_due(Some(Duration::ZERO)));
    }
}
