//! What an export promises about its requests, and S3 itself does not ask for: with it no byte arrives that nobody
//! checked, and no body is hashed twice.

use http::{HeaderMap, header};

use super::checksum::Algorithm;
use crate::wire::header_text;

/// What is wrong with a request, if something is.
pub(super) fn refusal(operation: &str, headers: &HeaderMap) -> Option<&'static str> {
    let is = |name: &str, value: &str| header_text(headers, name) == Some(value);
    let has = |name: &str| headers.contains_key(name);
    let checksum = Algorithm::Crc64Nvme.header();
    let encoding = header_text(headers, header::CONTENT_ENCODING.as_str()).unwrap_or_default();
    if encoding.split(',').any(|each| each.trim() == "aws-chunked") {
        return Some("a body is sent as it is, not in aws-chunked pieces");
    }
    match operation {
        "PutObject" | "UploadPart" if !has(checksum) => Some("a body comes with its CRC64NVME in a header"),
        "UploadPart" if !is("x-amz-content-sha256", "UNSIGNED-PAYLOAD") => {
            Some("a part has a CRC64NVME, and no SHA-256 beside it")
        }
        "CreateMultipartUpload"
            if !is("x-amz-checksum-algorithm", Algorithm::Crc64Nvme.name())
                || !is("x-amz-checksum-type", "FULL_OBJECT") =>
        {
            Some("an upload has a CRC64NVME of the full object")
        }
        "CompleteMultipartUpload" if !has(checksum) || !has("x-amz-mp-object-size") => {
            Some("a completion names the CRC64NVME and the size of the whole")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_its_checksum_is_refused() {
        let mut headers = HeaderMap::new();
        assert_eq!(refusal("GetObject", &headers), None);
        for operation in ["PutObject", "UploadPart", "CreateMultipartUpload", "CompleteMultipartUpload"] {
            assert!(refusal(operation, &headers).is_some(), "{operation}");
        }
        for (name, value) in [
            ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            ("x-amz-checksum-algorithm", "CRC64NVME"),
            ("x-amz-checksum-type", "FULL_OBJECT"),
            ("x-amz-mp-object-size", "1"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        for operation in ["PutObject", "UploadPart", "CreateMultipartUpload", "CompleteMultipartUpload"] {
            assert_eq!(refusal(operation, &headers), None, "{operation}");
        }
        headers.insert("content-encoding", "aws-chunked".parse().unwrap());
        assert!(refusal("PutObject", &headers).is_some());
    }
}
