//! The S3 operations, on top of the store.

use std::sync::Arc;
use std::time::SystemTime;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, BucketLocationConstraint, Checksum, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateBucketInput, CreateBucketOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, DeletedObject, ETagCondition, Error, GetBucketLocationInput, GetBucketLocationOutput,
    GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectAttributesParts, GetObjectInput, GetObjectOutput,
    HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput,
    ListPartsOutput, ObjectPart, PutObjectInput, PutObjectOutput, StorageClass, StreamingBlob, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::body::receive;
use super::checksum::{Algorithm, Checksums, announced};
use super::convert::{body_error, check_declared, internal, length, set_checksums, set_object_checksums, signed, tag};
use super::reader::ObjectStream;
use super::store::{self, Attributes, Condition, Object, Piece, Store};
use super::{list, multipart};

/// The store as `s3s` calls it.
#[derive(Debug, Clone)]
pub(super) struct Service(pub(super) Arc<Store>);

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
            pieces: vec![Arc::new(piece)],
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
        multipart::create(&self.0, request.input).map(S3Response::new)
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        multipart::add_part(&self.0, request).await.map(S3Response::new)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        multipart::complete(&self.0, request.input).map(S3Response::new)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        multipart::abort(&self.0, &request.input).map(S3Response::new)
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
