//! The S3 operations that list: buckets, objects, uploads, parts.

use std::collections::BTreeSet;
use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::dto::{
    Bucket, ChecksumAlgorithm, CommonPrefix, ListBucketsOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput, MultipartUpload, Object,
    ObjectStorageClass, Part,
};
use s3s::{S3Result, s3_error};

use super::convert::tag;
use super::store::Store;

fn page(wanted: Option<i32>, most: usize) -> usize {
    wanted.and_then(|wanted| usize::try_from(wanted).ok()).unwrap_or(most).min(most)
}

fn count(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

pub(super) fn buckets(store: &Store) -> ListBucketsOutput {
    let buckets = store.buckets();
    let list = buckets.iter().map(|(name, bucket)| Bucket {
        name: Some(name.clone()),
        creation_date: Some(bucket.created.into()),
        ..Default::default()
    });
    ListBucketsOutput { buckets: Some(list.collect()), ..Default::default() }
}

pub(super) fn objects(store: &Store, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let most = page(input.max_keys, 1000);
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = input.delimiter.clone().filter(|delimiter| !delimiter.is_empty());
    let after = match &input.continuation_token {
        Some(token) => Some(
            STANDARD
                .decode(token)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))?,
        ),
        None => input.start_after.clone(),
    };
    let mut contents = Vec::new();
    let mut prefixes = BTreeSet::new();
    let mut last = String::new();
    let mut truncated = false;
    store.with(&input.bucket, |bucket| {
        let start = after.as_ref().map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        for (key, object) in bucket.objects.range::<String, _>((start, Bound::Unbounded)) {
            let Some(rest) = key.strip_prefix(&prefix) else {
                if key.as_str() > prefix.as_str() {
                    break;
                }
                continue;
            };
            let common = delimiter
                .as_ref()
                .and_then(|delimiter| Some(&key[..prefix.len() + rest.find(delimiter.as_str())? + delimiter.len()]));
            if let Some(common) = common {
                // A page that ended with this common prefix goes on behind all of it.
                if prefixes.contains(common) || after.as_ref().is_some_and(|after| after.starts_with(common)) {
                    last.clone_from(key);
                    continue;
                }
            }
            if contents.len() + prefixes.len() == most {
                truncated = true;
                break;
            }
            last.clone_from(key);
            match common {
                Some(common) => {
                    prefixes.insert(common.to_owned());
                }
                None => contents.push(Object {
                    key: Some(key.clone()),
                    size: i64::try_from(object.size).ok(),
                    e_tag: Some(tag(&object.etag)),
                    last_modified: Some(object.modified.into()),
                    storage_class: Some(ObjectStorageClass::from(
                        object.attributes.storage_class.clone().unwrap_or_else(|| "STANDARD".to_owned()),
                    )),
                    ..Default::default()
                }),
            }
        }
        Ok(())
    })?;
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: input.prefix,
        delimiter: input.delimiter,
        max_keys: Some(count(most)),
        key_count: Some(count(contents.len() + prefixes.len())),
        continuation_token: input.continuation_token,
        start_after: input.start_after,
        is_truncated: Some(truncated),
        next_continuation_token: truncated.then(|| STANDARD.encode(last)),
        contents: Some(contents),
        common_prefixes: Some(prefixes.into_iter().map(|prefix| CommonPrefix { prefix: Some(prefix) }).collect()),
        ..Default::default()
    })
}

pub(super) fn parts(store: &Store, input: ListPartsInput) -> S3Result<ListPartsOutput> {
    let most = page(input.max_parts, 1000);
    let marker = input.part_number_marker.unwrap_or(0);
    let (parts, truncated, algorithm) = store.with(&input.bucket, |bucket| {
        let upload = bucket.upload(&input.upload_id, &input.key)?;
        let mut rest = upload.parts.range((Bound::Excluded(marker), Bound::Unbounded));
        let parts: Vec<Part> = rest
            .by_ref()
            .take(most)
            .map(|(number, part)| Part {
                part_number: Some(*number),
                size: i64::try_from(part.piece.size).ok(),
                e_tag: Some(tag(&part.etag)),
                last_modified: Some(part.modified.into()),
                ..Default::default()
            })
            .collect();
        Ok((parts, rest.next().is_some(), upload.algorithm))
    })?;
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        max_parts: Some(count(most)),
        part_number_marker: Some(marker),
        is_truncated: Some(truncated),
        next_part_number_marker: parts.last().and_then(|part| part.part_number),
        checksum_algorithm: algorithm.map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
        parts: Some(parts),
        ..Default::default()
    })
}

pub(super) fn uploads(store: &Store, input: ListMultipartUploadsInput) -> S3Result<ListMultipartUploadsOutput> {
    let most = page(input.max_uploads, 1000);
    let prefix = input.prefix.clone().unwrap_or_default();
    let marker =
        input.key_marker.clone().map(|key| (key, input.upload_id_marker.clone().unwrap_or_else(|| "~".to_owned())));
    let mut all = store.with(&input.bucket, |bucket| {
        let mut all: Vec<((String, String), MultipartUpload)> = bucket
            .uploads
            .iter()
            .filter(|(_, upload)| upload.key.starts_with(&prefix))
            .map(|(id, upload)| {
                let view = MultipartUpload {
                    key: Some(upload.key.clone()),
                    upload_id: Some(id.clone()),
                    initiated: Some(upload.initiated.into()),
                    ..Default::default()
                };
                ((upload.key.clone(), id.clone()), view)
            })
            .filter(|(place, _)| marker.as_ref().is_none_or(|marker| place > marker))
            .collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(all)
    })?;
    let truncated = all.len() > most;
    all.truncate(most);
    let next = all.last().map(|(place, _)| place.clone()).filter(|_| truncated);
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: input.prefix,
        key_marker: input.key_marker,
        upload_id_marker: input.upload_id_marker,
        max_uploads: Some(count(most)),
        is_truncated: Some(truncated),
        next_key_marker: next.as_ref().map(|(key, _)| key.clone()),
        next_upload_id_marker: next.map(|(_, id)| id),
        uploads: Some(all.into_iter().map(|(_, upload)| upload).collect()),
        ..Default::default()
    })
}
