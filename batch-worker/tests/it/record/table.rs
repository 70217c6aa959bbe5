//! Tables that DynamoDB exported.

use std::io::Write as _;

use base64::Engine as _;
use domain::manifest::{NativeObject, Origin};
use domain::plan::VerifyMode;
use domain::source::{Source, TableFormat, TableOrigin};
use local_cloud::WorkerCloud;
use md5::Digest as _;
use support::program::{failure, report};

use super::{Lie, World};
use crate::source::{TABLE, live_table, table};

const TEMPORARY: &str = "exp-1-table";

fn md5(content: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(content))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

/// The items of two files, a line each.
fn lines(format: TableFormat) -> [Vec<String>; 2] {
    match format {
        TableFormat::DynamodbJson => [
            (0..40).map(|n| format!("{{\"Item\":{{\"id\":{{\"N\":\"{n}\"}}}}}}\n")).collect(),
            vec!["{\"Item\":{\"id\":{\"S\":\"a\\nb\"}}}\n".to_owned()],
        ],
        TableFormat::Ion => [
            (0..40).map(|n| format!("$ion_1_0 {{Item:{{id:{n}.}}}}\n")).collect(),
            vec!["$ion_1_0 {Item:{id:\"a\"}}\n".to_owned()],
        ],
    }
}

impl World {
    fn of_table(format: TableFormat, origin: TableOrigin) -> Self {
        let source = table(format, origin);
        let exported = source.exported_table_arn();
        let world = Self::new(Source::Table(source));
        let mut files = String::new();
        for (name, lines) in ["aaaa", "bbbb"].iter().zip(lines(format)) {
            let name = format!("data/{name}.gz");
            let content = gzip(&lines.concat());
            let etag = world.put(&name, &content);
            let line = serde_json::json!({
                "itemCount": lines.len(), "md5Checksum": md5(&content), "etag": etag, "dataFileS3Key": world.key(&name)
            });
            files.push_str(&line.to_string());
            files.push('\n');
        }
        world.describe("manifest-files", &files);
        let export = world.objects.trim_end_matches('/').rsplit_once('/').unwrap().1;
        let summary = serde_json::json!({
            "version": "2020-06-30", "exportArn": format!("{exported}/export/{export}"), "tableArn": exported,
            "itemCount": 41, "outputFormat": format.name(), "manifestFilesS3Key": world.key("manifest-files.json"),
            "s3Bucket": WorkerCloud::BUCKET, "exportTime": "2026-11-02T03:04:05.678Z"
        });
        world.describe("manifest-summary", &summary.to_string());
        world.put("_started", "");
        world.cloud.set_table(TEMPORARY, 41);
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

    fn describe(&self, name: &str, content: &str) {
        self.put(&format!("{name}.json"), content);
        self.put(&format!("{name}.md5"), md5(content.as_bytes()));
    }

    /// Changes a description and its hash.
    fn change(&self, name: &str, change: impl FnOnce(String) -> String) {
        let content = self.cloud.object(&self.key(&format!("{name}.json"))).unwrap();
        self.describe(name, &change(String::from_utf8(content).unwrap()));
    }

    /// Changes the bytes of an object behind the back of S3.
    fn spoil(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        self.cloud.spoil_object(&self.key(name), change).unwrap();
    }
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
    let listing = world.cloud.object(&native.listing.key).unwrap();
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
    let world = World::of_table(TableFormat::Ion, live_table());
    report(&world.record());
    assert_eq!(world.cloud.calls("Scan"), 0);
    assert!(world.manifest().notes[0].contains("live table"));
    assert_eq!(report(&world.verify("readback"))["rows"], 41);
}

#[test]
fn a_table_that_holds_more_than_its_export_fails_the_verification() {
    let world = World::of_backup();
    world.cloud.set_table(TEMPORARY, 42);
    let (code, error) = world.refused();
    assert_eq!(code, 65, "{error}");
    assert!(
        error.starts_with("VerificationFailed") && error.contains("holds 42 items") && error.contains("export 41"),
        "{error}"
    );
    let mut unverified = World::of_backup();
    unverified.plan.verify = VerifyMode::None;
    unverified.claim();
    assert!(unverified.cloud.remove_table(TEMPORARY));
    report(&unverified.record());
}

#[test]
fn every_lie_of_an_export_of_a_table_is_found() {
    const DATA: &str = "data/aaaa.gz";
    let lies: [(&str, &str, Lie); 10] = [
        ("missing object", "not there", Box::new(|world| world.remove(DATA))),
        ("unlisted object", "does not name", Box::new(|world| drop(world.put("data/cccc.gz", gzip("{}"))))),
        (
            "wrong md5",
            "MD5",
            Box::new(|world| {
                world.spoil(DATA, |bytes| *bytes = gzip(&"{\"Item\":{\"id\":{\"N\":\"7\"}}}\n".repeat(40)));
            }),
        ),
        ("wrong etag", "ETag", Box::new(|world| world.cloud.set_object_etag(&world.key(DATA), "other").unwrap())),
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
        ("changed description", "manifest-files.md5", Box::new(|world| drop(world.put("manifest-files.json", "{}")))),
        ("no summary", "manifest-summary.json is missing", Box::new(|world| world.remove("manifest-summary.json"))),
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
        ("readback", "missing", Box::new(|world| world.remove("data/aaaa.gz"))),
        ("checksum", "does not list", Box::new(|world| drop(world.put("data/cccc.gz", "x")))),
        ("readback", "SHA-256", Box::new(|world| world.spoil("manifest-files.md5", |bytes| bytes.fill(b'A')))),
        (
            "checksum",
            "ETag",
            Box::new(|world| world.cloud.set_object_etag(&world.key("data/aaaa.gz"), "other").unwrap()),
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
