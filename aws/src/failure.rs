//! What a call of AWS that failed means: the one table from error codes and HTTP statuses to failure kinds.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::error::SdkError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use domain::failure::{Error, Kind, chain};

/// A failed call, before it is known what was tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct CallError {
    /// What it means when the caller knows nothing better.
    pub kind: Kind,
    /// The service's error code.
    pub code: Option<String>,
    /// HTTP status, where there was an answer.
    pub status: Option<u16>,
    text: String,
}

impl CallError {
    /// Classifies the error of any operation.
    pub fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let status = error.raw_response().map(|answer| answer.status().as_u16());
        let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
        let code = meta.and_then(|meta| meta.code()).map(str::to_owned);
        let message = meta.and_then(|meta| meta.message());
        let text = match (&code, message, status) {
            (Some(code), Some(message), _) => format!("{code}: {message}"),
            (Some(code), None, _) => code.clone(),
            (None, Some(message), _) => message.to_owned(),
            (None, None, Some(status)) if status >= 300 => format!("HTTP status {status}"),
            (None, None, _) => chain(error),
        };
        let kind = match error {
            SdkError::ServiceError(_) => kind_of(code.as_deref().unwrap_or_default(), status),
            // Never sent, never answered, or answered with what cannot be read.
            SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
                unless_credentials(error, Kind::Unavailable)
            }
            SdkError::ConstructionFailure(_) => unless_credentials(error, Kind::InvalidSettings),
            _ => Kind::Internal,
        };
        Self { kind, code, status, text }
    }

    /// An answer that makes no sense.
    pub fn malformed(text: String) -> Self {
        Self { kind: Kind::Internal, code: None, status: None, text }
    }

    /// Whether the service's code is one of `codes`.
    pub fn is(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }

    /// Whether what was asked for is not there. A bucket that is missing is another matter.
    pub fn is_not_found(&self) -> bool {
        if self.is(&["NoSuchBucket"]) {
            return false;
        }
        self.status == Some(404)
            || self.code.as_deref().is_some_and(|code| {
                code.ends_with(".NotFound") || code.starts_with("NoSuch") || code == "ResourceNotFoundException"
            })
    }

    /// Whether the condition of a conditional write did not hold, or could not be decided.
    pub fn is_precondition_failed(&self) -> bool {
        matches!(self.status, Some(409 | 412)) || self.is(&["PreconditionFailed", "ConditionalRequestConflict"])
    }

    /// A conditional write met another one under way, and says nothing of the condition.
    pub fn is_conflict(&self) -> bool {
        self.status == Some(409) || self.is(&["ConditionalRequestConflict"])
    }

    /// The error of having tried `action`.
    pub fn during(self, action: impl Into<String>) -> Error {
        let kind = self.kind;
        self.as_kind(kind, action)
    }

    /// The same, by a caller that knows better what it means.
    pub fn as_kind(self, kind: Kind, action: impl Into<String>) -> Error {
        Error::caused_by(kind, action, self)
    }
}

/// The outcome of a call whose answer says nothing else.
pub fn done<T, E>(result: Result<T, SdkError<E, HttpResponse>>) -> Result<(), CallError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    result.map(drop).map_err(|error| CallError::of(&error))
}

/// Credentials that are nowhere to be had fail a call before it is sent.
fn unless_credentials<E>(error: &SdkError<E, HttpResponse>, kind: Kind) -> Kind
where
    E: std::error::Error + 'static,
{
    if chain(error).contains("credential") { Kind::AccessDenied } else { kind }
}

/// What an error code and HTTP status mean for whoever reacts. Codes come first: services of the query protocol answer
/// 400 to everything.
fn kind_of(code: &str, status: Option<u16>) -> Kind {
    match code {
        _ if code.contains("Throttl") || code.starts_with("TooManyRequests") => return Kind::Throttled,
        "SlowDown"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "BandwidthLimitExceeded"
        | "ProvisionedThroughputExceededException" => return Kind::Throttled,
        _ if code.starts_with("AccessDenied") => return Kind::AccessDenied,
        "UnauthorizedOperation"
        | "AuthFailure"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "SignatureDoesNotMatch"
        | "AccountProblem"
        | "AllAccessDisabled" => return Kind::AccessDenied,
        // Credentials of a role that ran out are replaced before the next try, and a person gets new ones and tries
        // again.
        _ if code.starts_with("ExpiredToken") => return Kind::Unavailable,
        _ if code.starts_with("Internal") || code.ends_with("Unavailable") => return Kind::Unavailable,
        // Passing failures, damage on the way, and races that another try resolves.
        "RequestTimeout"
        | "RequestTimeoutException"
        | "ServiceUnavailableException"
        | "ServerException"
        | "BadDigest"
        | "InvalidDigest"
        | "XAmzContentChecksumMismatch"
        | "IncompleteBody"
        | "OperationAborted"
        | "ConditionalRequestConflict"
        | "NoSuchUpload"
        | "AttachmentLimitExceeded"
        | "IncorrectState"
        | "VolumeInUse" => return Kind::Unavailable,
        "NoSuchBucket" | "PermanentRedirect" | "IllegalLocationConstraintException" => return Kind::BucketNotFound,
        "NoSuchKey" | "NotFound" | "ParameterNotFound" | "ResourceNotFoundException" | "InvalidObjectState" => {
            return Kind::SourceNotFound;
        }
        _ if code.ends_with(".NotFound") => return Kind::SourceNotFound,
        _ => {}
    }
    match status {
        Some(429) => Kind::Throttled,
        Some(301) => Kind::BucketNotFound,
        Some(401 | 403) => Kind::AccessDenied,
        Some(404) => Kind::SourceNotFound,
        None | Some(200..=299 | 408 | 409 | 500..) => Kind::Unavailable,
        Some(_) => Kind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_statuses_become_kinds() {
        for (code, status, kind) in [
            ("RequestLimitExceeded", 503, Kind::Throttled),
            ("ThrottlingException", 400, Kind::Throttled),
            ("EC2ThrottledException", 400, Kind::Throttled),
            ("SlowDown", 503, Kind::Throttled),
            ("TooManyRequestsException", 429, Kind::Throttled),
            ("UnauthorizedOperation", 403, Kind::AccessDenied),
            ("AccessDeniedException", 400, Kind::AccessDenied),
            ("", 403, Kind::AccessDenied),
            ("InternalError", 500, Kind::Unavailable),
            // S3 completes an upload with status 200 and says in the body that it failed.
            ("InternalError", 200, Kind::Unavailable),
            ("ServiceUnavailable", 503, Kind::Unavailable),
            ("ExpiredToken", 400, Kind::Unavailable),
            ("ExpiredTokenException", 403, Kind::Unavailable),
            ("", 502, Kind::Unavailable),
            ("", 200, Kind::Unavailable),
            ("OperationAborted", 409, Kind::Unavailable),
            ("", 301, Kind::BucketNotFound),
            ("NoSuchBucket", 404, Kind::BucketNotFound),
            ("InvalidVolume.NotFound", 400, Kind::SourceNotFound),
            ("EntityTooSmall", 400, Kind::Internal),
            ("InvalidParameterValue", 400, Kind::Internal),
        ] {
            assert_eq!(kind_of(code, Some(status)), kind, "{code} {status}");
        }
        assert_eq!(kind_of("", None), Kind::Unavailable);
    }

    #[test]
    fn a_call_that_failed_becomes_the_cause_of_what_was_tried() {
        let call = CallError { text: "SlowDown: wait".to_owned(), ..CallError::malformed(String::new()) };
        assert_eq!(call.clone().during("read s3://b/k").chain(), "read s3://b/k: SlowDown: wait");
        assert_eq!(call.as_kind(Kind::Throttled, "read s3://b/k").kind(), Kind::Throttled);
    }
}
