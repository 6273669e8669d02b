//! From files to lines of words: continuation, `include`, `@file`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::token::{self, Field, Token};
use crate::config::Mistake;

/// As deep as files may include files, PostgreSQL's limit.
const DEEPEST: usize = 10;

/// More lines and words than any file has: files that include each other can multiply.
const MOST: usize = 500_000;

/// Where the text of files comes from.
pub trait Files {
    /// The text of a file.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// The entries of a folder.
    ///
    /// # Errors
    /// It cannot be read.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
}

/// The files of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }
}

/// A line that says something.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) file: Arc<Path>,
    pub(super) number: u32,
    pub(super) fields: Vec<Field>,
}

impl Line {
    /// A mistake at a column of this line.
    pub(super) fn mistake(&self, column: u32, message: impl Into<String>) -> Mistake {
        mistake(&self.file, self.number, column, message)
    }
}

fn mistake(file: &Path, line: u32, column: u32, message: impl Into<String>) -> Mistake {
    Mistake { file: file.to_owned(), line, column, message: message.into(), help: None }
}

/// All lines of a file and of those it includes.
pub(super) struct Source<'a> {
    files: &'a dyn Files,
    pub(super) lines: Vec<Line>,
    pub(super) mistakes: Vec<Mistake>,
    /// The files that were read.
    pub(super) seen: Vec<PathBuf>,
    room: usize,
}

impl<'a> Source<'a> {
    /// Reads everything.
    pub(super) fn gather(path: &Path, files: &'a dyn Files) -> Self {
        let mut source =
            Source { files, lines: Vec::new(), mistakes: Vec::new(), seen: Vec::new(), room: MOST };
        if let Err(error) = source.file(path, 0) {
            let message = format!("cannot be read: {}", in_words(&error));
            source.mistakes.push(mistake(path, 0, 0, message));
        }
        source
    }

    fn read(&mut self, path: &Path) -> io::Result<String> {
        let text = self.files.read(path)?;
        if !self.seen.iter().any(|seen| seen == path) {
            self.seen.push(path.to_owned());
        }
        Ok(text)
    }

    fn file(&mut self, path: &Path, depth: usize) -> io::Result<()> {
        let text = self.read(path)?;
        let file: Arc<Path> = path.into();
        for (number, text) in logical_lines(&text) {
            if self.room == 0 {
                break;
            }
            self.room -= 1;
            match token::split(&text) {
                Ok(fields) if fields.is_empty() => {}
                Ok(fields) => self.line(Line { file: Arc::clone(&file), number, fields }, depth),
                Err(column) => {
                    let message = "the quote is never closed";
                    self.mistakes.push(mistake(path, number, column, message));
                }
            }
        }
        Ok(())
    }

    fn line(&mut self, mut line: Line, depth: usize) {
        let first = line.fields.first().and_then(|field| field.first());
        let directive = first.map(|token| token.text.clone()).unwrap_or_default();
        if matches!(&*directive, "include" | "include_if_exists" | "include_dir") {
            return self.include(&line, &directive, depth);
        }
        let fields = std::mem::take(&mut line.fields);
        line.fields = fields.into_iter().map(|field| self.expand(field, &line, depth)).collect();
        self.lines.push(line);
    }

    fn include(&mut self, line: &Line, directive: &str, depth: usize) {
        let (column, name) = match line.fields.as_slice() {
            [_, field] if field.len() == 1 => (field[0].column, field[0].text.clone()),
            _ => {
                let message = format!("`{directive}` takes one path");
                return self.mistakes.push(line.mistake(1, message));
            }
        };
        if depth >= DEEPEST {
            return self.mistakes.push(line.mistake(column, too_deep()));
        }
        let path = beside(&line.file, &name);
        let result = match directive {
            "include_dir" => self.folder(&path, depth + 1),
            _ => self.file(&path, depth + 1),
        };
        match result {
            Err(error)
                if directive == "include_if_exists" && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let message = format!("cannot read {}: {}", path.display(), in_words(&error));
                self.mistakes.push(line.mistake(column, message));
            }
            Ok(()) => {}
        }
    }

    /// Files that end in `.conf` and are not hidden, by their names.
    fn folder(&mut self, folder: &Path, depth: usize) -> io::Result<()> {
        let mut paths = self.files.list(folder)?;
        paths.retain(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".conf") && !name.starts_with('.')
        });
        paths.sort();
        paths.iter().try_for_each(|path| self.file(path, depth))
    }

    /// Puts the words of a file in place of `@file`.
    fn expand(&mut self, field: Field, line: &Line, depth: usize) -> Field {
        let mut out = Field::new();
        for token in field {
            match token.after('@') {
                Some(name) => {
                    let path = beside(&line.file, name);
                    self.words(&path, &token, line, depth + 1, &mut out);
                }
                None => out.push(token),
            }
        }
        out
    }

    fn words(&mut self, path: &Path, at: &Token, line: &Line, depth: usize, out: &mut Field) {
        if depth > DEEPEST {
            return self.mistakes.push(line.mistake(at.column, too_deep()));
        }
        let text = match self.read(path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read {}: {}", path.display(), in_words(&error));
                return self.mistakes.push(line.mistake(at.column, message));
            }
        };
        let file: Arc<Path> = path.into();
        for (number, text) in logical_lines(&text) {
            let fields = token::split(&text).unwrap_or_else(|column| {
                self.mistakes.push(mistake(path, number, column, "the quote is never closed"));
                Vec::new()
            });
            let inner = Line { file: Arc::clone(&file), number, fields: Vec::new() };
            for token in fields.into_iter().flatten() {
                if self.room == 0 {
                    return;
                }
                self.room -= 1;
                // Mistakes in the word itself are told where it is used.
                let token = Token { column: at.column, ..token };
                out.extend(self.expand(vec![token], &inner, depth));
            }
        }
    }
}

fn too_deep() -> String {
    format!("files include each other more than {DEEPEST} deep")
}

/// Relative paths start at the folder of the file they stand in.
fn beside(file: &Path, name: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(name)
}

/// An error of the system in its own words, without Rust's `(os error 2)`.
fn in_words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Lines with their numbers; a backslash at the end joins the next one.
fn logical_lines(text: &str) -> Vec<(u32, String)> {
    let mut out: Vec<(u32, String)> = Vec::new();
    let mut joins = false;
    for (line, number) in text.lines().zip(1..) {
        let (body, goes_on) = match line.strip_suffix('\\') {
            Some(body) => (body, true),
            None => (line, false),
        };
        match out.last_mut() {
            Some((_, last)) if joins => last.push_str(body),
            _ => out.push((number, body.to_owned())),
        }
        joins = goes_on;
    }
    out
}
