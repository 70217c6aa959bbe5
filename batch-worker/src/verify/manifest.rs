//! What of a manifest is believed.

use domain::failure::{Error, Kind};
use domain::key;
use domain::manifest::{InvalidManifest, Manifest, SmallObject};

/// What the manifest of a prefix may name: objects of that prefix, and file indexes.
pub(super) fn keys_are_its_own(manifest: Manifest, prefix: &str) -> Result<Manifest, InvalidManifest> {
    let outside = |what: &str, key: &str| {
        Err(InvalidManifest::Contradiction(format!("{what} is said to be at {key}, outside {prefix:?}")))
    };
    for artifact in &manifest.artifacts {
        if artifact.key != format!("{prefix}{}", artifact.name) {
            return outside(&artifact.name, &artifact.key);
        }
        let stem = artifact.name.split('.').next().unwrap_or_default();
        let index = &artifact.index.key;
        let beside = *index == format!("{prefix}{stem}.parquet");
        let in_catalog = manifest.export_id.as_ref().is_some_and(|export| {
            index.starts_with("catalog/files/")
                && index.contains(&format!("/{export}-"))
                && index.ends_with(&format!("-{stem}.parquet"))
        });
        if !beside && !in_catalog {
            return outside(&format!("the index of {}", artifact.name), index);
        }
    }
    if let Some(table) = partition_table(&manifest)
        && table.key != format!("{prefix}{}", key::PARTITION_TABLE)
    {
        return outside("the partition table", &table.key);
    }
    if let Some(native) = &manifest.native
        && native.listing.key != format!("{prefix}{}", key::NATIVE_LISTING)
    {
        return outside("the list of objects", &native.listing.key);
    }
    Ok(manifest)
}

pub(super) fn partition_table(manifest: &Manifest) -> Option<&SmallObject> {
    manifest.source.as_disk()?.partition_table.as_ref()
}

/// A manifest that contradicts itself proves nothing.
pub(super) fn disbelieved(location: &str, error: InvalidManifest) -> Error {
    let kind = match error {
        InvalidManifest::UnknownSchema(_) => Kind::InvalidSettings,
        InvalidManifest::Malformed(_) | InvalidManifest::Contradiction(_) => Kind::VerificationFailed,
    };
    Error::caused_by(kind, format!("believe {location}"), error)
}

#[cfg(test)]
mod tests {
    use domain::manifest::{Disk, Origin};

    use super::*;

    const GOLDEN: &str = include_str!("../../../domain/golden/manifest.json");
    const PREFIX: &str =
        "data/ebs/123456789012/us-east-1/vol-0aaaaaaaaaaaaaaaa/2026-11-02T030405Z_snap-0123456789abcdef0/";

    fn with(change: impl FnOnce(&mut Manifest)) -> Result<Manifest, InvalidManifest> {
        let mut manifest = Manifest::parse(GOLDEN.as_bytes(), PREFIX).unwrap();
        change(&mut manifest);
        keys_are_its_own(manifest, PREFIX)
    }

    #[test]
    fn a_manifest_may_name_only_what_is_its_own() {
        assert!(with(|_| {}).is_ok());
        let elsewhere = "catalog/files/x/exp-ffffffffffffffffffff-partition-1.parquet";
        for error in [
            with(|manifest| manifest.artifacts[0].index.key = elsewhere.to_owned()),
            with(|manifest| manifest.artifacts[0].key = "data/other/partition-1.tar.gz".to_owned()),
            with(|manifest| {
                if let Origin::Disk(Disk { partition_table: Some(table), .. }) = &mut manifest.source {
                    table.key = "claims/x.json".to_owned();
                }
            }),
        ] {
            assert!(error.unwrap_err().to_string().contains("outside"));
        }
    }
}
