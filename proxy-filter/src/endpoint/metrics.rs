//! `GET /keda/metrics`: the merged document as the judge last wrote it.
//!
//! Every answer within one tick is the same snapshot, on any worker. A
//! document that nobody renews any more is not served: KEDA would act on it.

use super::auth::Caller;
use super::{answer, Next};
use crate::config::{Config, TokenRole};
use crate::{host, shared};

/// Ticks after which a document is no longer served.
const MAX_AGE_TICKS: u64 = 6;

pub fn serve(config: &Config, caller: &Caller) -> Next {
    if let (TokenRole::Measure, Some(owner)) = (caller.role, &config.measure_owner) {
        if caller.name != *owner {
            return answer(
                409,
                &format!("this measurement belongs to `{owner}`; use a token of role read"),
            );
        }
    }
    let Some((observed_at, json)) = shared::document() else {
        return answer(503, "no document yet; it comes with the first tick");
    };
    let age_s = host::now().since(observed_at);
    let most = i64::try_from(MAX_AGE_TICKS * config.windows.tick_s).unwrap_or(i64::MAX);
    // One from the future is from before the clock was corrected.
    if !(-most..=most).contains(&age_s) {
        return answer(503, &format!("the document is {age_s} s old: no worker judges any more"));
    }
    host::respond(200, "application/json", &json);
    Next::Hold
}
