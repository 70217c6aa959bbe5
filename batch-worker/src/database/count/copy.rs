//! Counting the rows in the SQL that `pg_restore` makes of an archive: the lines between `COPY … FROM stdin;` and `\.`.
//!
//! It is a scanner of the little SQL that `pg_restore --data-only` writes, in constant memory: quotes and comments are
//! honoured, so that no name and no value can pass for a statement.

use std::collections::BTreeMap;

use super::contents::Unreadable;

/// What is kept of a statement: more than the longest name of a table with its schema, quoted.
const HEAD_BYTES: usize = 1024;
const FROM_STDIN: &[u8] = b" FROM stdin";

/// Takes SQL in pieces and counts the rows of each table.
#[derive(Debug, Default)]
pub(crate) struct CopyCounter {
    state: State,
    /// The beginning of the statement.
    head: Vec<u8>,
    /// Its last bytes.
    tail: Vec<u8>,
    last: u8,
    /// Whether a backslash escaped in the last quotes.
    escapes: bool,
    table: String,
    rows: u64,
    /// The beginning of a line of data that is not whole yet.
    line: Vec<u8>,
    blocks: u64,
    tables: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Between,
    Statement,
    /// Whether a backslash escapes.
    Quoted(bool),
    Escaped,
    Identifier,
    Comment,
    BeforeRows,
    Rows,
}

/// What was counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Copied {
    /// Blocks of rows.
    pub(crate) blocks: u64,
    /// Rows of each table.
    pub(crate) tables: BTreeMap<String, u64>,
}

impl CopyCounter {
    pub(crate) fn write(&mut self, mut data: &[u8]) -> Result<(), Unreadable> {
        while !data.is_empty() {
            if self.state == State::Rows {
                data = self.rows(data);
            } else {
                self.byte(data[0])?;
                data = &data[1..];
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Copied, Unreadable> {
        match self.state {
            State::Between | State::Comment => Ok(Copied { blocks: self.blocks, tables: self.tables }),
            State::Rows | State::BeforeRows => {
                Err(Unreadable(format!("the data ends within the rows of {}", self.table)))
            }
            _ => Err(Unreadable("the data ends within a statement".to_owned())),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.head.len() < HEAD_BYTES {
            self.head.push(byte);
        }
        if self.tail.len() == FROM_STDIN.len() {
            self.tail.remove(0);
        }
        self.tail.push(byte);
    }

    fn byte(&mut self, byte: u8) -> Result<(), Unreadable> {
        match self.state {
            State::Between => match byte {
                b'\\' => self.state = State::Comment,
                b'-' if self.last == b'-' => self.state = State::Comment,
                b' ' | b'\n' | b'\r' | b'\t' | b'-' => {}
                _ => {
                    self.head.clear();
                    self.tail.clear();
                    self.state = State::Statement;
                    return self.byte(byte);
                }
            },
            State::Statement => match byte {
                b';' => self.statement()?,
                b'-' if self.last == b'-' => {
                    return Err(Unreadable("a comment within a statement".to_owned()));
                }
                _ => {
                    self.keep(byte);
                    match byte {
                        b'\'' => {
                            // Two of them within quotes are one, and end nothing.
                            self.escapes = self.last == b'E' || (self.last == b'\'' && self.escapes);
                            self.state = State::Quoted(self.escapes);
                        }
                        b'"' => self.state = State::Identifier,
                        _ => {}
                    }
                }
            },
            State::Quoted(escapes) => match byte {
                b'\'' => self.state = State::Statement,
                b'\\' if escapes => self.state = State::Escaped,
                _ => {}
            },
            State::Escaped => self.state = State::Quoted(true),
            State::Identifier => {
                self.keep(byte);
                if byte == b'"' {
                    self.state = State::Statement;
                }
            }
            State::Comment => {
                if byte == b'\n' {
                    self.state = State::Between;
                }
            }
            State::BeforeRows => {
                if byte == b'\n' {
                    self.state = State::Rows;
                }
            }
            State::Rows => {}
        }
        self.last = byte;
        Ok(())
    }

    fn statement(&mut self) -> Result<(), Unreadable> {
        self.state = State::Between;
        let Some(rest) = self.head.strip_prefix(b"COPY ") else {
            return Ok(());
        };
        if self.tail != FROM_STDIN {
            return Err(Unreadable("a COPY that does not read rows".to_owned()));
        }
        let end = name_end(rest).ok_or_else(|| Unreadable("a COPY without a table".to_owned()))?;
        self.table = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.rows = 0;
        self.line.clear();
        self.state = State::BeforeRows;
        Ok(())
    }

    /// Counts lines, and returns what follows the last of them.
    fn rows<'a>(&mut self, mut data: &'a [u8]) -> &'a [u8] {
        while let Some(length) = data.iter().position(|byte| *byte == b'\n') {
            let line = &data[..length];
            let ends = if self.line.is_empty() { line == b"\\." } else { [&self.line, line].concat() == b"\\." };
            self.line.clear();
            data = &data[length + 1..];
            if ends {
                self.blocks += 1;
                *self.tables.entry(std::mem::take(&mut self.table)).or_default() += self.rows;
                self.state = State::Between;
                self.last = b'\n';
                return data;
            }
            self.rows += 1;
        }
        // Three bytes tell any other line from the last one.
        let room = 3_usize.saturating_sub(self.line.len()).min(data.len());
        self.line.extend_from_slice(&data[..room]);
        &[]
    }
}

/// Where the name ends: at a space outside of quotes.
fn name_end(text: &[u8]) -> Option<usize> {
    let mut quoted = false;
    text.iter().position(|byte| {
        quoted ^= *byte == b'"';
        *byte == b' ' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SQL: &str = concat!(
        "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\nSET statement_timeout = 0;\n",
        "SELECT pg_catalog.set_config('search_path', '; COPY x FROM stdin;\n', false);\n",
        "--\n-- Data for Name: a; Type: TABLE DATA\n--\n\n",
        "COPY public.orders (id, name) FROM stdin;\n1\tx\n2\t\\\\.\n3\t\\N\n\\.\n\n\n",
        "COPY public.\"Weird \"\"Na;me\"\"\n.tbl*\" (\"a b\", \"c;d\") FROM stdin;\nCOPY y FROM stdin;\n\\.\n\n",
        "COPY app.empty (id) FROM stdin;\n\\.\n\n",
        "COPY app.nothing  FROM stdin;\n\n\n\\.\n\n",
        "SELECT pg_catalog.setval(E'a\\\\''\\';', 3, true);\nSELECT pg_catalog.lowrite(0, '\\x00');\n\n\\unrestrict abc\n"
    );

    fn count(pieces: impl Iterator<Item = Vec<u8>>) -> Result<Copied, Unreadable> {
        let mut counter = CopyCounter::default();
        for piece in pieces {
            counter.write(&piece)?;
        }
        counter.finish()
    }

    #[test]
    fn rows_are_counted_and_nothing_else_is_taken_for_one() {
        let copied = count(std::iter::once(SQL.as_bytes().to_vec())).unwrap();
        assert_eq!(copied.blocks, 4);
        let expected =
            [("app.empty", 0), ("app.nothing", 2), ("public.\"Weird \"\"Na;me\"\"\n.tbl*\"", 1), ("public.orders", 3)];
        assert_eq!(copied.tables, expected.map(|(name, rows)| (name.to_owned(), rows)).into());
    }

    #[test]
    fn rows_that_do_not_end_are_no_rows() {
        let cut = SQL.find("3\t").unwrap();
        let error = count(std::iter::once(SQL.as_bytes()[..cut].to_vec())).unwrap_err();
        assert!(error.to_string().contains("public.orders"), "{error}");
    }

    proptest! {
        #[test]
        fn the_count_does_not_depend_on_how_the_data_is_cut(size in 1_usize..40) {
            let whole = count(std::iter::once(SQL.as_bytes().to_vec())).unwrap();
            prop_assert_eq!(whole, count(SQL.as_bytes().chunks(size).map(<[u8]>::to_vec)).unwrap());
        }
    }
}
