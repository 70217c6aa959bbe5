//! S3: a store of our own on disk. It checks what an export relies on (checksums, sizes, conditions, the bucket's
//! owner) and does not check signatures or MD5. It keeps no versions.

mod body;
mod checksum;
mod convert;
mod demand;
mod inspect;
mod list;
mod multipart;
mod reader;
mod service;
mod store;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt as _;
use http::request::Parts;
use http::{Method, Response, Uri, header};
use s3s::access::{S3Access, S3AccessContext};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Result};

use self::body::{Chunked, Lent, Trailers};
use self::service::Service;
pub(crate) use self::store::Store;
use crate::wire::{ApiError, decode, header_text, query_pairs};

/// The S3 endpoint: the store, and the HTTP service in front of it.
pub(crate) struct Endpoint {
    pub(crate) store: Arc<Store>,
    service: S3Service,
    /// Whether requests are refused that an export is not to make.
    strict: bool,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Lets everybody in: who may do what is IAM's, which is not played here.
struct Everybody;

#[async_trait::async_trait]
impl S3Access for Everybody {
    async fn check(&self, _context: &mut S3AccessContext<'_>) -> S3Result<()> {
        Ok(())
    }
}

impl Endpoint {
    pub(crate) fn new(root: PathBuf, region: &str, account_id: &str, strict: bool) -> Self {
        let store = Arc::new(Store::new(root, region, account_id));
        let mut builder = S3ServiceBuilder::new(Service(Arc::clone(&store)));
        builder.set_access(Everybody);
        Self { store, service: builder.build(), strict }
    }

    /// Answers a request whose signature has served its purpose. `Err` when the connection is to be cut.
    pub(crate) async fn call(&self, parts: Parts, body: Body) -> Result<Response<Body>, s3s::HttpError> {
        let lent = Lent::new(body);
        let response = self.answer(parts, Body::http_body_unsync(lent.clone())).await;
        lent.drain().await;
        response
    }

    async fn answer(&self, mut parts: Parts, body: Body) -> Result<Response<Body>, s3s::HttpError> {
        let bucket = bucket_and_key(&parts).0;
        if let Some(expected) = header_text(&parts.headers, "x-amz-expected-bucket-owner")
            && self.store.owner(&bucket).is_some_and(|owner| owner != expected)
        {
            return Ok(ApiError::new(403, "AccessDenied", "Access Denied").response("s3"));
        }
        if self.strict
            && let Some(refusal) = demand::refusal(operation(&parts), &parts.headers)
        {
            return Ok(ApiError::new(400, "InvalidRequest", refusal).response("s3"));
        }
        to_path_style(&mut parts);
        let trailers = Trailers::default();
        let chunked =
            header_text(&parts.headers, "x-amz-content-sha256").is_some_and(|value| value.starts_with("STREAMING-"));
        for name in ["authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"] {
            parts.headers.remove(name);
        }
        drop_presigned_query(&mut parts);
        let body = if chunked {
            let length = parts.headers.remove("x-amz-decoded-content-length");
            parts.headers.remove(header::CONTENT_LENGTH);
            parts.headers.remove(header::TRANSFER_ENCODING);
            if let Some(length) = length {
                parts.headers.insert(header::CONTENT_LENGTH, length);
            }
            let encoding = header_text(&parts.headers, "content-encoding").unwrap_or_default();
            let rest: Vec<&str> =
                encoding.split(',').map(str::trim).filter(|each| *each != "aws-chunked" && !each.is_empty()).collect();
            match rest.join(",").parse() {
                Ok(value) if !rest.is_empty() => parts.headers.insert(header::CONTENT_ENCODING, value),
                _ => parts.headers.remove(header::CONTENT_ENCODING),
            };
            let stream = Chunked::new(body, trailers.clone()).map(|item| item.map(hyper::body::Frame::data));
            Body::http_body_unsync(http_body_util::StreamBody::new(stream))
        } else {
            body
        };
        parts.extensions.insert(trailers);
        self.service.call(http::Request::from_parts(parts, body)).await
    }
}

/// The host's first label, when the bucket is named there (`bucket.s3.…`, `bucket.localhost`).
fn host_bucket(parts: &Parts) -> Option<String> {
    let host = header_text(&parts.headers, "host")?;
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let bucket = name.strip_suffix(".localhost").or_else(|| name.split_once(".s3.").map(|(bucket, _)| bucket))?;
    (bucket != "s3").then(|| bucket.to_owned())
}

fn to_path_style(parts: &mut Parts) {
    if let Some(bucket) = host_bucket(parts) {
        let rest = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        if let Ok(uri) = format!("/{bucket}{rest}").parse() {
            parts.uri = uri;
        }
    }
}

/// Whether a query parameter belongs to a presigned URL, of either version of the signature.
fn presigned(pair: &str) -> bool {
    let old = ["AWSAccessKeyId=", "Signature=", "Expires="];
    pair.starts_with("X-Amz-") || old.iter().any(|name| pair.starts_with(name))
}

fn drop_presigned_query(parts: &mut Parts) {
    let Some(query) = parts.uri.query().filter(|query| query.contains("Signature=")) else { return };
    let kept: Vec<&str> = query.split('&').filter(|pair| !presigned(pair)).collect();
    let uri = format!("{}?{}", parts.uri.path(), kept.join("&"));
    if let Ok(uri) = uri.parse::<Uri>() {
        parts.uri = uri;
    }
}

/// The bucket and key that a request names.
pub(crate) fn bucket_and_key(parts: &Parts) -> (String, String) {
    let path = parts.uri.path().trim_start_matches('/');
    if let Some(bucket) = host_bucket(parts) {
        return (bucket, decode(path));
    }
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    (decode(bucket), decode(key))
}

/// The operation that a request asks for.
pub(crate) fn operation(parts: &Parts) -> &'static str {
    let query = query_pairs(parts.uri.query().unwrap_or_default());
    let has = |name: &str| query.contains_key(name);
    let (bucket, key) = bucket_and_key(parts);
    match (&parts.method, bucket.is_empty(), key.is_empty()) {
        (&Method::GET, true, _) => "ListBuckets",
        (&Method::PUT, _, true) if query.is_empty() => "CreateBucket",
        (&Method::HEAD, _, true) => "HeadBucket",
        (&Method::DELETE, _, true) => "DeleteBucket",
        (&Method::POST, _, true) if has("delete") => "DeleteObjects",
        (&Method::GET, _, true) if has("location") => "GetBucketLocation",
        (&Method::GET, _, true) if has("uploads") => "ListMultipartUploads",
        (&Method::GET, _, true) if has("list-type") => "ListObjectsV2",
        (&Method::GET, _, false) if has("uploadId") => "ListParts",
        (&Method::GET, _, false) if has("attributes") => "GetObjectAttributes",
        (&Method::GET, _, false) => "GetObject",
        (&Method::HEAD, _, false) => "HeadObject",
        (&Method::PUT, _, false) if has("partNumber") => "UploadPart",
        (&Method::PUT, _, false) => "PutObject",
        (&Method::POST, _, false) if has("uploads") => "CreateMultipartUpload",
        (&Method::POST, _, false) if has("uploadId") => "CompleteMultipartUpload",
        (&Method::DELETE, _, false) if has("uploadId") => "AbortMultipartUpload",
        (&Method::DELETE, _, false) => "DeleteObject",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, uri: &str, host: &str) -> Parts {
        http::Request::builder().method(method).uri(uri).header("host", host).body(()).unwrap().into_parts().0
    }

    #[test]
    fn both_ways_of_naming_a_bucket_are_understood() {
        let path = parts("GET", "/bucket/a%20b/c", "127.0.0.1:1");
        assert_eq!(bucket_and_key(&path), ("bucket".to_owned(), "a b/c".to_owned()));
        for host in ["bucket.localhost:1", "bucket.s3.us-east-1.amazonaws.com"] {
            let mut virtual_host = parts("GET", "/a/c?x=1", host);
            assert_eq!(bucket_and_key(&virtual_host), ("bucket".to_owned(), "a/c".to_owned()));
            to_path_style(&mut virtual_host);
            assert_eq!(virtual_host.uri, "/bucket/a/c?x=1");
        }
    }

    #[test]
    fn operations_are_told_apart() {
        for (method, uri, expected) in [
            ("PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart"),
            ("PUT", "/b/k?x-id=PutObject", "PutObject"),
            ("POST", "/b/k?uploads", "CreateMultipartUpload"),
            ("POST", "/b/k?uploadId=u", "CompleteMultipartUpload"),
            ("DELETE", "/b/k?uploadId=u", "AbortMultipartUpload"),
            ("GET", "/b?list-type=2&prefix=a%2F", "ListObjectsV2"),
            ("GET", "/b/?uploads", "ListMultipartUploads"),
            ("HEAD", "/b/k", "HeadObject"),
            ("POST", "/b/?delete", "DeleteObjects"),
        ] {
            assert_eq!(operation(&parts(method, uri, "h")), expected, "{method} {uri}");
        }
    }
}
