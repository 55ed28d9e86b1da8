//! Requests that this module sends: what to send and how to read the reply,
//! as values. Sending is the endpoint's tick.

pub mod config_map;
pub mod notifier;
pub mod queue;
pub mod scaled_object;
pub mod workload;

use serde_json::Value;

/// A request to a cluster of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub method: &'static str,
    pub path: String,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl Call {
    pub fn headers<'a>(&'a self, authority: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            (":method", self.method),
            (":path", self.path.as_str()),
            (":authority", authority),
            ("content-type", self.content_type),
            ("accept", "application/json"),
        ]
    }
}

/// A reply; `status` is `None` where the call itself failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: Option<u16>,
    /// `Retry-After`, milliseconds; 0 where the server asked for no delay.
    pub retry_after_ms: u64,
    pub body: Vec<u8>,
}

/// Longest delay that a server may ask for, seconds: a verdict that is not
/// renewed is stale soon after.
const MOST_RETRY_AFTER_S: u64 = 60;

/// `Retry-After` in seconds, as API servers send it. A date means nothing here.
pub fn retry_after_ms(header: &[u8]) -> u64 {
    let seconds = std::str::from_utf8(header).ok().and_then(|h| h.trim().parse::<u64>().ok());
    seconds.unwrap_or(0).min(MOST_RETRY_AFTER_S) * 1_000
}

/// The JSON of a 200.
///
/// # Errors
/// What was answered instead.
fn object(reply: &Reply) -> Result<Value, String> {
    if reply.status != Some(200) {
        return Err(describe(reply));
    }
    serde_json::from_slice(&reply.body).map_err(|e| format!("the answer is no JSON: {e}"))
}

fn resource_version(object: &Value) -> Option<String> {
    object.pointer("/metadata/resourceVersion")?.as_str().map(str::to_owned)
}

/// Status and the server's message, cut short.
pub fn describe(reply: &Reply) -> String {
    let Some(status) = reply.status else {
        return "no answer (timeout, or the cluster is not reachable)".to_owned();
    };
    let message = serde_json::from_slice::<Value>(&reply.body)
        .ok()
        .and_then(|b| {
            b.get("message")
                .and_then(Value::as_str)
                .map(|m| m.chars().take(200).collect::<String>())
        })
        .unwrap_or_default();
    format!("the server answered {status} {message}")
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use rstest::rstest;

    pub fn reply(status: Option<u16>, body: impl Into<Vec<u8>>) -> Reply {
        Reply { status, retry_after_ms: 0, body: body.into() }
    }

    #[rstest]
    #[case(b"1", 1_000)]
    #[case(b" 17 ", 17_000)]
    #[case(b"86400", 60_000)]
    #[case(b"-1", 0)]
    #[case(b"Wed, 21 Oct 2026 07:28:00 GMT", 0)]
    #[case(&[0xff], 0)]
    fn retry_after(#[case] header: &[u8], #[case] expected: u64) {
        assert_eq!(retry_after_ms(header), expected);
    }
}
