//! What goes over the wire: what a request says about itself, parameters of queries, XML, answers in each service's shape.
//!
//! It knows no service.

mod answer;
mod query;
mod request;
pub(crate) mod response;
mod serve;
mod xml;

pub(crate) use self::answer::{Answer, ApiError, answer, insert, json_answer};
pub(crate) use self::query::{Query, page, passes};
pub(crate) use self::request::{
    Call, Identity, STATES_ACCESS_KEY, credential_scope, decode, header_text, path_segments, query_pairs,
};
pub(crate) use self::serve::{Cut, serve};
pub(crate) use self::xml::{Xml, xml_escape};
