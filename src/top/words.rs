//! Numbers as people read them at a glance.

/// A duration in three or four letters.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.000_000_5 => "0".to_owned(),
        s if s < 0.001 => format!("{:.0}us", s * 1e6),
        s if s < 0.01 => format!("{:.1}ms", s * 1e3),
        s if s < 0.999_5 => format!("{:.0}ms", s * 1e3),
        s if s < 10.0 => format!("{s:.1}s"),
        s if s < 60.0 => format!("{s:.0}s"),
        s if s < 3_600.0 => format!("{}m{:02}s", (s / 60.0) as u64, s as u64 % 60),
        s if s < 86_400.0 => format!("{}h{:02}m", (s / 3_600.0) as u64, s as u64 / 60 % 60),
        s => format!("{}d{:02}h", (s / 86_400.0) as u64, s as u64 / 3_600 % 24),
    }
}

/// A number in at most five letters.
pub(super) fn count(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        n if n < 9.95 => format!("{n:.1}"),
        n if n < 99_999.5 => format!("{n:.0}"),
        n if n < 999_500.0 => format!("{:.0}k", n / 1e3),
        n if n < 9.95e6 => format!("{:.1}M", n / 1e6),
        n => format!("{:.0}M", n / 1e6),
    }
}

/// A share as percents.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_short() {
        let durations = [0.0, 0.000_25, 0.001_2, 0.034, 0.9996, 12.4, 192.0, 7_500.0, 200_000.0];
        let shown = durations.map(duration);
        let wanted = ["0", "250us", "1.2ms", "34ms", "1.0s", "12s", "3m12s", "2h05m", "2d07h"];
        assert_eq!(shown, wanted);
        let shown = [0.0, 0.5, 12.3, 99_999.0, 123_456.0, 2_500_000.0].map(count);
        assert_eq!(shown, ["0", "0.5", "12", "99999", "123k", "2.5M"]);
        assert_eq!(percent(0.256), "26%");
    }
}
