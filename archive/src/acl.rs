//! POSIX ACLs between the kernel's binary form and the text that tar archives hold.

use std::fmt::Write as _;

use crate::error::{Error, Result};

const VERSION: u32 = 2;
const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;
const NO_ID: u32 = u32::MAX;

/// An ACL in the text form of `acl(5)`, with numeric ids, entries separated by commas: `user::rw-,user:1000:r--,…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PosixAcl(String);

impl PosixAcl {
    /// Converts the value of `system.posix_acl_access` or `system.posix_acl_default` of the file at `path`.
    pub fn from_xattr(path: &[u8], value: &[u8]) -> Result<Self> {
        let refuse = |reason: String| Error::entry(path, format!("its ACL {reason}"));
        let Some((version, entries)) = value.split_first_chunk::<4>() else {
            return Err(refuse(format!("has {} bytes", value.len())));
        };
        let (entries, rest) = entries.as_chunks::<8>();
        if u32::from_le_bytes(*version) != VERSION || !rest.is_empty() {
            return Err(refuse("is not of version 2".into()));
        }
        let mut text = String::new();
        for &[tag_low, tag_high, bits_low, bits_high, id @ ..] in entries {
            let (tag, bits) = (u16::from_le_bytes([tag_low, tag_high]), u16::from_le_bytes([bits_low, bits_high]));
            let id = u32::from_le_bytes(id);
            let (name, qualified) = match tag {
                USER_OBJ => ("user", false),
                USER => ("user", true),
                GROUP_OBJ => ("group", false),
                GROUP => ("group", true),
                MASK => ("mask", false),
                OTHER => ("other", false),
                _ => return Err(refuse(format!("has an entry of the unknown kind {tag:#x}"))),
            };
            let id = if qualified { id.to_string() } else { String::new() };
            let bit = |mask: u16, letter: char| if bits & mask == 0 { '-' } else { letter };
            let comma = if text.is_empty() { "" } else { "," };
            let (r, w, x) = (bit(4, 'r'), bit(2, 'w'), bit(1, 'x'));
            write!(text, "{comma}{name}:{id}:{r}{w}{x}").expect("a String takes any text");
        }
        if text.is_empty() {
            return Err(refuse("is empty".into()));
        }
        Ok(Self(text))
    }

    /// Converts back to the value of the extended attribute.
    pub fn to_xattr(&self) -> Vec<u8> {
        let mut value = VERSION.to_le_bytes().to_vec();
        for (tag, id, bits) in self.0.split(',').filter_map(parse_entry) {
            value.extend_from_slice(&tag.to_le_bytes());
            value.extend_from_slice(&bits.to_le_bytes());
            value.extend_from_slice(&id.to_le_bytes());
        }
        value
    }

    /// Takes the text form from an archive.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        text.split(',').all(|entry| parse_entry(entry).is_some()).then(|| Self(text.to_owned()))
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn parse_entry(entry: &str) -> Option<(u16, u32, u16)> {
    let mut fields = entry.split(':');
    let (name, id, permissions) = (fields.next()?, fields.next()?, fields.next()?);
    let tag = match (name, id.is_empty()) {
        ("user", true) => USER_OBJ,
        ("user", false) => USER,
        ("group", true) => GROUP_OBJ,
        ("group", false) => GROUP,
        ("mask", true) => MASK,
        ("other", true) => OTHER,
        _ => return None,
    };
    let id = if id.is_empty() { NO_ID } else { id.parse().ok()? };
    let bits = permissions.bytes().try_fold(0, |bits, letter| match letter {
        b'r' => Some(bits | 4),
        b'w' => Some(bits | 2),
        b'x' => Some(bits | 1),
        b'-' => Some(bits),
        _ => None,
    })?;
    (permissions.len() == 3 && fields.next().is_none()).then_some((tag, id, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// user::rwx, user:1000:rw-, user:3000000:r--, group::r-x, group:5:---, mask::rwx, other::---
    const KERNEL: &str = "02000000\
        01000700ffffffff 02000600e8030000 02000400c0c62d00 04000500ffffffff 0800000005000000 10000700ffffffff 20000000ffffffff";

    fn kernel() -> Vec<u8> {
        let digits: Vec<u8> = KERNEL.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn the_kernels_form_becomes_text_and_comes_back() {
        let acl = PosixAcl::from_xattr(b"f", &kernel()).unwrap();
        assert_eq!(
            acl.as_str(),
            "user::rwx,user:1000:rw-,user:3000000:r--,group::r-x,group:5:---,mask::rwx,other::---"
        );
        assert_eq!(acl.to_xattr(), kernel());
        assert_eq!(PosixAcl::from_text(acl.as_str()), Some(acl));
    }

    #[test]
    fn a_damaged_acl_is_refused_with_its_path() {
        let mut cut = kernel();
        cut.pop();
        let error = PosixAcl::from_xattr(b"some/file", &cut).unwrap_err().to_string();
        assert!(error.contains("some/file"), "{error}");
        assert!(PosixAcl::from_text("user:x:rwx").is_none());
    }
}
