//! What has been exported, from the catalog.

use anyhow::{Context as _, Result};
use aws::config::Patience;
use clap::Args;
use domain::conclusion::CatalogRow;
use store::read::Listed;
use store::{Folder, Store};

/// List finished exports, oldest backup first.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The bucket (s3://bucket), or the directory that holds a copy of it (file:///path).
    bucket: Folder,
    /// Only exports of this resource: a volume's or instance's id, a database's or table's name.
    #[arg(long, value_name = "ID")]
    resource: Option<String>,
    /// One JSON document a line instead of a table.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(crate) async fn run(self) -> Result<()> {
        let store = Store::open(&self.bucket, None, Patience::Person).await;
        let mut rows = Vec::new();
        for Listed { key, .. } in store.list("catalog/exports/").await? {
            let row: CatalogRow =
                serde_json::from_slice(&store.get(&key).await?).with_context(|| format!("read {key}"))?;
            if self.resource.as_ref().is_none_or(|resource| *resource == row.resource_id) {
                rows.push(row);
            }
        }
        rows.sort_by(|a, b| (a.created_at, &a.export_id).cmp(&(b.created_at, &b.export_id)));
        if rows.is_empty() {
            eprintln!("no finished exports in {}", self.bucket);
        }
        for row in rows {
            if self.json {
                println!("{}", serde_json::to_string(&row)?);
            } else {
                print(&store, &row);
            }
        }
        Ok(())
    }
}

fn print(store: &Store, row: &CatalogRow) {
    let deleted = if row.recovery_point_deleted { ", recovery point deleted" } else { "" };
    println!(
        "{}  {} {}  {}  {} bytes of {}  verified by {}{deleted}",
        row.created_at.strftime("%Y-%m-%d %H:%M:%SZ"),
        row.resource_type,
        row.resource_id,
        // Rows of before there were other methods name none.
        row.method.as_deref().unwrap_or("archive"),
        row.bytes,
        row.uncompressed_bytes,
        row.verify.name(),
    );
    for manifest in &row.manifests {
        println!("    {}", store.locate(manifest));
    }
}
