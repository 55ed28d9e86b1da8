//! What one proxied request counts as.
//!
//! Client disconnects reported as 500 and rejections by other filters have
//! made canaries look broken elsewhere (istio/istio #9292, envoyproxy/envoy
//! #33502), so a request is one of four things and only two of them say
//! anything about the slice. The names of `response.code_details` are Envoy's
//! (`source/common/stream_info/utility.cc`, `ResponseCodeDetails`).

/// The class of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// The slice answered below 500.
    Success,
    /// The upstream answered 500 or above, or Envoy did because the upstream failed.
    Error,
    /// 500 or above, made before the upstream was asked: says nothing about the slice.
    LocalError,
    /// No status at all: the client went away.
    Aborted,
}

/// First status that is an error.
pub const FIRST_ERROR: u16 = 500;

/// Classifies by status. `details` is asked only for an error status, because
/// it costs a host call; details that are absent leave the error with the slice.
pub fn classify(status: Option<u16>, details: impl FnOnce() -> Option<Vec<u8>>) -> Sample {
    match status {
        None | Some(0) => Sample::Aborted,
        Some(s) if s < FIRST_ERROR => Sample::Success,
        Some(_) => match details() {
            Some(d) if !made_by_upstream(&d) => Sample::LocalError,
            _ => Sample::Error,
        },
    }
}

/// Reads an HTTP status from header bytes.
pub fn parse_status(bytes: &[u8]) -> Option<u16> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// Whether response code details blame the upstream.
fn made_by_upstream(details: &[u8]) -> bool {
    details.is_empty()
        || details.starts_with(b"via_upstream")
        || details.starts_with(b"upstream_")
        || details.starts_with(b"no_healthy_upstream")
        || details.starts_with(b"duration_timeout")
        || details.starts_with(b"response_payload_too_large")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Some(200), "", Sample::Success)]
    #[case(Some(101), "", Sample::Success)]
    #[case(Some(499), "", Sample::Success)]
    #[case(Some(500), "via_upstream", Sample::Error)]
    #[case(Some(503), "upstream_reset_before_response_started{connection_failure}", Sample::Error)]
    #[case(Some(504), "upstream_response_timeout", Sample::Error)]
    #[case(Some(503), "no_healthy_upstream", Sample::Error)]
    #[case(Some(503), "wasm_fail_stream", Sample::LocalError)]
    #[case(Some(503), "direct_response", Sample::LocalError)]
    #[case(Some(500), "lua_response", Sample::LocalError)]
    #[case(None, "", Sample::Aborted)]
    #[case(Some(0), "", Sample::Aborted)]
    fn classes(#[case] status: Option<u16>, #[case] details: &str, #[case] expected: Sample) {
        assert_eq!(classify(status, || Some(details.into())), expected);
    }

    #[test]
    fn absent_details_leave_the_error_with_the_slice() {
        assert_eq!(classify(Some(503), || None), Sample::Error);
    }

    #[test]
    fn details_are_not_asked_for_below_500() {
        classify(Some(204), || panic!("asked"));
    }

    #[rstest]
    #[case(b"200", Some(200))]
    #[case(b"", None)]
    #[case(&[0x80, 0xff], None)]
    #[case(b"99999", None)]
    fn status_bytes(#[case] bytes: &[u8], #[case] status: Option<u16>) {
        assert_eq!(parse_status(bytes), status);
    }
}
