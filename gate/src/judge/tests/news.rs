//! Digests, caps, the hold's number, hashes in answers.

use super::*;
use crate::digest::{Digest, Kind};
use crate::slice::Slice;
use crate::snapshot::SeenHash;

impl Bench {
    /// Takes the next digest, as a notifier would.
    fn digest(&mut self) -> Option<Digest> {
        let digest = self.judge.outbox.next(self.now()).cloned()?;
        self.judge.outbox.delivered(&digest.id);
        Some(digest)
    }

    fn minutes(&mut self, n: usize, canary: (u64, u64)) {
        (0..n).for_each(|_| self.minute(canary, (300, 0)));
    }
}

fn kinds(digest: &Digest) -> Vec<(Kind, &str)> {
    digest.events.iter().map(|e| (e.kind, e.subject.as_str())).collect()
}

#[test]
fn a_new_gateway_tells_that_it_knows_nothing() {
    let now = Timestamp::from_secs(START);
    let mut judge = Judge::unknown(now);
    judge.step(&Window::default(), &config(), now);
    let digest = judge.outbox.next(now).unwrap();
    assert_eq!(kinds(digest), [(Kind::SignalFailed, "facts_age"), (Kind::Frozen, "")]);
    assert!(digest.events[1].text.contains("state_unknown"), "{digest:?}");
}

#[test]
fn a_failing_canary_is_one_digest_and_its_thaw_another() {
    let mut bench = Bench::active();
    while bench.digest().is_some() {}
    let mut digests = Vec::new();
    for minute in 0..40 {
        bench.minutes(1, if minute < 12 { (60, 6) } else { (60, 0) });
        digests.extend(bench.digest());
    }
    let told: Vec<_> = digests.iter().map(kinds).collect();
    assert_eq!(
        told,
        [
            vec![(Kind::SignalFailed, "canary_5xx_rate"), (Kind::Frozen, "")],
            vec![(Kind::SignalPassed, "canary_5xx_rate")],
            vec![(Kind::Thawed, "")],
        ]
    );
    assert_eq!((digests[0].frozen, digests[2].frozen), (true, false));
    assert_eq!(digests[0].frozen_by, ["canary_5xx_rate"]);
}

#[test]
fn a_restart_tells_nothing_twice_and_loses_no_digest() {
    let mut bench = Bench::active();
    while bench.digest().is_some() {}
    bench.minutes(12, (60, 6));
    let waiting = bench.judge.outbox.waiting();
    assert_eq!(waiting, 1);
    bench.judge = Judge::recover(&bench.judge.to_json().unwrap(), bench.now()).unwrap();
    bench.minutes(3, (60, 6));
    assert_eq!(bench.judge.outbox.waiting(), waiting);
    assert_eq!(kinds(&bench.digest().unwrap())[0], (Kind::SignalFailed, "canary_5xx_rate"));
}

#[test]
fn an_abort_says_what_to_run_and_where_else_to_abort() {
    let mut bench = Bench::idle();
    let begin = Command { stable_skill_hash: Some("9a70".into()), ..Command::new(Action::Begin) };
    bench.command(begin).unwrap();
    bench.command(Command::new(Action::Abort)).unwrap();
    bench.minutes(1, (0, 0));
    let text =
        bench.digest().into_iter().flat_map(|d| d.events).fold(String::new(), |t, e| t + &e.text);
    assert!(text.contains("9a70") && text.contains("harness canary abort"), "{text}");
}

#[test]
fn each_edge_looks_at_the_caps_once() {
    let mut bench = Bench::idle();
    assert_eq!(bench.judge.caps.due.next(), None);
    assert_eq!(bench.judge.cap_of("w", &bench.config), None);
    bench.command(Command::new(Action::Begin)).unwrap();
    assert_eq!(bench.judge.caps.due.next(), Some("w"));
    assert_eq!(bench.judge.cap_of("w", &bench.config), Some(7));
    bench.judge.caps.remember("w", Some(20));
    bench.judge.cap_lowered("w", Some(20), 7, bench.now());
    bench.judge.caps.due.done("w");
    bench.minutes(3, (60, 0));
    assert_eq!(bench.judge.caps.due.next(), None, "once an edge");
    assert_eq!(bench.document().scaling.original_max_replicas, Some(20));
    bench.command(Command::new(Action::Abort)).unwrap();
    assert_eq!(bench.judge.cap_of("w", &bench.config), Some(6));
    assert_eq!(bench.judge.caps.due.next(), Some("w"));
    bench.command(Command::new(Action::End)).unwrap();
    assert_eq!((bench.judge.caps.due.next(), bench.judge.cap_of("w", &bench.config)), (None, None));
    bench.minutes(1, (0, 0));
    let told: Vec<_> = std::iter::from_fn(|| bench.digest()).flat_map(|d| d.events).collect();
    assert!(
        told.iter().any(|e| e.kind == Kind::CapToRestore && e.text.contains("was 20")),
        "{told:?}"
    );
    assert_eq!(bench.document().scaling.original_max_replicas, None);
}

#[test]
fn a_red_disk_lowers_to_the_minimum_and_drains() {
    let mut bench = Bench::idle();
    bench.facts.disk_used_pct = 93.0;
    bench.minutes(1, (0, 0));
    assert_eq!(bench.judge.cap_of("w", &bench.config), Some(1));
    assert_eq!(bench.judge.caps.due.next(), Some("w"));
    assert!(kinds(&bench.digest().unwrap()).contains(&(Kind::Drain, "")));
}

#[test]
fn where_gitops_owns_the_maximum_nothing_is_lowered() {
    let mut bench = Bench::idle();
    bench.config.lowers_caps = false;
    bench.command(Command::new(Action::Begin)).unwrap();
    assert_eq!(bench.judge.caps.due.next(), None);
}

#[test]
fn a_number_of_before_the_restart_holds_only_where_it_was_held() {
    let mut bench = Bench::idle();
    bench.judge.put_replicas(2);
    let recovered = |bench: &Bench| {
        let mut judge = Judge::recover(&bench.judge.to_json().unwrap(), bench.now()).unwrap();
        judge.hold.freeze(Cause::Signal(Signal::FactsAge), bench.now());
        judge.put_replicas(10);
        judge.hold_replicas
    };
    assert_eq!(recovered(&bench), Some(10));
    bench.judge.hold.freeze(Cause::Signal(Signal::Doctor), bench.now());
    assert_eq!(recovered(&bench), Some(2));
}

#[test]
fn an_answer_to_a_lowering_that_comes_after_the_end_restores_nothing_twice() {
    let mut bench = Bench::idle();
    bench.command(Command::new(Action::Begin)).unwrap();
    bench.judge.caps.remember("w", Some(20));
    bench.command(Command::new(Action::End)).unwrap();
    bench.judge.cap_lowered("w", Some(20), 7, bench.now());
    bench.minutes(2, (0, 0));
    assert_eq!(bench.document().scaling.original_max_replicas, None);
    let told: Vec<_> = std::iter::from_fn(|| bench.digest()).flat_map(|d| d.events).collect();
    let restores = told.iter().filter(|e| e.kind == Kind::CapToRestore).count();
    assert_eq!(restores, 1, "{told:?}");
}

#[test]
fn the_hold_only_falls_while_frozen() {
    let mut bench = Bench::idle();
    let held = |bench: &Bench| bench.document().scaling.hold_replicas;
    assert_eq!(held(&bench), None, "the API server was not read");
    bench.judge.put_replicas(5);
    bench.judge.put_replicas(8);
    assert_eq!(held(&bench), Some(8));
    bench.facts.doctor_ok = false;
    bench.minutes(1, (0, 0));
    for (read, expected) in [(9, 8), (4, 4), (6, 4)] {
        bench.judge.put_replicas(read);
        assert_eq!(held(&bench), Some(expected));
    }
}

#[test]
fn a_pulled_queue_replaces_the_facts_and_grows_old() {
    let mut bench = Bench::idle();
    bench.config.pulls_queue = true;
    assert_eq!(bench.document().scaling.pending_jobs, None);
    bench.judge.put_queue_depth(40, bench.now());
    assert_eq!(bench.document().scaling.pending_jobs, Some(40));
    assert_eq!(bench.document().gateway.queue_depth, Some(40));
    bench.minutes(2, (0, 0));
    assert_eq!(bench.document().scaling.pending_jobs, None, "two minutes old");
}

#[rstest]
#[case::the_frozen_one(Slice::Canary, "c4", false)]
#[case::another(Slice::Canary, "d5", true)]
#[case::stable_runs_the_canarys(Slice::Stable, "c4", true)]
#[case::stable(Slice::Stable, "9a70", false)]
fn hashes_in_answers(#[case] slice: Slice, #[case] hash: &str, #[case] drifts: bool) {
    let mut bench = Bench::idle();
    let see = |bench: &mut Bench| {
        let at_ms = bench.now().millis();
        bench.judge.put_seen_hashes(vec![SeenHash { slice, hash: hash.into(), at_ms }]);
    };
    see(&mut bench);
    bench.minutes(1, (0, 0));
    assert!(!bench.document().degraded, "no canary is active");
    let begin = Command {
        skill_hash: Some("c4".into()),
        stable_skill_hash: Some("9a70".into()),
        ..Command::new(Action::Begin)
    };
    // What came before `begin` was from what the pack replaced.
    see(&mut bench);
    bench.command(begin).unwrap();
    bench.minutes(1, (60, 0));
    assert!(!bench.document().degraded, "seen before begin");
    see(&mut bench);
    bench.minutes(1, (60, 0));
    assert_eq!(bench.document().degraded, drifts);
    // What was seen long ago is not seen any more.
    bench.minutes(4, (60, 0));
    assert!(!bench.document().degraded);
}

/// The pause is looked at on its own edges, once after a restart, and now and
/// then while nothing asks for one.
#[test]
fn when_the_pause_is_looked_at() {
    let mut bench = Bench::idle();
    bench.config.pauses_scale_out = true;
    let looked = |bench: &mut Bench, is_marked: bool| {
        let due = bench.judge.pauses.due.next().map(str::to_owned);
        if let Some(name) = &due {
            let now = bench.now();
            bench.judge.pause_is_right(name, is_marked, now);
        }
        due.is_some()
    };
    bench.facts.doctor_ok = false;
    bench.minutes(1, (0, 0));
    assert!(looked(&mut bench, true));
    bench.minutes(20, (0, 0));
    assert!(!looked(&mut bench, true), "once, while it holds");
    let mut restarted = Judge::recover(&bench.judge.to_json().unwrap(), bench.now()).unwrap();
    std::mem::swap(&mut bench.judge, &mut restarted);
    bench.minutes(1, (0, 0));
    assert!(looked(&mut bench, true), "what the last process wrote");
    bench.facts.doctor_ok = true;
    bench.minutes(3, (0, 0));
    let refused = bench.command(Command::new(Action::Sleep)).unwrap_err();
    assert!(refused.0.contains("pause of scale-out"), "{refused:?}");
    assert!(looked(&mut bench, false));
    bench.minutes(12, (0, 0));
    assert!(!looked(&mut bench, false));
    bench.minutes(3, (0, 0));
    assert!(looked(&mut bench, false), "what landed later");
    bench.command(Command::new(Action::Sleep)).unwrap();
}

#[test]
fn a_yellow_2tb_disk_alone_pauses_nothing() {
    let mut bench = Bench::idle();
    bench.config.pauses_scale_out = true;
    bench.config.disk_tier = DiskTier::Tb2;
    bench.facts.disk_used_pct = 80.0;
    bench.minutes(1, (0, 0));
    assert!(bench.judge.hold.frozen() && !bench.judge.pauses_scale_out(&bench.config));
    bench.facts.doctor_ok = false;
    bench.minutes(1, (0, 0));
    assert!(bench.judge.pauses_scale_out(&bench.config));
}
