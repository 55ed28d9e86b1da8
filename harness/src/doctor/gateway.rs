//! What a gateway's own document says of its wiring.

use super::Fault;
use gate::document::Merged;
use gate::time::Timestamp;

/// Seconds that a document may be old.
const OLD_S: i64 = 60;
/// Seconds within which the use of a token's previous digest is news.
const LATELY_S: i64 = 24 * 3_600;

pub fn check(d: &Merged, now: Timestamp) -> Vec<Fault> {
    let mut faults = vec![];
    let mut fault = |what: String, remedy| {
        faults.push(Fault::new(format!("gateway {}: {what}", d.gateway.id), remedy));
    };
    let age_s = now.since(d.observed_at);
    if age_s.abs() > OLD_S {
        fault(
            format!("its document is {age_s} s old by this machine's clock"),
            "Compare both clocks, and see whether its endpoint judges (canary_gate_observed_at_seconds).",
        );
    }
    let o = &d.observer;
    if o.workers_expected.is_some_and(|expected| o.workers < expected) {
        fault(
            format!("{} of {} workers measure", o.workers, o.workers_expected.unwrap_or(0)),
            "A worker without traffic measures nothing yet; else look for `Uncaught` in Envoy's log.",
        );
    }
    if o.unreadable_slots > 0 {
        fault(
            format!("{} slots of shared data are of another version", o.unreadable_slots),
            "Both roles must run the same module; restart Envoy after an upgrade of one.",
        );
    }
    if o.previous_token_last_used.is_some_and(|at| now.since(at) < LATELY_S) {
        fault(
            "somebody still shows a token that was rotated away".to_owned(),
            "Find the caller before the previous digest ends, seven days after rotated_at.",
        );
    }
    if o.publish_failures > 0 {
        fault(
            format!("{} calls to the API server failed since it started", o.publish_failures),
            "Envoy's log has the answers; docs/operate.md, CanaryGatePublishFails.",
        );
    }
    faults
}
