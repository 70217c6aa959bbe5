//! What an AWS call that failed means: the one place where SDK errors become failure kinds.

use std::fmt::Display;

use aws_sdk_s3::error::SdkError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use domain::failure::{Kind, chain};

use crate::error::Error;

/// A failed call, before it is known what was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it means when the caller knows nothing better.
    pub kind: Kind,
    /// The service's error code.
    pub code: Option<String>,
    /// HTTP status, where there was an answer.
    pub status: Option<u16>,
    text: String,
}

impl Failure {
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
        Self { kind: kind_of(code.as_deref(), status), code, status, text }
    }

    /// An answer that makes no sense.
    pub fn malformed(text: String) -> Self {
        Self { kind: Kind::Internal, code: None, status: None, text }
    }

    /// Whether the service's code is one of `codes`.
    pub fn is(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }

    /// Whether what was asked for is not there.
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
    pub fn during(self, action: impl Display) -> Error {
        let kind = self.kind;
        self.as_kind(kind, action)
    }

    /// The same, by a caller that knows better what it means.
    pub fn as_kind(self, kind: Kind, action: impl Display) -> Error {
        Error::new(kind, format!("{action}: {}", self.text))
    }
}

/// The outcome of a call whose answer says nothing else.
pub fn done<T, E>(result: Result<T, SdkError<E, HttpResponse>>) -> Result<(), Failure>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    result.map(|_| ()).map_err(|error| Failure::of(&error))
}

fn kind_of(code: Option<&str>, status: Option<u16>) -> Kind {
    let code = code.unwrap_or_default();
    let throttled = code.contains("Throttl")
        || code.starts_with("TooManyRequests")
        || matches!(
            code,
            "RequestLimitExceeded"
                | "SlowDown"
                | "RequestThrottled"
                | "EC2ThrottledException"
                | "BandwidthLimitExceeded"
        );
    if throttled || status == Some(429) {
        return Kind::Throttled;
    }
    let denied = code.starts_with("AccessDenied")
        || matches!(
            code,
            "UnauthorizedOperation"
                | "AuthFailure"
                | "UnrecognizedClientException"
                | "AccountProblem"
                | "AllAccessDisabled"
        );
    // Credentials that ran out are replaced before the next try.
    let passing = code.starts_with("ExpiredToken")
        || code.starts_with("Internal")
        || code.ends_with("Unavailable")
        || matches!(
            code,
            "RequestTimeout" | "RequestTimeoutException" | "ServiceUnavailableException" | "ServerException"
        );
    match status {
        _ if denied => Kind::AccessDenied,
        _ if passing => Kind::Unavailable,
        // Never sent, never answered, or answered with what cannot be read.
        None | Some(200..=299 | 500..=599) => Kind::Unavailable,
        Some(401 | 403) => Kind::AccessDenied,
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
            ("SlowDown", 503, Kind::Throttled),
            ("TooManyRequestsException", 429, Kind::Throttled),
            ("UnauthorizedOperation", 403, Kind::AccessDenied),
            ("AccessDeniedException", 400, Kind::AccessDenied),
            ("", 403, Kind::AccessDenied),
            ("InternalError", 500, Kind::Unavailable),
            ("ServiceUnavailable", 503, Kind::Unavailable),
            ("ExpiredTokenException", 400, Kind::Unavailable),
            ("", 502, Kind::Unavailable),
            ("", 200, Kind::Unavailable),
            ("InvalidParameterValue", 400, Kind::Internal),
        ] {
            assert_eq!(kind_of(Some(code), Some(status)), kind, "{code} {status}");
        }
        assert_eq!(kind_of(None, None), Kind::Unavailable);
    }
}
