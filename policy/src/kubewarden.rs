//! What Kubewarden's host calls.

use crate::settings::Settings;
use crate::{cluster, evaluation, request, response};
use gate::time::Timestamp;
use kubewarden_policy_sdk::wapc_guest::{self as guest, CallResult};
use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(target_arch = "wasm32")]
mod metadata {
    include!(concat!(env!("OUT_DIR"), "/metadata_len.rs"));
    /// What Kubewarden's `kwctl annotate` would have added.
    #[used]
    #[link_section = "io.kubewarden.metadata"]
    static METADATA: [u8; METADATA_LEN] =
        *include_bytes!(concat!(env!("OUT_DIR"), "/metadata.json"));
}

#[no_mangle]
pub extern "C" fn wapc_init() {
    guest::register_function("validate", validate);
    guest::register_function("validate_settings", validate_settings);
    guest::register_function("protocol_version", |_| {
        Ok(serde_json::to_vec(&kubewarden_policy_sdk::metadata::ProtocolVersion::default())?)
    });
}

fn validate_settings(payload: &[u8]) -> CallResult {
    response::settings(Settings::parse(payload))
}

fn validate(payload: &[u8]) -> CallResult {
    let input = match request::parse(payload) {
        Ok(input) => input,
        Err(e) => return response::malformed(&e),
    };
    match evaluation::answer(&input, now(), &cluster::Host) {
        Ok(answer) => response::answer(answer),
        Err(e) => response::malformed(&e),
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(0))
}
