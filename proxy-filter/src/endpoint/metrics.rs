//! `GET /keda/metrics`: the merged document as the judge last wrote it.
//!
//! Every answer within one tick is the same snapshot, on any worker. A
//! document that nobody renews any more is not served: KEDA would act on it.

use super::auth::Caller;
use super::{answer, Next};
use crate::config::{Config, TokenRole};
use crate::host::MapType;
use crate::{host, shared};
use gate::document::Merged;
use gate::prometheus;
use gate::time::Timestamp;

/// Ticks after which a document is no longer served.
const MAX_AGE_TICKS: u64 = 6;

pub fn serve(config: &Config, caller: &Caller, now: Timestamp) -> Next {
    if let (TokenRole::Measure, Some(owner)) = (caller.role, &config.measure_owner) {
        if caller.name != *owner {
            shared::note_intruder(&caller.name);
            return answer(
                409,
                &format!("this measurement belongs to `{owner}`; use a token of role read"),
            );
        }
    }
    let Some((observed_at, json)) = shared::document() else {
        return answer(503, "no document yet; it comes with the first tick");
    };
    let age_s = now.since(observed_at);
    let most = i64::try_from(MAX_AGE_TICKS * config.windows.tick_s).unwrap_or(i64::MAX);
    // One from the future is from before the clock was corrected.
    if !(-most..=most).contains(&age_s) {
        return answer(503, &format!("the document is {age_s} s old: no worker judges any more"));
    }
    let accept = host::header(MapType::HttpRequestHeaders, b"accept").unwrap_or_default();
    if !wants_text(&accept) {
        host::respond(200, "application/json", &json);
        return Next::Hold;
    }
    match serde_json::from_slice::<Merged>(&json) {
        Ok(document) => {
            let text = prometheus::text(&document);
            host::respond(200, prometheus::CONTENT_TYPE, text.as_bytes());
            Next::Hold
        }
        Err(e) => answer(500, &format!("the document cannot be read back: {e}")),
    }
}

/// Whether plain text is asked for and JSON is not: KEDA and curl get JSON.
fn wants_text(accept: &[u8]) -> bool {
    let names = |part: &[u8]| accept.windows(part.len()).any(|w| w.eq_ignore_ascii_case(part));
    names(b"text/plain") && !names(b"application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("", false)]
    #[case("*/*", false)]
    #[case("application/json", false)]
    #[case("application/json, text/plain, */*", false)]
    #[case("text/plain", true)]
    #[case(
        "application/openmetrics-text;version=1.0.0,Text/Plain;version=0.0.4;q=0.5,*/*;q=0.1",
        true
    )]
    fn text_is_for_who_asks(#[case] accept: &str, #[case] expected: bool) {
        assert_eq!(wants_text(accept.as_bytes()), expected);
    }
}
