//! Parameter groups as boto3 makes them, and what a server does that is restored with one.

use local_cloud::{DatabaseEngine, LocalCloud, RecoveryPointOptions};
use serde_json::json;

use crate::database::{backup, delete, rds, restore, restore_with, until_status};
use crate::support::{Boto, cloud};

async fn runs_events(cloud: &LocalCloud, id: &str) -> bool {
    let superuser = cloud.database_superuser(id).unwrap();
    superuser.sql("", "SELECT @@global.event_scheduler").await.unwrap() == "ON"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_group_says_what_a_restored_server_does() {
    let cloud = cloud().await;
    let boto = &mut Boto::start(&cloud);
    let arn = backup(&cloud, DatabaseEngine::Mysql, RecoveryPointOptions::default()).await;
    restore(boto, &arn, "as-usual").unwrap();
    until_status(&cloud, "as-usual", "available").await;
    assert!(runs_events(&cloud, "as-usual").await, "MySQL 8 runs events");

    let made = |name: &str, family: &str| json!({"DBParameterGroupName": name, "DBParameterGroupFamily": family, "Description": "d"});
    let create =
        |boto: &mut Boto, name: &str, family: &str| rds(boto, "create_db_parameter_group", &made(name, family));
    create(boto, "quiet", "mysql8.0").unwrap();
    create(boto, "other", "mysql8.4").unwrap();
    assert_eq!(create(boto, "quiet", "mysql8.0").unwrap_err(), "DBParameterGroupAlreadyExists");
    assert_eq!(create(boto, "odd", "oracle-ee-19").unwrap_err(), "InvalidParameterValue");
    let change = |name: &str, value: &str| {
        json!({"DBParameterGroupName": "quiet", "Parameters": [
            {"ParameterName": name, "ParameterValue": value, "ApplyMethod": "pending-reboot"}
        ]})
    };
    for (name, value) in [("event_schedule", "OFF"), ("event_scheduler", "never")] {
        let refused = rds(boto, "modify_db_parameter_group", &change(name, value));
        assert_eq!(refused.unwrap_err(), "InvalidParameterValue");
    }
    let quiet = json!({"DBParameterGroupName": "quiet"});
    let shown = rds(boto, "describe_db_parameters", &quiet).unwrap();
    assert_eq!(shown["Parameters"], json!([{"ParameterName": "event_scheduler", "Source": "engine-default"}]));
    rds(boto, "modify_db_parameter_group", &change("event_scheduler", "OFF")).unwrap();
    let shown =
        rds(boto, "describe_db_parameters", &json!({"DBParameterGroupName": "quiet", "Source": "user"})).unwrap();
    assert_eq!(shown["Parameters"][0]["ParameterName"], "event_scheduler");
    assert_eq!(shown["Parameters"][0]["ParameterValue"], "OFF");

    let with = |name: &str| json!({"DBParameterGroupName": name});
    assert_eq!(restore_with(boto, &arn, "quiet-1", &with("none")).unwrap_err(), "DBParameterGroupNotFound");
    assert_eq!(restore_with(boto, &arn, "quiet-1", &with("other")).unwrap_err(), "InvalidParameterCombination");
    restore_with(boto, &arn, "quiet-1", &with("quiet")).unwrap();
    until_status(&cloud, "quiet-1", "available").await;
    assert!(!runs_events(&cloud, "quiet-1").await);

    let refused = rds(boto, "delete_db_parameter_group", &quiet);
    assert_eq!(refused.unwrap_err(), "InvalidDBParameterGroupState");
    for id in ["quiet-1", "as-usual"] {
        delete(boto, id).unwrap();
        until_status(&cloud, id, "gone").await;
    }
    assert_eq!(cloud.leftovers().unwrap().parameter_groups, ["other", "quiet"]);
    for name in ["other", "quiet"] {
        rds(boto, "delete_db_parameter_group", &with(name)).unwrap();
    }
    assert_eq!(rds(boto, "delete_db_parameter_group", &quiet).unwrap_err(), "DBParameterGroupNotFound");
    assert!(cloud.leftovers().unwrap().is_empty());
    cloud.shutdown().await.unwrap();
}
