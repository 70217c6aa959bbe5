//! What a plan has Batch run, the worker takes: both sides of the contract between them.

use archive::Codec;
use batch_worker::cli::{Cli, Mode};
use batch_worker::config::{Config, DiskSource, Place};
use clap::Parser as _;
use domain::limit::{GZIP_LEVEL, Limit, ZSTD_LEVEL};
use domain::plan::{Plan, Restored, VerifyMode, WorkerOptions};
use local_cloud::WorkerCloud;
use store::Folder;
use support::plan::CLAIM;

use crate::source::{every, restored};

/// The codecs, each with its smallest and its largest level.
const CODECS: [(Codec, Limit); 2] = [(Codec::Gzip, GZIP_LEVEL), (Codec::Zstd, ZSTD_LEVEL)];
const READERS: u32 = 64;

fn accepted(command: &[String]) -> Config {
    let words = std::iter::once("batch-worker").chain(command.iter().map(String::as_str));
    let cli = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Config::new(cli, &|_| None).unwrap_or_else(|error| panic!("{command:?}: {}", error.chain()))
}

/// A plan of every kind of source, codec and level.
fn plans() -> impl Iterator<Item = (Plan, Codec, u32)> {
    let settings =
        || CODECS.into_iter().flat_map(|(codec, levels)| [levels.least, levels.most].map(|level| (codec, level)));
    every().into_iter().flat_map(move |source| {
        settings().map(move |(codec, level)| {
            let mut plan = support::plan::plan(source.clone(), WorkerCloud::BUCKET, WorkerCloud::OWNER);
            plan.worker_options = WorkerOptions { codec: codec.to_string(), level, readers: READERS };
            (plan, codec, level)
        })
    })
}

fn folder(prefix: &str) -> Folder {
    format!("s3://{}/{prefix}", WorkerCloud::BUCKET).parse().unwrap()
}

fn assert_place(place: &Place, plan: &Plan) {
    let unit = &plan.units[0];
    let claim = (folder("claims/"), CLAIM.strip_prefix("claims/").unwrap().to_owned());
    let expected = Place {
        destination: folder(unit.prefix.as_str()),
        plan: Some(claim),
        unit_key: Some(unit.key.clone()),
        bucket_owner: Some(plan.bucket_owner.clone()),
        in_batch: false,
    };
    assert_eq!(*place, expected);
}

#[test]
fn every_export_is_accepted_and_means_what_the_plan_says() {
    for (plan, codec, level) in plans() {
        let unit = &plan.units[0];
        let restored = restored(&unit.source);
        let config = accepted(&plan.export_command(unit, &restored));
        let (place, writing) = match (restored, config) {
            (Restored::Volume { volume_id }, Config::Disk(config)) => {
                assert_eq!(config.source, DiskSource::Volume(volume_id));
                assert_eq!(config.reading.readers, READERS as usize);
                assert_eq!(config.expect_bytes, Some(unit.source.size_bytes()));
                (config.place, Some(config.writing))
            }
            (Restored::Database { host, port }, Config::Database(config)) => {
                assert_eq!((config.host, config.port, config.by_hand), (host, Some(port), None));
                assert!(config.throw_away);
                (config.place, Some(config.writing))
            }
            (Restored::Objects { prefix }, Config::Record(config)) => {
                assert_eq!(config.objects, folder(&prefix));
                (config.place, None)
            }
            (restored, config) => panic!("{restored:?} is read by {config:?}"),
        };
        assert_place(&place, &plan);
        if let Some(writing) = writing {
            assert_eq!(writing.compression.codec(), codec);
            assert_eq!(u32::try_from(writing.compression.level()), Ok(level));
            assert!(writing.part_bytes.is_some());
        }
    }
}

#[test]
fn every_verification_is_accepted_and_means_what_the_plan_says() {
    for (mut plan, _, _) in plans() {
        for (verify, mode) in [(VerifyMode::Readback, Mode::Readback), (VerifyMode::Checksum, Mode::Checksum)] {
            plan.verify = verify;
            let unit = &plan.units[0];
            let Config::Verify(config) = accepted(&plan.verify_command(unit)) else { panic!("a verification") };
            assert_eq!((config.folder, config.name.as_str()), (folder(unit.prefix.as_str()), "manifest.json"));
            assert_eq!((config.mode, config.bucket_owner.as_ref()), (mode, Some(&plan.bucket_owner)));
        }
    }
}
