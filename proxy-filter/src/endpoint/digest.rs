//! `GET /keda/digest`: the last failure digests, newest first.

use super::{answer, Next};
use crate::{host, shared};
use gate::digest::Digest;
use serde::Serialize;

#[derive(Serialize)]
struct Digests<'a> {
    sent: u64,
    /// Closed, and not yet taken by the notifier.
    waiting: usize,
    dropped: u64,
    digests: Vec<&'a Digest>,
}

pub fn serve() -> Next {
    let Some(state) = shared::state() else {
        return answer(503, "no worker judges yet");
    };
    let outbox = &state.judge.outbox;
    let digests = Digests {
        sent: outbox.sent,
        waiting: outbox.waiting(),
        dropped: outbox.dropped,
        digests: outbox.last().collect(),
    };
    match serde_json::to_vec_pretty(&digests) {
        Ok(json) => host::respond(200, "application/json", &json),
        Err(e) => return answer(500, &format!("the digests cannot be written: {e}")),
    }
    Next::Hold
}
