//! Database servers: real PostgreSQL and MariaDB processes that are set up as RDS sets up its own, or plainly.

mod access;
mod accounts;
mod below;
mod mariadb;
mod option_file;
mod plain;
mod postgres;
mod process;
mod socket;
mod tls;
mod tool;

pub use self::access::DatabaseAccess;
pub(crate) use self::access::Password;
pub(crate) use self::below::{linger, wait_for_end};
pub use self::plain::PlainDatabase;
pub use self::process::DatabaseServer;
pub(crate) use self::process::password_change;
pub(crate) use self::tls::{CERTIFICATE, Certificate};
