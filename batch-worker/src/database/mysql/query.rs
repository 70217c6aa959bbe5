//! Questions to the server, by its client.

use domain::failure::Result;

use crate::database::child::{Ended, Tool};
use crate::database::dumping::Session;

fn client(session: &Session) -> Tool {
    let arguments = ["--batch", "--skip-column-names", "--skip-reconnect", "--default-character-set=utf8mb4"];
    session.login.mysql("mariadb", &arguments)
}

/// The rows of the answers to a query, which has several statements.
pub(super) fn query(session: &Session, sql: &str) -> Result<Result<Vec<Vec<String>>, Ended>> {
    let printed = match session.children.output(&client(session), sql)? {
        Ok(printed) => printed,
        Err(ended) => return Ok(Err(ended)),
    };
    Ok(Ok(printed.lines().map(|line| line.split('\t').map(unescaped).collect()).collect()))
}

/// What `--batch` escapes.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('t')) => plain.push('\t'),
            ('\\', Some('0')) => plain.push('\0'),
            ('\\', Some(other)) => plain.push(other),
            (c, _) => plain.push(c),
        }
    }
    plain
}

/// A name that was asked for in hexadecimal, because it may hold anything.
pub(super) fn unhexed(text: &str) -> Option<String> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect::<Option<_>>()?;
    String::from_utf8(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_prints_is_read_as_it_was() {
        assert_eq!(unescaped("a\\tb\\\\n\\nc\\0"), "a\tb\\n\nc\0");
        assert_eq!(unhexed("C3A40A").as_deref(), Some("ä\n"));
        assert_eq!(unhexed("xy"), None);
    }
}
