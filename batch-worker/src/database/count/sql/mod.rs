//! Counting in SQL.

mod counter;
mod ending;
mod globals;
mod name;

pub(crate) use counter::SqlCounter;
pub(crate) use ending::END;
pub(crate) use globals::GlobalsCounter;
pub(crate) use name::table_name;
