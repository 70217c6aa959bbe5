//! Keywords of extended attributes.
//!
//! `SCHILY.xattr.<name>` holds the name as it is, for every tool. A name with `=` in it would end the keyword early:
//! GNU tar then writes `%3D`, and `%25` for `%`, which bsdtar and Python do not undo. Only names that need it are
//! written so; for bsdtar they are repeated in libarchive's own form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::record;
use crate::entry::Xattr;

const PREFIX: &[u8] = b"SCHILY.xattr.";
const LIBARCHIVE_PREFIX: &[u8] = b"LIBARCHIVE.xattr.";
const SELINUX: &[u8] = b"security.selinux";

/// Appends the records of an attribute.
pub(super) fn push(out: &mut Vec<u8>, xattr: &Xattr) {
    let name = xattr.name.as_slice();
    if name == SELINUX {
        let label = xattr.value.strip_suffix(b"\0").unwrap_or(&xattr.value);
        record::push(out, b"RHT.security.selinux", label);
    }
    if needs_escape(name) {
        let mut keyword = PREFIX.to_vec();
        keyword.extend(escape(name, b"%="));
        record::push(out, &keyword, &xattr.value);
        let mut keyword = LIBARCHIVE_PREFIX.to_vec();
        keyword.extend(escape(name, b"%= "));
        record::push(out, &keyword, STANDARD_NO_PAD.encode(&xattr.value).as_bytes());
    } else {
        record::push(out, &[PREFIX, name].concat(), &xattr.value);
    }
}

/// The attribute that a record holds, if it holds one.
pub(super) fn parse(keyword: &[u8], value: &[u8]) -> Option<Xattr> {
    let name = keyword.strip_prefix(PREFIX)?;
    Some(Xattr { name: unescape(name), value: value.to_vec() })
}

fn needs_escape(name: &[u8]) -> bool {
    let holds = |sequence: &[u8]| name.windows(sequence.len()).any(|part| part == sequence);
    holds(b"=") || holds(b"%3D") || holds(b"%25")
}

fn escape(name: &[u8], special: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(name.len());
    for byte in name {
        if special.contains(byte) || !(0x20..0x7f).contains(byte) && special.contains(&b' ') {
            escaped.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            escaped.push(*byte);
        }
    }
    escaped
}

fn unescape(mut name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    while let [first, rest @ ..] = name {
        let (byte, after) = match rest {
            [b'3', b'D', after @ ..] if *first == b'%' => (b'=', after),
            [b'2', b'5', after @ ..] if *first == b'%' => (b'%', after),
            _ => (*first, rest),
        };
        plain.push(byte);
        name = after;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_whatever_is_in_them() {
        for name in ["user.plain", "user.a=b", "user.50%", "user.%3D", "user.%253D=", "user.ü \n%", "user.%%25%"] {
            let xattr = Xattr { name: name.as_bytes().to_vec(), value: b"v\0=\n".to_vec() };
            let mut out = Vec::new();
            push(&mut out, &xattr);
            let records = record::parse(&out).unwrap();
            assert_eq!(parse(records[0].0, records[0].1), Some(xattr), "{name}");
        }
    }

    #[test]
    fn an_ordinary_percent_sign_is_left_for_every_tool_to_read() {
        let mut out = Vec::new();
        push(&mut out, &Xattr { name: b"user.50%".to_vec(), value: b"v".to_vec() });
        assert_eq!(out, b"27 SCHILY.xattr.user.50%=v\n");
    }
}
