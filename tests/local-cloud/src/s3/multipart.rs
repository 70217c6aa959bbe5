//! Multipart uploads: begun, filled part by part, completed or aborted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, ETag, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Result, s3_error};

use super::body::receive;
use super::checksum::{Algorithm, Checksums, announced};
use super::convert::{body_error, check_declared, declared_of, length, set_checksums, set_object_checksums, tag};
use super::store::{Attributes, Completion, Condition, NamedPart, Object, Part, Piece, Store, Upload};

/// Begins an upload.
pub(super) fn create(store: &Arc<Store>, input: CreateMultipartUploadInput) -> S3Result<CreateMultipartUploadOutput> {
    let algorithm = match &input.checksum_algorithm {
        None => None,
        Some(name) => match Algorithm::from_name(name.as_str()) {
            Some(algorithm) => Some(algorithm),
            None => {
                return Err(s3_error!(NotImplemented, "checksum algorithm {} is not implemented", name.as_str()));
            }
        },
    };
    // CRC64NVME is always of the full object; the others are composite unless asked otherwise.
    let composite = match (&input.checksum_type, algorithm) {
        (_, None | Some(Algorithm::Crc64Nvme)) => false,
        (Some(kind), Some(_)) => kind.as_str() == ChecksumType::COMPOSITE,
        (None, Some(_)) => true,
    };
    let upload_id = uuid::Uuid::new_v4().simple().to_string();
    let upload = Upload {
        key: input.key.clone(),
        initiated: SystemTime::now(),
        algorithm,
        composite,
        attributes: Attributes {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            metadata: input.metadata,
            storage_class: input.storage_class.map(|class| class.as_str().to_owned()),
        },
        parts: BTreeMap::new(),
    };
    store.with(&input.bucket, |bucket| {
        bucket.uploads.insert(upload_id.clone(), upload);
        Ok(())
    })?;
    let kind = if composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload_id),
        checksum_algorithm: algorithm.map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: algorithm.map(|_| ChecksumType::from_static(kind)),
        ..Default::default()
    })
}

/// Receives a part.
pub(super) async fn add_part(
    store: &Arc<Store>,
    mut request: S3Request<UploadPartInput>,
) -> S3Result<UploadPartOutput> {
    let (bucket, key, number) = (request.input.bucket.clone(), request.input.key.clone(), request.input.part_number);
    let upload_id = request.input.upload_id.clone();
    if !(1..=10_000).contains(&number) {
        return Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"));
    }
    let algorithm = store.with(&bucket, |bucket| Ok(bucket.upload(&upload_id, &key)?.algorithm))?;
    let mut wanted = announced(&request.headers);
    wanted.extend(algorithm);
    let path = store.new_path(&bucket);
    let body = request.input.body.take();
    let received =
        receive(body, path.clone(), wanted.clone(), length(request.input.content_length)).await.map_err(body_error)?;
    let piece = Piece { path, size: received.size };
    check_declared(&request, &received)?;
    let part = Part {
        etag: super::store::etag(&received.checksums, received.size),
        piece,
        modified: SystemTime::now(),
        checksums: received.checksums.clone(),
    };
    let mut output = UploadPartOutput { e_tag: Some(tag(&part.etag)), ..Default::default() };
    set_checksums!(output, &received.checksums, &wanted);
    store.with(&bucket, |bucket| {
        bucket.upload(&upload_id, &key)?.parts.insert(number, part);
        Ok(())
    })?;
    Ok(output)
}

/// Makes an object of the parts that the request names.
pub(super) fn complete(
    store: &Arc<Store>,
    input: CompleteMultipartUploadInput,
) -> S3Result<CompleteMultipartUploadOutput> {
    let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let completion = Completion {
        declared: declared_of!(input),
        parts: parts
            .into_iter()
            .map(|part| NamedPart {
                number: part.part_number.unwrap_or_default(),
                declared: declared_of!(part),
                etag: part.e_tag.map(ETag::into_value),
            })
            .collect(),
        size: length(input.mpu_object_size),
        checksum_type: input.checksum_type.map(|kind| kind.as_str().to_owned()),
        condition: Condition { if_match: input.if_match, if_none_match: input.if_none_match },
    };
    let object = store.complete(&input.bucket, &input.key, &input.upload_id, &completion)?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(tag(&object.etag)),
        ..Default::default()
    };
    set_object_checksums!(output, &object);
    Ok(output)
}

/// Forgets an upload.
pub(super) fn abort(store: &Arc<Store>, input: &AbortMultipartUploadInput) -> S3Result<AbortMultipartUploadOutput> {
    store.with(&input.bucket, |bucket| {
        bucket.upload(&input.upload_id, &input.key)?;
        bucket.uploads.remove(&input.upload_id);
        Ok(())
    })?;
    Ok(AbortMultipartUploadOutput::default())
}
