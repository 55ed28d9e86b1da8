//! Tokens: who used one that is rotated away, which is about to be refused, and
//! who asks for a measurement that is another's.

use super::auth;
use crate::config::Config;
use crate::shared;
use gate::judge::Judge;
use gate::time::Timestamp;

/// How long before a previous digest is refused a digest says so, seconds.
const WARN_BEFORE_S: u64 = 24 * 3_600;

/// Once a polling window: what happened since goes into a digest.
pub fn tokens(config: &Config, judge: &mut Judge, now: Timestamp) {
    for token in config.tokens.iter().filter(|t| t.previous.is_some()) {
        let Some(ends) = auth::overlap_ends(token, config.windows.poll_s) else { continue };
        let left_s = ends.since(now);
        if (0..=i64::try_from(WARN_BEFORE_S).unwrap_or(i64::MAX)).contains(&left_s) {
            judge.token_expires(&token.name, ends, now);
        }
    }
    let owner = config.measure_owner.as_deref().unwrap_or_default();
    for (name, times) in shared::take_intruders() {
        judge.measured_by_another(&name, times, owner, now);
    }
}
