//! PgBouncer's `auth_file`: one `"user" "secret"` a line.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use ahash::AHashMap;

use super::stored::StoredSecret;
use crate::types::Name;

/// PostgreSQL's longest user name is shorter; PgBouncer's limit.
const MAX_USER_LEN: usize = 127;

/// Nothing longer fits into a message the protocol allows before the login; PgBouncer's limit.
const MAX_SECRET_LEN: usize = 65_530;

/// Who may log in, and with which secret.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Userlist {
    secrets: AHashMap<Name, StoredSecret>,
}

/// A line that cannot be used. It never quotes the line, which may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserlistMistake {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: &'static str,
}

/// Why a userlist could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum UserlistError {
    /// The file cannot be read, or is not UTF-8.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file has mistakes; all of them.
    #[error("{}", MistakesOf { path, mistakes })]
    Mistakes {
        /// The file.
        path: PathBuf,
        /// At least one.
        mistakes: Vec<UserlistMistake>,
    },
}

impl Userlist {
    /// Reads a whole file; of several lines for one user the last wins, as in PgBouncer.
    pub fn load(path: &Path) -> Result<Self, UserlistError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| UserlistError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text)
            .map_err(|mistakes| UserlistError::Mistakes { path: path.to_owned(), mistakes })
    }

    /// Reads the text of a file, and reports every line that is wrong.
    pub fn parse(text: &str) -> Result<Self, Vec<UserlistMistake>> {
        let mut list = Userlist::default();
        let mut mistakes = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            match Line::parse(line) {
                Ok(None) => {}
                Ok(Some(entry)) => {
                    list.insert(entry.user.into(), StoredSecret::parse(&entry.secret))
                }
                Err((rest, message)) => {
                    let read = &line[..line.len() - rest.len()];
                    let column = read.chars().count() + 1;
                    mistakes.push(UserlistMistake { line: number, column, message });
                }
            }
        }
        if mistakes.is_empty() { Ok(list) } else { Err(mistakes) }
    }

    /// Adds a user, or replaces the secret of one.
    pub fn insert(&mut self, user: Name, secret: StoredSecret) {
        self.secrets.insert(user, secret);
    }

    /// The secret of a user; `None` when the user is unknown.
    pub fn get(&self, user: &str) -> Option<&StoredSecret> {
        self.secrets.get(user)
    }

    /// The names of all users.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.secrets.keys().map(AsRef::as_ref)
    }

    /// The secrets of all users.
    pub fn secrets(&self) -> impl Iterator<Item = &StoredSecret> {
        self.secrets.values()
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.secrets.len()
    }

    /// Whether there is no user at all.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }
}

/// Where reading stopped, as the rest of the line, and why.
type Stop<'a> = (&'a str, &'static str);

struct Line {
    user: String,
    secret: String,
}

impl Line {
    /// Reads one line; `None` for a comment or an empty one. What follows the secret is ignored:
    /// files made for old PostgreSQL servers have a third column.
    fn parse(line: &str) -> Result<Option<Self>, Stop<'_>> {
        let text = line.trim_start();
        if text.is_empty() || text.starts_with(';') {
            return Ok(None);
        }
        let (user, rest) = quoted(text, "the user name in double quotes is expected")?;
        if user.is_empty() {
            return Err((text, "the user name is empty"));
        }
        if user.len() > MAX_USER_LEN {
            return Err((text, "the user name is longer than 127 bytes"));
        }
        let text = rest.trim_start();
        let (secret, _) = quoted(text, "the secret in double quotes is expected")?;
        if secret.len() > MAX_SECRET_LEN {
            return Err((text, "the secret is longer than 65530 bytes"));
        }
        Ok(Some(Line { user, secret }))
    }
}

/// Reads `"text"`, in which `""` stands for a quote; gives the text and what follows it.
fn quoted<'a>(text: &'a str, expected: &'static str) -> Result<(String, &'a str), Stop<'a>> {
    let mut rest = text.strip_prefix('"').ok_or((text, expected))?;
    let mut value = String::new();
    loop {
        let (part, after) =
            rest.split_once('"').ok_or((text, "the quote is not closed on this line"))?;
        value.push_str(part);
        match after.strip_prefix('"') {
            None => return Ok((value, after)),
            Some(after) => {
                value.push('"');
                rest = after;
            }
        }
    }
}

struct MistakesOf<'a> {
    path: &'a Path,
    mistakes: &'a [UserlistMistake],
}

impl fmt::Display for MistakesOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.mistakes.iter().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{mistake}", self.path.display())?;
        }
        Ok(())
    }
}

impl fmt::Display for UserlistMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use proptest::prelude::*;

    fn plain(text: &str) -> StoredSecret {
        StoredSecret::Plain(Secret::new(text))
    }

    #[test]
    fn reads_what_pgbouncer_reads() {
        let text = concat!(
            "; a comment\n",
            "\n",
            "\"alice\" \"secret\"\r\n",
            "  \"b\"\"ob\"\t\"a\"\"b;\" \"a third column\"\n",
            "\"empty\" \"\"\n",
            "\"glued\"\"\" \"x\"\n",
            " ; another\n",
            "\"alice\" \"last wins\"\n",
            "\"carol\" \"md5e56586342e82bfc415eff843d7a4b8fa\"",
        );
        let list = Userlist::parse(text).unwrap();
        assert_eq!(list.len(), 5);
        assert_eq!(list.get("alice"), Some(&plain("last wins")));
        assert_eq!(list.get("b\"ob"), Some(&plain("a\"b;")));
        assert_eq!(list.get("empty"), Some(&plain("")));
        assert_eq!(list.get("glued\""), Some(&plain("x")));
        assert!(matches!(list.get("carol"), Some(StoredSecret::Md5(_))));
        assert_eq!(list.get("dave"), None);
    }

    #[test]
    fn every_mistake_has_its_place_and_no_secret() {
        let long = "x".repeat(MAX_USER_LEN + 1);
        let text = format!(
            "alice hunter2\n\"bob\" hunter2\n\"cärol\" \"hunter2\n\"dave\n\"\" \"hunter2\"\n\"{long}\" \"\"\n"
        );
        let mistakes = Userlist::parse(&text).unwrap_err();
        let places: Vec<_> = mistakes.iter().map(|m| (m.line, m.column)).collect();
        assert_eq!(places, [(1, 1), (2, 7), (3, 9), (4, 1), (5, 1), (6, 1)]);
        assert!(!format!("{mistakes:?}").contains("hunter2"));
    }

    #[test]
    fn limits_are_inclusive() {
        let line = |user: usize, secret: usize| {
            Userlist::parse(&format!("\"{}\" \"{}\"", "u".repeat(user), "s".repeat(secret)))
        };
        assert!(line(MAX_USER_LEN, MAX_SECRET_LEN).is_ok());
        assert!(line(MAX_USER_LEN, MAX_SECRET_LEN + 1).is_err());
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Userlist::load(Path::new("/nonexistent/users.txt")).unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/users.txt: "), "{error}");
    }

    #[test]
    fn mistakes_read_like_a_compilers() {
        let mistakes = Userlist::parse("x\n\"y\"").unwrap_err();
        let error = UserlistError::Mistakes { path: "users.txt".into(), mistakes };
        let expected = "users.txt:1:1: the user name in double quotes is expected\n\
                        users.txt:2:4: the secret in double quotes is expected";
        assert_eq!(error.to_string(), expected);
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in "([ \";]|\"\\PC*\" \"\\PC*\"|\\PC|\n)*") {
            let _ = Userlist::parse(&text);
        }

        #[test]
        fn what_is_quoted_comes_back(users in proptest::collection::hash_map("\\PC{1,30}", "\\PC*", 0..5)) {
            let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            let text: String =
                users.iter().map(|(u, s)| format!("{} {}\n", quote(u), quote(s))).collect();
            let list = Userlist::parse(&text).unwrap();
            prop_assert_eq!(list.len(), users.len());
            for (user, secret) in &users {
                prop_assert_eq!(list.get(user), Some(&StoredSecret::parse(secret)));
            }
        }
    }
}
