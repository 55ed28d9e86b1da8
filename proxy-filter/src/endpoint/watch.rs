//! Tokens: who used one that is rotated away, which is about to be refused, and
//! who asks for a measurement that is another's.

use super::auth;
use crate::config::Config;
use crate::shared;
use gate::rotation;
use gate::time::Timestamp;

/// Once a polling window: what happened since goes into a digest.
/// What was taken is noted in the state at once: a step whose state is not
/// written would lose it.
pub fn tokens(config: &Config, now: Timestamp) {
    let previous = config.tokens.iter().filter(|t| t.previous.is_some());
    let ending: Vec<_> = previous
        .filter_map(|t| Some((&t.name, auth::overlap_ends(t, config.windows.poll_s)?)))
        .filter(|(_, ends)| rotation::ends_soon(*ends, now))
        .collect();
    let intruders = shared::take_intruders();
    if ending.is_empty() && intruders.is_empty() {
        return;
    }
    let owner = config.measure_owner.as_deref().unwrap_or_default();
    shared::update_state(|state| {
        for (name, ends) in &ending {
            state.judge.token_expires(name, *ends, now);
        }
        for (name, times) in &intruders {
            state.judge.measured_by_another(name, *times, owner, now);
        }
    });
}
