//! `PUT /keda/facts`: node facts from the launchd job.

use super::answer;
use crate::{host, shared};
use gate::facts::Facts;

pub fn put(body: &[u8]) {
    let now = host::now();
    match Facts::parse(body, now) {
        Ok(facts) if shared::put_facts(&facts, now) => answer(204, ""),
        Ok(_) => answer(503, "the facts could not be stored, send them again"),
        Err(e) => answer(400, &e),
    };
}
