//! Columns of results that pgusher makes, and their values in binary.

/// A column of a result that pgusher makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// The type of its values.
    pub kind: ColumnKind,
}

/// The types of columns that pgusher makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "PostgreSQL's names of types")]
pub enum ColumnKind {
    Text,
    Int4,
    Int8,
    Numeric,
    Bytea,
}

impl ColumnKind {
    /// Its number in PostgreSQL's catalogue, and the size of its values.
    pub(super) fn describe(self) -> (u32, i16) {
        match self {
            ColumnKind::Text => (25, -1),
            ColumnKind::Int4 => (23, 4),
            ColumnKind::Int8 => (20, 8),
            ColumnKind::Numeric => (1700, -1),
            ColumnKind::Bytea => (17, -1),
        }
    }

    /// A whole number in the binary format of this type.
    pub fn binary(self, number: u64) -> Vec<u8> {
        match self {
            ColumnKind::Int4 => i32::try_from(number).unwrap_or(i32::MAX).to_be_bytes().to_vec(),
            ColumnKind::Int8 => i64::try_from(number).unwrap_or(i64::MAX).to_be_bytes().to_vec(),
            ColumnKind::Numeric => numeric(number),
            ColumnKind::Text | ColumnKind::Bytea => number.to_string().into_bytes(),
        }
    }
}

/// `numeric` in binary: digits to the base of 10,000, the most significant one first.
fn numeric(mut number: u64) -> Vec<u8> {
    const BASE: u64 = 10_000;
    let mut digits: Vec<u16> = Vec::new();
    while number > 0 {
        digits.insert(0, u16::try_from(number % BASE).unwrap_or_default());
        number /= BASE;
    }
    let count = u16::try_from(digits.len()).unwrap_or_default();
    // How many digits there are, the weight of the first, the sign, and the digits behind the point.
    let header = [count, count.saturating_sub(1), 0, 0];
    header.into_iter().chain(digits).flat_map(u16::to_be_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_postgresqls_binary_formats() {
        assert_eq!(ColumnKind::Int4.binary(258), [0, 0, 1, 2]);
        assert_eq!(ColumnKind::Int4.binary(u64::MAX), i32::MAX.to_be_bytes());
        assert_eq!(ColumnKind::Int8.binary(1), [0, 0, 0, 0, 0, 0, 0, 1]);
        let numeric = |digits: &[u16]| -> Vec<u8> {
            digits.iter().flat_map(|digit| digit.to_be_bytes()).collect()
        };
        assert_eq!(ColumnKind::Numeric.binary(0), numeric(&[0, 0, 0, 0]));
        assert_eq!(ColumnKind::Numeric.binary(9_999), numeric(&[1, 0, 0, 0, 9_999]));
        assert_eq!(ColumnKind::Numeric.binary(120_000_003), numeric(&[3, 2, 0, 0, 1, 2_000, 3]));
    }
}
