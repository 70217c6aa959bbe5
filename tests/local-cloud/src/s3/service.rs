//! The S3 operations, on top of the store.

use std::sync::Arc;
use std::time::SystemTime;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, BucketLocationConstraint, Checksum, ChecksumAlgorithm,
    ChecksumType, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateBucketInput, CreateBucketOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, DeletedObject, ETag, ETagCondition, Error, GetBucketLocationInput, GetBucketLocationOutput,
    GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectAttributesParts, GetObjectInput, GetObjectOutput,
    HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput,
    ListPartsOutput, ObjectPart, PutObjectInput, PutObjectOutput, StorageClass, StreamingBlob, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use super::body::{BodyError, Received, Trailers, receive};
use super::checksum::{Algorithm, Checksums, announced, declared};
use super::list;
use super::reader::ObjectStream;
use super::store::{
    self, Attributes, Completion, Condition, NamedPart, Object, Part, Piece, Store, Upload, bad_digest,
};

/// The store as `s3s` calls it.
#[derive(Debug, Clone)]
pub(super) struct Service(pub(super) Arc<Store>);

fn body_error(error: BodyError) -> S3Error {
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

fn internal(error: std::io::Error) -> S3Error {
    S3Error::internal_error(error)
}

fn length(value: Option<i64>) -> Option<u64> {
    value.and_then(|value| u64::try_from(value).ok())
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Compares what was received with what headers and trailers declare.
fn check_declared<T>(request: &S3Request<T>, received: &Received) -> S3Result<()> {
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

#[async_trait::async_trait]
impl S3 for Service {
    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        let name = &request.input.bucket;
        let created = self.0.create_bucket(name, &self.0.account_id).map_err(internal)?;
        if !created {
            return Err(s3_error!(
                BucketAlreadyOwnedByYou,
                "Your previous request to create the named bucket succeeded and you already own it."
            ));
        }
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{name}")) }))
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.0.with(&request.input.bucket, |_| Ok(()))?;
        let output = HeadBucketOutput { bucket_region: Some(self.0.region.clone()), ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.0.with(&request.input.bucket, |_| Ok(()))?;
        // The first region is told as an empty constraint.
        let location_constraint =
            (self.0.region != "us-east-1").then(|| BucketLocationConstraint::from(self.0.region.clone()));
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        Ok(S3Response::new(list::buckets(&self.0)))
    }

    async fn put_object(&self, mut request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let condition =
            Condition { if_match: request.input.if_match.take(), if_none_match: request.input.if_none_match.take() };
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        // Refused before a body of gigabytes is taken; and checked again when the object is put in place.
        self.0.with(&bucket, |bucket| condition.check(bucket.objects.get(&key)))?;
        let path = self.0.new_path(&bucket);
        let wanted = announced(&request.headers);
        let body = request.input.body.take();
        let received = receive(body, path.clone(), wanted.clone(), length(request.input.content_length))
            .await
            .map_err(body_error)?;
        let piece = Piece { path, size: received.size };
        check_declared(&request, &received)?;
        let input = request.input;
        let object = Object {
            size: received.size,
            etag: store::etag(&received.checksums, received.size),
            pieces: vec![piece],
            modified: SystemTime::now(),
            attributes: Attributes {
                content_type: input.content_type,
                content_encoding: input.content_encoding,
                metadata: input.metadata,
                storage_class: input.storage_class.map(|class| class.as_str().to_owned()),
            },
            checksums: received.checksums,
            composite: None,
            parts: Vec::new(),
        };
        let object = self.0.put(&bucket, &key, object, &condition)?;
        let mut output = PutObjectOutput { e_tag: Some(tag(&object.etag)), ..Default::default() };
        set_object_checksums!(output, &object);
        Ok(S3Response::new(output))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let object = self.0.object(&input.bucket, &input.key)?;
        Condition { if_match: input.if_match, if_none_match: None }.check(Some(&object))?;
        let mut output = HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(signed(object.size)),
            content_type: object.attributes.content_type.clone(),
            content_encoding: object.attributes.content_encoding.clone(),
            metadata: object.attributes.metadata.clone(),
            storage_class: object.attributes.storage_class.clone().map(StorageClass::from),
            e_tag: Some(tag(&object.etag)),
            last_modified: Some(object.modified.into()),
            ..Default::default()
        };
        if input.checksum_mode.is_some() {
            set_object_checksums!(output, &object);
        }
        Ok(S3Response::new(output))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        if input.part_number.is_some() {
            return Err(s3_error!(NotImplemented, "partNumber is not implemented"));
        }
        let object = self.0.object(&input.bucket, &input.key)?;
        Condition { if_match: input.if_match, if_none_match: None }.check(Some(&object))?;
        let range = match input.range {
            Some(range) => range.check(object.size)?,
            None => 0..object.size,
        };
        let mut output = GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(signed(range.end - range.start)),
            content_range: input.range.map(|_| format!("bytes {}-{}/{}", range.start, range.end - 1, object.size)),
            content_type: object.attributes.content_type.clone(),
            content_encoding: object.attributes.content_encoding.clone(),
            metadata: object.attributes.metadata.clone(),
            storage_class: object.attributes.storage_class.clone().map(StorageClass::from),
            e_tag: Some(tag(&object.etag)),
            last_modified: Some(object.modified.into()),
            ..Default::default()
        };
        if input.checksum_mode.is_some() && input.range.is_none() {
            set_object_checksums!(output, &object);
        }
        output.body = Some(StreamingBlob::wrap(ObjectStream::new(object, range)));
        Ok(S3Response::new(output))
    }

    async fn get_object_attributes(
        &self,
        request: S3Request<GetObjectAttributesInput>,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        let input = request.input;
        let object = self.0.object(&input.bucket, &input.key)?;
        let wants = |name: &str| {
            input
                .object_attributes
                .iter()
                .any(|attribute| attribute.as_str().split(',').any(|each| each.trim() == name))
        };
        let mut checksum = Checksum::default();
        set_object_checksums!(checksum, &object);
        let parts = || GetObjectAttributesParts {
            is_truncated: Some(false),
            parts: Some(
                object
                    .parts
                    .iter()
                    .map(|(number, size, checksums)| {
                        let mut part =
                            ObjectPart { part_number: Some(*number), size: Some(signed(*size)), ..Default::default() };
                        set_checksums!(part, checksums, &Algorithm::ALL);
                        part
                    })
                    .collect(),
            ),
            total_parts_count: i32::try_from(object.parts.len()).ok(),
            ..Default::default()
        };
        let output = GetObjectAttributesOutput {
            checksum: wants("Checksum").then_some(checksum),
            e_tag: wants("ETag").then(|| tag(&object.etag)),
            last_modified: Some(object.modified.into()),
            object_parts: (wants("ObjectParts") && !object.parts.is_empty()).then(parts),
            object_size: wants("ObjectSize").then(|| signed(object.size)),
            storage_class: wants("StorageClass").then(|| StorageClass::from_static(StorageClass::STANDARD)),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        let condition = Condition { if_match: input.if_match, if_none_match: None };
        self.0.with(&input.bucket, |bucket| {
            condition.check(bucket.objects.get(&input.key))?;
            bucket.objects.remove(&input.key);
            Ok(())
        })?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        let mut output = DeleteObjectsOutput::default();
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        self.0.with(&input.bucket, |bucket| {
            for object in input.delete.objects {
                let condition = Condition { if_match: object.e_tag.map(ETagCondition::ETag), if_none_match: None };
                if let Err(error) = condition.check(bucket.objects.get(&object.key)) {
                    errors.push(Error {
                        code: Some(error.code().as_str().to_owned()),
                        key: Some(object.key),
                        message: error.message().map(str::to_owned),
                        version_id: None,
                    });
                    continue;
                }
                bucket.objects.remove(&object.key);
                deleted.push(DeletedObject { key: Some(object.key), ..Default::default() });
            }
            Ok(())
        })?;
        output.deleted = (input.delete.quiet != Some(true)).then_some(deleted);
        output.errors = (!errors.is_empty()).then_some(errors);
        Ok(S3Response::new(output))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        list::objects(&self.0, request.input).map(S3Response::new)
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
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
            parts: std::collections::BTreeMap::new(),
        };
        self.0.with(&input.bucket, |bucket| {
            bucket.uploads.insert(upload_id.clone(), upload);
            Ok(())
        })?;
        let kind = if composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(upload_id),
            checksum_algorithm: algorithm.map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
            checksum_type: algorithm.map(|_| ChecksumType::from_static(kind)),
            ..Default::default()
        }))
    }

    async fn upload_part(&self, mut request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let (bucket, key, number) =
            (request.input.bucket.clone(), request.input.key.clone(), request.input.part_number);
        let upload_id = request.input.upload_id.clone();
        if !(1..=10_000).contains(&number) {
            return Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"));
        }
        let algorithm = self.0.with(&bucket, |bucket| Ok(bucket.upload(&upload_id, &key)?.algorithm))?;
        let mut wanted = announced(&request.headers);
        wanted.extend(algorithm);
        let path = self.0.new_path(&bucket);
        let body = request.input.body.take();
        let received = receive(body, path.clone(), wanted.clone(), length(request.input.content_length))
            .await
            .map_err(body_error)?;
        let piece = Piece { path, size: received.size };
        check_declared(&request, &received)?;
        let part = Part {
            etag: store::etag(&received.checksums, received.size),
            piece,
            modified: SystemTime::now(),
            checksums: received.checksums.clone(),
        };
        let mut output = UploadPartOutput { e_tag: Some(tag(&part.etag)), ..Default::default() };
        set_checksums!(output, &received.checksums, &wanted);
        self.0.with(&bucket, |bucket| {
            bucket.upload(&upload_id, &key)?.parts.insert(number, part);
            Ok(())
        })?;
        Ok(S3Response::new(output))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
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
        let object = self.0.complete(&input.bucket, &input.key, &input.upload_id, &completion)?;
        let mut output = CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(tag(&object.etag)),
            ..Default::default()
        };
        set_object_checksums!(output, &object);
        Ok(S3Response::new(output))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        self.0.with(&input.bucket, |bucket| {
            bucket.upload(&input.upload_id, &input.key)?;
            bucket.uploads.remove(&input.upload_id);
            Ok(())
        })?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        list::parts(&self.0, request.input).map(S3Response::new)
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        list::uploads(&self.0, request.input).map(S3Response::new)
    }
}
