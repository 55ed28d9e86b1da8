//! What operators alert on, as gauges of Envoy's own statistics: a scrape of
//! its admin port sees them without a token.
//!
//! `canary_gate_observed_at_seconds` stands beside them since a gauge stays
//! what it was when nobody judges any more.

use crate::host;
use gate::document::Merged;

/// A gauge's name, and its value in the document.
type Row = (&'static str, fn(&Merged) -> u64);

const TABLE: [Row; 10] = [
    ("canary_gate_degraded", |d| d.degraded.into()),
    ("canary_gate_scaling_frozen", |d| d.scaling.frozen.into()),
    ("canary_gate_canary_active", |d| d.canary_active.into()),
    ("canary_gate_drain", |d| d.gateway.drain.into()),
    ("canary_gate_digests_sent", |d| d.observer.digests_sent),
    ("canary_gate_digests_dropped", |d| d.observer.digests_dropped),
    ("canary_gate_publish_failures", |d| d.observer.publish_failures),
    ("canary_gate_workers", |d| d.observer.workers.into()),
    ("canary_gate_workers_expected", |d| d.observer.workers_expected.unwrap_or(0).into()),
    ("canary_gate_observed_at_seconds", |d| d.observed_at.secs()),
];

/// The gauges of one VM, defined when it first judges.
#[derive(Default)]
pub struct Stats {
    ids: Vec<Option<u32>>,
}

impl Stats {
    pub fn record(&mut self, document: &Merged) {
        if self.ids.is_empty() {
            self.ids = TABLE.iter().map(|(name, _)| host::define_gauge(name)).collect();
        }
        for (id, (_, value)) in self.ids.iter().zip(TABLE) {
            if let Some(id) = id {
                host::set_gauge(*id, value(document));
            }
        }
    }
}
