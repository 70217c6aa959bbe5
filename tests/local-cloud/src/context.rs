//! What every part of the cloud may know: its names, its options, where things are, which requests fail, what was
//! asked, and moto. It knows no service.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::fault::Faults;
use crate::moto::MotoClient;
use crate::options::{Names, Options};
use crate::request_log::RequestLog;

/// Shared by all services.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) options: Options,
    pub(crate) names: Names,
    pub(crate) directory: PathBuf,
    /// `http://127.0.0.1:PORT`: the gateway.
    pub(crate) endpoint: String,
    pub(crate) faults: Faults,
    pub(crate) requests: RequestLog,
    pub(crate) moto: MotoClient,
    /// The gateway itself, for calls that are to be logged and can be made to fail.
    pub(crate) gateway: MotoClient,
}

impl Context {
    /// The environment that makes an AWS SDK use the cloud, as one caller.
    pub(crate) fn credentials(&self, principal: &str) -> BTreeMap<String, String> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_REGION", &self.names.region),
            ("AWS_DEFAULT_REGION", &self.names.region),
            ("AWS_ACCESS_KEY_ID", principal),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_SESSION_TOKEN", "local"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    /// The environment that tells the worker where attached volumes appear, and which certificate databases show.
    pub(crate) fn worker_environment(&self, certificate: &Path) -> BTreeMap<String, String> {
        let path = |path: &str| self.directory.join(path).display().to_string();
        BTreeMap::from([
            ("BACKUP_EXPORT_DEV_BY_ID_DIR".to_owned(), path("dev/disk/by-id")),
            ("BACKUP_EXPORT_SYSFS_DIR".to_owned(), path("sys")),
            ("BACKUP_EXPORT_RDS_CA_BUNDLE".to_owned(), certificate.display().to_string()),
        ])
    }
}
