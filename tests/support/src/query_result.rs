//! What came back for a query.

use crate::error_fields::ErrorFields;
use crate::message::{Message, Reader};

/// All that came up to ReadyForQuery, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryResult {
    /// The names of the columns, of the last result that had any.
    pub columns: Vec<String>,
    /// The rows of all results.
    pub rows: Vec<Vec<Option<String>>>,
    /// The command tags, in their order.
    pub tags: Vec<String>,
    /// The error, if there was one.
    pub error: Option<ErrorFields>,
    /// The notices.
    pub notices: Vec<ErrorFields>,
    /// ParameterStatus messages: name and value.
    pub params: Vec<(String, String)>,
    /// The data of COPY TO STDOUT.
    pub copied: Vec<u8>,
    /// The transaction status of ReadyForQuery: `b'I'`, `b'T'` or `b'E'`; 0 when none came.
    pub status: u8,
}

impl QueryResult {
    /// Sorts messages.
    pub fn from_messages(messages: &[Message]) -> Self {
        let mut result = QueryResult::default();
        for message in messages {
            result.add(message);
        }
        result
    }

    /// The single value of a single row; panics when there is another number of them, or NULL.
    pub fn value(&self) -> &str {
        match self.rows.as_slice() {
            [row] if row.len() == 1 => row[0].as_deref().expect("a value that is not NULL"),
            _ => panic!("not one value: {self:?}"),
        }
    }

    /// The values of a column, with an empty text for NULL; panics when there is none of that name.
    pub fn column(&self, name: &str) -> Vec<&str> {
        let at = self.columns.iter().position(|known| known == name);
        let at = at.unwrap_or_else(|| panic!("no column {name} in {:?}", self.columns));
        self.rows.iter().map(|row| row[at].as_deref().unwrap_or_default()).collect()
    }

    /// The error; panics when there was none.
    pub fn unwrap_error(&self) -> &ErrorFields {
        self.error.as_ref().unwrap_or_else(|| panic!("no error: {self:?}"))
    }

    fn add(&mut self, message: &Message) {
        match message.tag {
            b'T' => self.columns = message.columns(),
            b'D' => self.rows.push(message.row()),
            b'C' => self.tags.extend(message.texts()),
            b'E' => self.error = Some(message.error()),
            b'N' => self.notices.push(message.error()),
            b'S' => {
                let mut reader = Reader::new(&message.body);
                self.params.push((reader.cstr(), reader.cstr()));
            }
            b'd' => self.copied.extend(&message.body),
            b'Z' => self.status = message.body[0],
            _ => {}
        }
    }
}
