//! `PUT /keda/facts`: node facts from the launchd job.

use super::answer;
use crate::{host, shared};
use gate::facts::Facts;

/// Facts that are stale already freeze the lane; who sends them must know why.
pub fn put(body: &[u8], max_age_s: u64) {
    let now = host::now();
    let facts = Facts::parse(body, now);
    match facts.and_then(|f| f.too_old(now, max_age_s).map_or(Ok(f), Err)) {
        Ok(facts) if shared::put_facts(&facts, now) => answer(204, ""),
        Ok(_) => answer(503, "the facts could not be stored, send them again"),
        Err(e) => answer(400, &e),
    };
}
