//! Snapshots that RDS exported as Parquet.

use std::sync::Arc;

use support::program::report;

use super::{Lie, World};
use crate::source::snapshot_export;

const INFO: &str = "export_info_exp-1-parquet.json";
const TABLES: &str = "export_tables_info_exp-1-parquet_from_1_to_2.json";

fn info(status: &str) -> String {
    serde_json::json!({ "exportTaskIdentifier": "exp-1-parquet", "status": status, "percentProgress": 100 }).to_string()
}

impl World {
    fn of_snapshot() -> Self {
        let world = Self::new(snapshot_export());
        world.put(INFO, info("COMPLETE"));
        world.put("shop/public.items/1/part-00000-x.gz.parquet", parquet(1000));
        world.put("shop/public.items/2/part-00000-y.gz.parquet", parquet(234));
        world.put("shop/public.items/1/_SUCCESS", "");
        world.put("shop/public.empty/_SUCCESS", "");
        world.tables(&[("shop.public.items", "COMPLETE", ""), ("shop.public.empty", "COMPLETE", "")]);
        world
    }

    /// Says of each table its status and a warning.
    fn tables(&self, tables: &[(&str, &str, &str)]) {
        let status = |(target, status, warning): &(&str, &str, &str)| {
            let (target, status) = (*target, *status);
            serde_json::json!({ "target": target, "status": status, "warningMessage": warning, "sizeGB": 0.1 })
        };
        let statuses: Vec<_> = tables.iter().map(status).collect();
        self.put(TABLES, serde_json::json!({ "perTableStatus": statuses }).to_string());
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
        ("IN_PROGRESS", Box::new(|world| drop(world.put(INFO, info("IN_PROGRESS"))))),
        (
            "public.items/2/part-00000-y.gz.parquet",
            Box::new(|world| {
                let content = parquet(234);
                world.put("shop/public.items/2/part-00000-y.gz.parquet", &content[..content.len() - 4]);
            }),
        ),
        ("export_tables_info", Box::new(|world| world.remove(TABLES))),
    ];
    for (words, lie) in lies {
        let world = World::of_snapshot();
        lie(&world);
        let (code, error) = world.refused();
        assert_eq!(code, 65, "{error}");
        assert!(error.starts_with("NativeExportFailed") && error.contains(words), "{words}: {error}");
    }
}
