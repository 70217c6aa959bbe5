//! One bucket with one owner.

use std::collections::BTreeMap;

use archive::Crc64Nvme;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use regex::Regex;

use super::{Answer, BUCKET, Call, OWNER, State, error};

#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) content: Bytes,
    pub crc64nvme: String,
    pub(crate) etag: String,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) parts: BTreeMap<u32, (Bytes, String)>,
}

impl Call {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn query(&self, name: &str) -> Option<String> {
        let query = self.uri.query()?;
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

fn ok() -> http::response::Builder {
    Response::builder().status(200)
}

fn empty(builder: http::response::Builder) -> Answer {
    builder.body(Full::new(Bytes::new())).unwrap()
}

impl State {
    pub(crate) fn store(&mut self, key: &str, content: Bytes) -> String {
        self.counter += 1;
        let etag = format!("\"{:032x}\"", self.counter);
        let object = Object { crc64nvme: Crc64Nvme::of(&content).to_string(), content, etag: etag.clone() };
        self.objects.insert(key.to_owned(), object);
        etag
    }

    pub(super) fn s3(&mut self, operation: &str, call: &Call) -> Answer {
        let path = call.uri.path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        if bucket != BUCKET {
            return error(operation, 404, "NoSuchBucket", "the bucket does not exist");
        }
        if call.header("x-amz-expected-bucket-owner").is_some_and(|owner| owner != OWNER) {
            return error(operation, 403, "AccessDenied", "Access Denied");
        }
        assert_ne!(call.header("content-encoding"), Some("aws-chunked"), "{operation}");
        match operation {
            "HeadBucket" => empty(ok()),
            "PutObject" => self.put_object(key, call),
            "ListObjectsV2" => self.list(call),
            "GetObject" => self.get_object(key, call),
            "HeadObject" => self.head_object(key),
            "CreateMultipartUpload" => self.create_upload(key, call),
            "UploadPart" => self.upload_part(call),
            "CompleteMultipartUpload" => self.complete_upload(key, call),
            "AbortMultipartUpload" => self.abort_upload(call),
            _ => error(operation, 400, "InvalidRequest", "unknown operation"),
        }
    }

    fn put_object(&mut self, key: &str, call: &Call) -> Answer {
        if call.header("if-none-match") == Some("*") && self.objects.contains_key(key) {
            return error("PutObject", 412, "PreconditionFailed", "it exists");
        }
        if damaged(call) {
            return error("PutObject", 400, "BadDigest", "the checksum does not match");
        }
        let etag = self.store(key, call.body.clone());
        empty(ok().header("etag", etag))
    }

    fn list(&self, call: &Call) -> Answer {
        use std::fmt::Write as _;
        let prefix = call.query("prefix").unwrap_or_default();
        let mut body = String::from("<ListBucketResult><IsTruncated>false</IsTruncated>");
        for (key, object) in self.objects.iter().filter(|(key, _)| key.starts_with(&prefix)) {
            let etag = object.etag.replace('"', "&quot;");
            let size = object.content.len();
            write!(body, "<Contents><Key>{key}</Key><Size>{size}</Size><ETag>{etag}</ETag></Contents>").unwrap();
        }
        body.push_str("</ListBucketResult>");
        ok().header("content-type", "application/xml").body(Full::new(body.into())).unwrap()
    }

    fn get_object(&self, key: &str, call: &Call) -> Answer {
        let Some(object) = self.objects.get(key) else {
            return error("GetObject", 404, "NoSuchKey", "there is no such key");
        };
        if call.header("if-match").is_some_and(|etag| etag != object.etag) {
            return error("GetObject", 412, "PreconditionFailed", "it was replaced");
        }
        let (mut status, mut content) = (200, object.content.clone());
        if let Some(range) = call.header("range").and_then(|range| range.strip_prefix("bytes=")) {
            let (start, end) = range.split_once('-').unwrap();
            let start: usize = start.parse().unwrap();
            let end = end.parse::<usize>().unwrap().min(content.len() - 1);
            status = 206;
            content = content.slice(start..=end);
        }
        Response::builder().status(status).header("etag", &object.etag).body(Full::new(content)).unwrap()
    }

    fn head_object(&self, key: &str) -> Answer {
        let Some(object) = self.objects.get(key) else {
            return error("HeadObject", 404, "NotFound", "");
        };
        empty(
            ok().header("etag", &object.etag)
                .header("content-length", object.content.len())
                .header("x-amz-checksum-crc64nvme", &object.crc64nvme)
                .header("x-amz-checksum-type", "FULL_OBJECT"),
        )
    }

    fn create_upload(&mut self, key: &str, call: &Call) -> Answer {
        assert_eq!(call.header("x-amz-checksum-algorithm"), Some("CRC64NVME"));
        assert_eq!(call.header("x-amz-checksum-type"), Some("FULL_OBJECT"));
        self.counter += 1;
        let id = format!("upload-{}", self.counter);
        let upload = Upload { key: key.to_owned(), ..Upload::default() };
        self.uploads.insert(id.clone(), upload);
        let body = format!(
            "<InitiateMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        );
        ok().body(Full::new(body.into())).unwrap()
    }

    fn upload_part(&mut self, call: &Call) -> Answer {
        assert_eq!(call.header("x-amz-content-sha256"), Some("UNSIGNED-PAYLOAD"));
        let number: u32 = call.query("partNumber").unwrap().parse().unwrap();
        let id = call.query("uploadId").unwrap();
        if damaged(call) {
            return error("UploadPart", 400, "BadDigest", "the checksum does not match");
        }
        let Some(upload) = self.uploads.get_mut(&id) else {
            return error("UploadPart", 404, "NoSuchUpload", "there is no such upload");
        };
        let etag = format!("\"part-{number}-{}\"", call.body.len());
        upload.parts.insert(number, (call.body.clone(), etag.clone()));
        empty(ok().header("etag", etag))
    }

    fn complete_upload(&mut self, key: &str, call: &Call) -> Answer {
        const OPERATION: &str = "CompleteMultipartUpload";
        let id = call.query("uploadId").unwrap();
        let Some(upload) = self.uploads.get(&id) else {
            return error(OPERATION, 404, "NoSuchUpload", "there is no such upload");
        };
        let body = String::from_utf8(call.body.to_vec()).unwrap();
        let part = Regex::new("<Part>.*?</Part>").unwrap();
        let number = Regex::new(r"<PartNumber>(\d+)</PartNumber>").unwrap();
        let tag = Regex::new("<ETag>(.*?)</ETag>").unwrap();
        let mut content = Vec::new();
        for (position, listed) in part.find_iter(&body).enumerate() {
            let listed = listed.as_str();
            let listed_number: u32 = number.captures(listed).unwrap()[1].parse().unwrap();
            let listed_tag = tag.captures(listed).unwrap()[1].replace("&quot;", "\"");
            assert_eq!(listed_number as usize, position + 1, "parts are listed in order");
            match upload.parts.get(&listed_number) {
                Some((data, etag)) if *etag == listed_tag => content.extend_from_slice(data),
                _ => return error(OPERATION, 400, "InvalidPart", "a part is missing"),
            }
        }
        let crc = Crc64Nvme::of(&content).to_string();
        if call.header("x-amz-checksum-crc64nvme") != Some(&crc) {
            return error(OPERATION, 400, "BadDigest", "the checksum of the object does not match");
        }
        let size = call.header("x-amz-mp-object-size").and_then(|size| size.parse::<usize>().ok());
        if size != Some(content.len()) {
            return error(OPERATION, 400, "InvalidRequest", "the size does not match");
        }
        self.uploads.remove(&id);
        let etag = self.store(key, content.into());
        let body = format!(
            "<CompleteMultipartUploadResult><Key>{key}</Key><ETag>{}</ETag></CompleteMultipartUploadResult>",
            etag.replace('"', "&quot;")
        );
        ok().body(Full::new(body.into())).unwrap()
    }

    fn abort_upload(&mut self, call: &Call) -> Answer {
        match self.uploads.remove(&call.query("uploadId").unwrap()) {
            Some(_) => empty(Response::builder().status(204)),
            None => error("AbortMultipartUpload", 404, "NoSuchUpload", "there is no such upload"),
        }
    }
}

/// Whether the body is not what its checksum says.
fn damaged(call: &Call) -> bool {
    let given = call.header("x-amz-checksum-crc64nvme").expect("every body has a checksum");
    given != Crc64Nvme::of(&call.body).to_string()
}
