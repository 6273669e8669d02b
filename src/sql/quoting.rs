//! How a session's texts are written: what a backslash means, and which bytes belong together.

/// What the lexer must know of a session before it can tell where a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quoting {
    /// `standard_conforming_strings`: off, a backslash escapes in plain texts as well.
    pub conforming: bool,
    /// How `client_encoding` puts characters together.
    pub encoding: Encoding,
}

impl Default for Quoting {
    fn default() -> Self {
        Quoting { conforming: true, encoding: Encoding::Plain }
    }
}

impl Quoting {
    /// That of a session with these values of `standard_conforming_strings` and `client_encoding`.
    pub fn new(conforming: Option<&[u8]>, encoding: Option<&[u8]>) -> Self {
        Quoting {
            conforming: conforming.is_none_or(|value| !value.eq_ignore_ascii_case(b"off")),
            encoding: encoding.map_or(Encoding::Plain, Encoding::named),
        }
    }
}

/// Appends an identifier in quotes.
pub fn put_ident(sql: &mut Vec<u8>, name: &[u8]) {
    sql.push(b'"');
    for &byte in name {
        sql.extend_from_slice(if byte == b'"' { b"\"\"" } else { std::slice::from_ref(&byte) });
    }
    sql.push(b'"');
}

/// Client encodings by what matters to a lexer. PostgreSQL allows these on the client's side only, and converts the
/// text before it reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// No byte of a longer character is an ASCII character's.
    Plain,
    /// Two bytes from a first byte with the high bit on: BIG5, GBK, UHC, JOHAB.
    Pairs,
    /// Shift JIS: pairs, and single bytes for half-width Katakana.
    ShiftJis,
    /// GB18030: pairs, and four bytes where the second is a digit.
    Gb18030,
}

impl Encoding {
    /// The kind of an encoding, by PostgreSQL's name for it.
    pub fn named(name: &[u8]) -> Self {
        let is = |known: &[&str]| known.iter().any(|k| name.eq_ignore_ascii_case(k.as_bytes()));
        if is(&["BIG5", "GBK", "UHC", "JOHAB"]) {
            Encoding::Pairs
        } else if is(&["SJIS", "SHIFT_JIS_2004"]) {
            Encoding::ShiftJis
        } else if is(&["GB18030"]) {
            Encoding::Gb18030
        } else {
            Encoding::Plain
        }
    }

    /// Bytes of the character at the front of `text`; at least 1.
    pub(super) fn width(self, text: &[u8]) -> usize {
        let Some(&first) = text.first() else { return 1 };
        match self {
            _ if first < 0x80 => 1,
            Encoding::Plain => 1,
            Encoding::Pairs => 2,
            Encoding::ShiftJis if (0xa1..=0xdf).contains(&first) => 1,
            Encoding::ShiftJis => 2,
            Encoding::Gb18030 if text.get(1).is_some_and(u8::is_ascii_digit) => 4,
            Encoding::Gb18030 => 2,
        }
    }
}
