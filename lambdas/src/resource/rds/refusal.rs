//! What it means that RDS refused something about a database server.

use aws::CallError;
use domain::failure::{Error, Kind};
use domain::source::DatabaseSource;

/// Another zone may have what this one has not.
const NO_CAPACITY: &[&str] = &[
    "InsufficientDBInstanceCapacity",
    "InsufficientDBInstanceCapacityFault",
    "InsufficientDBClusterCapacityFault",
    "StorageTypeNotSupported",
    "ProvisionedIopsNotAvailableInAZFault",
];

/// What RDS answers where it must not be told to delete automated backups: they are AWS Backup's, or no permission
/// tells them from others'. An instance has none of its own then, and those of a cluster expire within a day.
const TAKEN_UP: &[&str] = &["InvalidParameterCombination", "AccessDenied", "AccessDeniedException"];

/// Whether a zone has no room for a server, and another may have.
pub(crate) fn is_full(failure: &CallError) -> bool {
    failure.is(NO_CAPACITY)
}

/// Whether the server began to change after it was described.
pub(crate) fn is_changing(failure: &CallError) -> bool {
    failure.is(&["InvalidDBInstanceState", "InvalidDBClusterStateFault"])
}

/// Whether the automated backups are not ours to delete.
pub(super) fn is_taken_up(failure: &CallError) -> bool {
    failure.is(TAKEN_UP)
}

/// What it means that something for a server was not made.
pub(crate) fn refused(failure: CallError, source: &DatabaseSource, action: String) -> Error {
    if failure.is(&["DBSnapshotNotFound", "DBSnapshotNotFoundFault", "DBClusterSnapshotNotFoundFault"]) {
        return failure.as_kind(Kind::SourceNotFound, action);
    }
    if failure.is(&["InvalidDBSnapshotState", "InvalidDBClusterSnapshotStateFault"]) {
        return failure.as_kind(Kind::RecoveryPointNotUsable, action);
    }
    // Other exports delete their instances soon: worth waiting for, unlike a wrong parameter.
    let quota = [
        "InstanceQuotaExceeded",
        "StorageQuotaExceeded",
        "DBClusterQuotaExceededFault",
        "DBParameterGroupQuotaExceeded",
    ];
    if failure.is(&quota) {
        return failure.as_kind(
            Kind::Throttled,
            format!("{action}: the account's RDS quota is used up; raise it, or run fewer exports at once"),
        );
    }
    // It was made a moment ago, and is not known everywhere yet.
    if failure.is(&[
        "DBParameterGroupNotFound",
        "DBClusterParameterGroupNotFound",
        "DBClusterParameterGroupNotFoundFault",
    ]) {
        return failure.as_kind(Kind::Unavailable, action);
    }
    if failure.is(&["KMSKeyNotAccessibleFault"]) {
        let key = source.kms_key_id.as_deref().unwrap_or("that encrypts it");
        return failure.as_kind(
            Kind::RestoreFailed,
            format!(
                "{action}: the key {key} cannot be used; the role of start-restore needs kms:CreateGrant, kms:Decrypt \
                 and kms:DescribeKey on it, and the key must be enabled"
            ),
        );
    }
    match failure.kind {
        Kind::Throttled | Kind::Unavailable | Kind::AccessDenied => failure.during(action),
        _ => failure.as_kind(Kind::RestoreFailed, action),
    }
}
