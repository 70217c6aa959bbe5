//! Counting the roles or users of the files that are made here.

use std::collections::BTreeMap;

use super::ending::Ending;
use crate::database::count::contents::{Contents, Unreadable};

/// Counts the lines that create a role or user.
#[derive(Debug, Default)]
pub(crate) struct GlobalsCounter {
    line: Vec<u8>,
    objects: u64,
    ending: Ending,
}

impl GlobalsCounter {
    pub(crate) fn write(&mut self, data: &[u8]) {
        const LONGEST: usize = 32;
        self.ending.write(data);
        for byte in data {
            if *byte == b'\n' {
                let creates: [&[u8]; 3] = [b"CREATE ROLE ", b"CREATE USER ", b"DO 'BEGIN CREATE ROLE "];
                self.objects += u64::from(creates.iter().any(|start| self.line.starts_with(start)));
                self.line.clear();
            } else if self.line.len() < LONGEST {
                self.line.push(*byte);
            }
        }
    }

    pub(crate) fn finish(self) -> Result<Contents, Unreadable> {
        self.ending.check()?;
        Ok(Contents { objects: self.objects, tables: BTreeMap::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_users_are_counted_by_line() {
        let mut counter = GlobalsCounter::default();
        counter.write(b"CREATE ROLE a;\nDO 'BEGIN CREATE ROLE b; END';\nALTER ROLE a;\nCREATE USER c;\n-- Dump ");
        counter.write(b"completed\n");
        assert_eq!(counter.finish().unwrap().objects, 3);
        assert!(GlobalsCounter::default().finish().is_err());
    }
}
