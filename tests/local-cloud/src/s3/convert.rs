//! Between the store's values and those of the S3 API: sizes, checksums, entity tags, errors.

use s3s::dto::ETag;
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::body::{BodyError, Received, Trailers};
use super::checksum::declared;
use super::store::bad_digest;

pub(super) fn body_error(error: BodyError) -> S3Error {
    match error {
        BodyError::Incomplete { .. } | BodyError::Read(_) | BodyError::Chunked(_) => {
            s3_error!(
                error,
                IncompleteBody,
                "You did not provide the number of bytes specified by the Content-Length HTTP header"
            )
        }
        BodyError::Write { .. } => S3Error::internal_error(error),
    }
}

pub(super) fn internal(error: std::io::Error) -> S3Error {
    S3Error::internal_error(error)
}

pub(super) fn length(value: Option<i64>) -> Option<u64> {
    value.and_then(|value| u64::try_from(value).ok())
}

pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Compares what was received with what headers and trailers declare.
pub(super) fn check_declared<T>(request: &S3Request<T>, received: &Received) -> S3Result<()> {
    let mut all = declared(&request.headers);
    if let Some(trailers) = request.extensions.get::<Trailers>() {
        all.extend(declared(&trailers.get()));
    }
    for (algorithm, value) in all {
        if received.checksums.base64(algorithm).is_none_or(|computed| computed != value) {
            return Err(bad_digest(algorithm));
        }
    }
    Ok(())
}

/// Sets the checksums that were asked for in an output.
macro_rules! set_checksums {
    ($output:expr, $checksums:expr, $wanted:expr) => {{
        let (checksums, wanted): (&Checksums, &[Algorithm]) = ($checksums, $wanted);
        let get = |algorithm| wanted.contains(&algorithm).then(|| checksums.base64(algorithm)).flatten();
        $output.checksum_crc64nvme = get(Algorithm::Crc64Nvme);
        $output.checksum_crc32 = get(Algorithm::Crc32);
        $output.checksum_crc32c = get(Algorithm::Crc32C);
        $output.checksum_sha256 = get(Algorithm::Sha256);
    }};
}

/// The checksums that S3 tells about an object: a composite one alone, or those of the full object.
macro_rules! set_object_checksums {
    ($output:expr, $object:expr) => {{
        let object: &Object = $object;
        match &object.composite {
            Some((algorithm, value)) => {
                let value = Some(value.clone());
                match algorithm {
                    Algorithm::Crc64Nvme => $output.checksum_crc64nvme = value,
                    Algorithm::Crc32 => $output.checksum_crc32 = value,
                    Algorithm::Crc32C => $output.checksum_crc32c = value,
                    Algorithm::Sha256 => $output.checksum_sha256 = value,
                }
                $output.checksum_type = Some(ChecksumType::from_static(ChecksumType::COMPOSITE));
            }
            None => {
                set_checksums!($output, &object.checksums, &Algorithm::ALL);
                $output.checksum_type = Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT));
            }
        }
    }};
}

/// Sets what both the head and the whole of an object tell about it.
macro_rules! describe {
    ($output:expr, $object:expr) => {{
        let object: &Object = $object;
        $output.accept_ranges = Some("bytes".to_owned());
        $output.content_type = object.attributes.content_type.clone();
        $output.content_encoding = object.attributes.content_encoding.clone();
        $output.metadata = object.attributes.metadata.clone();
        $output.storage_class = object.attributes.storage_class.clone().map(StorageClass::from);
        $output.e_tag = Some(tag(&object.etag));
        $output.last_modified = Some(object.modified.into());
    }};
}

/// The checksums that an input declares.
macro_rules! declared_of {
    ($input:expr) => {
        [
            (Algorithm::Crc64Nvme, $input.checksum_crc64nvme.clone()),
            (Algorithm::Crc32, $input.checksum_crc32.clone()),
            (Algorithm::Crc32C, $input.checksum_crc32c.clone()),
            (Algorithm::Sha256, $input.checksum_sha256.clone()),
        ]
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value?)))
        .collect::<Vec<_>>()
    };
}

pub(super) fn tag(etag: &str) -> ETag {
    ETag::Strong(etag.to_owned())
}

pub(super) use {declared_of, describe, set_checksums, set_object_checksums};
