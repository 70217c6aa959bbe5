//! Export tasks of RDS: snapshots of real servers, their statuses, and the rows that the Parquet files hold.

use std::collections::BTreeMap;

use crate::support::{cloud, run};
use bytes::Bytes;
use local_cloud::{DatabaseEngine, DatabaseServer, ExportTaskFate, LocalCloud, RecoveryPointOptions};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::Value;

/// Runs a function of the fixture, which must succeed; what it printed.
async fn task(cloud: &LocalCloud, arguments: &[&str]) -> String {
    let mut all = vec![concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixture/export_task.py")];
    all.extend(arguments);
    let (code, text) = run(cloud, "python", &all).await;
    assert_eq!(code, 0, "{arguments:?}: {text}");
    text.trim().to_owned()
}

/// A recovery point of a server with some SQL in it.
async fn backup(cloud: &LocalCloud, engine: DatabaseEngine, sql: &str) -> String {
    let directory = cloud.directory().join("production");
    let server = DatabaseServer::create(engine, &directory).await.unwrap();
    let postgres = matches!(engine, DatabaseEngine::Postgres | DatabaseEngine::AuroraPostgresql);
    server.superuser().sql(if postgres { "postgres" } else { "" }, sql).await.unwrap();
    let source = server.stop().await.unwrap();
    cloud.add_database("vault", &source, RecoveryPointOptions::default()).unwrap()
}

/// The rows of a table that a task exported, as JSON objects, in the order of its files.
fn rows(cloud: &LocalCloud, task: &str, folder: &str) -> Vec<Value> {
    let folder = format!("a/b/{task}/{folder}/1/");
    let objects = cloud.objects("bucket", &folder).unwrap();
    assert!(objects.iter().any(|object| object.key == format!("{folder}_success")), "{objects:?}");
    let mut rows = Vec::new();
    for object in objects.iter().filter(|object| object.key.ends_with(".gz.parquet")) {
        let bytes = Bytes::from(cloud.object("bucket", &object.key).unwrap());
        let reader = SerializedFileReader::new(bytes).unwrap();
        for row in reader.get_row_iter(None).unwrap() {
            let row = row.unwrap();
            let fields = row.get_column_iter().map(|(name, field)| {
                let value = match field {
                    parquet::record::Field::Null => Value::Null,
                    parquet::record::Field::Bool(value) => (*value).into(),
                    parquet::record::Field::Int(value) => (*value).into(),
                    parquet::record::Field::Long(value) => (*value).into(),
                    parquet::record::Field::Float(value) => (*value).into(),
                    parquet::record::Field::Double(value) => (*value).into(),
                    parquet::record::Field::Bytes(value) => value.data().to_vec().into(),
                    parquet::record::Field::Str(value) => value.clone().into(),
                    other => panic!("{other:?}"),
                };
                (name.clone(), value)
            });
            rows.push(fields.collect::<serde_json::Map<_, _>>().into());
        }
    }
    rows
}

type Tables = BTreeMap<String, (String, Option<String>)>;

fn statuses(text: &str) -> BTreeMap<String, String> {
    let tables: Tables = serde_json::from_str(text).unwrap();
    tables.into_iter().map(|(name, (status, _))| (name, status)).collect()
}

const POSTGRES: &str = r#"
CREATE DATABASE shop;
\c shop
CREATE TABLE items (id int PRIMARY KEY, big bigint, small smallint, name text, price numeric(10,2), ratio float8,
    single real, yes boolean, raw bytea, at timestamptz, tags text[], extra json);
INSERT INTO items VALUES
    (1, 9007199254740993, -2, E'é "quoted", a|b\nnew\tline \\ x', 12.50, 0.1, 1.5, true, '\x00ff0a', '2024-02-29 12:00:00+00', '{a,"b c"}', '{"k":  1}'),
    (2, NULL, NULL, '', NULL, 'NaN', NULL, false, '', NULL, NULL, NULL);
CREATE SCHEMA "Other Side";
CREATE TABLE "Other Side"."many" (n int);
INSERT INTO "Other Side"."many" SELECT generate_series(1, 2500);
CREATE TABLE empty (n int);
CREATE TABLE days (d date, n int) PARTITION BY RANGE (d);
CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
INSERT INTO days VALUES ('2024-01-02', 1), ('2024-01-03', 2);
CREATE UNLOGGED TABLE scratch (n int);
CREATE TABLE awkward ("a b" int);
CREATE TABLE bare ();
"#;

#[tokio::test(flavor = "multi_thread")]
async fn postgres_rows_reach_parquet() {
    let cloud = cloud().await;
    let arn = backup(&cloud, DatabaseEngine::Postgres, POSTGRES).await;
    task(&cloud, &["refusals", &arn]).await;
    let told = statuses(&task(&cloud, &["whole", "all", &arn]).await);
    let expected = [
        ("shop.Other Side.many", "COMPLETE"),
        ("shop.public.awkward", "SKIPPED"),
        ("shop.public.bare", "SKIPPED"),
        ("shop.public.days", "COMPLETE"),
        ("shop.public.empty", "COMPLETE"),
        ("shop.public.items", "COMPLETE"),
        ("shop.public.scratch", "SKIPPED"),
    ];
    assert_eq!(told, expected.map(|(name, status)| (name.to_owned(), status.to_owned())).into());
    let items = rows(&cloud, "all", "shop/public.items");
    let first = serde_json::json!({"id": 1, "big": 9_007_199_254_740_993_i64, "small": -2,
        "name": "é \"quoted\", a|b\nnew\tline \\ x", "price": "12.50", "ratio": 0.1, "single": 1.5, "yes": true,
        "raw": [0, 255, 10], "at": "2024-02-29 12:00:00+00", "tags": "{a,\"b c\"}", "extra": "{\"k\":  1}"});
    assert_eq!(items[0], first);
    assert_eq!(
        (&items[1]["name"], &items[1]["raw"], &items[1]["big"]),
        (&"".into(), &Value::Array(vec![]), &Value::Null)
    );
    let many = rows(&cloud, "all", "shop/Other_Side.many");
    let numbers: Vec<u64> = many.iter().map(|row| row["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=2500).collect::<Vec<_>>());
    assert_eq!(cloud.objects("bucket", "a/b/all/shop/Other_Side.many/1/part-").unwrap().len(), 3);
    assert!(rows(&cloud, "all", "shop/public.empty").is_empty());
    assert_eq!(rows(&cloud, "all", "shop/public.days").len(), 2);
    let told = statuses(&task(&cloud, &["whole", "some", &arn, "shop.public.days"]).await);
    assert_eq!(told.keys().collect::<Vec<_>>(), ["shop.public.days"]);
    assert!(cloud.leftovers().unwrap().is_empty());
    cloud.shutdown().await.unwrap();
}

const MARIADB: &str = r#"
CREATE DATABASE shop CHARACTER SET utf8mb4;
USE shop;
CREATE TABLE items (id int unsigned PRIMARY KEY, big bigint, huge bigint unsigned, tiny tinyint(1), name text,
    price decimal(10,2), ratio double, single float, raw blob, at datetime(6), flags bit(4), kind enum('a','b'), extra json);
INSERT INTO items VALUES
    (4294967295, -9007199254740993, 18446744073709551615, 1, 'é "quoted"\nnew\tline \\ x', 12.50, 0.1, 16777215, x'00ff0a', '2024-02-29 12:00:00.123456', b'1010', 'b', '{"k":  1}'),
    (2, NULL, NULL, NULL, '', NULL, NULL, NULL, '', NULL, NULL, NULL, NULL);
CREATE TABLE empty (n int);
"#;

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_rows_reach_parquet() {
    let cloud = cloud().await;
    let arn = backup(&cloud, DatabaseEngine::AuroraMysql, MARIADB).await;
    assert!(arn.contains(":cluster-snapshot:"), "{arn}");
    let told = statuses(&task(&cloud, &["whole", "all", &arn]).await);
    assert_eq!(told.keys().collect::<Vec<_>>(), ["shop.shop.empty", "shop.shop.items"]);
    let items = rows(&cloud, "all", "shop/shop.items");
    let (first, last) = (&items[1], &items[0]);
    let expected = serde_json::json!({"id": 4_294_967_295_i64, "big": -9_007_199_254_740_993_i64,
        "huge": "18446744073709551615", "tiny": 1, "name": "é \"quoted\"\nnew\tline \\ x", "price": "12.50",
        "ratio": 0.1, "single": 16_777_215.0, "raw": [0, 255, 10], "at": "2024-02-29 12:00:00.123456", "flags": "10",
        "kind": "b", "extra": "{\"k\":  1}"});
    assert_eq!(*first, expected);
    assert_eq!((&last["name"], &last["raw"], &last["huge"]), (&"".into(), &Value::Array(vec![]), &Value::Null));
    let told = statuses(&task(&cloud, &["whole", "some", &arn, "shop.empty"]).await);
    assert_eq!(told.keys().collect::<Vec<_>>(), ["shop.shop.empty"]);
    assert!(cloud.leftovers().unwrap().is_empty());
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_fail_skip_and_lose_what_they_are_told_to() {
    let cloud = cloud().await;
    let sql = "CREATE TABLE first (n int); INSERT INTO first VALUES (1), (2); CREATE TABLE second (n int);";
    let arn = backup(&cloud, DatabaseEngine::Postgres, sql).await;
    cloud.decide_export_task(ExportTaskFate::Failed { cause: "An internal error occurred".to_owned() });
    let told = task(&cloud, &["outcome", "failed", &arn]).await;
    assert!(told.starts_with("FAILED An internal error occurred"), "{told}");
    cloud.decide_export_task(ExportTaskFate::SkipsTable);
    let told = task(&cloud, &["outcome", "skips", &arn]).await;
    assert!(told.contains(r#""postgres.public.first": ["SKIPPED", "The table was skipped"#), "{told}");
    assert!(told.starts_with("COMPLETE") && told.contains(r#""postgres.public.second": ["COMPLETE", null]"#), "{told}");
    cloud.decide_export_task(ExportTaskFate::FailsTable);
    let told = task(&cloud, &["outcome", "fails", &arn]).await;
    assert!(told.contains(r#""postgres.public.first": ["FAILED", "The table could not be read"]"#), "{told}");
    cloud.decide_export_task(ExportTaskFate::LosesObject);
    assert!(task(&cloud, &["outcome", "loses", &arn]).await.starts_with("COMPLETE"));
    assert!(rows(&cloud, "loses", "postgres/public.first").is_empty());
    cloud.decide_export_task(ExportTaskFate::TruncatesObject);
    assert!(task(&cloud, &["outcome", "cuts", &arn]).await.starts_with("COMPLETE"));
    let objects = cloud.objects("bucket", "a/b/cuts/postgres/public.first/1/part-").unwrap();
    let bytes = Bytes::from(cloud.object("bucket", &objects[0].key).unwrap());
    assert!(SerializedFileReader::new(bytes).is_err());
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn five_tasks_run_at_a_time() {
    let cloud = cloud().await;
    let directory = cloud.directory().join("production");
    let server = DatabaseServer::create(DatabaseEngine::Postgres, &directory).await.unwrap();
    let source = server.stop().await.unwrap();
    let mut arns = Vec::new();
    for _ in 0..6 {
        arns.push(cloud.add_database("vault", &source, RecoveryPointOptions::default()).unwrap());
        cloud.decide_export_task(ExportTaskFate::Stuck);
    }
    let mut arguments = vec!["five"];
    arguments.extend(arns.iter().map(String::as_str));
    task(&cloud, &arguments).await;
    assert_eq!(cloud.leftovers().unwrap().export_tasks, ["task-0", "task-1", "task-3", "task-4", "task-5"]);
    cloud.shutdown().await.unwrap();
}
