//! Reading dumps again: how many objects they hold, and how many rows of which table. Read [`Inspector`] first.
//!
//! Nothing here knows what is dumped, or how: only the forms in which it is written.

mod contents;
mod copy;
mod inspector;
mod sql;

pub(crate) use contents::{Contents, Unreadable};
pub(crate) use inspector::Inspector;
pub(crate) use sql::{END, SqlCounter, table_name};
