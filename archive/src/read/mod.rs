//! Reading artifacts back: entry by entry (`archive`), against what is known of them (`verify`), to make their index
//! again (`rebuild`), and into a directory (`restore`).

pub mod archive;
mod compare;
pub mod rebuild;
pub mod restore;
pub mod verify;
