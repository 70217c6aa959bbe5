//! Counting in SQL: the rows and objects of what `mariadb-dump` writes.
//!
//! `mariadb-dump` ends a line with each row of an `INSERT`, and escapes every line break in a value. Outside of rows,
//! quotes, comments and `DELIMITER` are honoured as the client does, so that the body of a routine cannot pass for a
//! statement. Constant memory, but for the names of tables.

use std::collections::BTreeMap;

use super::ending::Ending;
use super::name::{name_at, table_name};
use crate::database::count::contents::{Contents, Unreadable};

/// What is kept of a statement: more than the longest name of a table and of its columns that are named.
const HEAD_BYTES: usize = 1 << 20;
const NO_VERSION: u32 = 999_999;

/// Takes the SQL of `mariadb-dump` in pieces.
#[derive(Debug)]
pub(crate) struct SqlCounter {
    state: State,
    /// The beginning of the statement, without comments.
    head: Vec<u8>,
    /// Whether a backslash is one in quotes: in bodies that were made so.
    keeps_backslashes: bool,
    /// What ends a statement.
    delimiter: Vec<u8>,
    previous: u8,
    database: String,
    table: String,
    rows: u64,
    /// The last byte of the line of data so far.
    line_end: u8,
    objects: u64,
    tables: BTreeMap<String, u64>,
    ending: Ending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Code,
    Quoted(u8),
    Escaped(u8),
    LineComment,
    /// Behind `/*`, or `/*M`.
    CommentBegins,
    /// Within the version of `/*!50003`, its value so far.
    Version(u32),
    Comment,
    Command,
    Rows,
}

impl Default for SqlCounter {
    fn default() -> Self {
        Self {
            state: State::Code,
            head: Vec::new(),
            keeps_backslashes: false,
            delimiter: b";".to_vec(),
            previous: b'\n',
            database: String::new(),
            table: String::new(),
            rows: 0,
            line_end: 0,
            objects: 0,
            tables: BTreeMap::new(),
            ending: Ending::default(),
        }
    }
}

impl SqlCounter {
    pub(crate) fn write(&mut self, mut data: &[u8]) -> Result<(), Unreadable> {
        while !data.is_empty() {
            data = self.section(data)?.1;
        }
        Ok(())
    }

    /// Whether a table was created so far.
    pub(crate) fn has_table(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }

    /// The table whose rows come next.
    pub(crate) fn rows_of(&self) -> Option<&str> {
        (self.state == State::Rows).then_some(self.table.as_str())
    }

    /// Takes what is all rows of a table, or all between rows: what was taken, and what comes behind it.
    pub(crate) fn section<'a>(&mut self, data: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Unreadable> {
        let taken = if self.state == State::Rows {
            data.len() - self.rows(data)?.len()
        } else {
            let mut taken = 0;
            while taken < data.len() && self.state != State::Rows {
                self.byte(data[taken])?;
                taken += 1;
            }
            taken
        };
        let (part, rest) = data.split_at(taken);
        self.ending.write(part);
        Ok((part, rest))
    }

    pub(crate) fn finish(self) -> Result<Contents, Unreadable> {
        match self.state {
            State::Rows => Err(Unreadable(format!("it ends within the rows of {}", self.table))),
            State::Code | State::LineComment if self.head.trim_ascii().is_empty() => {
                self.ending.check()?;
                Ok(Contents { objects: self.objects, tables: self.tables })
            }
            _ => Err(Unreadable("it ends within a statement".to_owned())),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.head.len() < HEAD_BYTES && !(self.head.is_empty() && byte.is_ascii_whitespace()) {
            self.head.push(byte);
        }
    }

    fn byte(&mut self, byte: u8) -> Result<(), Unreadable> {
        match self.state {
            State::Code => self.code(byte)?,
            State::Quoted(quote) => {
                self.keep(byte);
                if byte == quote {
                    self.state = State::Code;
                } else if byte == b'\\' && quote != b'`' && !self.keeps_backslashes {
                    self.state = State::Escaped(quote);
                }
            }
            State::Escaped(quote) => {
                self.keep(byte);
                self.state = State::Quoted(quote);
            }
            State::LineComment => {
                if byte == b'\n' {
                    self.state = State::Code;
                }
            }
            State::CommentBegins => match byte {
                b'!' => self.state = State::Version(0),
                b'M' => {}
                _ => self.state = State::Comment,
            },
            // Nobody is as new as the version of a comment that is meant for no server.
            State::Version(version) if byte.is_ascii_digit() => {
                self.state = State::Version(version.saturating_mul(10).saturating_add(u32::from(byte - b'0')));
            }
            State::Version(NO_VERSION) => self.state = State::Comment,
            State::Version(_) => {
                self.state = State::Code;
                self.code(byte)?;
            }
            State::Comment => {
                if self.previous == b'*' && byte == b'/' {
                    self.state = State::Code;
                    self.previous = b' ';
                    return Ok(());
                }
            }
            State::Command => {
                if byte == b'\n' {
                    let line = std::mem::take(&mut self.head);
                    self.delimiter = line.strip_prefix(b"DELIMITER ").unwrap_or_default().trim_ascii().to_vec();
                    if self.delimiter.is_empty() {
                        return Err(Unreadable("a DELIMITER that is empty".to_owned()));
                    }
                    self.state = State::Code;
                } else {
                    self.keep(byte);
                }
            }
            State::Rows => {}
        }
        self.previous = byte;
        Ok(())
    }

    fn code(&mut self, byte: u8) -> Result<(), Unreadable> {
        match byte {
            b'\'' | b'"' | b'`' => {
                self.keep(byte);
                self.state = State::Quoted(byte);
            }
            b'#' => self.state = State::LineComment,
            // `--` is a comment only before white space, and what it begins with was kept.
            b' ' | b'\t' | b'\n' if self.head.ends_with(b"--") => {
                self.head.truncate(self.head.len() - 2);
                if byte != b'\n' {
                    self.state = State::LineComment;
                }
            }
            b'*' if self.previous == b'/' => {
                self.head.pop();
                self.state = State::CommentBegins;
            }
            // Where the columns are named, because some are invisible, the first row begins on the same line.
            b'\n' | b'(' if self.is_insert() => {
                self.table = self.table_of("INTO ")?;
                self.head.clear();
                self.line_end = if byte == b'(' { byte } else { 0 };
                self.state = State::Rows;
            }
            b' ' if self.head == b"DELIMITER" => {
                self.keep(byte);
                self.state = State::Command;
            }
            _ => {
                self.keep(byte);
                if self.head.ends_with(&self.delimiter) || (self.head.len() >= HEAD_BYTES && self.ends(byte)) {
                    self.statement()?;
                }
            }
        }
        Ok(())
    }

    /// Whether a statement too long to be kept ends here.
    fn ends(&self, byte: u8) -> bool {
        match *self.delimiter.as_slice() {
            [only] => byte == only,
            [first, second] => self.previous == first && byte == second,
            _ => false,
        }
    }

    fn is_insert(&self) -> bool {
        self.delimiter == b";" && self.head.starts_with(b"INSERT ") && self.head.trim_ascii_end().ends_with(b"VALUES")
    }

    fn statement(&mut self) -> Result<(), Unreadable> {
        if self.head.starts_with(b"INSERT ") && self.delimiter == b";" && !self.database.is_empty() {
            return Err(Unreadable("the rows of an INSERT are not on lines of their own".to_owned()));
        }
        if self.head.starts_with(b"SET sql_mode") {
            self.keeps_backslashes = find(&self.head, b"NO_BACKSLASH_ESCAPES").is_some();
        } else if self.head.starts_with(b"USE `") {
            self.database = name_at(&self.head, 4)?;
        } else if self.head.starts_with(b"CREATE ") || self.head.starts_with(b"CREATE*/") {
            self.objects += 1;
            if self.head.starts_with(b"CREATE TABLE ") {
                let table = self.table_of("CREATE TABLE ")?;
                self.tables.entry(table).or_default();
            }
        }
        self.head.clear();
        Ok(())
    }

    /// The table whose name follows `word`, with its database.
    fn table_of(&self, word: &str) -> Result<String, Unreadable> {
        let begin = find(&self.head, word.as_bytes()).map(|at| at + word.len());
        let name = match begin {
            Some(begin) => {
                let text = &self.head[begin..];
                let skipped = b"IF NOT EXISTS ";
                let more = if text.starts_with(skipped) { skipped.len() } else { 0 };
                name_at(&self.head, begin + more)?
            }
            None => return Err(Unreadable("a statement without a table".to_owned())),
        };
        Ok(table_name(&self.database, &name))
    }

    /// Counts lines, and returns what follows the last of them.
    fn rows<'a>(&mut self, mut data: &'a [u8]) -> Result<&'a [u8], Unreadable> {
        while let Some(length) = data.iter().position(|byte| *byte == b'\n') {
            if length > 0 {
                self.line_end = data[length - 1];
            }
            data = &data[length + 1..];
            self.rows += 1;
            match std::mem::take(&mut self.line_end) {
                b',' => {}
                b';' => {
                    let table = std::mem::take(&mut self.table);
                    *self.tables.entry(table).or_default() += std::mem::take(&mut self.rows);
                    self.state = State::Code;
                    self.previous = b'\n';
                    return Ok(data);
                }
                _ => return Err(Unreadable(format!("the rows of {} are not on lines of their own", self.table))),
            }
        }
        self.line_end = data.last().copied().unwrap_or(self.line_end);
        Ok(&[])
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::END;
    use super::*;

    const DUMP: &str = r"/*M!999999\- enable the sandbox mode */
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB
--
/*!40101 SET NAMES utf8mb4 */;

CREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;

USE `shop`;
DROP TABLE IF EXISTS `odd ``name``; --`;
/*!40101 SET character_set_client = utf8 */;
CREATE TABLE `odd ``name``; --` (
  `id` int(11) NOT NULL COMMENT 'it''s \'; INSERT INTO `x` VALUES',
  `b` blob DEFAULT NULL
) ENGINE=InnoDB;
LOCK TABLES `odd ``name``; --` WRITE;
INSERT INTO `odd ``name``; --` (`id`, `b`) VALUES
(1,'a),\n(2'),
(2,NULL),
(3,';');
INSERT INTO `odd ``name``; --` (`id`, `b`) VALUES
(4,0x00);
UNLOCK TABLES;
CREATE TABLE `hidden` (
  `VALUES (` int(11) INVISIBLE
);
INSERT INTO `hidden` (`id`, `VALUES (`) VALUES (5,1),
(6,NULL);
INSERT INTO `hidden` (`id`, `VALUES (`) VALUES (7,'(');
CREATE TABLE `empty` (
  `id` int(11)
);
/*!50001 CREATE VIEW `v` AS SELECT
 1 AS `id`*/;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`app`@`%`*/ /*!50003 TRIGGER t BEFORE INSERT ON `empty` FOR EACH ROW BEGIN
  -- it's a comment
  # isn't it
  /* that's one, too */
  SELECT 'a\';';
INSERT INTO `log` VALUES
(1);
END */;;
DELIMITER ;
/*!50003 SET sql_mode              = 'NO_BACKSLASH_ESCAPES' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50003 TRIGGER u BEFORE INSERT ON `empty` FOR EACH ROW SET NEW.id = '\' */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
-- Dump completed
";

    fn count(pieces: impl Iterator<Item = Vec<u8>>) -> Result<Contents, Unreadable> {
        let mut counter = SqlCounter::default();
        for piece in pieces {
            counter.write(&piece)?;
        }
        counter.finish()
    }

    #[test]
    fn rows_and_objects_are_counted_and_bodies_of_routines_are_not_taken_for_them() {
        let contents = count(std::iter::once(DUMP.as_bytes().to_vec())).unwrap();
        assert_eq!(contents.objects, 7);
        let tables = [("shop.`odd ``name``; --`", 4), ("shop.empty", 0), ("shop.hidden", 3)];
        assert_eq!(contents.tables, tables.map(|(name, rows)| (name.to_owned(), rows)).into());
    }

    #[test]
    fn a_dump_that_is_cut_anywhere_is_not_complete() {
        let end = DUMP.find(END).unwrap();
        for cut in 0..=end {
            assert!(count(std::iter::once(DUMP.as_bytes()[..cut].to_vec())).is_err(), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn the_count_does_not_depend_on_how_the_dump_is_cut(size in 1_usize..60) {
            let whole = count(std::iter::once(DUMP.as_bytes().to_vec())).unwrap();
            prop_assert_eq!(whole, count(DUMP.as_bytes().chunks(size).map(<[u8]>::to_vec)).unwrap());
        }
    }
}
