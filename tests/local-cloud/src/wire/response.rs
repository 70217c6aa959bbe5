//! The responses of the services that answer in XML.

use http::Response;
use s3s::Body;

use super::answer::answer;
use super::xml::Xml;

/// The response of an operation of EC2.
pub(crate) fn ec2(operation: &str, content: impl FnOnce(&mut Xml)) -> Response<Body> {
    let mut xml = Xml::default();
    xml.text("requestId", uuid::Uuid::new_v4());
    content(&mut xml);
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{operation}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">{}</{operation}Response>",
        xml.0
    );
    answer(200, "text/xml;charset=UTF-8", body)
}

/// The response of an operation of RDS.
pub(crate) fn rds(operation: &str, content: impl FnOnce(&mut Xml)) -> Response<Body> {
    let mut xml = Xml::default();
    xml.element(&format!("{operation}Result"), content);
    xml.element("ResponseMetadata", |xml| {
        xml.text("RequestId", uuid::Uuid::new_v4());
    });
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{operation}Response xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\">{}</{operation}Response>",
        xml.0
    );
    answer(200, "text/xml", body)
}
