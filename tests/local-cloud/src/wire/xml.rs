//! A small writer for XML, as EC2 and RDS write it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

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

    /// An element with an element for each of some things, as RDS lists them.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        member: &str,
        things: impl IntoIterator<Item = T>,
        mut content: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.element(name, |xml| {
            for thing in things {
                xml.element(member, |xml| content(xml, thing));
            }
        })
    }

    /// An element with an `item` for each of some things, as EC2 lists them.
    pub(crate) fn items<T>(
        &mut self,
        name: &str,
        things: impl IntoIterator<Item = T>,
        content: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.list(name, "item", things, content)
    }

    /// An element with a text for each of some things.
    pub(crate) fn texts<T: std::fmt::Display>(
        &mut self,
        name: &str,
        member: &str,
        things: impl IntoIterator<Item = T>,
    ) -> &mut Self {
        self.element(name, |xml| {
            for thing in things {
                xml.text(member, thing);
            }
        })
    }

    /// EC2's `tagSet`.
    pub(crate) fn tags(&mut self, tags: &BTreeMap<String, String>) -> &mut Self {
        self.items("tagSet", tags, |xml, (key, value)| {
            xml.text("key", key).text("value", value);
        })
    }

    /// RDS's `TagList`.
    pub(crate) fn tag_list(&mut self, tags: &BTreeMap<String, String>) -> &mut Self {
        self.list("TagList", "Tag", tags, |xml, (key, value)| {
            xml.text("Key", key).text("Value", value);
        })
    }
}

/// Text with the five characters escaped that XML wants escaped.
pub(crate) fn xml_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            _ => out.push(c),
        }
    }
    out
}
