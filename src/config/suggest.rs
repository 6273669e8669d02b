//! What a misspelt word was meant to be.

/// The candidate that `word` is a slip of the pen for, or the beginning of.
pub(super) fn closest(
    word: &str,
    candidates: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    let candidates: Vec<_> = candidates.collect();
    let most = (word.chars().count() / 3).max(1);
    let near = candidates
        .iter()
        .map(|candidate| (strsim::osa_distance(word, candidate), *candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance);
    let begun = || candidates.iter().copied().find(|c| word.len() > 3 && c.starts_with(word));
    near.map(|(_, candidate)| candidate).or_else(begun)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn slips_are_recognised() {
        let meant = |word| {
            closest(word, ["listen_port", "query_timeout", "scram-sha-256", "md5"].into_iter())
        };
        assert_eq!(meant("listen_prot"), Some("listen_port"));
        assert_eq!(meant("query_timout"), Some("query_timeout"));
        assert_eq!(meant("md"), Some("md5"));
        assert_eq!(meant("scram"), Some("scram-sha-256"));
        assert_eq!(meant("sslmode"), None);
        assert_eq!(meant(""), None);
    }
}
