//! Databases as boto3 and database clients see them: restored, given a password, read, deleted.

use std::path::Path;
use std::time::{Duration, Instant};

use local_cloud::{
    DatabaseEngine, DatabaseFate, DatabaseServer, DatabaseSource, FaultAction, FaultRule, LocalCloud, Options,
    RecoveryPointOptions,
};
use serde_json::{Value, json};

use crate::support::{Boto, LONG, cloud, stack};

const NEW_PASSWORD: &str = "Secret-of-this-export-7";
const SUM: &str = "SELECT count(*), sum(total) FROM orders";

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < LONG, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn status(cloud: &LocalCloud, id: &str) -> String {
    let instances = cloud.databases();
    let found = instances.iter().find(|each| each.id == id).map(|each| each.status.clone());
    let clusters = cloud.database_clusters();
    let cluster = clusters.iter().find(|each| each.id == id).map(|each| each.status.clone());
    found.or(cluster).unwrap_or_else(|| "gone".to_owned())
}

pub(crate) async fn until_status(cloud: &LocalCloud, id: &str, wanted: &str) {
    until(wanted, || status(cloud, id) == wanted).await;
}

/// Makes a recovery point of a server with a table of orders; returns its ARN.
pub(crate) async fn backup(cloud: &LocalCloud, engine: DatabaseEngine, options: RecoveryPointOptions) -> String {
    let server = DatabaseServer::create(engine, &cloud.directory().join("production")).await.unwrap();
    let master = server.master();
    match engine {
        DatabaseEngine::Postgres | DatabaseEngine::AuroraPostgresql => {
            let role = "CREATE ROLE shop LOGIN; GRANT shop TO admin_user; CREATE DATABASE shop OWNER shop";
            master.sql("postgres", role).await.unwrap();
            let rows = "CREATE TABLE orders AS SELECT n AS id, n * 3 AS total FROM generate_series(1, 1000) n; ALTER TABLE orders OWNER TO shop";
            master.sql("shop", rows).await.unwrap();
        }
        DatabaseEngine::Mariadb | DatabaseEngine::Mysql | DatabaseEngine::AuroraMysql => {
            let rows = "CREATE DATABASE shop; USE shop; CREATE TABLE orders AS SELECT seq AS id, seq * 3 AS total FROM seq_1_to_1000";
            master.sql("", rows).await.unwrap();
        }
    }
    let source = server.stop().await.unwrap().named("orders");
    let arn = cloud.add_database("vault", &source, options).unwrap();
    std::fs::remove_dir_all(&source.directory).unwrap();
    arn
}

fn sum(engine: DatabaseEngine) -> &'static str {
    match engine {
        DatabaseEngine::Postgres | DatabaseEngine::AuroraPostgresql => "1000|1501500",
        DatabaseEngine::Mariadb | DatabaseEngine::Mysql | DatabaseEngine::AuroraMysql => "1000\t1501500",
    }
}

fn snapshot_name(arn: &str) -> &str {
    arn.split_once("snapshot:").unwrap().1
}

/// Calls RDS.
pub(crate) fn rds(boto: &mut Boto, operation: &str, parameters: &Value) -> Result<Value, String> {
    boto.call("rds", operation, parameters)
}

pub(crate) fn restore(boto: &mut Boto, arn: &str, id: &str) -> Result<Value, String> {
    restore_with(boto, arn, id, &json!({}))
}

pub(crate) fn restore_with(boto: &mut Boto, arn: &str, id: &str, more: &Value) -> Result<Value, String> {
    let mut parameters = json!({
        "DBInstanceIdentifier": id, "DBSnapshotIdentifier": snapshot_name(arn), "DBInstanceClass": "db.t4g.medium",
        "AvailabilityZone": "us-east-1b", "PubliclyAccessible": false, "VpcSecurityGroupIds": ["sg-1"],
        "Tags": [{"Key": "backup-export:export-id", "Value": "e"}],
    });
    for (name, value) in more.as_object().unwrap() {
        parameters[name] = value.clone();
    }
    rds(boto, "restore_db_instance_from_db_snapshot", &parameters)
}

fn described(boto: &mut Boto, id: &str) -> Result<Value, String> {
    let answer = rds(boto, "describe_db_instances", &json!({"DBInstanceIdentifier": id}))?;
    Ok(answer["DBInstances"][0].clone())
}

fn change_password(boto: &mut Boto, id: &str) -> Result<Value, String> {
    let parameters = json!({"DBInstanceIdentifier": id, "MasterUserPassword": NEW_PASSWORD, "ApplyImmediately": true});
    rds(boto, "modify_db_instance", &parameters)
}

pub(crate) fn delete(boto: &mut Boto, id: &str) -> Result<Value, String> {
    rds(boto, "delete_db_instance", &json!({"DBInstanceIdentifier": id, "SkipFinalSnapshot": true}))
}

fn run(mut command: std::process::Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

/// Whether a word is anywhere in a file below a directory.
fn is_written(directory: &Path, word: &str) -> bool {
    std::process::Command::new("grep").args(["-rqF", word]).arg(directory).status().unwrap().success()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_postgres_is_one_of_rds() {
    let mut options = Options::default();
    // Long enough to look at a change while it is pending.
    options.databases.modification = Duration::from_secs(2);
    let cloud = LocalCloud::start(options).await.unwrap();
    cloud.deploy(&stack(&cloud)).await.unwrap();
    let boto = &mut Boto::start(&cloud);
    let tags = [("team".to_owned(), "a".to_owned())].into();
    let arn = backup(&cloud, DatabaseEngine::Postgres, RecoveryPointOptions { tags, ..Default::default() }).await;
    assert!(arn.starts_with("arn:aws:rds:us-east-1:123456789012:snapshot:awsbackup:job-"), "{arn}");
    let point = cloud.recovery_point("vault", &arn).unwrap();
    assert_eq!(point["ResourceType"], "RDS");
    assert_eq!(point["ResourceArn"], "arn:aws:rds:us-east-1:123456789012:db:orders");
    for name in [snapshot_name(&arn), &arn] {
        let found = rds(boto, "describe_db_snapshots", &json!({"DBSnapshotIdentifier": name})).unwrap();
        let snapshot = &found["DBSnapshots"][0];
        assert_eq!(snapshot["DBSnapshotArn"], arn.as_str());
        assert_eq!(snapshot["SnapshotType"], "awsbackup");
        assert_eq!((&snapshot["Engine"], &snapshot["MasterUsername"]), (&json!("postgres"), &json!("admin_user")));
        assert!(snapshot["TagList"].as_array().unwrap().contains(&json!({"Key": "team", "Value": "a"})));
    }
    let unknown = rds(boto, "describe_db_snapshots", &json!({"DBSnapshotIdentifier": "awsbackup:job-0"}));
    assert_eq!(unknown.unwrap_err(), "DBSnapshotNotFound");

    let made = restore(boto, &arn, "Export-1").unwrap();
    assert_eq!(made["DBInstance"]["DBInstanceStatus"], "creating");
    assert!(made["DBInstance"].get("Endpoint").is_none(), "nobody answers yet");
    assert_eq!(restore(boto, &arn, "export-1").unwrap_err(), "DBInstanceAlreadyExists");
    until_status(&cloud, "export-1", "available").await;
    assert_eq!(cloud.database_history("export-1"), ["creating", "backing-up", "available"]);
    let view = &cloud.databases()[0];
    assert_eq!((view.zone.as_str(), view.class.as_str()), ("us-east-1b", "db.t4g.medium"));
    assert_eq!((view.publicly_accessible, view.security_groups.as_slice()), (false, ["sg-1".to_owned()].as_slice()));
    assert_eq!(view.tags.get("backup-export:export-id").map(String::as_str), Some("e"));
    let endpoint = &described(boto, "export-1").unwrap()["Endpoint"];
    assert_eq!((&endpoint["Address"], &endpoint["Port"]), (&json!("127.0.0.1"), &json!(view.port.unwrap())));
    assert_eq!(cloud.leftovers().unwrap().databases, ["export-1 (available)"]);

    let old = cloud.database_user("export-1", DatabaseServer::MASTER_USER, DatabaseServer::MASTER_PASSWORD).unwrap();
    let new = cloud.database_user("export-1", DatabaseServer::MASTER_USER, NEW_PASSWORD).unwrap();
    let asked = change_password(boto, "export-1").unwrap();
    assert_eq!(asked["DBInstance"]["DBInstanceStatus"], "available");
    assert_eq!(described(boto, "export-1").unwrap()["PendingModifiedValues"]["MasterUserPassword"], "****");
    assert_eq!(old.sql("shop", SUM).await.unwrap(), "1000|1501500", "the old password is good until then");
    until_status(&cloud, "export-1", "resetting-master-credentials").await;
    assert_eq!(change_password(boto, "export-1").unwrap_err(), "InvalidDBInstanceState");
    until_status(&cloud, "export-1", "available").await;
    assert_eq!(described(boto, "export-1").unwrap()["PendingModifiedValues"], json!({}));
    let refused = old.sql("shop", SUM).await.unwrap_err().to_string();
    assert!(refused.contains("password authentication failed"), "{refused}");
    assert_eq!(new.sql("shop", SUM).await.unwrap(), "1000|1501500");
    assert!(!is_written(cloud.directory(), NEW_PASSWORD));
    assert!(!format!("{:?}{new:?}", cloud.requests().all()).contains(NEW_PASSWORD));

    let plain = new.clone().without_tls().sql("shop", SUM).await.unwrap_err().to_string();
    assert!(plain.contains("no encryption"), "{plain}");
    let own = new.sql("rdsadmin", "SELECT 1").await.unwrap_err().to_string();
    assert!(own.contains("pg_hba.conf rejects connection"), "{own}");
    let globals = |more: &[&str]| {
        let mut command = new.command("pg_dumpall", "postgres");
        command.args(["-l", "postgres", "--globals-only"]).args(more);
        run(command)
    };
    let (done, text) = globals(&[]);
    assert!(!done && text.contains("permission denied for table pg_authid"), "{text}");
    let (done, text) = globals(&["--no-role-passwords"]);
    assert!(done && text.contains("CREATE ROLE shop;") && text.contains("CREATE ROLE rds_superuser;"), "{text}");
    let (done, text) = run(new.command("pg_dump", "shop"));
    assert!(done && text.contains("1000\t3000"), "{text}");
    new.sql("postgres", "SELECT pg_read_file('postgresql.conf')").await.unwrap_err();
    cloud.database_superuser("export-1").unwrap().sql("shop", "DROP TABLE orders").await.unwrap();

    let unsaid = rds(boto, "delete_db_instance", &json!({"DBInstanceIdentifier": "export-1"}));
    assert_eq!(unsaid.unwrap_err(), "InvalidParameterCombination");
    let protect = |boto: &mut Boto, yes: bool| {
        let parameters = json!({"DBInstanceIdentifier": "export-1", "DeletionProtection": yes});
        rds(boto, "modify_db_instance", &parameters).unwrap();
    };
    protect(boto, true);
    assert_eq!(delete(boto, "export-1").unwrap_err(), "InvalidParameterCombination");
    protect(boto, false);
    assert_eq!(delete(boto, "export-1").unwrap()["DBInstance"]["DBInstanceStatus"], "deleting");
    until_status(&cloud, "export-1", "gone").await;
    assert_eq!(described(boto, "export-1").unwrap_err(), "DBInstanceNotFound");
    assert!(cloud.leftovers().unwrap().is_empty());
    let kept: Vec<_> = std::fs::read_dir(cloud.directory().join("databases")).unwrap().flatten().collect();
    assert!(kept.iter().all(|entry| !entry.file_name().to_string_lossy().starts_with("db-")), "{kept:?}");

    let snapshot = cloud.open_database_snapshot(&arn).await.unwrap();
    assert_eq!(snapshot.superuser().sql("shop", SUM).await.unwrap(), "1000|1501500", "the snapshot is untouched");
    snapshot.close().await.unwrap();
    boto.call("backup", "delete_recovery_point", &json!({"BackupVaultName": "vault", "RecoveryPointArn": arn}))
        .unwrap();
    let gone = rds(boto, "describe_db_snapshots", &json!({"DBSnapshotIdentifier": arn}));
    assert_eq!(gone.unwrap_err(), "DBSnapshotNotFound");
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_mariadb_is_one_of_rds() {
    let cloud = cloud().await;
    let boto = &mut Boto::start(&cloud);
    let arn = backup(&cloud, DatabaseEngine::Mariadb, RecoveryPointOptions::default()).await;
    restore(boto, &arn, "export-2").unwrap();
    until_status(&cloud, "export-2", "available").await;
    assert_eq!(cloud.database_history("export-2"), ["creating", "backing-up", "available"]);
    let old = cloud.database_user("export-2", DatabaseServer::MASTER_USER, DatabaseServer::MASTER_PASSWORD).unwrap();
    let new = cloud.database_user("export-2", DatabaseServer::MASTER_USER, NEW_PASSWORD).unwrap();
    assert_eq!(old.sql("shop", SUM).await.unwrap(), sum(DatabaseEngine::Mariadb));
    change_password(boto, "export-2").unwrap();
    until("the change", || !cloud.databases()[0].password_pending).await;
    assert!(cloud.database_history("export-2").contains(&"resetting-master-credentials".to_owned()));
    let refused = old.sql("shop", SUM).await.unwrap_err().to_string();
    assert!(refused.contains("Access denied"), "{refused}");
    assert_eq!(new.sql("shop", SUM).await.unwrap(), sum(DatabaseEngine::Mariadb));
    assert!(!is_written(&cloud.directory().join("logs"), NEW_PASSWORD));

    let cipher = new.sql("", "SHOW SESSION STATUS LIKE 'Ssl_cipher'").await.unwrap();
    assert!(cipher.contains("TLS"), "{cipher}");
    for refused in [
        "SELECT * FROM shop.orders INTO OUTFILE '/tmp/orders'",
        "SET GLOBAL general_log = 1",
        "SHUTDOWN",
        "GRANT SUPER ON *.* TO admin_user@'%'",
    ] {
        let error = new.sql("", refused).await.unwrap_err().to_string();
        assert!(error.contains("denied"), "{refused}: {error}");
    }
    assert_eq!(new.sql("mysql", "SELECT count(*) FROM rds_heartbeat2").await.unwrap(), "1");
    let mut dump = new.command("mariadb-dump", "");
    dump.args(["--single-transaction", "--databases", "shop"]);
    let (done, text) = run(dump);
    assert!(done && text.contains("(1000,3000)"), "{text}");
    delete(boto, "export-2").unwrap();
    until_status(&cloud, "export-2", "gone").await;
    assert!(cloud.leftovers().unwrap().is_empty());
    cloud.shutdown().await.unwrap();
}

async fn aurora(engine: DatabaseEngine) {
    let cloud = cloud().await;
    let boto = &mut Boto::start(&cloud);
    let arn = backup(&cloud, engine, RecoveryPointOptions::default()).await;
    assert!(arn.contains(":cluster-snapshot:awsbackup:job-"), "{arn}");
    assert_eq!(cloud.recovery_point("vault", &arn).unwrap()["ResourceType"], "Aurora");
    let name = json!({"DBClusterSnapshotIdentifier": snapshot_name(&arn)});
    let found = rds(boto, "describe_db_cluster_snapshots", &name).unwrap();
    assert_eq!(found["DBClusterSnapshots"][0]["DBClusterIdentifier"], "orders");
    assert_eq!(restore(boto, &arn, "export-3").unwrap_err(), "DBSnapshotNotFound");

    let parameters = json!({
        "DBClusterIdentifier": "export-3", "SnapshotIdentifier": arn, "Engine": engine.name(),
        "VpcSecurityGroupIds": ["sg-1"], "Tags": [{"Key": "k", "Value": "v"}],
    });
    let made = rds(boto, "restore_db_cluster_from_snapshot", &parameters).unwrap();
    assert_eq!(made["DBCluster"]["Status"], "creating");
    let again = rds(boto, "restore_db_cluster_from_snapshot", &parameters);
    assert_eq!(again.unwrap_err(), "DBClusterAlreadyExistsFault");
    until_status(&cloud, "export-3", "available").await;
    assert_eq!(cloud.database_history("export-3"), ["creating", "available"]);
    cloud.database_superuser("export-3").unwrap_err();
    // Before there is a member, the password waits with the cluster.
    let change =
        json!({"DBClusterIdentifier": "export-3", "MasterUserPassword": NEW_PASSWORD, "ApplyImmediately": true});
    let asked = rds(boto, "modify_db_cluster", &change).unwrap();
    assert_eq!(asked["DBCluster"]["PendingModifiedValues"]["MasterUserPassword"], "****");
    until("the change", || !cloud.database_clusters()[0].password_pending).await;
    let mut member = json!({
        "DBInstanceIdentifier": "export-3-1", "DBClusterIdentifier": "export-3", "Engine": engine.name(),
        "DBInstanceClass": "db.t4g.micro", "Tags": [{"Key": "k", "Value": "v"}],
    });
    assert_eq!(rds(boto, "create_db_instance", &member).unwrap_err(), "InvalidParameterCombination");
    member["DBInstanceClass"] = json!("db.t4g.medium");
    rds(boto, "create_db_instance", &member).unwrap();
    until_status(&cloud, "export-3-1", "available").await;
    assert_eq!(cloud.database_history("export-3-1"), ["creating", "available"]);
    let name = json!({"DBClusterIdentifier": "export-3"});
    let cluster = rds(boto, "describe_db_clusters", &name).unwrap()["DBClusters"][0].clone();
    assert_eq!(cluster["DBClusterMembers"][0]["DBInstanceIdentifier"], "export-3-1");
    assert_eq!((&cluster["Endpoint"], &cluster["Port"]), (&json!("127.0.0.1"), &json!(cloud.databases()[0].port)));
    assert_eq!(cluster["TagList"], json!([{"Key": "k", "Value": "v"}]));
    let new = cloud.database_user("export-3", DatabaseServer::MASTER_USER, NEW_PASSWORD).unwrap();
    assert_eq!(new.sql("shop", SUM).await.unwrap(), sum(engine));
    assert_eq!(change_password(boto, "export-3-1").unwrap_err(), "InvalidParameterCombination");
    assert_eq!(cloud.leftovers().unwrap().database_clusters, ["export-3 (available)"]);

    let end = json!({"DBClusterIdentifier": "export-3", "SkipFinalSnapshot": true});
    assert_eq!(rds(boto, "delete_db_cluster", &end).unwrap_err(), "InvalidDBClusterStateFault");
    delete(boto, "export-3-1").unwrap();
    until_status(&cloud, "export-3-1", "gone").await;
    new.sql("shop", SUM).await.unwrap_err();
    rds(boto, "delete_db_cluster", &end).unwrap();
    until_status(&cloud, "export-3", "gone").await;
    assert_eq!(rds(boto, "describe_db_clusters", &name).unwrap_err(), "DBClusterNotFoundFault");
    assert!(cloud.leftovers().unwrap().is_empty());
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aurora_postgresql_cluster_answers_by_its_instance() {
    aurora(DatabaseEngine::AuroraPostgresql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aurora_mysql_cluster_answers_by_its_instance() {
    aurora(DatabaseEngine::AuroraMysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_can_fail_to_come_up() {
    let cloud = cloud().await;
    let boto = &mut Boto::start(&cloud);
    let server = DatabaseServer::create(DatabaseEngine::Postgres, &cloud.directory().join("production")).await.unwrap();
    let source = server.stop().await.unwrap();
    let add = |databases| {
        cloud.add_database("vault", &source, RecoveryPointOptions { databases, ..Default::default() }).unwrap()
    };
    for (id, fate, last) in [
        ("failed", DatabaseFate::Failed, "failed"),
        ("incompatible", DatabaseFate::IncompatibleRestore, "incompatible-restore"),
        ("key", DatabaseFate::InaccessibleKey, "inaccessible-encryption-credentials"),
    ] {
        restore(boto, &add(fate), id).unwrap();
        until_status(&cloud, id, last).await;
        delete(boto, id).unwrap();
        assert_eq!(cloud.database_history(id), ["creating", last, "deleting"]);
    }
    restore(boto, &add(DatabaseFate::Stuck), "stuck").unwrap();
    until("the others' end", || cloud.databases().len() == 1).await;
    assert_eq!(status(&cloud, "stuck"), "creating");
    delete(boto, "stuck").unwrap();
    until("the end", || cloud.databases().is_empty()).await;

    let of_cluster = DatabaseSource { engine: DatabaseEngine::AuroraPostgresql, is_cluster: true, ..source.clone() };
    for (id, databases, last) in
        [("waits", DatabaseFate::MemberStuck, "creating"), ("fails", DatabaseFate::MemberFailed, "failed")]
    {
        let options = RecoveryPointOptions { databases, ..Default::default() };
        let arn = cloud.add_database("vault", &of_cluster, options).unwrap();
        let engine = of_cluster.engine.name();
        let cluster = json!({"DBClusterIdentifier": id, "SnapshotIdentifier": arn, "Engine": engine});
        rds(boto, "restore_db_cluster_from_snapshot", &cluster).unwrap();
        until_status(&cloud, id, "available").await;
        let name = format!("{id}-1");
        let member = json!({
            "DBInstanceIdentifier": name, "DBClusterIdentifier": id, "Engine": engine,
            "DBInstanceClass": "db.t4g.medium",
        });
        rds(boto, "create_db_instance", &member).unwrap();
        until_status(&cloud, &name, last).await;
        delete(boto, &name).unwrap();
        // RDS takes the deletion of a cluster whose members are on their way out.
        rds(boto, "delete_db_cluster", &json!({"DBClusterIdentifier": id, "SkipFinalSnapshot": true})).unwrap();
        until_status(&cloud, id, "gone").await;
    }

    let arn = add(DatabaseFate::Available);
    cloud.set_database_capacity("us-east-1b", false);
    assert_eq!(restore(boto, &arn, "full").unwrap_err(), "InsufficientDBInstanceCapacity");
    restore_with(boto, &arn, "elsewhere", &json!({"AvailabilityZone": "us-east-1a"})).unwrap();
    until_status(&cloud, "elsewhere", "available").await;
    cloud.crash_database("elsewhere").await.unwrap();
    cloud.database_superuser("elsewhere").unwrap_err();
    let keep = json!({
        "DBInstanceIdentifier": "elsewhere", "FinalDBSnapshotIdentifier": "last", "DeleteAutomatedBackups": false,
    });
    rds(boto, "delete_db_instance", &keep).unwrap();
    until("the end", || cloud.databases().is_empty()).await;
    assert_eq!(cloud.leftovers().unwrap().database_backups, ["last", "elsewhere"]);
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages_and_requests_are_checked() {
    let mut options = Options::default();
    options.databases.page_size = 1;
    options.databases.subnet_groups = Some(vec!["exports".to_owned()]);
    let cloud = LocalCloud::start(options).await.unwrap();
    cloud.deploy(&stack(&cloud)).await.unwrap();
    let boto = &mut Boto::start(&cloud);
    let server = DatabaseServer::create(DatabaseEngine::Mysql, &cloud.directory().join("production")).await.unwrap();
    let source = server.stop().await.unwrap().version("8.0.35");
    let stuck = RecoveryPointOptions { databases: DatabaseFate::Stuck, ..Default::default() };
    let arn = cloud.add_database("vault", &source, stuck).unwrap();
    let elsewhere = restore_with(boto, &arn, "one", &json!({"DBSubnetGroupName": "other"}));
    assert_eq!(elsewhere.unwrap_err(), "DBSubnetGroupNotFoundFault");
    restore_with(boto, &arn, "one", &json!({"DBSubnetGroupName": "exports"})).unwrap();
    restore(boto, &arn, "two").unwrap();
    for wrong in ["a_b", "a--b", "1a"] {
        assert_eq!(restore(boto, &arn, wrong).unwrap_err(), "InvalidParameterValue", "{wrong}");
    }
    let all = rds(boto, "paginate:describe_db_instances", &json!({})).unwrap();
    assert_eq!(all["DBInstances"].as_array().unwrap().len(), 2);
    assert_eq!(cloud.requests().of("rds", "DescribeDBInstances").len(), 2);
    let mut class =
        json!({"Engine": "mysql", "EngineVersion": "8.0.35", "Vpc": true, "DBInstanceClass": "db.t4g.micro"});
    let orderable = rds(boto, "paginate:describe_orderable_db_instance_options", &class).unwrap();
    let first = &orderable["OrderableDBInstanceOptions"][0];
    assert_eq!((&first["DBInstanceClass"], &first["StorageType"]), (&json!("db.t4g.micro"), &json!("gp2")));
    assert_eq!(first["AvailabilityZones"], json!([{"Name": "us-east-1a"}, {"Name": "us-east-1b"}]));
    class["Engine"] = json!("aurora-mysql");
    let none = rds(boto, "describe_orderable_db_instance_options", &class).unwrap();
    assert_eq!(none["OrderableDBInstanceOptions"], json!([]));

    let one = cloud.databases()[0].arn.clone();
    let late = json!({"Key": "late", "Value": "yes"});
    rds(boto, "add_tags_to_resource", &json!({"ResourceName": one, "Tags": [late]})).unwrap();
    let tags = rds(boto, "list_tags_for_resource", &json!({"ResourceName": one})).unwrap();
    assert!(tags["TagList"].as_array().unwrap().contains(&late));
    let unplayed = rds(boto, "reboot_db_instance", &json!({"DBInstanceIdentifier": "one"}));
    assert_eq!(unplayed.unwrap_err(), "InvalidAction");
    let throttled = FaultAction::Error { status: 400, code: "Throttling".to_owned(), message: String::new() };
    cloud.faults().add(FaultRule::new("rds", "DeleteDBInstance", throttled).on("one"));
    assert_eq!(delete(boto, "one").unwrap_err(), "Throttling");

    let put = json!({"Name": "/backup-export/e/password", "Type": "SecureString", "Value": "x"});
    boto.call("ssm", "put_parameter", &put).unwrap();
    assert_eq!(cloud.leftovers().unwrap().parameters, ["/backup-export/e/password"]);
    assert_eq!(cloud.requests().of("ssm", "PutParameter")[0].resource, "/backup-export/e/password");
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_is_dropped_takes_its_servers_along() {
    let cloud = cloud().await;
    let boto = &mut Boto::start(&cloud);
    let arn = backup(&cloud, DatabaseEngine::Postgres, RecoveryPointOptions::default()).await;
    restore(boto, &arn, "export-4").unwrap();
    until_status(&cloud, "export-4", "available").await;
    let access = cloud.database_superuser("export-4").unwrap();
    access.sql("shop", SUM).await.unwrap();
    drop(cloud);
    until("the server's end", || std::net::TcpStream::connect((access.host(), access.port())).is_err()).await;
}
