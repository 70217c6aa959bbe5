//! Users, roles and what they are granted, as SQL for a server of one's own.
//!
//! The server itself writes the statements. Left out are the users that every server or RDS has for itself, and of the
//! user who dumps the password: it was made for the export.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use domain::failure::{Error, Kind, Result};

use super::query::{query, unhexed};
use crate::database::count::END;
use crate::database::dumping::Session;

/// Users that every server, or RDS, has for itself.
const SYSTEM: &[&str] = &[
    "mysql.sys",
    "mysql.session",
    "mysql.infoschema",
    "mariadb.sys",
    "rdsadmin",
    "rdsrepladmin",
    "rdstopmgr",
    "rdsproxyadmin",
    "rds_superuser_role",
];
/// The administrator, whom every server has with a password of its own, and the one of the machine.
const ADMINISTRATORS: &[&str] = &["root", "mysql"];
/// What only Aurora can grant.
const AURORA: &[&str] = &[
    ", LOAD FROM S3",
    ", SELECT INTO S3",
    ", INVOKE LAMBDA",
    ", INVOKE SAGEMAKER",
    ", INVOKE COMPREHEND",
    ", INVOKE BEDROCK",
];
const PUBLIC: &str = "PUBLIC";
const GRANT: &str = "GRANT ";

#[derive(Debug, Clone, PartialEq, Eq)]
struct Account {
    user: String,
    host: String,
    is_role: bool,
}

impl Account {
    fn is_system(&self) -> bool {
        SYSTEM.contains(&self.user.as_str())
            || self.user.starts_with("AWS_")
            || ADMINISTRATORS.contains(&self.user.as_str())
    }

    fn sql(&self) -> String {
        let quoted = |text: &str| format!("`{}`", text.replace('`', "``"));
        match (self.is_role, self.user.as_str()) {
            (true, PUBLIC) => PUBLIC.to_owned(),
            (true, name) => quoted(name),
            (false, name) => format!("{}@{}", quoted(name), quoted(&self.host)),
        }
    }
}

/// The SQL, and remarks about what is not in it.
pub(super) fn dump(session: &Session, is_mariadb: bool, version: &str) -> Result<(String, Vec<String>)> {
    let what = || format!("list the users of {}", session.login.address());
    let ask = |sql: &str| query(session, sql)?.map_err(|ended| ended.error(what()));
    let role = if is_mariadb { "is_role = 'Y'" } else { "0" };
    let rows = ask(&format!("select hex(user), hex(host), {role} from mysql.user order by user, host;"))?;
    let accounts = rows
        .iter()
        .map(|row| {
            let [user, host, role] = row.as_slice() else { return None };
            Some(Account { user: unhexed(user)?, host: unhexed(host)?, is_role: role == "1" })
        })
        .collect::<Option<Vec<Account>>>()
        .ok_or_else(|| Error::new(Kind::DumpFailed, what()))?;
    let (system, mut accounts): (Vec<Account>, Vec<Account>) = accounts.into_iter().partition(Account::is_system);
    accounts.sort_by(|a, b| (!a.is_role, &a.user, &a.host).cmp(&(!b.is_role, &b.user, &b.host)));
    let mut script = String::new();
    // Hashes that are not text.
    if !is_mariadb && !version.starts_with("5.") {
        script.push_str("set session print_identified_with_as_hex = 1;\n");
    }
    for (position, account) in accounts.iter().enumerate() {
        let _ = writeln!(script, "select '#{position}';");
        if !account.is_role {
            let _ = writeln!(script, "show create user {};", account.sql());
        }
        let _ = writeln!(script, "show grants for {};", account.sql());
    }
    let answers = if accounts.is_empty() { Vec::new() } else { ask(&script)? };
    let mut sql = Writer::new(&session.login.user);
    let mut current: Option<&Account> = None;
    for row in &answers {
        let text = row.join("\t");
        match (text.strip_prefix('#').and_then(|number| number.parse::<usize>().ok()), current) {
            (Some(position), _) => {
                current = accounts.get(position);
                if let Some(account) = current {
                    sql.begin(account);
                }
            }
            (None, Some(account)) => sql.statement(account, &text),
            (None, None) => {}
        }
    }
    Ok(sql.finish(&system))
}

#[derive(Debug)]
struct Writer {
    dumping_user: String,
    created: String,
    granted: String,
    defaults: String,
    left_out: BTreeSet<String>,
}

impl Writer {
    fn new(dumping_user: &str) -> Self {
        Self {
            dumping_user: dumping_user.to_owned(),
            created: "-- Users, roles and what they are granted.\n".to_owned(),
            granted: String::new(),
            defaults: String::new(),
            left_out: BTreeSet::new(),
        }
    }

    fn begin(&mut self, account: &Account) {
        if account.is_role && account.user != PUBLIC {
            let _ = writeln!(self.created, "CREATE ROLE {};", account.sql());
        } else if account.user == self.dumping_user {
            let _ = writeln!(self.created, "CREATE USER IF NOT EXISTS {} ACCOUNT LOCK;", account.sql());
        }
    }

    fn statement(&mut self, account: &Account, text: &str) {
        if text.starts_with("CREATE USER ") {
            if account.user != self.dumping_user {
                let (text, default_roles) = without_default_roles(text);
                let _ = writeln!(self.created, "{text};");
                if let Some(roles) = default_roles.and_then(|roles| self.without_system_roles(account, roles)) {
                    let _ = writeln!(self.defaults, "ALTER USER {} DEFAULT ROLE {roles};", account.sql());
                }
            }
            return;
        }
        let mut text = without_authentication(text);
        // Rights are granted on something, roles are not.
        if let (Some(end), None) = (find(&text, " TO ", 0), find(&text, " ON ", 0)) {
            let roles = text.get(GRANT.len()..end).unwrap_or_default().to_owned();
            let Some(roles) = self.without_system_roles(account, &roles) else { return };
            text = format!("{GRANT}{roles}{}", &text[end..]);
        }
        for privilege in AURORA {
            if text.contains(privilege) {
                self.left_out.insert(format!("rights of Aurora alone that {} has", account.sql()));
                text = text.replace(privilege, "");
            }
        }
        // Every user may do that, and roles could not be told so.
        if !text.starts_with("GRANT USAGE ON *.* TO") || text.contains(" WITH ") {
            let _ = writeln!(self.granted, "{text};");
        }
    }

    /// The roles of a list that every server can have; `None` when there are none.
    fn without_system_roles(&mut self, account: &Account, roles: &str) -> Option<String> {
        let (system, kept): (Vec<&str>, Vec<&str>) = split(roles).into_iter().partition(|role| is_system_role(role));
        if !system.is_empty() {
            self.left_out.insert(format!("a role of RDS that {} has", account.sql()));
        }
        (!kept.is_empty()).then(|| kept.join(","))
    }

    fn finish(self, system: &[Account]) -> (String, Vec<String>) {
        let mut notes = vec![format!(
            "users.sql creates {}, who made the dump, only where there is no such user, locked and without a password",
            self.dumping_user
        )];
        if !system.is_empty() {
            let names: Vec<String> = system.iter().map(Account::sql).collect();
            notes.push(format!("users of the server itself or of RDS are not in users.sql: {}", names.join(", ")));
        }
        notes.extend(self.left_out.iter().map(|what| format!("users.sql does not grant {what}")));
        let Self { created, granted, defaults, .. } = self;
        (format!("{created}{granted}{defaults}FLUSH PRIVILEGES;\n{END}\n"), notes)
    }
}

/// Whether a role, as a grant names it, is one that RDS makes.
fn is_system_role(role: &str) -> bool {
    let name = role.trim_start_matches('`');
    let name = name.split(['`', '@']).next().unwrap_or(name);
    SYSTEM.contains(&name) || name.starts_with("AWS_")
}

/// The parts of a list, at commas outside of quotes.
fn split(list: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = list;
    while let Some(at) = find(rest, ",", 0) {
        parts.push(rest[..at].trim());
        rest = &rest[at + 1..];
    }
    parts.push(rest.trim());
    parts
}

/// MariaDB repeats how a user proves who he is in his first grant. `CREATE USER` has said it.
fn without_authentication(text: &str) -> String {
    let Some(begin) = find(text, " IDENTIFIED ", 0) else {
        return text.to_owned();
    };
    let ends = [" REQUIRE ", " WITH "].iter().filter_map(|word| find(text, word, begin + 1)).min();
    format!("{}{}", &text[..begin], ends.map_or("", |end| &text[end..]))
}

/// MySQL says it when it creates a user, and takes it only once the roles are there and granted.
fn without_default_roles(text: &str) -> (String, Option<&str>) {
    const WORDS: &str = " DEFAULT ROLE ";
    let Some(begin) = find(text, WORDS, 0) else {
        return (text.to_owned(), None);
    };
    let end = find(text, " REQUIRE ", begin).unwrap_or(text.len());
    (format!("{}{}", &text[..begin], &text[end..]), Some(&text[begin + WORDS.len()..end]))
}

/// Where `wanted` is outside of quotes, from `from` on.
fn find(text: &str, wanted: &str, from: usize) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (position, byte) in text.bytes().enumerate() {
        match quote {
            _ if escaped => escaped = false,
            Some(b'\'' | b'"') if byte == b'\\' => escaped = true,
            Some(open) if byte == open => quote = None,
            None if matches!(byte, b'\'' | b'"' | b'`') => quote = Some(byte),
            None if position >= from && text.as_bytes()[position..].starts_with(wanted.as_bytes()) => {
                return Some(position);
            }
            Some(_) | None => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_of_rds_are_left_out_of_lists_and_the_others_stay() {
        let mut writer = Writer::new("master");
        for (user, roles) in [
            ("app", "`AWS_LAMBDA_ACCESS`@`%`,`a,b`@`%`,`rds_superuser_role`@`%`,`reader`@`%`"),
            ("other", "`rds_superuser_role`@`%`"),
        ] {
            let account = account(user, "%", false);
            writer.begin(&account);
            writer.statement(&account, &format!("CREATE USER `{user}`@`%` DEFAULT ROLE {roles} REQUIRE NONE"));
            writer.statement(&account, &format!("GRANT {roles} TO `{user}`@`%`"));
            writer.statement(&account, &format!("GRANT SELECT ON `a TO b`.* TO `{user}`@`%`"));
        }
        let (sql, notes) = writer.finish(&[]);
        assert_eq!(
            sql,
            "-- Users, roles and what they are granted.\n\
             CREATE USER `app`@`%` REQUIRE NONE;\n\
             CREATE USER `other`@`%` REQUIRE NONE;\n\
             GRANT `a,b`@`%`,`reader`@`%` TO `app`@`%`;\n\
             GRANT SELECT ON `a TO b`.* TO `app`@`%`;\n\
             GRANT SELECT ON `a TO b`.* TO `other`@`%`;\n\
             ALTER USER `app`@`%` DEFAULT ROLE `a,b`@`%`,`reader`@`%`;\n\
             FLUSH PRIVILEGES;\n-- Dump completed\n"
        );
        assert_eq!(notes.len(), 3, "{notes:?}");
    }

    #[test]
    fn default_roles_are_set_when_they_are_granted() {
        let mut writer = Writer::new("master");
        let app = account("app", "%", false);
        writer.begin(&app);
        writer.statement(
            &app,
            "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x24 DEFAULT ROLE `a REQUIRE b`@`%`,`reader`@`%` REQUIRE SSL",
        );
        writer.statement(&app, "GRANT `a REQUIRE b`@`%`,`reader`@`%` TO `app`@`%`");
        let (sql, _) = writer.finish(&[]);
        assert_eq!(
            sql,
            "-- Users, roles and what they are granted.\n\
             CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x24 REQUIRE SSL;\n\
             GRANT `a REQUIRE b`@`%`,`reader`@`%` TO `app`@`%`;\n\
             ALTER USER `app`@`%` DEFAULT ROLE `a REQUIRE b`@`%`,`reader`@`%`;\n\
             FLUSH PRIVILEGES;\n-- Dump completed\n"
        );
    }

    fn account(user: &str, host: &str, is_role: bool) -> Account {
        Account { user: user.to_owned(), host: host.to_owned(), is_role }
    }

    #[test]
    fn the_dumping_user_comes_without_the_password_of_the_export() {
        let mut writer = Writer::new("master");
        let master = account("master", "%", false);
        writer.begin(&master);
        writer.statement(&master, "CREATE USER `master`@`%` IDENTIFIED BY PASSWORD '*AB'");
        writer.statement(
            &master,
            "GRANT SELECT, LOAD FROM S3 ON *.* TO `master`@`%` IDENTIFIED BY PASSWORD '*AB' WITH GRANT OPTION",
        );
        writer.statement(&master, "GRANT `rds_superuser_role`@`%` TO `master`@`%`");
        let app = account("app", "10.%", false);
        writer.begin(&app);
        writer.statement(&app, "CREATE USER `app`@`10.%` IDENTIFIED BY PASSWORD '*CD'");
        writer.statement(&app, "GRANT USAGE ON *.* TO `app`@`10.%` IDENTIFIED BY PASSWORD '*CD'");
        writer.statement(&app, "GRANT SELECT ON `odd IDENTIFIED name`.* TO `app`@`10.%`");
        let (sql, notes) = writer.finish(&[account("rdsadmin", "localhost", false)]);
        assert_eq!(
            sql,
            "-- Users, roles and what they are granted.\n\
             CREATE USER IF NOT EXISTS `master`@`%` ACCOUNT LOCK;\n\
             CREATE USER `app`@`10.%` IDENTIFIED BY PASSWORD '*CD';\n\
             GRANT SELECT ON *.* TO `master`@`%` WITH GRANT OPTION;\n\
             GRANT SELECT ON `odd IDENTIFIED name`.* TO `app`@`10.%`;\n\
             FLUSH PRIVILEGES;\n-- Dump completed\n"
        );
        assert_eq!(notes.len(), 4, "{notes:?}");
        assert!(account("root", "%", false).is_system() && !account("rooty", "localhost", false).is_system());
    }
}
