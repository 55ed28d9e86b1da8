//! The endpoint role: a table of paths, and one stream of a management request.
//!
//! Anything that is not in the table passes through to the proxy's routes.

pub mod auth;
pub mod canary;
pub mod digest;
pub mod errands;
pub mod facts;
pub mod judge;
pub mod metrics;
pub mod ready;
pub mod stats;
pub mod watch;

use crate::config::{Config, TokenRole};
use crate::host::{self, BufferType, MapType};
use crate::shared;
use auth::Refusal;

/// Longest body that is read, bytes.
const MAX_BODY: usize = 64 * 1024;

const TEXT: &str = "text/plain; charset=utf-8";

/// The endpoints, and which token roles each takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Metrics,
    Facts,
    Canary,
    Digest,
    Ready,
}

impl Endpoint {
    fn at(path: &[u8]) -> Option<Self> {
        let path = path.split(|b| *b == b'?').next().unwrap_or_default();
        match path {
            b"/keda/metrics" => Some(Self::Metrics),
            b"/keda/facts" => Some(Self::Facts),
            b"/keda/canary" => Some(Self::Canary),
            b"/keda/digest" => Some(Self::Digest),
            b"/keda/ready" => Some(Self::Ready),
            _ => None,
        }
    }

    fn method(self) -> &'static [u8] {
        match self {
            Self::Metrics | Self::Digest | Self::Ready => b"GET",
            Self::Facts | Self::Canary => b"PUT",
        }
    }

    fn roles(self) -> &'static [TokenRole] {
        match self {
            Self::Metrics => &[TokenRole::Measure, TokenRole::Read],
            Self::Facts => &[TokenRole::Facts],
            Self::Canary => &[TokenRole::Operate],
            Self::Digest | Self::Ready => &[TokenRole::Read],
        }
    }
}

/// What becomes of a request after a callback.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Not ours.
    Pass,
    /// More of the body is to come, or the answer is given or pending.
    Hold,
}

/// A request to an endpoint.
pub struct Stream {
    context_id: u32,
    endpoint: Option<Endpoint>,
    /// The body was dealt with: an answer was given or is pending.
    answered: bool,
}

impl Stream {
    pub fn new(context_id: u32) -> Self {
        Self { context_id, endpoint: None, answered: false }
    }

    /// Whether the request is one of the table's.
    pub fn is_ours(&self) -> bool {
        self.endpoint.is_some()
    }

    pub fn request_headers(&mut self, config: &Config, end_of_stream: bool) -> Next {
        let path = host::header(MapType::HttpRequestHeaders, b":path").unwrap_or_default();
        let Some(endpoint) = Endpoint::at(&path) else {
            return Next::Pass;
        };
        self.endpoint = Some(endpoint);
        let authorization = host::header(MapType::HttpRequestHeaders, b"authorization");
        let now = host::now();
        let caller = match auth::authorize(config, authorization.as_deref(), endpoint.roles(), now)
        {
            Ok(caller) => {
                if caller.by_previous {
                    shared::note_previous_token(now);
                }
                Some(caller)
            }
            // A health checker has no token, and is told a status alone.
            Err(_) if endpoint == Endpoint::Ready => None,
            Err(Refusal::Unknown) => return answer(401, "a bearer token is needed"),
            Err(Refusal::WrongRole) => return answer(403, "this token may not do that"),
        };
        let method = host::header(MapType::HttpRequestHeaders, b":method").unwrap_or_default();
        if method != endpoint.method() {
            return answer(405, &format!("use {}", String::from_utf8_lossy(endpoint.method())));
        }
        match endpoint {
            Endpoint::Ready => ready::serve(config, caller.is_some(), now),
            Endpoint::Digest => digest::serve(),
            Endpoint::Metrics => match caller {
                Some(caller) => metrics::serve(config, &caller, now),
                None => answer(401, "a bearer token is needed"),
            },
            Endpoint::Facts | Endpoint::Canary if end_of_stream => {
                answer(400, "a JSON body is needed")
            }
            Endpoint::Facts | Endpoint::Canary => {
                canary::expect_body(self.context_id);
                Next::Hold
            }
        }
    }

    /// `size` is what is buffered so far.
    pub fn request_body(&mut self, config: &Config, size: usize, end_of_stream: bool) -> Next {
        if self.endpoint.is_none() {
            return Next::Pass;
        }
        if self.answered {
            return Next::Hold;
        }
        if size > MAX_BODY {
            self.answered = true;
            return answer(413, &format!("the body is longer than {MAX_BODY} bytes"));
        }
        if end_of_stream {
            self.body_complete(config);
        }
        Next::Hold
    }

    /// A body followed by trailers never shows its end in the body callback.
    pub fn request_trailers(&mut self, config: &Config) -> Next {
        if self.endpoint.is_none() {
            return Next::Pass;
        }
        self.body_complete(config);
        Next::Hold
    }

    fn body_complete(&mut self, config: &Config) {
        if std::mem::replace(&mut self.answered, true) {
            return;
        }
        let body = host::buffer(BufferType::HttpRequestBody, MAX_BODY + 1);
        if body.len() > MAX_BODY {
            answer(413, &format!("the body is longer than {MAX_BODY} bytes"));
            return;
        }
        match self.endpoint {
            Some(Endpoint::Facts) => facts::put(&body, config.thresholds.facts_max_age_s),
            Some(Endpoint::Canary) => canary::put(&body, self.context_id),
            _ => {}
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        canary::forget(self.context_id);
    }
}

/// Answers with a line of text; an empty one where there is nothing to say.
fn answer(status: u32, text: &str) -> Next {
    let body = if text.is_empty() { String::new() } else { format!("{text}\n") };
    host::respond(status, TEXT, body.as_bytes());
    Next::Hold
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(b"/keda/metrics", Some(Endpoint::Metrics))]
    #[case(b"/keda/metrics?x=1", Some(Endpoint::Metrics))]
    #[case(b"/keda/metrics/", None)]
    #[case(b"/keda", None)]
    #[case(b"", None)]
    #[case(&[0x80, 0xff], None)]
    fn paths(#[case] path: &[u8], #[case] expected: Option<Endpoint>) {
        assert_eq!(Endpoint::at(path), expected);
    }
}
