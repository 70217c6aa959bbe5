//! Globs, as Batch, EC2 filters and fault rules write them.

/// Whether `text` matches `pattern`, in which `*` stands for any run of characters and `?` for one.
pub(crate) fn glob_matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            retry = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star, from)) = retry {
            retry = Some((star, from + 1));
            p = star + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::glob_matches;

    #[test]
    fn globs_match_as_batch_writes_them() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("Host EC2*", "Host EC2 (instance i-1) terminated.", true),
            ("Host EC2*", "Essential container exited", false),
            ("7?", "75", true),
            ("7?", "7", false),
            ("*a*b", "xaxxbab", true),
            ("a*b", "ac", false),
        ] {
            assert_eq!(glob_matches(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
