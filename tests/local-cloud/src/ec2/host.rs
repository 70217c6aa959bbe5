//! The hosts of Batch, one for each zone, and the metadata service (IMDSv2) that each has on a port of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response};
use hyper::body::Incoming;
use s3s::Body;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::id::new_id;
use crate::error::{Error, Result};
use crate::options::Names;
use crate::wire::{answer, header_text, insert, serve};

/// The path of a metadata token.
const TOKEN_PATH: &str = "/latest/api/token";

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) id: String,
    pub(crate) availability_zone: String,
    pub(crate) launched: String,
    pub(super) tags: BTreeMap<String, String>,
    /// `http://127.0.0.1:PORT`: its metadata service.
    pub(crate) metadata_endpoint: String,
    /// When it will be taken away, if that is known.
    spot_action: Arc<Mutex<Option<String>>>,
    terminated: bool,
    server: JoinHandle<()>,
}

impl Host {
    pub(crate) fn is_running(&self) -> bool {
        !self.terminated
    }

    /// Announces that it will be taken away.
    pub(super) fn announce_reclaim(&self) {
        *self.spot_action.lock().unwrap_or_else(PoisonError::into_inner) = Some(jiff::Timestamp::now().to_string());
    }

    /// Takes it away.
    pub(super) fn terminate(&mut self) {
        self.terminated = true;
        self.server.abort();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Metadata {
    instance_id: String,
    availability_zone: String,
    names: Names,
    token: String,
    spot_action: Arc<Mutex<Option<String>>>,
}

/// Starts a host in a zone.
pub(crate) async fn start(names: &Names, zone: &str) -> Result<Host> {
    let failed = |source| Error::Listen { address: "a metadata port".to_owned(), source };
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    let id = new_id("i");
    let spot_action = Arc::new(Mutex::new(None));
    let metadata = Arc::new(Metadata {
        instance_id: id.clone(),
        availability_zone: zone.to_owned(),
        names: names.clone(),
        token: uuid::Uuid::new_v4().to_string(),
        spot_action: Arc::clone(&spot_action),
    });
    let server = tokio::spawn(serve(listener, move |request| {
        let metadata = Arc::clone(&metadata);
        async move { Ok(metadata.answer(&request)) }
    }));
    Ok(Host {
        id,
        availability_zone: zone.to_owned(),
        launched: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string(),
        tags: BTreeMap::new(),
        metadata_endpoint: format!("http://127.0.0.1:{port}"),
        spot_action,
        terminated: false,
        server,
    })
}

impl Metadata {
    fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        if path == TOKEN_PATH {
            if request.method() != http::Method::PUT {
                return answer(405, "text/plain", "");
            }
            let mut response = answer(200, "text/plain", self.token.clone());
            let seconds = header_text(request.headers(), "x-aws-ec2-metadata-token-ttl-seconds").unwrap_or("21600");
            insert(response.headers_mut(), "x-aws-ec2-metadata-token-ttl-seconds", seconds);
            return response;
        }
        if header_text(request.headers(), "x-aws-ec2-metadata-token") != Some(&self.token) {
            return answer(401, "text/plain", "");
        }
        match self.value(path.trim_end_matches('/')) {
            Some(value) => answer(200, "text/plain", value),
            None => answer(404, "text/plain", ""),
        }
    }

    fn value(&self, path: &str) -> Option<String> {
        let Self { instance_id, availability_zone, names, .. } = self;
        let value = match path {
            "/latest/meta-data/instance-id" => instance_id.clone(),
            "/latest/meta-data/instance-type" => "m7i.large".to_owned(),
            "/latest/meta-data/instance-life-cycle" => "spot".to_owned(),
            "/latest/meta-data/placement/availability-zone" => availability_zone.clone(),
            "/latest/meta-data/placement/region" => names.region.clone(),
            "/latest/meta-data/services/partition" => names.partition.clone(),
            "/latest/meta-data/iam/security-credentials" => "batch-host".to_owned(),
            "/latest/meta-data/iam/security-credentials/batch-host" => json!({
                "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": "2099-01-01T00:00:00Z",
                "AccessKeyId": format!("instance-{instance_id}"), "SecretAccessKey": "local", "Token": "local",
            })
            .to_string(),
            "/latest/meta-data/spot/instance-action" => {
                let time = self.spot_action.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
                json!({"action": "terminate", "time": time}).to_string()
            }
            "/latest/dynamic/instance-identity/document" => json!({
                "accountId": names.account_id, "availabilityZone": availability_zone, "instanceId": instance_id,
                "instanceType": "m7i.large", "region": names.region, "architecture": "x86_64", "version": "2017-09-30",
            })
            .to_string(),
            _ => return None,
        };
        Some(value)
    }
}
