//! The values of generated columns in a dump. `mariadb-dump` writes what they are; MariaDB takes that back, MySQL
//! refuses it (error 3105). `DEFAULT` in their place is taken by both, and each computes the value again.

use std::collections::{BTreeMap, BTreeSet};

use domain::failure::{Error, Kind, Result};

use super::query::{query, unhexed};
use crate::database::artifact::Rewrite;
use crate::database::count::{SqlCounter, Unreadable, table_name};
use crate::database::dumping::Session;

/// Every column, in the order in which a row has its values. Nothing is compared by the server: to some, names that
/// differ in case are the same here.
const COLUMNS: &str = "select hex(table_schema), hex(table_name), coalesce(generation_expression, '') <> '' \
    from information_schema.columns order by 1, 2, ordinal_position;";

const INSTEAD: &[u8] = b"DEFAULT";

/// The tables that have generated columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Generated(BTreeMap<String, Columns>);

/// The columns of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Columns {
    count: usize,
    /// Counted from 0.
    generated: BTreeSet<usize>,
}

impl Generated {
    /// Those of some databases of a server.
    pub(super) fn of(session: &Session, databases: &[String]) -> Result<Self> {
        const ACTION: &str = "list the generated columns";
        let rows = query(session, COLUMNS)?.map_err(|ended| ended.error(ACTION))?;
        let mut tables: BTreeMap<String, Columns> = BTreeMap::new();
        for row in rows {
            let [database, table, is_generated] = row.as_slice() else {
                return Err(Error::new(Kind::DumpFailed, ACTION));
            };
            let named = unhexed(database).zip(unhexed(table));
            let (database, table) = named.ok_or_else(|| Error::new(Kind::DumpFailed, ACTION))?;
            if databases.contains(&database) {
                let columns = tables.entry(table_name(&database, &table)).or_default();
                if is_generated == "1" {
                    columns.generated.insert(columns.count);
                }
                columns.count += 1;
            }
        }
        tables.retain(|_, columns| !columns.generated.is_empty());
        Ok(Self(tables))
    }

    /// Their names.
    pub(super) fn tables(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Takes a dump in pieces, and gives it back without the values of generated columns.
#[derive(Debug)]
pub(crate) struct Rewriter {
    generated: Generated,
    /// Knows where rows are, and whose.
    scanner: SqlCounter,
    row: Row,
}

/// How far within the rows of a table.
#[derive(Debug, Default)]
struct Row {
    place: Place,
    column: usize,
    /// Whether the value is left out.
    is_skipped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    BetweenRows,
    Value,
    Quoted,
    /// Behind a backslash in quotes.
    Escaped,
}

impl Rewriter {
    pub(super) fn new(generated: Generated) -> Self {
        Self { generated, scanner: SqlCounter::default(), row: Row::default() }
    }
}

impl Rewrite for Rewriter {
    fn write(&mut self, mut data: &[u8], output: &mut Vec<u8>) -> Result<(), Unreadable> {
        while !data.is_empty() {
            let table = self.scanner.rows_of().map(|table| self.generated.0.get_key_value(table));
            let (part, rest) = self.scanner.section(data)?;
            data = rest;
            match table {
                Some(Some((table, columns))) => self.row.write(part, table, columns, output)?,
                Some(None) => output.extend_from_slice(part),
                None => {
                    output.extend_from_slice(part);
                    self.row = Row::default();
                    // The first row may begin on the line of the statement.
                    if let Some(columns) = self.scanner.rows_of().and_then(|table| self.generated.0.get(table))
                        && part.last() == Some(&b'(')
                    {
                        self.row.begin(columns, output);
                    }
                }
            }
        }
        Ok(())
    }

    /// Fails where a table was not in the dump: then its name was read otherwise, and its rows were not rewritten.
    fn finish(self: Box<Self>) -> Result<(), Unreadable> {
        match self.generated.tables().find(|table| !self.scanner.has_table(table)) {
            Some(table) => Err(Unreadable(format!("the table {table}, which has generated columns, is not in it"))),
            None => Ok(()),
        }
    }
}

impl Row {
    fn begin(&mut self, columns: &Columns, output: &mut Vec<u8>) {
        self.place = Place::Value;
        self.column = 0;
        self.value(columns, output);
    }

    fn value(&mut self, columns: &Columns, output: &mut Vec<u8>) {
        self.is_skipped = columns.generated.contains(&self.column);
        if self.is_skipped {
            output.extend_from_slice(INSTEAD);
        }
    }

    /// Values are numbers, hexadecimal, `NULL` and text in quotes, in which a backslash escapes.
    fn write(&mut self, data: &[u8], table: &str, columns: &Columns, output: &mut Vec<u8>) -> Result<(), Unreadable> {
        for byte in data.iter().copied() {
            let ends_value = self.place == Place::Value && matches!(byte, b',' | b')');
            if self.place == Place::BetweenRows || ends_value || !self.is_skipped {
                output.push(byte);
            }
            match (self.place, byte) {
                (Place::BetweenRows, b'(') => self.begin(columns, output),
                (Place::Value, b',') => {
                    self.column += 1;
                    self.value(columns, output);
                }
                (Place::Value, b')') => {
                    let (values, count) = (self.column + 1, columns.count);
                    if values != count {
                        return Err(Unreadable(format!(
                            "a row of {table} has {values} values, and the table {count} columns"
                        )));
                    }
                    *self = Self::default();
                }
                (Place::Value, b'\'') | (Place::Escaped, _) => self.place = Place::Quoted,
                (Place::Quoted, b'\'') => self.place = Place::Value,
                (Place::Quoted, b'\\') => self.place = Place::Escaped,
                (Place::BetweenRows | Place::Value | Place::Quoted, _) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DUMP: &str = r"USE `shop`;
CREATE TABLE `items` (
  `id` int, `a` varchar(9) GENERATED ALWAYS AS ('(1,2)') VIRTUAL, `b` text, `c` int GENERATED ALWAYS AS (1) STORED
);
INSERT INTO `items` VALUES
(1,'x\'),(9,','a, (b)',-7.5),
(2,NULL,NULL,0x00),
(3,'','it''s \\',1);
INSERT INTO `items` (`id`, `a`, `b`, `c`) VALUES (4,'(','DEFAULT',1),
(5,'\\',',)',NULL);
CREATE TABLE `others` (
  `id` int, `a` int
);
INSERT INTO `others` VALUES
(1,2);
-- Dump completed
";
    const REWRITTEN: &str = r"USE `shop`;
CREATE TABLE `items` (
  `id` int, `a` varchar(9) GENERATED ALWAYS AS ('(1,2)') VIRTUAL, `b` text, `c` int GENERATED ALWAYS AS (1) STORED
);
INSERT INTO `items` VALUES
(1,DEFAULT,'a, (b)',DEFAULT),
(2,DEFAULT,NULL,DEFAULT),
(3,DEFAULT,'it''s \\',DEFAULT);
INSERT INTO `items` (`id`, `a`, `b`, `c`) VALUES (4,DEFAULT,'DEFAULT',DEFAULT),
(5,DEFAULT,',)',DEFAULT);
CREATE TABLE `others` (
  `id` int, `a` int
);
INSERT INTO `others` VALUES
(1,2);
-- Dump completed
";

    fn rewriter(columns: &[usize], count: usize) -> Box<dyn Rewrite> {
        let columns = Columns { count, generated: columns.iter().copied().collect() };
        Box::new(Rewriter::new(Generated([(table_name("shop", "items"), columns)].into())))
    }

    fn rewritten<'a>(columns: &[usize], pieces: impl Iterator<Item = &'a [u8]>) -> String {
        let mut rewriter = rewriter(columns, 4);
        let mut output = Vec::new();
        for piece in pieces {
            rewriter.write(piece, &mut output).unwrap();
        }
        rewriter.finish().unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn generated_values_become_default_and_nothing_else_changes() {
        let whole = || std::iter::once(DUMP.as_bytes());
        assert_eq!(rewritten(&[1, 3], whole()), REWRITTEN);
        assert_eq!(rewritten(&[], whole()), DUMP);
        let first = rewritten(&[0], whole());
        assert!(
            first.contains("\n(DEFAULT,'x\\'),(9,','a, (b)',-7.5),\n") && first.contains("VALUES (DEFAULT,'('"),
            "{first}"
        );
    }

    #[test]
    fn what_does_not_fit_the_table_is_not_guessed_at() {
        for count in [3, 5] {
            let error = rewriter(&[1], count).write(DUMP.as_bytes(), &mut Vec::new()).unwrap_err();
            assert!(error.to_string().contains("shop.items has 4 values"), "{error}");
        }
        let mut rewriter = rewriter(&[1], 4);
        rewriter.write(DUMP.replace("items", "Items").as_bytes(), &mut Vec::new()).unwrap();
        let error = rewriter.finish().unwrap_err();
        assert!(error.to_string().contains("shop.items"), "{error}");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_dump_is_cut(size in 1_usize..60, columns in proptest::sample::subsequence(vec![0_usize, 1, 2, 3], 0..=4)) {
            let whole = rewritten(&columns, std::iter::once(DUMP.as_bytes()));
            prop_assert_eq!(rewritten(&columns, DUMP.as_bytes().chunks(size)), whole);
        }
    }
}
