//! Multipart upload sizes, planned from the size of the source.
//!
//! Limits: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.

use serde::{Deserialize, Serialize};

/// Most parts of one upload.
pub const MAX_PARTS: u32 = 10_000;
/// Smallest part, except the last.
pub const MIN_PART_BYTES: u64 = 5 << 20;
/// Largest part.
pub const MAX_PART_BYTES: u64 = 5 << 30;
/// Largest object: 10,000 parts of 5 GiB.
pub const MAX_OBJECT_BYTES: u64 = MAX_PARTS as u64 * MAX_PART_BYTES;
/// What a part has when nothing asks for more: four of them in flight saturate a connection to S3.
pub const DEFAULT_PART_BYTES: u64 = 16 << 20;

/// Parts that hold the planned size. Those after them grow.
const PLANNED_PARTS: u32 = 8_000;
/// How many parts are uploaded before the size doubles again.
const DOUBLING_PARTS: u32 = 250;

/// A source whose export S3 could not hold in one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an object of up to {needed_bytes} bytes exceeds what S3 can hold in one ({MAX_OBJECT_BYTES} bytes)")]
pub struct TooLarge {
    /// The planned size of the object.
    pub needed_bytes: u64,
}

/// How large each part of an upload is.
///
/// The first 8,000 parts hold what the size of the source leads to expect. A filesystem can hold more than its device:
/// reflinks and snapshots are stored once and archived as often as they are seen. So the parts after those double every
/// 250, which carries a stream to thirteen times its planned size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartPlan {
    base_bytes: u64,
}

impl PartPlan {
    /// Plans for a source of `source_bytes`. Compression may gain nothing, and headers add to it: one eighth and 64 MiB
    /// are allowed for.
    pub fn for_source(source_bytes: u64) -> Result<Self, TooLarge> {
        let needed_bytes = source_bytes.saturating_add(source_bytes / 8).saturating_add(64 << 20);
        if needed_bytes > MAX_OBJECT_BYTES {
            return Err(TooLarge { needed_bytes });
        }
        let base_bytes = needed_bytes.div_ceil(u64::from(PLANNED_PARTS)).next_multiple_of(1 << 20);
        Ok(Self { base_bytes: base_bytes.clamp(DEFAULT_PART_BYTES, MAX_PART_BYTES) })
    }

    /// A plan whose parts begin with `base_bytes`, brought within S3's limits.
    pub fn with_base(base_bytes: u64) -> Self {
        Self { base_bytes: base_bytes.clamp(MIN_PART_BYTES, MAX_PART_BYTES) }
    }

    /// The size of part `number`, which counts from 1; `None` past the last part that S3 takes.
    pub fn part_bytes(self, number: u32) -> Option<u64> {
        match number {
            0 => None,
            n if n <= PLANNED_PARTS => Some(self.base_bytes),
            n if n <= MAX_PARTS => {
                let doublings = (n - PLANNED_PARTS - 1) / DOUBLING_PARTS + 1;
                Some(self.base_bytes.saturating_mul(1 << doublings).min(MAX_PART_BYTES))
            }
            _ => None,
        }
    }

    /// The most bytes that an upload by this plan can have.
    pub fn capacity_bytes(self) -> u64 {
        (1..=MAX_PARTS).filter_map(|n| self.part_bytes(n)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_volumes_use_the_default_part() {
        let plan = PartPlan::for_source(8 << 30).unwrap();
        assert_eq!(plan.part_bytes(1), Some(DEFAULT_PART_BYTES));
        assert_eq!(plan.part_bytes(0), None);
        assert_eq!(plan.part_bytes(MAX_PARTS + 1), None);
    }

    #[test]
    fn a_volume_full_of_reflinks_still_fits() {
        let source = 100 << 30;
        assert!(PartPlan::for_source(source).unwrap().capacity_bytes() > 13 * source);
    }

    #[test]
    fn what_s3_cannot_hold_is_refused() {
        assert!(PartPlan::for_source(64 << 40).is_err());
        assert!(PartPlan::for_source(40 << 40).is_ok());
    }

    proptest! {
        #[test]
        fn every_plan_is_within_the_limits(source in 0_u64..(40 << 40)) {
            let plan = PartPlan::for_source(source).unwrap();
            for number in [1, 2, PLANNED_PARTS, PLANNED_PARTS + 1, 9_000, MAX_PARTS] {
                let bytes = plan.part_bytes(number).unwrap();
                prop_assert!((MIN_PART_BYTES..=MAX_PART_BYTES).contains(&bytes));
            }
            prop_assert!(plan.capacity_bytes() >= source);
            prop_assert!(plan.capacity_bytes() <= MAX_OBJECT_BYTES);
        }
    }
}
