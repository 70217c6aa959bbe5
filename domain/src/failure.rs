//! Failure kinds: the names by which the state machine, Batch and people tell failures apart.
//!
//! The name of a kind is public API: it is the `errorType` of a Lambda error, what the state machine's `Retry` and
//! `Catch` match, and the `error` of a failed execution. The exit code is what the worker leaves with, and what Batch's
//! retry rules match.
//!
//! Layers. [`Error`] is the one error of whoever acts for an export: Lambdas, worker, store, the refusals of planning.
//! It says what was tried, on what, and the kind by which others react; its sources say why, each once, and [`chain`]
//! prints them once, at the top. A library whose callers must tell causes apart (`archive`, `disk`, a call of AWS in
//! `aws`) has an error type of its own, with a conversion into this one beside it, and below this one nobody decides
//! what a failure means to the outside. The command for people reports to a person alone and adds context by `anyhow`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why something failed, as far as anyone reacting to it needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// The input is neither an event of AWS Backup nor a hand start.
    MalformedInput,
    /// The recovery point is of a type that cannot be exported (yet).
    UnsupportedResourceType,
    /// There is no such recovery point in the vault.
    RecoveryPointNotFound,
    /// The recovery point is not complete, or what it is made of is not usable.
    RecoveryPointNotUsable,
    /// The snapshot lies in the archive tier and must be restored from there first.
    RecoveryPointArchived,
    /// The recovery point lies in another vault.
    VaultMismatch,
    /// The bucket does not exist, or is in another Region.
    BucketNotFound,
    /// The bucket belongs to another account.
    BucketNotOwned,
    /// The environment of a Lambda or the options of the worker are wrong.
    InvalidSettings,
    /// AWS refused an action for lack of permission.
    AccessDenied,
    /// AWS asked to slow down. Retried.
    Throttled,
    /// A service or the network failed in a way that another try may mend. Retried.
    Unavailable,
    /// No volume, database or table could be made of the recovery point.
    RestoreFailed,
    /// The restore took longer than its deadline.
    RestoreTimedOut,
    /// An attempt at an export or a verification took longer than it may.
    ExportTimedOut,
    /// The device, volume, archive or manifest is not there, or smaller than said.
    SourceNotFound,
    /// The device returned a read error.
    ReadFailed,
    /// The engine's own dump tool failed, or is not there, or is too old for the server.
    DumpFailed,
    /// AWS's own export of a snapshot or table failed, or left something out.
    NativeExportFailed,
    /// What S3 holds differs from the manifest.
    VerificationFailed,
    /// The recovery point must not be deleted, or the service would not.
    DeletionRefused,
    /// Deletion was accepted, but the recovery point is still there.
    DeletionNotConfirmed,
    /// Something that the export created could not be removed in time.
    CleanupIncomplete,
    /// The reaper has begun, and must be called again.
    StillCleaning,
    /// The worker was asked to stop (SIGTERM, a Spot reclaim).
    Interrupted,
    /// A defect: something that must not happen.
    Internal,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 26] = [
        Self::MalformedInput,
        Self::UnsupportedResourceType,
        Self::RecoveryPointNotFound,
        Self::RecoveryPointNotUsable,
        Self::RecoveryPointArchived,
        Self::VaultMismatch,
        Self::BucketNotFound,
        Self::BucketNotOwned,
        Self::InvalidSettings,
        Self::AccessDenied,
        Self::Throttled,
        Self::Unavailable,
        Self::RestoreFailed,
        Self::RestoreTimedOut,
        Self::ExportTimedOut,
        Self::SourceNotFound,
        Self::ReadFailed,
        Self::DumpFailed,
        Self::NativeExportFailed,
        Self::VerificationFailed,
        Self::DeletionRefused,
        Self::DeletionNotConfirmed,
        Self::CleanupIncomplete,
        Self::StillCleaning,
        Self::Interrupted,
        Self::Internal,
    ];

    /// The public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MalformedInput => "MalformedInput",
            Self::UnsupportedResourceType => "UnsupportedResourceType",
            Self::RecoveryPointNotFound => "RecoveryPointNotFound",
            Self::RecoveryPointNotUsable => "RecoveryPointNotUsable",
            Self::RecoveryPointArchived => "RecoveryPointArchived",
            Self::VaultMismatch => "VaultMismatch",
            Self::BucketNotFound => "BucketNotFound",
            Self::BucketNotOwned => "BucketNotOwned",
            Self::InvalidSettings => "InvalidSettings",
            Self::AccessDenied => "AccessDenied",
            Self::Throttled => "Throttled",
            Self::Unavailable => "Unavailable",
            Self::RestoreFailed => "RestoreFailed",
            Self::RestoreTimedOut => "RestoreTimedOut",
            Self::ExportTimedOut => "ExportTimedOut",
            Self::SourceNotFound => "SourceNotFound",
            Self::ReadFailed => "ReadFailed",
            Self::DumpFailed => "DumpFailed",
            Self::NativeExportFailed => "NativeExportFailed",
            Self::VerificationFailed => "VerificationFailed",
            Self::DeletionRefused => "DeletionRefused",
            Self::DeletionNotConfirmed => "DeletionNotConfirmed",
            Self::CleanupIncomplete => "CleanupIncomplete",
            Self::StillCleaning => "StillCleaning",
            Self::Interrupted => "Interrupted",
            Self::Internal => "Internal",
        }
    }

    /// The kind of a public name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The exit code with which the worker ends, after `sysexits.h` where that has one.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::MalformedInput | Self::InvalidSettings => 2,
            Self::VerificationFailed | Self::NativeExportFailed => 65,
            Self::SourceNotFound
            | Self::RecoveryPointNotFound
            | Self::RecoveryPointNotUsable
            | Self::RecoveryPointArchived
            | Self::VaultMismatch
            | Self::UnsupportedResourceType => 66,
            Self::ReadFailed => 74,
            Self::DumpFailed => 76,
            Self::Throttled | Self::Unavailable | Self::RestoreFailed | Self::RestoreTimedOut | Self::StillCleaning => {
                75
            }
            Self::AccessDenied | Self::BucketNotFound | Self::BucketNotOwned | Self::DeletionRefused => 77,
            Self::Internal | Self::DeletionNotConfirmed | Self::CleanupIncomplete | Self::ExportTimedOut => 70,
            Self::Interrupted => 143,
        }
    }

    /// What an exit code of the worker means when it left no word of its own.
    pub const fn from_exit_code(code: i32) -> Self {
        match code {
            2 => Self::InvalidSettings,
            65 => Self::VerificationFailed,
            66 => Self::SourceNotFound,
            74 => Self::ReadFailed,
            75 => Self::Unavailable,
            76 => Self::DumpFailed,
            77 => Self::AccessDenied,
            137 | 143 => Self::Interrupted,
            _ => Self::Internal,
        }
    }

    /// Whether the same call may succeed when it is made again.
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable | Self::StillCleaning | Self::Interrupted)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A failure as it crosses a process: `error.json` of the worker, `failure` in the state machine's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The name of a [`Kind`], or an error name of Step Functions itself (`States.Timeout`).
    pub error: String,
    /// What happened, to what, and what to do about it.
    pub cause: String,
}

impl Failure {
    /// A failure of a known kind.
    pub fn new(kind: Kind, cause: impl Into<String>) -> Self {
        Self { error: kind.name().to_owned(), cause: cause.into() }
    }
}

/// What a `Catch` of Step Functions puts in its ResultPath.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CaughtError {
    /// The error name.
    pub error: String,
    /// The cause: plain text, or for Lambda and Batch a JSON document.
    #[serde(default)]
    pub cause: String,
}

/// The error at the bottom of a failure.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A failure: what was tried on what, the kind by which others react, and why it failed.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    kind: Kind,
    what: String,
    #[source]
    source: Option<BoxError>,
}

/// The result of what acts for an export.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure that nothing else caused.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), source: None }
    }

    /// A failure with its cause.
    pub fn caused_by(kind: Kind, what: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self { kind, what: what.into(), source: Some(source.into()) }
    }

    /// A defect.
    pub fn internal(what: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::caused_by(Kind::Internal, what, source)
    }

    /// The worker was asked to stop.
    pub fn interrupted() -> Self {
        Self::new(
            Kind::Interrupted,
            "asked to stop (SIGTERM or SIGINT): nothing was completed, and what was begun is undone",
        )
    }

    /// The same failure, in the middle of trying something larger.
    #[must_use]
    pub fn during(self, what: impl Into<String>) -> Self {
        Self::caused_by(self.kind, what, self)
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The error and its causes on one line.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// An error and its sources on one line, as it is printed once, at the top.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn names_are_unique_and_come_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("{:?}", kind.name()));
        }
        assert_eq!(Kind::from_name("States.Timeout"), None);
    }

    /// The page of errors is held against it.
    #[test]
    fn the_golden_file_names_every_kind() {
        let names = Kind::ALL.map(Kind::name);
        golden::assert("failure-kinds.json", &serde_json::json!(names));
        // Whoever parses a kind is told of all that there are: "unknown variant ``, expected one of `…`, `…`".
        let told = serde_json::from_str::<Kind>("\"\"").unwrap_err().to_string();
        let variants: Vec<&str> = told.split('`').skip(3).step_by(2).collect();
        assert_eq!(variants, names);
    }

    #[test]
    fn exit_codes_that_batch_retries_are_transient_kinds() {
        assert_eq!(Kind::Unavailable.exit_code(), 75);
        assert!(Kind::from_exit_code(75).is_transient());
        assert!(Kind::from_exit_code(137).is_transient());
        assert!(!Kind::from_exit_code(i32::from(Kind::VerificationFailed.exit_code())).is_transient());
    }

    #[test]
    fn the_chain_says_what_was_tried_and_why_it_failed() {
        let error =
            Error::caused_by(Kind::ReadFailed, "read /dev/x at 4096", std::io::Error::other("input/output error"));
        assert_eq!(error.chain(), "read /dev/x at 4096: input/output error");
        assert_eq!(error.during("export vol-1").chain(), "export vol-1: read /dev/x at 4096: input/output error");
    }

    #[test]
    fn the_chain_names_each_source_once() {
        let inner = std::io::Error::other("disk is gone");
        let outer = std::io::Error::other(inner);
        assert_eq!(chain(&outer), "disk is gone");
    }
}
