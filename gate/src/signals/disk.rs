//! `disk`: is the gateway's disk below its watermarks?
//!
//! Yellow stops scale-up; red also lowers the cap to the minimum and drains
//! the canary VIP. The yellow mark is lower on the 2 TB tier, whose stable
//! lane in return keeps its own cap.

use super::{Outcome, Reading};
use crate::facts::{DiskTier, Facts};
use crate::threshold::Thresholds;

crate::named_enum! {
    /// Worst first when ordered descending.
    #[derive(Default)]
    pub enum DiskLevel {
        #[default]
        Ok = "ok",
        Yellow = "yellow",
        Red = "red",
    }
}

/// The yellow watermark of a tier, percent.
pub fn yellow_pct(tier: DiskTier, limits: &Thresholds) -> f64 {
    match tier {
        DiskTier::Tb1 => limits.disk_yellow_1tb_pct,
        DiskTier::Tb2 => limits.disk_yellow_2tb_pct,
    }
}

pub fn level(used_pct: f64, tier: DiskTier, limits: &Thresholds) -> DiskLevel {
    if used_pct >= limits.disk_red_pct {
        DiskLevel::Red
    } else if used_pct >= yellow_pct(tier, limits) {
        DiskLevel::Yellow
    } else {
        DiskLevel::Ok
    }
}

pub fn evaluate(facts: &Facts, tier: DiskTier, limits: &Thresholds) -> Reading {
    let used = facts.disk_used_pct;
    let yellow = yellow_pct(tier, limits);
    match level(used, tier, limits) {
        DiskLevel::Ok => {
            Reading::new(Outcome::Pass, format!("{used} % used, yellow at {yellow} %"))
        }
        DiskLevel::Yellow => Reading::new(
            Outcome::Fail,
            format!("{used} % used, yellow at {yellow} %: free space on the gateway"),
        ),
        DiskLevel::Red => Reading::new(
            Outcome::Fail,
            format!("{used} % used, red at {} %: free space on the gateway", limits.disk_red_pct),
        ),
    }
    .with(used, yellow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(81.9, DiskTier::Tb1, DiskLevel::Ok)]
    #[case(82.0, DiskTier::Tb1, DiskLevel::Yellow)]
    #[case(77.9, DiskTier::Tb2, DiskLevel::Ok)]
    #[case(78.0, DiskTier::Tb2, DiskLevel::Yellow)]
    #[case(89.9, DiskTier::Tb2, DiskLevel::Yellow)]
    #[case(90.0, DiskTier::Tb1, DiskLevel::Red)]
    #[case(100.0, DiskTier::Tb2, DiskLevel::Red)]
    fn watermarks(#[case] used: f64, #[case] tier: DiskTier, #[case] expected: DiskLevel) {
        assert_eq!(level(used, tier, &Thresholds::default()), expected);
    }
}
