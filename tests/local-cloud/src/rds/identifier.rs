//! What RDS takes as the name of an instance or a cluster, and what it makes up itself.

use crate::wire::ApiError;

/// The longest identifier.
const MOST_CHARACTERS: usize = 63;

/// An identifier as RDS keeps it: in lower case.
pub(super) fn checked(parameter: &str, text: &str) -> Result<String, ApiError> {
    let wrong = |what: &str| {
        let message = format!("The parameter {parameter} is not a valid identifier. {what}");
        Err(ApiError::new(400, "InvalidParameterValue", message))
    };
    if text.len() > MOST_CHARACTERS {
        return wrong(&format!("Identifiers have {MOST_CHARACTERS} characters at most."));
    }
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return wrong("Identifiers must begin with a letter.");
    }
    if !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return wrong("Identifiers must contain only ASCII letters, digits, and hyphens.");
    }
    if text.ends_with('-') || text.contains("--") {
        return wrong("Identifiers must not end with a hyphen or contain two consecutive hyphens.");
    }
    Ok(text.to_ascii_lowercase())
}

/// The time, as RDS tells it.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

/// An id of RDS's form that no other resource ever had: `db-` or `cluster-` and 26 letters and digits.
pub(super) fn new_resource_id(prefix: &str) -> String {
    let digits = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
    format!("{prefix}-{}", &digits[..26])
}

#[cfg(test)]
mod tests {
    use super::checked;

    #[test]
    fn identifiers_follow_the_rules_of_rds() {
        assert_eq!(checked("P", "Backup-Export-1").unwrap(), "backup-export-1");
        for text in ["", "1a", "a_b", "a--b", "a-", "awsbackup:job-1", &"a".repeat(64)] {
            assert_eq!(checked("P", text).unwrap_err().code, "InvalidParameterValue", "{text}");
        }
        assert!(checked("P", &"a".repeat(63)).is_ok());
    }
}
