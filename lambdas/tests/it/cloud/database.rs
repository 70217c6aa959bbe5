//! As much of RDS, DynamoDB and Systems Manager as the Lambdas speak to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use serde_json::{Value, json};

use super::{Answer, State};

/// What there is of databases and tables.
#[derive(Debug, Default)]
pub(crate) struct Databases {
    /// What each creating and changing call said, by action.
    pub(crate) said: Vec<(String, BTreeMap<String, String>)>,
    /// Instance id to status.
    pub(crate) instances: BTreeMap<String, String>,
    /// Cluster id to status.
    pub(crate) clusters: BTreeMap<String, String>,
    /// Each parameter group, by whether it is a cluster's and by its name, and whether its parameters are set.
    pub(crate) parameter_groups: BTreeMap<(bool, String), bool>,
    /// How many changes of a parameter group do not show yet.
    pub(crate) late_changes: u32,
    /// The code with which RDS refuses to delete automated backups.
    pub(crate) keeps_backups: Option<&'static str>,
    /// Whether a password is being set.
    pub(crate) resetting: bool,
    /// Export task id to status.
    pub(crate) tasks: BTreeMap<String, String>,
    /// Parameter name to value.
    pub(crate) parameters: BTreeMap<String, String>,
    /// Table name to status.
    pub(crate) tables: BTreeMap<String, String>,
    /// Names of the tables whose point-in-time recovery is on.
    pub(crate) recoverable: Vec<String>,
    /// Status of each export, by ARN, with its prefix.
    pub(crate) exports: BTreeMap<String, (String, String)>,
    /// XML of the snapshot that RDS describes.
    pub(crate) snapshot: String,
    /// Classes that can be ordered.
    pub(crate) orderable: Vec<String>,
}

/// The service of a request, where it is one of these.
pub(super) fn service(host: &str) -> Option<&'static str> {
    // Calls that name a resource go to the account's own endpoint.
    if host.contains(".ddb.") {
        return Some("dynamodb");
    }
    ["rds", "ssm", "dynamodb"].into_iter().find(|service| host.starts_with(&format!("{service}.")))
}

pub(super) fn action(service: &str, request: &HttpRequest, fields: &BTreeMap<String, String>) -> String {
    match service {
        "rds" => fields["Action"].clone(),
        _ => request.headers().get("x-amz-target").unwrap().split_once('.').unwrap().1.to_owned(),
    }
}

pub(super) fn error(service: &str, code: &str) -> String {
    match service {
        "rds" => format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
        ),
        _ => json!({"__type": format!("com.amazonaws#{code}"), "message": "no"}).to_string(),
    }
}

impl State {
    pub(super) fn database(
        &mut self,
        service: &str,
        action: &str,
        fields: &BTreeMap<String, String>,
        body: &[u8],
    ) -> Answer {
        if service == "rds" {
            return match self.databases.rds(action, fields) {
                Ok(xml) => {
                    (200, format!("<{action}Response><{action}Result>{xml}</{action}Result></{action}Response>"))
                }
                Err(code) => (400, error(service, code)),
            };
        }
        let body: Value = serde_json::from_slice(body).unwrap();
        let answer =
            if service == "ssm" { self.databases.ssm(action, &body) } else { self.databases.dynamodb(action, &body) };
        match answer {
            Ok(value) => (200, value.to_string()),
            Err(code) => (400, error(service, code)),
        }
    }
}

impl Databases {
    fn rds(&mut self, action: &str, fields: &BTreeMap<String, String>) -> Result<String, &'static str> {
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        if !action.starts_with("Describe") {
            self.said.push((action.to_owned(), fields.clone()));
        }
        let (instance, cluster) = (field("DBInstanceIdentifier"), field("DBClusterIdentifier"));
        let group = if action.contains("DBCluster") {
            (true, field("DBClusterParameterGroupName"))
        } else {
            (false, field("DBParameterGroupName"))
        };
        match action {
            "DescribeDBSnapshots" if self.snapshot.is_empty() => Err("DBSnapshotNotFound"),
            "DescribeDBSnapshots" => {
                Ok(format!("<DBSnapshots><DBSnapshot>{}</DBSnapshot></DBSnapshots>", self.snapshot))
            }
            "DescribeOrderableDBInstanceOptions" => {
                let class = field("DBInstanceClass");
                let known = self.orderable.contains(&class);
                let option = "<OrderableDBInstanceOption><StorageType>gp3</StorageType></OrderableDBInstanceOption>";
                Ok(format!(
                    "<OrderableDBInstanceOptions>{}</OrderableDBInstanceOptions>",
                    if known { option } else { "" }
                ))
            }
            "RestoreDBInstanceFromDBSnapshot" | "CreateDBInstance" => {
                if self.instances.contains_key(&instance) {
                    return Err("DBInstanceAlreadyExists");
                }
                self.instances.insert(instance, "creating".into());
                Ok(String::new())
            }
            "RestoreDBClusterFromSnapshot" => {
                if self.clusters.contains_key(&cluster) {
                    return Err("DBClusterAlreadyExistsFault");
                }
                self.clusters.insert(cluster, "creating".into());
                Ok(String::new())
            }
            "DescribeDBInstances" => {
                let mut xml = String::new();
                let pending = if self.resetting {
                    "<PendingModifiedValues><MasterUserPassword>****</MasterUserPassword></PendingModifiedValues>"
                } else {
                    ""
                };
                for (id, status) in self.instances.iter().filter(|(id, _)| instance.is_empty() || **id == instance) {
                    let _ = write!(
                        xml,
                        "<DBInstance><DBInstanceIdentifier>{id}</DBInstanceIdentifier><DBInstanceStatus>{status}</DBInstanceStatus>\
                         <AvailabilityZone>us-east-1c</AvailabilityZone>{pending}\
                         <Endpoint><Address>db.example</Address><Port>5432</Port></Endpoint></DBInstance>"
                    );
                }
                if xml.is_empty() && !instance.is_empty() {
                    return Err("DBInstanceNotFound");
                }
                Ok(format!("<DBInstances>{xml}</DBInstances>"))
            }
            "DescribeDBClusters" => {
                let mut xml = String::new();
                for (id, status) in self.clusters.iter().filter(|(id, _)| cluster.is_empty() || **id == cluster) {
                    let _ = write!(
                        xml,
                        "<DBCluster><DBClusterIdentifier>{id}</DBClusterIdentifier><Status>{status}</Status></DBCluster>"
                    );
                }
                if xml.is_empty() && !cluster.is_empty() {
                    return Err("DBClusterNotFoundFault");
                }
                Ok(format!("<DBClusters>{xml}</DBClusters>"))
            }
            "ModifyDBInstance" | "ModifyDBCluster" => {
                self.resetting = true;
                Ok(String::new())
            }
            "DeleteDBInstance" | "DeleteDBCluster"
                if field("DeleteAutomatedBackups") == "true" && self.keeps_backups.is_some() =>
            {
                Err(self.keeps_backups.unwrap())
            }
            "DeleteDBInstance" => match self.instances.remove(&instance).as_deref() {
                None => Err("DBInstanceNotFound"),
                Some("creating") => {
                    self.instances.insert(instance, "available".into());
                    Err("InvalidDBInstanceState")
                }
                Some(_) => Ok(String::new()),
            },
            "DeleteDBCluster" if !self.instances.is_empty() => Err("InvalidDBClusterStateFault"),
            "DeleteDBCluster" => match self.clusters.remove(&cluster) {
                Some(_) => Ok(String::new()),
                None => Err("DBClusterNotFoundFault"),
            },
            "CreateDBParameterGroup" | "CreateDBClusterParameterGroup" => {
                if self.parameter_groups.contains_key(&group) {
                    return Err("DBParameterGroupAlreadyExists");
                }
                self.parameter_groups.insert(group, false);
                Ok(String::new())
            }
            "ModifyDBParameterGroup" | "ModifyDBClusterParameterGroup" => {
                let late = self.late_changes > 0;
                self.late_changes = self.late_changes.saturating_sub(1);
                *self.parameter_groups.get_mut(&group).ok_or("DBParameterGroupNotFound")? |= !late;
                Ok(String::new())
            }
            "DescribeDBParameters" | "DescribeDBClusterParameters" => {
                let is_set = *self.parameter_groups.get(&group).ok_or("DBParameterGroupNotFound")?;
                let set = "<Parameter><ParameterName>event_scheduler</ParameterName><ParameterValue>OFF</ParameterValue></Parameter>";
                Ok(format!("<Parameters>{}</Parameters>", if is_set { set } else { "" }))
            }
            "DescribeDBParameterGroups" => {
                let mut xml = String::new();
                for (_, name) in self.parameter_groups.keys().filter(|(of_cluster, _)| !of_cluster) {
                    let _ = write!(
                        xml,
                        "<DBParameterGroup><DBParameterGroupName>{name}</DBParameterGroupName></DBParameterGroup>"
                    );
                }
                Ok(format!("<DBParameterGroups>{xml}</DBParameterGroups>"))
            }
            "DescribeDBClusterParameterGroups" => {
                let mut xml = String::new();
                for (_, name) in self.parameter_groups.keys().filter(|(of_cluster, _)| *of_cluster) {
                    let _ = write!(
                        xml,
                        "<DBClusterParameterGroup><DBClusterParameterGroupName>{name}</DBClusterParameterGroupName></DBClusterParameterGroup>"
                    );
                }
                Ok(format!("<DBClusterParameterGroups>{xml}</DBClusterParameterGroups>"))
            }
            "DeleteDBParameterGroup" | "DeleteDBClusterParameterGroup" => {
                if self.instances.contains_key(&group.1) || (group.0 && !self.clusters.is_empty()) {
                    return Err("InvalidDBParameterGroupState");
                }
                self.parameter_groups.remove(&group).map(|_| String::new()).ok_or("DBParameterGroupNotFound")
            }
            "DescribeExportTasks" => {
                let id = field("ExportTaskIdentifier");
                let mut xml = String::new();
                for (known, status) in self.tasks.iter().filter(|(known, _)| id.is_empty() || **known == id) {
                    let _ = write!(
                        xml,
                        "<ExportTask><ExportTaskIdentifier>{known}</ExportTaskIdentifier><Status>{status}</Status>\
                         <FailureCause>the disk is broken</FailureCause></ExportTask>"
                    );
                }
                if xml.is_empty() && !id.is_empty() {
                    return Err("ExportTaskNotFound");
                }
                Ok(format!("<ExportTasks>{xml}</ExportTasks>"))
            }
            "StartExportTask" => {
                self.tasks.insert(field("ExportTaskIdentifier"), "STARTING".into());
                Ok(String::new())
            }
            "CancelExportTask" => {
                self.tasks.insert(field("ExportTaskIdentifier"), "CANCELED".into());
                Ok(String::new())
            }
            action => panic!("unexpected {action}"),
        }
    }

    fn ssm(&mut self, action: &str, body: &Value) -> Result<Value, &'static str> {
        let name = body["Name"].as_str().unwrap_or_default();
        match action {
            "PutParameter" if self.parameters.contains_key(name) => Err("ParameterAlreadyExists"),
            "PutParameter" => {
                assert_eq!(body["Type"], "SecureString");
                self.parameters.insert(name.to_owned(), body["Value"].as_str().unwrap().to_owned());
                Ok(json!({"Version": 1}))
            }
            "GetParameter" => match self.parameters.get(name) {
                Some(value) => Ok(json!({"Parameter": {"Name": name, "Value": value}})),
                None => Err("ParameterNotFound"),
            },
            "DeleteParameter" => match self.parameters.remove(name) {
                Some(_) => Ok(json!({})),
                None => Err("ParameterNotFound"),
            },
            "DescribeParameters" => {
                let begin = body["ParameterFilters"][0]["Values"][0].as_str().unwrap();
                let names = self.parameters.keys().filter(|name| name.starts_with(begin));
                Ok(json!({"Parameters": names.map(|name| json!({"Name": name})).collect::<Vec<_>>()}))
            }
            action => panic!("unexpected {action}"),
        }
    }

    fn dynamodb(&mut self, action: &str, body: &Value) -> Result<Value, &'static str> {
        let name = body["TableName"].as_str().unwrap_or_default();
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        if matches!(action, "RestoreTableFromBackup" | "ExportTableToPointInTime" | "TagResource") {
            self.said.push((action.to_owned(), BTreeMap::from([("body".to_owned(), body.to_string())])));
        }
        match action {
            "DescribeBackup" => Ok(json!({"BackupDescription": {"BackupDetails": {
                "BackupArn": body["BackupArn"], "BackupName": "b", "BackupStatus": "AVAILABLE", "BackupType": "AWS_BACKUP",
                "BackupCreationDateTime": 1.0, "BackupSizeBytes": 77
            }}})),
            "RestoreTableFromBackup" => {
                if self.tables.contains_key(&text("TargetTableName")) {
                    return Err("TableAlreadyExistsException");
                }
                self.tables.insert(text("TargetTableName"), "CREATING".into());
                Ok(json!({}))
            }
            "DescribeTable" => match self.tables.get(name) {
                Some(status) => Ok(json!({"Table": {"TableName": name, "TableStatus": status}})),
                None => Err("ResourceNotFoundException"),
            },
            "DeleteTable" => match self.tables.remove(name).as_deref() {
                None => Err("ResourceNotFoundException"),
                Some("CREATING") => {
                    self.tables.insert(name.to_owned(), "ACTIVE".into());
                    Err("ResourceInUseException")
                }
                Some(_) => Ok(json!({})),
            },
            "ListTables" => Ok(json!({"TableNames": self.tables.keys().collect::<Vec<_>>()})),
            "TagResource" => Ok(json!({})),
            "UpdateContinuousBackups" => {
                self.recoverable.push(name.to_owned());
                Ok(json!({}))
            }
            "DescribeContinuousBackups" => {
                let on = self.recoverable.iter().any(|known| known == name);
                Ok(
                    json!({"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": {
                        "PointInTimeRecoveryStatus": if on { "ENABLED" } else { "DISABLED" }, "LatestRestorableDateTime": 1.0
                    }}}),
                )
            }
            "ExportTableToPointInTime" => {
                let arn = format!("{}/export/0169", text("TableArn"));
                self.exports.insert(arn.clone(), ("IN_PROGRESS".into(), text("S3Prefix")));
                Ok(json!({"ExportDescription": {"ExportArn": arn}}))
            }
            "DescribeExport" => {
                let (status, prefix) = &self.exports[&text("ExportArn")];
                Ok(json!({"ExportDescription": {
                    "ExportArn": text("ExportArn"), "ExportStatus": status, "S3Prefix": prefix,
                    "ExportManifest": format!("{prefix}/AWSDynamoDB/0169/manifest-summary.json"),
                    "FailureCode": "S3NoSuchBucket", "FailureMessage": "no bucket"
                }}))
            }
            "ListExports" => {
                let exports = self.exports.iter();
                let exports = exports.map(|(arn, (status, _))| json!({"ExportArn": arn, "ExportStatus": status}));
                Ok(json!({"ExportSummaries": exports.collect::<Vec<_>>()}))
            }
            action => panic!("unexpected {action}"),
        }
    }
}
