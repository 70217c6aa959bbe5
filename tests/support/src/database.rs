//! Databases with all that a dump can lose, and the documented commands that bring them back.

use anyhow::{Context as _, Result};

use crate::program::workspace;

/// Fills a PostgreSQL server, as its superuser: RDS's roles and a user `master` whose password is `:'password'` (a
/// variable of psql), and from `set role master;` on databases with all that is odd.
pub const POSTGRES: &str = include_str!("../sql/postgres.sql");

/// Fills a MariaDB server, as its superuser: RDS's users and a user `master` whose password replaces `:password`, and
/// from `create database shop` on databases with all that is odd.
pub const MARIADB: &str = include_str!("../sql/mariadb.sql");

/// The commands below a heading (`### …`) of `docs/databases.md`: what a person restores an export by.
pub fn documented(heading: &str) -> Result<String> {
    let path = workspace().join("docs/databases.md");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let missing = || format!("docs/databases.md has no commands for {heading:?}");
    let (_, section) = text.split_once(&format!("\n### {heading}\n")).with_context(missing)?;
    let section = section.split("\n### ").next().unwrap_or_default();
    let (_, block) = section.split_once("```sh\n").with_context(missing)?;
    Ok(block.split_once("\n```").with_context(missing)?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_heading_of_the_documentation_has_its_own_commands() {
        let headings =
            ["Roles", "A database", "The database postgres", "A database with large tables", "Databases", "Users"];
        let mut seen = std::collections::BTreeSet::new();
        for heading in headings {
            assert!(seen.insert(documented(heading).unwrap()), "{heading}");
        }
        assert!(documented("No such heading").is_err());
    }

    #[test]
    fn the_marks_that_the_documentation_of_the_fixtures_names_are_there() {
        assert!(POSTGRES.contains(":'password'") && POSTGRES.contains("\nset role master;\n"));
        assert!(MARIADB.contains("':password'") && MARIADB.contains("\ncreate database shop "));
    }
}
