//! Answers, and errors in each service's shape.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use s3s::Body;
use serde_json::{Value, json};

use super::xml::xml_escape;

/// What a service answers.
pub(crate) type Answer = Result<Response<Body>, ApiError>;

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

pub(crate) fn json_answer(status: u16, body: &Value) -> Response<Body> {
    answer(status, "application/json", body.to_string())
}
