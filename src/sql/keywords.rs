//! Which names must be quoted to be read as names.

/// Key words that are no names, or not everywhere (PostgreSQL documentation, "SQL Key Words"); in alphabetical order.
const WORDS: &str = "\
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean \
    both case cast char character check coalesce collate collation column concurrently constraint create \
    cross current_catalog current_date current_role current_schema current_time current_timestamp \
    current_user dec decimal default deferrable desc distinct do else end except exists extract false \
    fetch float for foreign freeze from full grant greatest group grouping having ilike in initially \
    inner inout int integer intersect interval into is isnull join lateral leading least left like limit \
    localtime localtimestamp national natural nchar none normalize not notnull null nullif numeric \
    offset on only or order out outer overlaps overlay placing position precision primary real \
    references returning right row select session_user setof similar smallint some substring symmetric \
    table tablesample then time timestamp to trailing treat trim true union unique user using values \
    varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists \
    xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable";

/// True when a name has to be written in quotes (`quote_identifier`).
pub(super) fn needs_quotes(name: &[u8]) -> bool {
    let simple = |&byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let starts = name.first().is_some_and(|first| !first.is_ascii_digit());
    !starts || !name.iter().all(simple) || WORDS.split(' ').any(|word| word.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_postgresql_quotes_them() {
        for plain in ["public", "_x1", "pg_catalog", "temp"] {
            assert!(!needs_quotes(plain.as_bytes()), "{plain}");
        }
        for quoted in ["", "$user", "user", "all", "xmltable", "Public", "1a", "a b", "\u{e9}"] {
            assert!(needs_quotes(quoted.as_bytes()), "{quoted}");
        }
        assert_eq!(WORDS.split(' ').count(), 151);
    }
}
