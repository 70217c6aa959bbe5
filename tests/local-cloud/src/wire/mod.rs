//! What goes over the wire: what a request says about itself, parameters of queries, XML, answers in each service's shape.

pub(crate) mod query;
pub(crate) mod rds;
mod request;
pub(crate) mod xml;

pub(crate) use self::request::*;
