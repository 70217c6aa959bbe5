//! The versions of the engines' tools, and which package has them.

use domain::failure::{Error, Kind, Result};

use super::child::{Children, Tool};

/// What has `pg_dump`, `pg_restore` and `psql`.
pub(crate) const POSTGRESQL_PACKAGE: &str = "postgresql-client";
/// What has `mariadb-dump` and `mariadb`.
pub(crate) const MARIADB_PACKAGE: &str = "mariadb-client";

/// A tool's version: the first number with a point, or the first number.
pub(crate) fn version_in(text: &str) -> Option<(u32, String)> {
    let word = text
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '-'))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))?;
    let major = word.split('.').next()?.parse().ok()?;
    Some((major, word.to_owned()))
}

/// Whether dumps of PostgreSQL can be read here.
pub(crate) fn can_read_archives(children: &Children) -> Result<()> {
    tool_version(children, "pg_restore", POSTGRESQL_PACKAGE).map(drop)
}

/// The version of an installed tool.
pub(crate) fn tool_version(children: &Children, program: &'static str, package: &str) -> Result<(u32, String)> {
    let missing = |why: String| {
        Error::new(
            Kind::DumpFailed,
            format!(
                "{program} is not there ({why}): install the package that holds it, {package}, or use the worker's image"
            ),
        )
    };
    let is_there = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(program).is_file()));
    if !is_there {
        return Err(missing("no directory of PATH has it".to_owned()));
    }
    let printed = children.output(&Tool::new(program, ["--version"]), "")?;
    let printed = printed.map_err(|ended| match ended.error(program) {
        error if error.kind() == Kind::Interrupted => error,
        error => missing(error.chain()),
    })?;
    // mariadb-dump has a version of its own before the one that counts.
    let text = printed.split("Distrib ").last().unwrap_or(&printed);
    let text = text.split("from ").last().unwrap_or(text);
    version_in(text).ok_or_else(|| missing(format!("it says {:?}", printed.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_tools_say() {
        for (text, major, version) in [
            ("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", 15, "15.18"),
            ("10.11.19-MariaDB, for debian-linux-gnu (x86_64)", 10, "10.11.19"),
            ("11.8.3-MariaDB, client 15.2", 11, "11.8.3"),
            ("pg_dump (PostgreSQL) 9.6.24\n", 9, "9.6.24"),
        ] {
            assert_eq!(version_in(text), Some((major, version.to_owned())), "{text}");
        }
        assert_eq!(version_in("no version"), None);
    }
}
