//! SASLprep (RFC 4013) as PostgreSQL applies it to passwords.

use std::borrow::Cow;

use stringprep::tables;
use unicode_normalization::UnicodeNormalization as _;

/// Prepares a password as PostgreSQL's servers and libpq do.
///
/// Two things differ from the RFC. A password that may not be prepared is used as it is. And what
/// is prohibited is looked for *before* the normalization, so that `stringprep::saslprep`, which
/// looks after it, disagrees about U+0340 or letters younger than Unicode 3.2.
pub(super) fn prepare(password: &str) -> Cow<'_, str> {
    if password.is_ascii() {
        return Cow::Borrowed(password);
    }
    let mapped: Vec<char> = password.chars().filter_map(map).collect();
    if mapped.is_empty() || mapped.iter().any(|&c| is_prohibited(c)) || mixes_directions(&mapped) {
        return Cow::Borrowed(password);
    }
    Cow::Owned(mapped.into_iter().nfkc().collect())
}

/// RFC 4013, 2.1. U+200B is in both tables; for PostgreSQL it is a space.
fn map(c: char) -> Option<char> {
    if tables::non_ascii_space_character(c) {
        Some(' ')
    } else {
        (!tables::commonly_mapped_to_nothing(c)).then_some(c)
    }
}

/// RFC 4013, 2.3 and 2.5.
fn is_prohibited(c: char) -> bool {
    tables::non_ascii_space_character(c)
        || tables::ascii_control_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::inappropriate_for_canonical_representation(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
        || tables::unassigned_code_point(c)
}

/// RFC 3454, 6: right-to-left text must be so throughout, and at both ends.
fn mixes_directions(text: &[char]) -> bool {
    let right_to_left = |c: &char| tables::bidi_r_or_al(*c);
    let ends_fit =
        text.first().is_some_and(right_to_left) && text.last().is_some_and(right_to_left);
    text.iter().any(right_to_left) && (text.iter().any(|&c| tables::bidi_l(c)) || !ends_fit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::scram::ScramVerifier;

    /// Passwords, and what PostgreSQL 15 (encoding UTF8) stored for them behind the mechanism's name.
    const FROM_POSTGRES: [(&str, &str); 15] = [
        (
            "a\u{340}b",
            "4096:swjlARuKxwbFiHCyY04GWA==$5za+ScTF34DhJFahi6vbV8jotMEjLRimm4s0Cgu+qEI=:gxK6wQq3SuYdkqBE53VgPQOmtnCKM0p93v8Ds6U+gJg=",
        ),
        (
            "a\u{2126}b",
            "4096:RaqRpGp6X7mMgeDVsxy+YA==$PDP2HreaFV2NcBhjQstcmtPvJltEZXHSIOPnZyS/DMU=:/AhtVOn8xJzxz+AbCqBeUgXFmhEx7nBSNz3dMdPZgJI=",
        ),
        (
            "\u{627}\u{31}",
            "4096:zsFZ+s8hBoWby+7G5nI5Jg==$wKJrknnirKDMbKNFS1H84lHXmgXFw+RYlO1sPANxVHI=:jxLE7oWUKNCOAEp8T87AVLr2DO0Q+30uQuotkzEFvfY=",
        ),
        (
            "a\u{200b}b",
            "4096:1K9NjE9kUuUq1AEbXNhFcw==$OkL9JxaarCUK6ErjOik2jPpyYcx4UXnpH0FxTSkJmUs=:IwGSIYwpAYgSKWwPufU1EirjXgNx6TmStSv+prG/M8I=",
        ),
        (
            "\u{ad}",
            "4096:pQAPRP7wGiX+n33a5SLVfQ==$Yk5R1HPQLKFmLbsbEqMEGda3GVGjEG7KiD3lHE5PyLg=:0O6hYEs19GqW28IIFllFN+pzP50gB2YjvdgOhDOCpho=",
        ),
        (
            "a\u{1f600}b\u{2126}",
            "4096:M9am2+1SjKns9I2iPVue0A==$7zjSoc/9l7LMXN7mWe9rda9YpQPi/QAtsOsHeq+NHFg=:yKRZLR6qqodl/mRlsadnqXfhtOmvN3EbmqSKzzh1B9M=",
        ),
        (
            "a\u{32c0}\u{33ff}\u{2126}",
            "4096:i6ymTn3QlxRl72RWO6qyag==$dvL4hsJuoWCsmvSJG+Sf3ofjCWKrISZzomem/q8pjPk=:IBMKUG/am+Q72u5ekvzJT3ocBuzqKSKqTcbDJMzcbtE=",
        ),
        (
            "\u{5d0}\u{fb1d}\u{5d0}",
            "4096:R29pJWCY8ApGgU3iODtpLQ==$YHXfjmmOJm3q7FspLO256gwr/8RdquHjdTU7NqcM4Wg=:Y736BFjSn3wbBrGtm15Cn72HSBdIl5gHclE8wtXdbsc=",
        ),
        (
            "a\u{fdfa}b\u{2167}",
            "4096:pXppnyjtnL5bmvrovpJ3tA==$aCzZf3rF6/TKw9ofFoLXYdFEf0eRM7vqMC7nux/O7v8=:bqLLzuuunIgzxZxMTkO1x20LPF4J6OyL37Kv6YSekkc=",
        ),
        (
            "a\u{1d7cb}b\u{2167}",
            "4096:Rvf+zi7SXrAA6QF76jzRuw==$IghVDTvXXGLpQwltVWKk2GEm0pOkFt+6+jB9QDJZBeA=:b9buj3ggVD152KWVUqbiySyBd+GKTGuWiFnVwM/72v0=",
        ),
        (
            "\u{6dd}\u{2167}",
            "4096:NlK4qh8Pa9DBcwEpRDIpig==$rC2yusnhbXj9xU3GQnsLHPLZ+gGKvfSdg/eCZJLZxc4=:cmOhiVyzeY+/f6p5EJ8YJINw056MvA5ibAbahZpiV9k=",
        ),
        (
            "a\u{3f9}\u{2167}",
            "4096:Hgd4p5kBGxOAR9Wa0tYO9A==$TV6yD0ecOVMSYLFPKlqVYkj4OwHK/HRaocoMlnsN8AA=:c+XPc1QudJHHRuQketqhbyf1Pi9cpt6sJlkPjkZy0PI=",
        ),
        (
            "\u{131}\u{1}\u{2167}",
            "4096:3FrRiribX5AJfKb5X+ksqA==$GGKdb+d2zKc5Xhb2s7E3ArV649SE0Hin2zZI6YM7Jpw=:k58rbABmxOASddNnwWaSB7kNA0EEoxRGx/TTGtp1nEs=",
        ),
        (
            "a\u{7}\u{2167}",
            "4096:Vsmu/jCnT8M8UA0lkmrbBg==$3wA4dWpH9OOjeGjM7cau3ujQD5BXW4+XbVEuJnJg4+4=:KJ8q97XWzcau1KH+rL0nOUa4tgLcTIiox0/1kLkByMI=",
        ),
        (
            "a\u{3000}\u{2167}",
            "4096:e+G3656Bnd0PXKQjA5onAQ==$LL70XBuspvJ8g/pSuJiDnqhjEmDSh84UXt0HAC+KpwM=:E9vqQ0JzaU9gBh3JJpKfCXXYGT3QhNNn0h9cBUSn6Ag=",
        ),
    ];

    #[test]
    fn rfc_4013_examples() {
        for (password, prepared) in [
            ("I\u{ad}X", "IX"),
            ("user", "user"),
            ("USER", "USER"),
            ("\u{aa}", "a"),
            ("\u{2168}", "IX"),
            ("a\u{a0}b", "a b"),
        ] {
            assert_eq!(prepare(password), prepared);
        }
    }

    #[test]
    fn what_may_not_be_prepared_stays() {
        for raw in ["\u{7}", "\u{aa}\u{7}", "\u{627}1", "\u{ad}", "\u{e000}", "a\u{340}"] {
            assert_eq!(prepare(raw), raw);
        }
    }

    #[test]
    fn agrees_with_postgresql() {
        for (password, stored) in FROM_POSTGRES {
            let stored = ScramVerifier::parse(&format!("SCRAM-SHA-256${stored}")).unwrap();
            let made = ScramVerifier::from_password(password, stored.iterations(), stored.salt());
            assert_eq!(made, stored, "{password:?}");
        }
    }
}
