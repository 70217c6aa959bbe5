//! Records of an extended header: `<length> <keyword>=<value>\n`, where the length counts itself.

/// Appends a record.
pub(super) fn push(out: &mut Vec<u8>, keyword: &[u8], value: &[u8]) {
    let rest = keyword.len() + value.len() + 3;
    let mut length = rest + decimal_digits(rest);
    if decimal_digits(length) != decimal_digits(rest) {
        length = rest + decimal_digits(length);
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(keyword);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Splits a header in keywords and values; `None` where it is no such header.
pub(super) fn parse(mut header: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut records = Vec::new();
    while !header.is_empty() {
        let space = header.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&header[..space]).ok()?.parse().ok()?;
        let record = header.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        records.push((&record[..equals], &record[equals + 1..]));
        header = &header[length..];
    }
    Some(records)
}

fn decimal_digits(number: usize) -> usize {
    number.to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_record_counts_itself() {
        for bytes in [0, 1, 2, 3, 4, 5, 86, 87, 88, 89, 90, 91, 92, 985, 986, 987, 988, 989, 990, 9_980, 9_990] {
            let mut out = Vec::new();
            let value = vec![b'v'; bytes];
            push(&mut out, b"key", &value);
            let space = out.iter().position(|byte| *byte == b' ').unwrap();
            let length: usize = std::str::from_utf8(&out[..space]).unwrap().parse().unwrap();
            assert_eq!(length, out.len(), "{bytes}");
            assert_eq!(parse(&out).unwrap(), [(b"key".as_slice(), value.as_slice())]);
        }
    }

    #[test]
    fn damaged_records_are_refused() {
        for header in [b"x".as_slice(), b"5 a=b", b"99 a=b\n", b"6 a=bc\n", b"5 ab\n", b"0 a=b\n"] {
            assert!(parse(header).is_none(), "{}", header.escape_ascii());
        }
    }
}
