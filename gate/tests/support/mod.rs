//! The gateway that the judge's traces run on.

use gate::canary::{Action, Command};
use gate::facts::{DiskTier, Facts};
use gate::judge::{Config, Judge};
use gate::scaling::LaneSize;
use gate::signals::canary_5xx_rate;
use gate::threshold::Thresholds;
use gate::time::Timestamp;
use gate::window::Periods;

/// A full minute, and so the edge of a bucket.
pub const START: Timestamp = Timestamp::from_secs(1_795_510_800);

pub fn config(judge: canary_5xx_rate::Judge) -> Config {
    Config {
        gateway: "gw-a1".into(),
        az: "a".into(),
        gateway_version: "1".into(),
        disk_tier: DiskTier::Tb1,
        lane: "lane".into(),
        size: LaneSize { stable_replicas: 6, headroom: 1, min_replicas: 1 },
        judge,
        periods: Periods::default(),
        thresholds: Thresholds::default(),
        abort_on_fail: false,
        targets: vec![],
        lowers_caps: false,
        pauses_scale_out: false,
        pulls_queue: false,
        has_notifier: false,
    }
}

pub fn facts(at: Timestamp) -> Facts {
    let body = format!(r#"{{"at":"{at}","disk_used_pct":50,"doctor_ok":true,"queue_depth":3}}"#);
    Facts::parse(body.as_bytes(), at).unwrap()
}

/// A judge with a canary active from a time on.
pub fn active(config: &Config, at: Timestamp) -> Judge {
    let mut judge = Judge::unknown(at);
    judge.put_facts(facts(at), at);
    for action in [Action::End, Action::Begin] {
        judge.command(&Command::new(action), config, at).unwrap();
    }
    judge
}
