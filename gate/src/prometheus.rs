//! The merged document as Prometheus text (exposition format 0.0.4).
//!
//! One table: name, help and value of each metric. What is not known is
//! absent, so that no alert fires or clears on a made-up zero.

use crate::document::{Merged, SignalBlock};
use crate::signals::Outcome;
use std::fmt::Write;

/// Content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every metric is a gauge, but for those that end in `_total`.
pub fn text(d: &Merged) -> String {
    let flag = |b: bool| Some(f64::from(u8::from(b)));
    let count = |n: u64| Some(n as f64);
    let small = |n: u32| Some(f64::from(n));
    let of_slices = |canary: Option<f64>, stable: Option<f64>| {
        vec![(r#"slice="canary""#.to_owned(), canary), (r#"slice="stable""#.to_owned(), stable)]
    };
    let one = |value: Option<f64>| vec![(String::new(), value)];
    let (c, s, g, o) = (&d.canary, &d.stable, &d.gateway, &d.observer);
    let failing = d.signals.iter().map(|signal| {
        let fails = flag(signal.verdict == Outcome::Fail);
        (format!(r#"signal="{}""#, signal.name.name()), fails)
    });
    let of_signals = |value: fn(&SignalBlock) -> Option<f64>| -> Vec<(String, Option<f64>)> {
        let label = |s: &SignalBlock| format!(r#"signal="{}""#, s.name.name());
        d.signals.iter().map(|s| (label(s), value(s))).collect()
    };
    let metrics = [
        ("degraded", "A signal fails.", one(flag(d.degraded))),
        (
            "canary_active",
            "A canary is active, or whether one is, is not known.",
            one(flag(d.canary_active)),
        ),
        ("aborted", "The canary was aborted and not ended.", one(flag(d.aborted))),
        ("maintenance", "The lane is in maintenance.", one(flag(d.maintenance))),
        ("asleep", "The last verdict stands until wake.", one(flag(d.asleep))),
        ("canary_weight", "The canary's share of traffic, 0 to 1.", one(c.weight)),
        ("scaling_frozen", "Scale-up is held.", one(small(d.scaling.frozen))),
        (
            "scaling_hold_replicas",
            "Replicas that KEDA holds while frozen.",
            one(d.scaling.hold_replicas.and_then(small)),
        ),
        (
            "scaling_max_replicas",
            "Most replicas that the lane may have now.",
            one(d.scaling.max_replicas.and_then(small)),
        ),
        (
            "scaling_original_max_replicas",
            "maxReplicaCount before this gateway lowered it.",
            one(d.scaling.original_max_replicas.and_then(small)),
        ),
        (
            "pending_jobs",
            "Jobs that wait in the queue.",
            one(d.scaling.pending_jobs.and_then(count)),
        ),
        ("signal_failing", "Whether a signal fails.", failing.collect()),
        ("signal_value", "What a signal reads.", of_signals(|s| s.value)),
        ("signal_limit", "What a signal is held against.", of_signals(|s| s.limit)),
        (
            "signal_requests_needed",
            "Requests that a signal needs before it can pass.",
            of_signals(|s| s.requests_needed.map(|n| n as f64)),
        ),
        (
            "requests",
            "Requests of the last window.",
            of_slices(count(c.requests), count(s.requests)),
        ),
        ("errors", "Errors of the last window.", of_slices(count(c.errors), count(s.errors))),
        (
            "local_errors",
            "Errors of the last window that another filter made.",
            of_slices(count(c.local_errors), count(s.local_errors)),
        ),
        (
            "aborted_requests",
            "Requests of the last window whose client went away.",
            of_slices(count(c.aborted), count(s.aborted)),
        ),
        (
            "error_ratio",
            "Errors over requests of the last window.",
            of_slices(c.rate_5xx, s.rate_5xx),
        ),
        (
            "latency_p99_milliseconds",
            "99th percentile of the last window.",
            of_slices(c.p99_ms, s.p99_ms),
        ),
        ("disk_used_percent", "Disk in use on the gateway's node.", one(g.disk_used_pct)),
        ("doctor_ok", "Every deep check of the node passed.", one(g.doctor_ok.and_then(flag))),
        ("drain", "The canary VIP drains.", one(flag(g.drain))),
        (
            "promotion_frozen",
            "Skill packs are locked and promotions paused.",
            one(flag(d.promotion_frozen)),
        ),
        (
            "observed_at_seconds",
            "When this was observed, seconds since the epoch.",
            one(Some(d.observed_at.millis() as f64 / 1000.0)),
        ),
        ("workers", "Workers that measure.", one(small(o.workers))),
        (
            "workers_expected",
            "Workers that the configuration says there are.",
            one(o.workers_expected.and_then(small)),
        ),
        (
            "unclassified_requests",
            "Requests of the last window that named no slice.",
            one(count(o.unclassified)),
        ),
        (
            "unreadable_slots",
            "Slots of shared data that this version does not read.",
            one(count(o.unreadable_slots)),
        ),
        (
            "previous_token_last_used_seconds",
            "When a token that was rotated away was last used.",
            one(o.previous_token_last_used.map(|at| at.millis() as f64 / 1000.0)),
        ),
        ("digests_sent_total", "Digests that the notifier took.", one(count(o.digests_sent))),
        (
            "digests_dropped_total",
            "Digests that fell out of the outbox unsent.",
            one(count(o.digests_dropped)),
        ),
        (
            "publish_failures_total",
            "Calls to the API server that failed.",
            one(count(o.publish_failures)),
        ),
        (
            "restarts_total",
            "Judging or measuring VMs that ended, were lost or restarted.",
            one(count(o.restarts)),
        ),
    ];
    let mut text = String::new();
    for (name, help, samples) in metrics {
        let known: Vec<_> = samples.into_iter().filter_map(|(l, v)| Some((l, v?))).collect();
        if known.is_empty() {
            continue;
        }
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        let _ =
            write!(text, "# HELP canary_gate_{name} {help}\n# TYPE canary_gate_{name} {kind}\n");
        for (labels, value) in known {
            // Names of lanes and gateways are checked: letters, digits, `-` and `.`.
            let gateway = format!(r#"lane="{}",gateway="{}",az="{}""#, d.keda, g.id, g.az);
            let labels = if labels.is_empty() { gateway } else { format!("{gateway},{labels}") };
            let _ = writeln!(text, "canary_gate_{name}{{{labels}}} {value}");
        }
    }
    text
}
