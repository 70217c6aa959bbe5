//! The roles of a server as SQL that an empty server of one's own takes.
//!
//! `pg_dumpall` writes them for a server of the same kind. On any other, the roles that RDS has for itself, a user who
//! is the superuser there, and tablespaces in RDS's directories would be in the way. They are left out or made
//! harmless, statement by statement, and the manifest says so.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::query::quoted;
use crate::database::count::{END, Unreadable};

/// The last line of a complete output.
const COMPLETE: &str = "PostgreSQL database cluster dump complete";
/// What RDS calls its own roles, besides all that begin with `rds_`.
const RDS_ROLES: &[&str] = &["rdsadmin", "rdsrepladmin", "rdstopmgr", "rdswriteforwarduser", "rdsproxyadmin"];

/// What is changed.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    /// The user who dumps. Who restores may have the same name, and other rights.
    pub(super) user: String,
    /// Whether grantors are kept: servers before 16 let anyone be one, and newer ones check it.
    pub(super) keeps_grantors: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Name(String),
    Other,
}

#[derive(Debug, Default)]
struct LeftOut {
    roles: BTreeSet<String>,
    tablespaces: BTreeSet<String>,
    user: bool,
}

impl Policy {
    /// The SQL, and remarks about what is not in it.
    pub(super) fn rewrite(&self, dumped: &str) -> Result<(String, Vec<String>), Unreadable> {
        if !dumped
            .trim_end()
            .trim_end_matches(['-', '\n', ' '])
            .lines()
            .rev()
            .take(4)
            .any(|line| line.ends_with(COMPLETE))
        {
            return Err(Unreadable(format!("pg_dumpall did not end with {COMPLETE:?}")));
        }
        let mut sql = "-- Roles and their memberships, without passwords.\n".to_owned();
        let mut left_out = LeftOut::default();
        for statement in statements(dumped)? {
            if let Some(statement) = self.statement(&statement, &mut left_out) {
                sql.push_str(&statement);
                sql.push('\n');
            }
        }
        let _ = writeln!(sql, "{END}");
        Ok((sql, left_out.notes(&self.user)))
    }

    fn statement(&self, statement: &str, left_out: &mut LeftOut) -> Option<String> {
        let tokens = tokens(statement);
        let words: Vec<&str> = tokens.iter().map(Token::text).collect();
        let kept = Some(statement.to_owned());
        match words.as_slice() {
            ["CREATE", "ROLE", name, ..] if is_rds(name) => {
                left_out.roles.insert((*name).to_owned());
                Some(created_unless_there(name, "NOLOGIN"))
            }
            ["CREATE", "ROLE", name, ..] if *name == self.user => {
                left_out.user = true;
                Some(created_unless_there(name, "LOGIN CREATEDB CREATEROLE"))
            }
            ["ALTER", "ROLE", name, ..] if is_rds(name) => None,
            ["ALTER", "ROLE", name, "WITH", ..] if *name == self.user => None,
            ["COMMENT", "ON", "ROLE", name, ..] if is_rds(name) => None,
            ["CREATE" | "ALTER", "TABLESPACE", name, ..] | ["COMMENT", "ON", "TABLESPACE", name, ..] => {
                left_out.tablespaces.insert((*name).to_owned());
                None
            }
            ["GRANT" | "REVOKE", .., "ON", "TABLESPACE", _, "TO" | "FROM", _]
            | ["GRANT" | "REVOKE", .., "ON", "TABLESPACE", _, "TO" | "FROM", _, "WITH", "GRANT", "OPTION"]
            | ["SECURITY", "LABEL", ..] => None,
            ["GRANT" | "REVOKE", rest @ ..] => {
                let to = rest.iter().position(|word| matches!(*word, "TO" | "FROM"))?;
                if rest.get(to + 1).is_some_and(|member| is_rds(member)) {
                    return None;
                }
                Some(self.without_grantor(statement, &tokens))
            }
            _ => kept,
        }
    }

    /// Without `GRANTED BY` where the grantor is not there, or may not be one there.
    fn without_grantor(&self, statement: &str, tokens: &[Token]) -> String {
        let is_word = |token: &Token, word: &str| *token == Token::Word(word.to_owned());
        let [.., granted, by, grantor] = tokens else {
            return statement.to_owned();
        };
        if !is_word(granted, "GRANTED") || !is_word(by, "BY") || (self.keeps_grantors && !is_rds(grantor.text())) {
            return statement.to_owned();
        }
        statement.rfind(" GRANTED BY ").map_or(statement.to_owned(), |end| format!("{};", &statement[..end]))
    }
}

impl LeftOut {
    fn notes(self, user: &str) -> Vec<String> {
        let list = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
        let mut notes = vec!["passwords of roles are not in globals.sql: set them after a restore".to_owned()];
        if !self.roles.is_empty() {
            notes
                .push(format!("roles of RDS itself are in globals.sql without login and rights: {}", list(self.roles)));
        }
        if self.user {
            notes.push(format!("globals.sql creates {user}, who made the dump, only where there is no such role, and sets no attributes of it"));
        }
        if !self.tablespaces.is_empty() {
            notes.push(format!("tablespaces are not in globals.sql: {}", list(self.tablespaces)));
        }
        notes
    }
}

fn is_rds(name: &str) -> bool {
    name.starts_with("rds_") || RDS_ROLES.contains(&name)
}

/// On one line, and by plain quotes: a name may hold anything that would end a dollar quote.
fn created_unless_there(name: &str, attributes: &str) -> String {
    let body =
        format!("BEGIN CREATE ROLE {} {attributes}; EXCEPTION WHEN duplicate_object THEN NULL; END", quoted(name));
    format!("DO '{}';", body.replace('\'', "''"))
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(text) | Self::Name(text) => text,
            Self::Other => "",
        }
    }
}

/// The statements, without the comments and meta-commands around them. Nothing that is outside of a statement comes
/// through, so a name with a line break cannot smuggle a command of `psql` into the file.
fn statements(text: &str) -> Result<Vec<String>, Unreadable> {
    let mut statements = Vec::new();
    let mut statement = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if statement.is_empty() {
            match c {
                _ if c.is_whitespace() => continue,
                '\\' | '-' => {
                    chars.by_ref().find(|c| *c == '\n');
                    continue;
                }
                _ => {}
            }
        }
        statement.push(c);
        match c {
            ';' => statements.push(std::mem::take(&mut statement)),
            '\'' | '"' => {
                let escapes = c == '\'' && statement.ends_with("E'");
                loop {
                    let Some(inner) = chars.next() else {
                        return Err(Unreadable("the roles end within quotes".to_owned()));
                    };
                    statement.push(inner);
                    if inner == '\\' && escapes {
                        statement.extend(chars.next());
                    } else if inner == c {
                        match chars.next_if_eq(&c) {
                            Some(doubled) => statement.push(doubled),
                            None => break,
                        }
                    }
                }
            }
            _ => {}
        }
    }
    if statement.is_empty() { Ok(statements) } else { Err(Unreadable("the roles end within a statement".to_owned())) }
}

fn tokens(statement: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = statement.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                let mut name = String::new();
                while let Some(inner) = chars.next() {
                    if inner == '"' && chars.next_if_eq(&'"').is_none() {
                        break;
                    }
                    name.push(inner);
                }
                tokens.push(Token::Name(name));
            }
            '\'' => {
                chars.by_ref().find(|c| *c == '\'');
                tokens.push(Token::Other);
            }
            _ if c.is_alphanumeric() || c == '_' => {
                let mut word = c.to_string();
                while let Some(next) = chars.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '$')) {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
            _ if c.is_whitespace() || c == ';' => {}
            _ => tokens.push(Token::Other),
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMPED: &str = r#"--
-- PostgreSQL database cluster dump
--

\restrict x

SET standard_conforming_strings = on;

--
-- Roles
--

CREATE ROLE admin;
ALTER ROLE admin WITH NOSUPERUSER INHERIT CREATEROLE CREATEDB LOGIN NOREPLICATION NOBYPASSRLS VALID UNTIL 'infinity';
CREATE ROLE "App ""x""; DROP";
ALTER ROLE "App ""x""; DROP" WITH NOSUPERUSER LOGIN;
CREATE ROLE rds_superuser;
ALTER ROLE rds_superuser WITH NOSUPERUSER;
CREATE ROLE rdsadmin;
ALTER ROLE rdsadmin WITH SUPERUSER;
COMMENT ON ROLE "App ""x""; DROP" IS 'it''s; fine';

ALTER ROLE admin SET search_path TO 'a', 'b';
ALTER ROLE rdsadmin SET log_statement TO 'all';

GRANT "App ""x""; DROP" TO admin WITH ADMIN OPTION GRANTED BY rdsadmin;
GRANT pg_monitor TO rds_superuser GRANTED BY rdsadmin;
GRANT rds_superuser TO admin GRANTED BY rdsadmin;
GRANT reader TO writer GRANTED BY admin;
GRANT SET ON PARAMETER work_mem TO rds_superuser;

CREATE TABLESPACE fast OWNER admin LOCATION '/rdsdbdata/db/base/tablespace/fast';
GRANT ALL ON TABLESPACE fast TO writer;

\unrestrict x

--
-- PostgreSQL database cluster dump complete
--

"#;

    fn rewritten(keeps_grantors: bool) -> (Vec<String>, Vec<String>) {
        let policy = Policy { user: "admin".to_owned(), keeps_grantors };
        let (sql, notes) = policy.rewrite(DUMPED).unwrap();
        (sql.lines().map(str::to_owned).collect(), notes)
    }

    #[test]
    fn what_belongs_to_rds_is_made_harmless_and_all_else_stays() {
        let (sql, notes) = rewritten(true);
        let expected = r#"-- Roles and their memberships, without passwords.
SET standard_conforming_strings = on;
DO 'BEGIN CREATE ROLE "admin" LOGIN CREATEDB CREATEROLE; EXCEPTION WHEN duplicate_object THEN NULL; END';
CREATE ROLE "App ""x""; DROP";
ALTER ROLE "App ""x""; DROP" WITH NOSUPERUSER LOGIN;
DO 'BEGIN CREATE ROLE "rds_superuser" NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END';
DO 'BEGIN CREATE ROLE "rdsadmin" NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END';
COMMENT ON ROLE "App ""x""; DROP" IS 'it''s; fine';
ALTER ROLE admin SET search_path TO 'a', 'b';
GRANT "App ""x""; DROP" TO admin WITH ADMIN OPTION;
GRANT rds_superuser TO admin;
GRANT reader TO writer GRANTED BY admin;
-- Dump completed"#;
        assert_eq!(sql.join("\n"), expected);
        assert_eq!(notes.len(), 4, "{notes:?}");
        assert!(notes[1].ends_with("rds_superuser, rdsadmin") && notes[3].ends_with("fast"), "{notes:?}");
    }

    #[test]
    fn grantors_of_old_servers_are_left_to_the_new_one() {
        assert!(rewritten(false).0.contains(&"GRANT reader TO writer;".to_owned()));
    }

    #[test]
    fn roles_that_are_cut_short_are_refused() {
        let policy = Policy { user: "admin".to_owned(), keeps_grantors: true };
        let cut = DUMPED.find("GRANT reader").unwrap();
        assert!(policy.rewrite(&DUMPED[..cut]).is_err());
    }
}
