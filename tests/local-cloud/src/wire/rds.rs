//! RDS's responses.

use std::collections::BTreeMap;

use http::Response;
use s3s::Body;

use crate::wire::answer;
use crate::wire::xml::Xml;

/// The response of an operation.
pub(crate) fn response(operation: &str, content: impl FnOnce(&mut Xml)) -> Response<Body> {
    let mut xml = Xml::default();
    xml.element(&format!("{operation}Result"), content);
    xml.element("ResponseMetadata", |xml| {
        xml.text("RequestId", uuid::Uuid::new_v4());
    });
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{operation}Response xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\">{}</{operation}Response>",
        xml.0
    );
    answer(200, "text/xml", body)
}

/// A list whose elements have a name of their own.
pub(crate) fn list<T>(
    xml: &mut Xml,
    name: &str,
    member: &str,
    things: impl IntoIterator<Item = T>,
    mut content: impl FnMut(&mut Xml, T),
) {
    xml.element(name, |xml| {
        for thing in things {
            xml.element(member, |xml| content(xml, thing));
        }
    });
}

/// A list of texts.
pub(crate) fn texts<T: std::fmt::Display>(
    xml: &mut Xml,
    name: &str,
    member: &str,
    things: impl IntoIterator<Item = T>,
) {
    xml.element(name, |xml| {
        for thing in things {
            xml.text(member, thing);
        }
    });
}

/// A `TagList`.
pub(crate) fn tags(xml: &mut Xml, tags: &BTreeMap<String, String>) {
    list(xml, "TagList", "Tag", tags, |xml, (key, value)| {
        xml.text("Key", key).text("Value", value);
    });
}
