//! `PUT /keda/canary`: an operator's command.
//!
//! Any worker takes it, numbers it and waits; the lease holder applies
//! commands in order. The caller is answered when the verdict with its number
//! is published, or after ten seconds told that it is not yet. The command is
//! kept then, and published as soon as that works.

use super::answer;
use crate::host;
use crate::shared::{self, State};
use gate::canary::Command;
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// How long a caller waits.
const PATIENCE: Duration = Duration::from_secs(10);

struct Waiting {
    context_id: u32,
    /// None while the body is still to come.
    number: Option<u64>,
    since: Instant,
}

thread_local! {
    /// Streams of this VM that wait: for their body, or for their command.
    static WAITING: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) };
}

/// A request whose body is to come; it is answered in time even if that never does.
pub fn expect_body(context_id: u32) {
    WAITING.with_borrow_mut(|w| {
        w.push(Waiting { context_id, number: None, since: host::instant() });
    });
}

pub fn put(body: &[u8], context_id: u32) {
    forget(context_id);
    match Command::parse(body) {
        Err(e) => {
            answer(400, &e);
        }
        Ok(command) => match shared::append_command(&command) {
            Some(number) => WAITING.with_borrow_mut(|w| {
                let number = Some(number);
                w.push(Waiting { context_id, number, since: host::instant() });
            }),
            None => {
                answer(503, "too many commands wait to be applied, send it again later");
            }
        },
    }
}

/// A stream that ended waits no more.
pub fn forget(context_id: u32) {
    WAITING.with_borrow_mut(|w| w.retain(|w| w.context_id != context_id));
}

pub fn anyone_waits() -> bool {
    WAITING.with_borrow(|w| !w.is_empty())
}

/// What to tell the caller whose command has `number`.
fn outcome(state: &State, number: u64, waited: Duration) -> Option<(u32, String)> {
    let applied = state.outcomes.iter().find(|(n, _)| *n == number);
    match applied {
        Some((_, Some(conflict))) => Some((409, conflict.clone())),
        _ if state.superseded => {
            Some((503, "a newer process of this gateway publishes, send it there".to_owned()))
        }
        Some((_, None)) if state.published >= number => Some((204, String::new())),
        _ if waited >= PATIENCE => Some((
            503,
            "the verdict is not published yet; the command is kept and will be".to_owned(),
        )),
        _ => None,
    }
}

/// Answers every stream of this VM whose command is done.
pub fn answer_waiting() {
    if !anyone_waits() {
        return;
    }
    let now = host::instant();
    let state = shared::state();
    // Collected first: answering ends a stream, which calls `forget`.
    let done: Vec<(u32, (u32, String))> = WAITING.with_borrow(|waiting| {
        waiting
            .iter()
            .filter_map(|w| {
                let waited = now.saturating_duration_since(w.since);
                let done = match (w.number, &state) {
                    (None, _) => {
                        (waited >= PATIENCE).then(|| (408, "the body did not arrive".to_owned()))
                    }
                    (Some(number), Some(state)) => outcome(state, number, waited),
                    (Some(_), None) => (waited >= PATIENCE)
                        .then(|| (503, "no worker judges yet; the command is kept".to_owned())),
                };
                done.map(|d| (w.context_id, d))
            })
            .collect()
    });
    for (context_id, (status, text)) in done {
        forget(context_id);
        if host::select_stream(context_id) {
            answer(status, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gate::time::Timestamp;
    use rstest::rstest;

    #[rstest]
    #[case::applied_not_published(1, 0, None, 0, None)]
    #[case::published(1, 1, None, 0, Some(204))]
    #[case::conflict(1, 0, Some("no"), 0, Some(409))]
    #[case::patience_ends(1, 0, None, 10, Some(503))]
    #[case::not_applied_yet(0, 0, None, 9, None)]
    #[case::published_but_never_applied(0, 1, None, 9, None)]
    fn outcomes(
        #[case] applied: u64,
        #[case] published: u64,
        #[case] conflict: Option<&str>,
        #[case] waited: u64,
        #[case] expected: Option<u32>,
    ) {
        let mut state = State::new(String::new(), Timestamp::from_secs(1_795_510_800), true);
        if applied == 1 {
            state.note_outcome(1, conflict.map(str::to_owned));
        }
        state.published = published;
        let got = outcome(&state, 1, Duration::from_secs(waited));
        assert_eq!(got.map(|o| o.0), expected);
    }
}
