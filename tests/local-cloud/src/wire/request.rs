//! What a request says about itself: service, operation, resource and caller; and answers in each service's shape.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode, header};
use s3s::Body;
use serde_json::{Value, json};

/// Who asks for what.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) resource: String,
    pub(crate) principal: String,
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

/// Text with the five characters escaped that XML wants escaped.
pub(crate) fn xml_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            _ => out.push(c),
        }
    }
    out
}

/// An error as a service states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    /// The response, in the shape of the service.
    pub(crate) fn response(&self, service: &str) -> Response<Body> {
        let request_id = uuid::Uuid::new_v4().to_string();
        let (code, message) = (xml_escape(&self.code), xml_escape(&self.message));
        let (kind, body) = match service {
            "s3" => (
                "application/xml",
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId></Error>"
                ),
            ),
            "ec2" => (
                "text/xml;charset=UTF-8",
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
                ),
            ),
            "iam" | "sns" | "sts" | "rds" | "cloudformation" => (
                "text/xml",
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
                ),
            ),
            _ => (
                "application/json",
                json!({"__type": self.code, "code": self.code, "message": self.message, "Message": self.message})
                    .to_string(),
            ),
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        insert(headers, "content-type", kind);
        insert(headers, "x-amzn-requestid", &request_id);
        insert(headers, "x-amzn-errortype", &self.code);
        response
    }
}

/// Sets a header; one that is not valid is left out.
pub(crate) fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = value.parse() {
        headers.insert(name, value);
    }
}

/// An answer: a status, a content type, a body.
pub(crate) fn answer(status: u16, kind: &str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    insert(response.headers_mut(), "content-type", kind);
    insert(response.headers_mut(), "x-amzn-requestid", &uuid::Uuid::new_v4().to_string());
    response
}

/// A JSON answer.
pub(crate) fn json_answer(status: u16, body: &Value) -> Response<Body> {
    answer(status, "application/json", body.to_string())
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
