//! Reading an export back: what is stored must be what the manifest says, object by object. Read [`run`] first.
//!
//! Every difference is reported, not only the first, in words that name the object. Failing to read says nothing about
//! what is stored and is another kind of failure.

mod artifact;
mod dump;
mod manifest;
mod object;
mod run;

pub use run::{Report, run};
