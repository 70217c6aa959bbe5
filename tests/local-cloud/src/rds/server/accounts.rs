//! Whose accounts a server has.

/// Whose accounts a server has.
#[derive(Debug, Clone)]
pub(super) enum Accounts {
    /// RDS's: its superuser, who comes in by the socket alone, and a master user.
    Rds { master: String },
    /// Those of a server that somebody set up on his own: a superuser, who comes in from everywhere by a password.
    Plain { superuser: String },
}
