//! Names of databases and tables: as `mariadb-dump` quotes them, and as they are shown.

use crate::database::count::contents::Unreadable;

/// The name in backticks at `begin` of a statement.
pub(super) fn name_at(text: &[u8], begin: usize) -> Result<String, Unreadable> {
    let malformed = || Unreadable("a name that is not in backticks".to_owned());
    let mut bytes = text.get(begin..).ok_or_else(malformed)?.iter().copied().peekable();
    if bytes.next() != Some(b'`') {
        return Err(malformed());
    }
    let mut name = Vec::new();
    loop {
        match bytes.next().ok_or_else(malformed)? {
            b'`' if bytes.peek() == Some(&b'`') => {
                bytes.next();
                name.push(b'`');
            }
            b'`' => break,
            byte => name.push(byte),
        }
    }
    Ok(String::from_utf8_lossy(&name).into_owned())
}

/// The name of a table with its database, as it is shown.
pub(crate) fn table_name(database: &str, table: &str) -> String {
    format!("{}.{}", plain(database), plain(table))
}

/// A name as it is shown: in backticks where it would be ambiguous otherwise.
fn plain(name: &str) -> String {
    if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$') {
        return name.to_owned();
    }
    format!("`{}`", name.replace('`', "``"))
}
