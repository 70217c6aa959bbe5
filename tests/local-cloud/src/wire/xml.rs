//! A small writer for XML, and EC2's responses.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use http::Response;
use s3s::Body;

use crate::wire::{answer, xml_escape};

/// XML under construction.
#[derive(Debug, Default)]
pub(crate) struct Xml(pub(crate) String);

impl Xml {
    /// An element with text.
    pub(crate) fn text(&mut self, name: &str, value: impl std::fmt::Display) -> &mut Self {
        let value = xml_escape(&value.to_string());
        // Writing to a string cannot fail.
        write!(self.0, "<{name}>{value}</{name}>").ok();
        self
    }

    /// An element with text, if there is a value.
    pub(crate) fn optional(&mut self, name: &str, value: Option<impl std::fmt::Display>) -> &mut Self {
        if let Some(value) = value {
            self.text(name, value);
        }
        self
    }

    /// An element with elements.
    pub(crate) fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) -> &mut Self {
        write!(self.0, "<{name}>").ok();
        content(self);
        write!(self.0, "</{name}>").ok();
        self
    }

    /// An element with an `item` for each of some things.
    pub(crate) fn items<T>(
        &mut self,
        name: &str,
        things: impl IntoIterator<Item = T>,
        mut content: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.element(name, |xml| {
            for thing in things {
                xml.element("item", |xml| content(xml, thing));
            }
        })
    }

    /// A `tagSet`.
    pub(crate) fn tags(&mut self, tags: &BTreeMap<String, String>) -> &mut Self {
        self.items("tagSet", tags, |xml, (key, value)| {
            xml.text("key", key).text("value", value);
        })
    }
}

/// The response of an operation.
pub(crate) fn response(operation: &str, content: impl FnOnce(&mut Xml)) -> Response<Body> {
    let mut xml = Xml::default();
    xml.text("requestId", uuid::Uuid::new_v4());
    content(&mut xml);
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{operation}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">{}</{operation}Response>",
        xml.0
    );
    answer(200, "text/xml;charset=UTF-8", body)
}
