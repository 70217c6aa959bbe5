//! Exports that AWS itself wrote: checked, listed, verified, and every lie in them found.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod disk;
mod fake;
mod planned;

use std::io::Write as _;
use std::process::Output;
use std::sync::Arc;

use base64::Engine as _;
use disk::{failure, report, run};
use domain::manifest::{Manifest, NativeObject, Origin};
use domain::plan::{Plan, Restored, VerifyMode};
use domain::source::{Engine, SnapshotExportSource, Source, TableFormat, TableOrigin, TableSource};
use fake::{BUCKET, Fake, OWNER};
use md5::Digest as _;
use planned::{PREFIX, claim, plan};

const TABLE: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/orders";
const TEMPORARY: &str = "exp-1-table";
const EXPORT: &str = "01693685827463-2d8752fd";

fn md5(content: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(content))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

/// What is done to an export that was right.
type Lie = Box<dyn Fn(&World)>;

/// A bucket with the export of a table.
struct World {
    fake: Fake,
    plan: Plan,
    objects: String,
}

impl World {
    fn of_table(format: TableFormat, origin: TableOrigin) -> Self {
        let source = TableSource { table_arn: TABLE.to_owned(), origin, format, size_bytes: Some(5) };
        let exported = source.exported_table_arn();
        let world = Self {
            fake: Fake::start(),
            plan: plan(Source::Table(source)),
            objects: format!("{PREFIX}AWSDynamoDB/{EXPORT}/"),
        };
        claim(&world.fake, world.plan.clone());
        let lines: [Vec<String>; 2] = match format {
            TableFormat::DynamodbJson => [
                (0..40).map(|n| format!("{{\"Item\":{{\"id\":{{\"N\":\"{n}\"}}}}}}\n")).collect(),
                vec!["{\"Item\":{\"id\":{\"S\":\"a\\nb\"}}}\n".to_owned()],
            ],
            TableFormat::Ion => [
                (0..40).map(|n| format!("$ion_1_0 {{Item:{{id:{n}.}}}}\n")).collect(),
                vec!["$ion_1_0 {Item:{id:\"a\"}}\n".to_owned()],
            ],
        };
        let mut files = String::new();
        for (name, lines) in ["aaaa", "bbbb"].iter().zip(lines) {
            let key = format!("{}data/{name}.gz", world.objects);
            let content = gzip(&lines.concat());
            world.fake.put(&key, content.clone());
            let etag = world.fake.lock().objects[&key].etag.trim_matches('"').to_owned();
            let line = serde_json::json!({ "itemCount": lines.len(), "md5Checksum": md5(&content), "etag": etag, "dataFileS3Key": key });
            files.push_str(&line.to_string());
            files.push('\n');
        }
        world.describe("manifest-files", &files);
        let summary = serde_json::json!({
            "version": "2020-06-30", "exportArn": format!("{exported}/export/{EXPORT}"), "tableArn": exported, "itemCount": 41,
            "outputFormat": format.name(), "manifestFilesS3Key": format!("{}manifest-files.json", world.objects),
            "s3Bucket": BUCKET, "exportTime": "2026-11-02T03:04:05.678Z"
        });
        world.describe("manifest-summary", &summary.to_string());
        world.fake.put(&format!("{}_started", world.objects), "");
        world.fake.lock().tables.insert(TEMPORARY.to_owned(), 41);
        world
    }

    fn of_backup() -> Self {
        let origin = TableOrigin::Backup {
            backup_arn: format!("{TABLE}/backup/0154"),
            restore_role_arn: None,
            temporary_table: TEMPORARY.to_owned(),
            temporary_table_arn: format!("{}/{TEMPORARY}", TABLE.rsplit_once('/').unwrap().0),
        };
        Self::of_table(TableFormat::DynamodbJson, origin)
    }

    fn of_snapshot() -> Self {
        let source = SnapshotExportSource {
            snapshot_arn: "arn:aws:rds:us-east-1:123456789012:snapshot:awsbackup:job-1f2e".to_owned(),
            engine: Engine::Postgres,
            engine_version: "15.7".to_owned(),
            size_gib: 20,
            task_id: "exp-1-parquet".to_owned(),
            role_arn: "arn:aws:iam::123456789012:role/export".to_owned(),
            kms_key_id: "key-1".to_owned(),
        };
        let world = Self {
            fake: Fake::start(),
            plan: plan(Source::SnapshotExport(source)),
            objects: format!("{PREFIX}exp-1-parquet/"),
        };
        claim(&world.fake, world.plan.clone());
        let put = |name: &str, content: Vec<u8>| world.fake.put(&format!("{}{name}", world.objects), content);
        put(
            "export_info_exp-1-parquet.json",
            serde_json::json!({ "exportTaskIdentifier": "exp-1-parquet", "status": "COMPLETE", "percentProgress": 100 })
                .to_string()
                .into_bytes(),
        );
        put("shop/public.items/1/part-00000-x.gz.parquet", parquet(1000));
        put("shop/public.items/2/part-00000-y.gz.parquet", parquet(234));
        put("shop/public.items/1/_SUCCESS", Vec::new());
        put("shop/public.empty/_SUCCESS", Vec::new());
        world.tables(&[("shop.public.items", "COMPLETE", ""), ("shop.public.empty", "COMPLETE", "")]);
        world
    }

    fn tables(&self, tables: &[(&str, &str, &str)]) {
        let statuses: Vec<_> = tables
            .iter()
            .map(|(target, status, warning)| {
                serde_json::json!({ "target": target, "status": status, "warningMessage": warning, "sizeGB": 0.1 })
            })
            .collect();
        let name = format!("{}export_tables_info_exp-1-parquet_from_1_to_2.json", self.objects);
        self.fake.put(&name, serde_json::json!({ "perTableStatus": statuses }).to_string());
    }

    fn describe(&self, name: &str, content: &str) {
        self.fake.put(&format!("{}{name}.json", self.objects), content.to_owned());
        self.fake.put(&format!("{}{name}.md5", self.objects), md5(content.as_bytes()));
    }

    /// Changes a description and its hash.
    fn change(&self, name: &str, change: impl FnOnce(String) -> String) {
        let content = self.fake.object(&format!("{}{name}.json", self.objects)).unwrap();
        self.describe(name, &change(String::from_utf8(content.to_vec()).unwrap()));
    }

    fn record(&self) -> Output {
        let command =
            self.plan.export_command(&self.plan.units[0], &Restored::Objects { prefix: self.objects.clone() });
        run(&command.iter().map(String::as_str).collect::<Vec<_>>(), &self.fake.environment())
    }

    fn verify(&self, mode: &str) -> Output {
        let manifest = format!("s3://{BUCKET}/{PREFIX}manifest.json");
        run(&["verify", &manifest, "--mode", mode, "--bucket-owner", OWNER], &self.fake.environment())
    }

    fn manifest(&self) -> Manifest {
        Manifest::parse(&self.fake.object(&format!("{PREFIX}manifest.json")).unwrap(), PREFIX).unwrap()
    }

    /// The error of a record that must fail, and leave no manifest.
    fn refused(&self) -> (i32, String) {
        let failure = failure(&self.record());
        assert!(self.fake.object(&format!("{PREFIX}manifest.json")).is_none(), "a manifest was written");
        failure
    }
}

fn parquet(rows: i64) -> Vec<u8> {
    let schema = parquet::schema::parser::parse_message_type("message row { REQUIRED INT64 id; }").unwrap();
    let mut content = Vec::new();
    let mut writer =
        parquet::file::writer::SerializedFileWriter::new(&mut content, Arc::new(schema), Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values: Vec<i64> = (0..rows).collect();
    column.typed::<parquet::data_type::Int64Type>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    content
}

#[test]
fn a_table_is_recorded_with_every_object_and_item_and_verified() {
    let world = World::of_backup();
    report(&world.record());
    let manifest = world.manifest();
    let native = manifest.native.as_ref().unwrap();
    assert_eq!((native.objects, native.items, native.format.as_str()), (7, 41, "DYNAMODB_JSON"));
    assert_eq!(native.tables[0].name, "orders");
    let Origin::Table(table) = &manifest.source else { panic!("a table") };
    assert!(!table.live_table);
    let listing = world.fake.object(&native.listing.key).unwrap();
    let objects: Vec<NativeObject> = listing
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert!(objects.is_sorted_by(|a, b| a.key < b.key));
    assert_eq!(objects.iter().filter_map(|object| object.items).sum::<u64>(), 41);
    let verified = report(&world.verify("readback"));
    assert_eq!((&verified["objects"], &verified["rows"]), (&7.into(), &41.into()));
    report(&world.verify("checksum"));
    assert_eq!(report(&world.record())["alreadyDone"], true);
}

#[test]
fn a_live_table_in_ion_is_said_to_be_one_and_is_not_counted() {
    let at = "2026-11-02T03:04:05Z".parse().unwrap();
    let world = World::of_table(TableFormat::Ion, TableOrigin::LiveTable { at });
    report(&world.record());
    assert_eq!(world.fake.calls("Scan"), 0);
    assert!(world.manifest().notes[0].contains("live table"));
    assert_eq!(report(&world.verify("readback"))["rows"], 41);
}

#[test]
fn a_table_that_holds_more_than_its_export_fails_the_verification() {
    let world = World::of_backup();
    world.fake.lock().tables.insert(TEMPORARY.to_owned(), 42);
    let (code, error) = world.refused();
    assert_eq!(code, 65, "{error}");
    assert!(
        error.starts_with("VerificationFailed") && error.contains("holds 42 items") && error.contains("export 41"),
        "{error}"
    );
    let mut unverified = World::of_backup();
    unverified.plan.verify = VerifyMode::None;
    claim(&unverified.fake, unverified.plan.clone());
    unverified.fake.lock().tables.clear();
    report(&unverified.record());
}

#[test]
fn every_lie_of_an_export_of_a_table_is_found() {
    let data = |world: &World| format!("{}data/aaaa.gz", world.objects);
    let lies: [(&str, &str, Lie); 10] = [
        ("missing object", "not there", Box::new(move |world| drop(world.fake.lock().objects.remove(&data(world))))),
        (
            "unlisted object",
            "does not name",
            Box::new(|world| world.fake.put(&format!("{}data/cccc.gz", world.objects), gzip("{}"))),
        ),
        (
            "wrong md5",
            "MD5",
            Box::new(move |world| {
                let mut state = world.fake.lock();
                let object = state.objects.get_mut(&data(world)).unwrap();
                object.content = gzip(&"{\"Item\":{\"id\":{\"N\":\"7\"}}}\n".repeat(40)).into();
            }),
        ),
        (
            "wrong etag",
            "ETag",
            Box::new(move |world| {
                world.fake.lock().objects.get_mut(&data(world)).unwrap().etag = "\"other\"".to_owned();
            }),
        ),
        (
            "wrong count of a file",
            "DynamoDB says 39",
            Box::new(|world| {
                world.change("manifest-files", |text| text.replace("\"itemCount\":40", "\"itemCount\":39"));
            }),
        ),
        (
            "wrong count",
            "says 43 items",
            Box::new(|world| {
                world.change("manifest-summary", |text| text.replace("\"itemCount\":41", "\"itemCount\":43"));
            }),
        ),
        (
            "other table",
            "was to be exported",
            Box::new(|world| world.change("manifest-summary", |text| text.replace(TEMPORARY, "other"))),
        ),
        (
            "other format",
            "was asked for",
            Box::new(|world| world.change("manifest-summary", |text| text.replace("DYNAMODB_JSON", "ION"))),
        ),
        (
            "changed description",
            "manifest-files.md5",
            Box::new(|world| world.fake.put(&format!("{}manifest-files.json", world.objects), "{}")),
        ),
        (
            "no summary",
            "manifest-summary.json is missing",
            Box::new(|world| {
                drop(world.fake.lock().objects.remove(&format!("{}manifest-summary.json", world.objects)));
            }),
        ),
    ];
    for (name, words, lie) in lies {
        let world = World::of_backup();
        lie(&world);
        let (code, error) = world.refused();
        assert_eq!(code, 65, "{name}: {error}");
        assert!(error.starts_with("NativeExportFailed") && error.contains(words), "{name}: {error}");
    }
}

#[test]
fn what_changes_after_the_record_is_found_by_the_verification() {
    let changes: [(&str, &str, Lie); 4] = [
        (
            "readback",
            "missing",
            Box::new(|world| drop(world.fake.lock().objects.remove(&format!("{}data/aaaa.gz", world.objects)))),
        ),
        ("checksum", "does not list", Box::new(|world| world.fake.put(&format!("{}data/cccc.gz", world.objects), "x"))),
        (
            "readback",
            "SHA-256",
            Box::new(|world| {
                let mut state = world.fake.lock();
                let object = state.objects.get_mut(&format!("{}_started", world.objects)).unwrap();
                object.content = "".into();
                let object = state.objects.get_mut(&format!("{}manifest-files.md5", world.objects)).unwrap();
                object.content = "A".repeat(object.content.len()).into();
            }),
        ),
        (
            "checksum",
            "ETag",
            Box::new(|world| {
                world.fake.lock().objects.get_mut(&format!("{}data/aaaa.gz", world.objects)).unwrap().etag =
                    "\"other\"".to_owned();
            }),
        ),
    ];
    for (mode, words, change) in changes {
        let world = World::of_backup();
        report(&world.record());
        change(&world);
        let (code, error) = failure(&world.verify(mode));
        assert_eq!(code, 65, "{error}");
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn parquet_is_recorded_with_the_rows_of_each_table() {
    let world = World::of_snapshot();
    report(&world.record());
    let manifest = world.manifest();
    let native = manifest.native.as_ref().unwrap();
    let tables: Vec<(&str, u64)> = native.tables.iter().map(|table| (table.name.as_str(), table.rows)).collect();
    assert_eq!(tables, [("shop.public.empty", 0), ("shop.public.items", 1234)]);
    assert_eq!(report(&world.verify("readback"))["rows"], 1234);
}

#[test]
fn tables_that_rds_left_out_fail_the_export_by_name() {
    let world = World::of_snapshot();
    world.tables(&[
        ("shop.public.items", "COMPLETE", ""),
        ("shop.public.empty", "COMPLETE", ""),
        ("shop.public.huge", "SKIPPED", "a row is larger than 500 MB"),
        ("shop.public.broken", "FAILED", ""),
    ]);
    let (code, error) = world.refused();
    assert_eq!(code, 65, "{error}");
    for words in [
        "NativeExportFailed",
        "2 of 4 tables",
        "shop.public.huge is SKIPPED (a row is larger",
        "shop.public.broken is FAILED",
    ] {
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn every_lie_of_an_export_of_a_snapshot_is_found() {
    let lies: [(&str, Lie); 4] = [
        (
            "there are no objects of them: shop.public.more",
            Box::new(|world| {
                world.tables(&[("shop.public.items", "COMPLETE", ""), ("shop.public.more", "COMPLETE", "")]);
            }),
        ),
        (
            "IN_PROGRESS",
            Box::new(|world| {
                let info = serde_json::json!({ "exportTaskIdentifier": "exp-1-parquet", "status": "IN_PROGRESS" });
                world.fake.put(&format!("{}export_info_exp-1-parquet.json", world.objects), info.to_string());
            }),
        ),
        (
            "public.items/2/part-00000-y.gz.parquet",
            Box::new(|world| {
                let content = parquet(234);
                let key = format!("{}shop/public.items/2/part-00000-y.gz.parquet", world.objects);
                world.fake.put(&key, content[..content.len() - 4].to_vec());
            }),
        ),
        (
            "export_tables_info",
            Box::new(|world| world.fake.lock().objects.retain(|key, _| !key.contains("tables_info"))),
        ),
    ];
    for (words, lie) in lies {
        let world = World::of_snapshot();
        lie(&world);
        let (code, error) = world.refused();
        assert_eq!(code, 65, "{error}");
        assert!(error.starts_with("NativeExportFailed") && error.contains(words), "{words}: {error}");
    }
}
