//! What AWS Backup refuses.

use crate::wire::ApiError;

pub(super) fn no_vault(vault: &str) -> ApiError {
    // The service tells nobody whether a vault exists that is not theirs.
    ApiError::new(400, "ResourceNotFoundException", format!("Backup vault {vault} does not exist."))
}

pub(super) fn no_point(arn: &str) -> ApiError {
    ApiError::new(400, "ResourceNotFoundException", format!("Cannot find recovery point {arn}."))
}

pub(super) fn check_arn(arn: &str) -> Result<(), ApiError> {
    if arn.starts_with("arn:") {
        return Ok(());
    }
    Err(ApiError::new(400, "InvalidParameterValueException", format!("Invalid recovery point ARN: {arn}")))
}
