use super::*;
use crate::document::{Merged, Observer};
use crate::window::Bucket;
use rstest::rstest;

mod news;

const START: i64 = 1_795_510_800; // 2026-11-24T09:00:00Z, a full minute

fn config() -> Config {
    Config {
        gateway: "gw-a1".into(),
        az: "a".into(),
        gateway_version: "2026.11.1".into(),
        disk_tier: DiskTier::Tb1,
        lane: "openclaw-build-lane".into(),
        size: LaneSize { stable_replicas: 6, headroom: 1, min_replicas: 1 },
        judge: canary_5xx_rate::Judge::MultiHorizon,
        periods: Periods::default(),
        thresholds: Thresholds::default(),
        abort_on_fail: false,
        targets: vec![serde_json::from_str(
            r#"{"kind":"Deployment","name":"w","slice":"stable","scaledObject":"w"}"#,
        )
        .unwrap()],
        lowers_caps: true,
        pauses_scale_out: false,
        pulls_queue: false,
        has_notifier: true,
    }
}

fn facts(at: Timestamp) -> Facts {
    Facts {
        at,
        disk_used_pct: 50.0,
        disk_tier: None,
        doctor_ok: true,
        doctor_failures: vec![],
        skill_hash: Some("c4".into()),
        queue_depth: Some(3),
        degraded: false,
    }
}

/// A gateway in virtual time: one step at the poll of each minute.
struct Bench {
    judge: Judge,
    window: Window,
    config: Config,
    minute: i64,
    facts: Facts,
    events: Vec<(&'static str, i64)>,
}

impl Bench {
    fn idle() -> Self {
        let now = Timestamp::from_secs(START);
        let mut judge = Judge::unknown(now);
        judge.put_facts(facts(now), now);
        judge.command(&Command::new(Action::End), &config(), now).unwrap();
        let mut bench = Self {
            judge,
            window: Window::default(),
            config: config(),
            minute: 0,
            facts: facts(now),
            events: vec![],
        };
        bench.judge.step(&bench.window, &bench.config, now);
        bench
    }

    fn active() -> Self {
        let mut bench = Self::idle();
        let begin = Command { skill_hash: Some("c4".into()), ..Command::new(Action::Begin) };
        bench.command(begin).unwrap();
        bench
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs(START + self.minute * 60)
    }

    fn command(&mut self, c: Command) -> Result<(), Conflict> {
        let now = self.now();
        self.judge.command(&c, &self.config, now)
    }

    fn minute(&mut self, canary: (u64, u64), stable: (u64, u64)) {
        let mut b = Bucket { index: (START / 60 + self.minute) as u64, ..Bucket::default() };
        for (counts, (n, k)) in [(&mut b.canary, canary), (&mut b.stable, stable)] {
            counts.requests = n;
            counts.errors = k;
            (0..n).for_each(|_| counts.latencies.record(100_000));
        }
        self.window.add(&b);
        self.minute += 1;
        // As on a gateway: the poll comes a tick after the minute, facts before it.
        let now = self.now().plus_secs(6);
        self.judge.put_facts(Facts { at: now, ..self.facts.clone() }, now);
        let before = self.judge.hold.frozen();
        self.judge.step(&self.window, &self.config, now);
        match (before, self.judge.hold.frozen()) {
            (false, true) => self.events.push(("freeze", self.minute)),
            (true, false) => self.events.push(("thaw", self.minute)),
            _ => {}
        }
    }

    fn document(&self) -> Merged {
        self.judge.document(
            &self.window,
            &self.config,
            Observer::default(),
            self.now().plus_secs(6),
        )
    }
}

#[test]
fn an_idle_lane_is_healthy_and_waits_for_no_evidence() {
    let mut b = Bench::idle();
    b.minute((0, 0), (0, 0));
    let d = b.document();
    assert_eq!((d.status, d.degraded, d.canary_active), (Status::Healthy, false, false));
    assert_eq!((d.scaling.frozen, d.scaling.max_replicas), (0, None));
}

#[test]
fn a_canary_warms_until_it_has_evidence() {
    let mut b = Bench::active();
    for _ in 0..4 {
        b.minute((100, 0), (1000, 0));
    }
    assert_eq!(b.document().status, Status::Warming);
    assert_eq!(b.document().signals[0].requests_needed, Some(59));
    b.minute((100, 0), (1000, 0));
    let d = b.document();
    assert_eq!(d.status, Status::Healthy, "{:?}", d.signals);
    assert_eq!((d.scaling.max_replicas, d.promotion_frozen), (Some(7), true));
}

#[test]
fn a_failing_canary_freezes_heals_and_thaws() {
    let mut b = Bench::active();
    (0..10).for_each(|_| b.minute((60, 0), (600, 0)));
    (0..5).for_each(|_| b.minute((60, 12), (600, 1)));
    let d = b.document();
    assert_eq!((d.status, d.degraded, d.scaling.frozen), (Status::Degraded, true, 1));
    assert_eq!(d.scaling.frozen_by, ["canary_5xx_rate"]);
    (0..30).for_each(|_| b.minute((60, 0), (600, 1)));
    assert_eq!(b.events, [("freeze", 13), ("thaw", 24)]);
    assert_eq!(b.document().status, Status::Healthy);
}

#[test]
fn no_data_never_clears_a_hold() {
    let mut b = Bench::active();
    (0..5).for_each(|_| b.minute((60, 12), (600, 1)));
    assert!(b.judge.hold.frozen());
    (0..240).for_each(|_| b.minute((0, 0), (600, 1)));
    assert!(b.judge.hold.frozen());
    b.command(Command::new(Action::End)).unwrap();
    assert!(!b.judge.hold.frozen());
}

#[rstest]
#[case::disk(Facts { disk_used_pct: 82.0, ..facts(Timestamp::from_secs(0)) }, "disk")]
#[case::doctor(Facts { doctor_ok: false, ..facts(Timestamp::from_secs(0)) }, "doctor")]
#[case::node(Facts { degraded: true, ..facts(Timestamp::from_secs(0)) }, "node_degraded")]
#[case::hash(Facts { skill_hash: Some("other".into()), ..facts(Timestamp::from_secs(0)) }, "skill_hash")]
fn a_node_signal_freezes_at_once_and_thaws_after_two_polls(#[case] bad: Facts, #[case] name: &str) {
    let mut b = Bench::active();
    b.minute((60, 0), (60, 0));
    b.judge.put_facts(Facts { at: b.now().plus_secs(20), ..bad }, b.now().plus_secs(20));
    b.judge.step(&b.window, &b.config, b.now().plus_secs(20));
    assert!(b.judge.hold.frozen(), "between two polls");
    assert_eq!(b.judge.verdict(&b.config, b.now().plus_secs(20)).frozen_by[0].name(), name);
    b.minute((60, 0), (60, 0));
    assert!(b.judge.hold.frozen());
    b.minute((60, 0), (60, 0));
    assert!(!b.judge.hold.frozen());
}

#[test]
fn old_facts_fail_closed() {
    let mut b = Bench::idle();
    b.judge.step(&b.window, &b.config, b.now().plus_secs(90));
    assert!(!b.judge.hold.frozen());
    b.judge.step(&b.window, &b.config, b.now().plus_secs(91));
    assert!(b.judge.hold.frozen());
    let d = b.judge.document(&b.window, &b.config, Observer::default(), b.now().plus_secs(91));
    assert_eq!((d.gateway.disk_ok, d.gateway.queue_depth), (false, None));
}

#[test]
fn a_deep_queue_warms_and_never_freezes() {
    let mut b = Bench::active();
    (0..6).for_each(|_| b.minute((100, 0), (1000, 0)));
    b.facts.queue_depth = Some(40);
    b.minute((100, 0), (1000, 0));
    let d = b.document();
    assert_eq!((d.status, d.degraded, d.scaling.frozen), (Status::Warming, false, 0));
    let c = Command { weight: Some(0.5), ..Command::new(Action::Weight) };
    assert!(b.command(c).unwrap_err().0.contains("queue"));
}

#[test]
fn abort_on_fail_aborts_after_two_polls_and_stays_until_end() {
    let mut b = Bench::active();
    b.config.abort_on_fail = true;
    (0..6).for_each(|_| b.minute((60, 12), (600, 1)));
    let d = b.document();
    assert!(d.aborted && !d.canary_active);
    assert_eq!((d.scaling.frozen, d.scaling.max_replicas), (0, Some(6)));
    b.command(Command::new(Action::Begin)).unwrap_err();
    b.command(Command::new(Action::End)).unwrap();
    assert!(!b.document().aborted);
}

#[test]
fn a_late_tick_makes_up_for_the_polls_it_missed() {
    let (mut on_time, mut late) = (Bench::active(), Bench::active());
    let minutes = |b: &mut Bench, skip: std::ops::Range<i64>| {
        for m in 0..12 {
            let canary = if (4..9).contains(&m) { (60, 12) } else { (60, 0) };
            if skip.contains(&m) {
                let mut bucket = Bucket { index: (START / 60 + m) as u64, ..Bucket::default() };
                bucket.canary.requests = canary.0;
                bucket.canary.errors = canary.1;
                (0..canary.0).for_each(|_| bucket.canary.latencies.record(100_000));
                b.window.add(&bucket);
                b.minute = m + 1;
            } else {
                b.minute(canary, (0, 0));
            }
        }
    };
    minutes(&mut on_time, 0..0);
    minutes(&mut late, 5..10);
    assert_eq!(late.judge.hold.frozen(), on_time.judge.hold.frozen());
    assert_eq!(late.judge.rate, on_time.judge.rate);
}

#[test]
fn a_restart_keeps_what_was_decided() {
    let mut b = Bench::active();
    (0..6).for_each(|_| b.minute((60, 12), (600, 1)));
    let later = b.now().plus_secs(100_000);
    let recovered = Judge::recover(&b.judge.to_json().unwrap(), later).unwrap();
    assert!(recovered.canary.active && recovered.hold.frozen());
    assert_eq!(recovered.hold, b.judge.hold);
    assert_eq!(recovered.facts, b.judge.facts);
    assert!(recovered.epoch > b.judge.epoch);
}

#[rstest]
#[case("")]
#[case("{}")]
#[case(r#"{"version":2}"#)]
fn a_malformed_state_recovers_nothing(#[case] state: &str) {
    Judge::recover(state, Timestamp::from_secs(START)).unwrap_err();
}

#[test]
fn an_unknown_past_is_frozen_and_active_until_end() {
    let mut j = Judge::unknown(Timestamp::from_secs(START));
    let v = j.verdict(&config(), Timestamp::from_secs(START));
    assert!(v.canary_active && v.frozen && v.promotion_frozen);
    assert_eq!(v.status, Status::Degraded, "no facts either");
    j.command(&Command::new(Action::End), &config(), Timestamp::from_secs(START)).unwrap();
    assert!(!j.canary_active());
}
