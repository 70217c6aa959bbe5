//! The refusal of an export, with the remedy.

use crate::failure::{Error, Kind, Result};

pub(super) fn refuse<T>(kind: Kind, message: String) -> Result<T> {
    Err(Error::new(kind, message))
}
