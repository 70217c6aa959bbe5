//! Reading a dump again: how many objects it holds, and how many rows of which table.
//!
//! The same is done with the stream while it is written and when it is verified. What cannot be read to its end is no
//! dump.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::thread::JoinHandle;

use domain::failure::{Error, Kind, Result};
use domain::manifest::{DumpContent, DumpFormat};

use super::contents::{Contents, Unreadable};
use super::copy::{Copied, CopyCounter};
use super::sql::{GlobalsCounter, SqlCounter};
use crate::database::child::{Child, Children, Tool};

const BUFFER_BYTES: usize = 256 << 10;

/// Takes a dump in pieces.
#[derive(Debug)]
pub(crate) enum Inspector {
    Custom(Box<Archive>),
    Sql(Box<SqlCounter>),
    Globals(GlobalsCounter),
}

impl Inspector {
    /// For a dump of that kind. Must be finished by the thread that made it.
    pub(crate) fn new(format: DumpFormat, content: DumpContent, children: &Children) -> Result<Self> {
        Ok(match (format, content) {
            (DumpFormat::Custom, _) => Self::Custom(Box::new(Archive::new(children)?)),
            (DumpFormat::Sql, DumpContent::Globals) => Self::Globals(GlobalsCounter::default()),
            (DumpFormat::Sql, _) => Self::Sql(Box::default()),
        })
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> Result<(), Unreadable> {
        match self {
            Self::Custom(archive) => archive.write(data).map_err(|error| Unreadable(error.to_string())),
            Self::Sql(counter) => counter.write(data),
            Self::Globals(counter) => {
                counter.write(data);
                Ok(())
            }
        }
    }

    /// What it held; the inner error is about the dump.
    pub(crate) fn finish(self) -> Result<Result<Contents, Unreadable>> {
        match self {
            Self::Custom(archive) => archive.finish(),
            Self::Sql(counter) => Ok(counter.finish()),
            Self::Globals(counter) => Ok(counter.finish()),
        }
    }
}

/// An archive of `pg_dump`, read by `pg_restore` twice at once: for its table of contents, and as SQL with every row.
#[derive(Debug)]
pub(crate) struct Archive {
    list: Feed<Listed>,
    rows: Feed<Result<Copied, Unreadable>>,
}

#[derive(Debug, Default)]
struct Listed {
    entries: Option<u64>,
    data: u64,
}

/// A tool that reads the dump, and a thread that reads the tool.
#[derive(Debug)]
struct Feed<T> {
    input: Option<ChildStdin>,
    child: Child,
    reader: JoinHandle<io::Result<T>>,
}

impl Archive {
    fn new(children: &Children) -> Result<Self> {
        let list = Feed::new(children, &["--list"], listed)?;
        // Without owners and grants: what is counted are rows.
        let rows = Feed::new(children, &["--data-only", "--file=-"], copied)?;
        Ok(Self { list, rows })
    }

    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.list.write(data)?;
        self.rows.write(data)
    }

    fn finish(self) -> Result<Result<Contents, Unreadable>> {
        let (list, rows) = (self.list.finish()?, self.rows.finish()?);
        let (listed, copied) = match (list, rows) {
            (Ok(listed), Ok(Ok(copied))) => (listed, copied),
            (Err(error), _) | (Ok(_), Err(error) | Ok(Err(error))) => return Ok(Err(error)),
        };
        let Some(objects) = listed.entries else {
            return Ok(Err(Unreadable("pg_restore --list does not say how many entries there are".to_owned())));
        };
        if listed.data != copied.blocks {
            return Ok(Err(Unreadable(format!(
                "its table of contents lists the rows of {} tables, and those of {} are there",
                listed.data, copied.blocks
            ))));
        }
        Ok(Ok(Contents { objects, tables: copied.tables }))
    }
}

impl<T: Send + 'static> Feed<T> {
    fn new(children: &Children, arguments: &[&str], read: fn(ChildStdout) -> io::Result<T>) -> Result<Self> {
        let mut child = children.spawn(&Tool::new("pg_restore", arguments), Stdio::piped())?;
        let (input, output) = (child.stdin()?, child.stdout()?);
        let reader = std::thread::spawn(move || read(output));
        Ok(Self { input: Some(input), child, reader })
    }

    /// A tool that has seen enough, or failed, takes no more; its end tells which.
    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        let Some(input) = &mut self.input else { return Ok(()) };
        match input.write_all(data) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.input = None;
                Ok(())
            }
            result => result,
        }
    }

    fn finish(mut self) -> Result<Result<T, Unreadable>> {
        drop(self.input.take());
        let read = self.reader.join().map_err(|_| Error::new(Kind::Internal, "reading pg_restore panicked"))?;
        if let Err(ended) = self.child.wait()? {
            return match ended.error("read the dump again") {
                error if error.kind() == Kind::Interrupted => Err(error),
                error => Ok(Err(Unreadable(error.chain()))),
            };
        }
        read.map(Ok).map_err(|error| Error::internal("read what pg_restore prints", error))
    }
}

/// `;     TOC Entries: 12`, then `215; 0 16386 TABLE DATA public orders app` and the like.
fn listed(output: ChildStdout) -> io::Result<Listed> {
    let mut listed = Listed::default();
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, output);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(listed);
        }
        let text = String::from_utf8_lossy(&line);
        if let Some(number) = text.strip_prefix(';').and_then(|text| text.trim().strip_prefix("TOC Entries: ")) {
            listed.entries = listed.entries.or(number.parse().ok());
        } else if text.split(' ').skip(3).take(2).eq(["TABLE", "DATA"]) {
            listed.data += 1;
        }
    }
}

fn copied(mut output: ChildStdout) -> io::Result<Result<Copied, Unreadable>> {
    let mut counter = CopyCounter::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = output.read(&mut buffer)?;
        if count == 0 {
            return Ok(counter.finish());
        }
        if let Err(error) = counter.write(&buffer[..count]) {
            return Ok(Err(error));
        }
    }
}
