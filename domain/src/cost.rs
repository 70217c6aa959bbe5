//! What an export costs, about: what its manifests measured, at list prices.
//!
//! An estimate for a dashboard, not a bill: it knows the prices of one Region and of one kind of instance, and neither
//! S3 requests and storage, nor KMS, nor provisioned IOPS, throughput and initialization, nor the verification.

use crate::manifest::Manifest;
use crate::plan::VolumeOptions;

/// List prices in us-east-1 in US dollars, as of 2026. Today's: <https://aws.amazon.com/ebs/pricing/>,
/// <https://aws.amazon.com/ec2/pricing/on-demand/>.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// A GiB of gp3 for a month.
    pub gp3_gib_month: f64,
    /// A GiB of gp2 for a month.
    pub gp2_gib_month: f64,
    /// A GiB of io1 or io2 for a month.
    pub io_gib_month: f64,
    /// A worker's instance for an hour, on demand: a c7g.xlarge.
    pub worker_hour: f64,
}

/// The prices that [`estimate_usd`] is made with.
pub const PRICES: Prices = Prices { gp3_gib_month: 0.08, gp2_gib_month: 0.10, io_gib_month: 0.125, worker_hour: 0.145 };

/// EBS charges by the second for months of thirty days.
const HOURS_PER_MONTH: f64 = 720.0;

/// Restored volumes and workers of one export, in US dollars. A manifest without measurements counts from the begin of
/// its reading to the end.
pub fn estimate_usd(manifests: &[Manifest], options: &VolumeOptions, prices: &Prices) -> f64 {
    let gib_month = match options.volume_type.as_str() {
        "gp3" => prices.gp3_gib_month,
        "gp2" => prices.gp2_gib_month,
        _ => prices.io_gib_month,
    };
    let usd = |manifest: &Manifest| {
        let (gib_hours, worker_seconds) = usage(manifest);
        gib_hours / HOURS_PER_MONTH * gib_month + worker_seconds / 3_600.0 * prices.worker_hour
    };
    manifests.iter().map(usd).sum()
}

/// GiB-hours of the volume and seconds of the worker.
#[expect(clippy::cast_precision_loss, reason = "an estimate: the 53 bits of a double are more than enough")]
fn usage(manifest: &Manifest) -> (f64, f64) {
    if let Some(cost) = &manifest.cost {
        return (cost.volume_gib_hours, cost.worker_seconds as f64);
    }
    let seconds = manifest.finished_at.duration_since(manifest.started_at).as_secs_f64().max(0.0);
    let gib = manifest.source.size_bytes() as f64 / f64::from(1 << 30);
    (gib * seconds / 3_600.0, seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Cost;

    fn manifest(cost: Option<Cost>) -> Manifest {
        let golden = Manifest::parse(include_bytes!("../golden/manifest.json"), "").unwrap();
        let finished_at = golden.started_at + jiff::SignedDuration::from_hours(1);
        Manifest { finished_at, cost, ..golden }
    }

    fn options(volume_type: &str) -> VolumeOptions {
        VolumeOptions {
            volume_type: volume_type.into(),
            throughput_mib: None,
            iops: None,
            initialization_rate_mib: None,
            kms_key_id: None,
        }
    }

    #[test]
    fn what_was_measured_is_multiplied_by_the_price_list() {
        let measured = manifest(Some(Cost { volume_gib_hours: 7_200.0, instance_hours: 0.0, worker_seconds: 7_200 }));
        let usd = |kind: &str, manifests: &[Manifest]| estimate_usd(manifests, &options(kind), &PRICES);
        // Ten GiB-months and two hours.
        assert!((usd("gp3", std::slice::from_ref(&measured)) - (0.80 + 0.29)).abs() < 1e-9);
        assert!((usd("io2", std::slice::from_ref(&measured)) - (1.25 + 0.29)).abs() < 1e-9);
        assert!((usd("gp3", &[measured.clone(), measured]) - 2.18).abs() < 1e-9);
        assert!(usd("gp3", &[]).abs() < 1e-9);
    }

    #[test]
    fn without_measurements_the_time_of_reading_counts() {
        let unmeasured = manifest(None);
        let mut twice = unmeasured.clone();
        let crate::manifest::Origin::Disk(disk) = &mut twice.source else { panic!("not a disk") };
        disk.size_bytes *= 2;
        let usd = |manifest| estimate_usd(&[manifest], &options("gp3"), &PRICES);
        let (once, twice) = (usd(unmeasured), usd(twice));
        assert!(once > PRICES.worker_hour && twice > once, "{once} {twice}");
    }
}
