//! What a request says about itself: service, operation, resource and caller.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, header};
use serde_json::Value;

use super::answer::ApiError;

/// Who asks for what.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) resource: String,
    pub(crate) principal: String,
}

/// A request whose body is here.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) parts: Parts,
    pub(crate) body: Bytes,
    pub(crate) operation: String,
}

impl Call {
    /// The body as JSON; an empty one is an empty object.
    pub(crate) fn json(&self) -> Result<Value, ApiError> {
        if self.body.is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| ApiError::new(400, "SerializationException", error.to_string()))
    }
}

/// The access key with which moto's state machine engine signs.
pub(crate) const STATES_ACCESS_KEY: &str = "ak";

/// The service and the access key that a signature names, in the header or in the query.
pub(crate) fn credential_scope(parts: &Parts) -> Option<(String, String)> {
    let credential = match header_text(&parts.headers, header::AUTHORIZATION.as_str()) {
        Some(text) => text.split("Credential=").nth(1)?.split([',', ' ']).next()?.to_owned(),
        None => query_pairs(parts.uri.query().unwrap_or_default()).remove("X-Amz-Credential")?,
    };
    let fields: Vec<&str> = credential.split('/').collect();
    let [key @ .., _date, _region, service, _kind] = fields.as_slice() else { return None };
    Some(((*service).to_owned(), key.join("/")))
}

/// A header as text.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The pairs of a query or form. Later values of a name win.
pub(crate) fn query_pairs(query: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// The segments of a path, decoded.
pub(crate) fn path_segments(path: &str) -> Vec<String> {
    path.trim_start_matches('/').split('/').map(decode).collect()
}

/// Decodes `%xx`.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = hex {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str, authorization: Option<&str>) -> Parts {
        let mut request = http::Request::builder().uri(uri);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_scope_names_service_and_key() {
        let header = "AWS4-HMAC-SHA256 Credential=lambda-plan/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0";
        let expected = Some(("ec2".to_owned(), "lambda-plan".to_owned()));
        assert_eq!(credential_scope(&parts("/", Some(header))), expected);
        let query = "/b/k?X-Amz-Credential=lambda-plan%2F20260101%2Fus-east-1%2Fec2%2Faws4_request";
        assert_eq!(credential_scope(&parts(query, None)), expected);
        assert_eq!(credential_scope(&parts("/", None)), None);
    }

    #[test]
    fn paths_are_decoded() {
        assert_eq!(path_segments("/a%2Fb/c%20d/%"), ["a/b", "c d", "%"]);
    }
}
