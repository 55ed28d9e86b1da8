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

/// Classifies what HTTP calls a success by its `grpc-status`, where a slice
/// speaks gRPC: any but 0 is an error, if the upstream made it; none at all is
/// one where the upstream went away in the middle of its answer.
pub fn classify_grpc(
    grpc_status: Option<&[u8]>,
    details: impl FnOnce() -> Option<Vec<u8>>,
) -> Sample {
    match grpc_status {
        Some(b"0") => Sample::Success,
        Some(_) => match details() {
            Some(d) if !made_by_upstream(&d) => Sample::LocalError,
            _ => Sample::Error,
        },
        None if details().is_some_and(|d| d.starts_with(b"upstream_reset_after")) => Sample::Error,
        None => Sample::Success,
    }
}

/// Reads an HTTP status from header bytes.
pub fn parse_status(bytes: &[u8]) -> Option<u16> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// How the details begin that blame the upstream: it answered, it was reset or
/// refused, there was none to ask, or it took too long. `tests/error_classes.rs` holds them
/// against a real Envoy.
const BLAME_THE_UPSTREAM: [&[u8]; 8] = [
    b"via_upstream",
    b"upstream_",
    b"no_healthy_upstream",
    b"response_timeout",
    b"stream_idle_timeout",
    b"max_duration_timeout",
    b"duration_timeout",
    b"response_payload_too_large",
];

fn made_by_upstream(details: &[u8]) -> bool {
    details.is_empty() || BLAME_THE_UPSTREAM.iter().any(|start| details.starts_with(start))
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
    #[case(Some(504), "response_timeout", Sample::Error)]
    #[case(Some(504), "upstream_per_try_timeout", Sample::Error)]
    #[case(Some(504), "stream_idle_timeout", Sample::Error)]
    #[case(Some(504), "max_duration_timeout", Sample::Error)]
    #[case(Some(503), "cluster_not_found", Sample::LocalError)]
    #[case(Some(503), "no_healthy_upstream", Sample::Error)]
    #[case(Some(503), "wasm_fail_stream", Sample::LocalError)]
    #[case(Some(503), "direct_response", Sample::LocalError)]
    #[case(Some(500), "lua_response", Sample::LocalError)]
    #[case(None, "", Sample::Aborted)]
    #[case(Some(0), "", Sample::Aborted)]
    fn classes(#[case] status: Option<u16>, #[case] details: &str, #[case] expected: Sample) {
        assert_eq!(classify(status, || Some(details.into())), expected);
    }

    #[rstest]
    #[case(Some("0"), "via_upstream", Sample::Success)]
    #[case(Some("14"), "via_upstream", Sample::Error)]
    #[case(Some("14"), "upstream_reset_before_response_started{connection_failure}", Sample::Error)]
    #[case(Some("7"), "ext_authz_denied", Sample::LocalError)]
    #[case(None, "via_upstream", Sample::Success)]
    #[case(None, "upstream_reset_after_response_started{connection_termination}", Sample::Error)]
    #[case(None, "downstream_remote_disconnect", Sample::Success)]
    fn grpc(#[case] status: Option<&str>, #[case] details: &str, #[case] expected: Sample) {
        assert_eq!(classify_grpc(status.map(str::as_bytes), || Some(details.into())), expected);
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
