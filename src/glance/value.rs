//! Values of the console's tables as JSON.

use serde_json::{Map, Number, Value};

/// A row of a table, by the names of its columns.
pub type Row = Map<String, Value>;

/// The value of a column of texts: numbers for what the console writes as text because it is fractional, or many.
pub fn value(column: &str, text: &str) -> Value {
    if column.ends_with("_seconds") {
        let number = text.parse().ok().and_then(Number::from_f64);
        return number.map_or(Value::Null, Value::Number);
    }
    if column.ends_with("_counts") || column.ends_with("_bounds_us") {
        let inner = text.trim_start_matches('{').trim_end_matches('}');
        return inner.split(',').filter_map(|part| part.parse::<u64>().ok()).collect();
    }
    Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_a_number() {
        assert_eq!(value("oldest_wait_seconds", "1.500"), Value::from(1.5));
        assert_eq!(value("wait_counts", "{1,2}"), Value::from(vec![1, 2]));
        assert_eq!(value("wait_counts", "{}"), Value::Array(Vec::new()));
        assert_eq!(value("database", "12"), Value::from("12"));
    }
}
