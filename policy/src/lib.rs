//! The Kubewarden policy: registers, fetches and answers, and decides nothing.
//!
//! Path of an edit: [`request`] → [`objects`] → [`scope`] ([`lifts`], faults of
//! [`rules`]) → depends on no state? then [`response`] → [`evaluation`], by
//! [`cluster`] (the lane's state) → `gate::lane` → [`rules`] → [`decision`] →
//! [`response`].

pub mod settings;
pub mod request;
pub mod objects;
pub mod lifts;
pub mod rules;
pub mod scope;
pub mod rejection;
pub mod decision;
pub mod evaluation;
pub mod cluster;
pub mod response;

use kubewarden_policy_sdk::wapc_guest::{self as guest, CallResult};
use settings::Settings;

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
    match evaluation::decisions(&input, &cluster::Host) {
        Ok(decisions) => response::answer(&input.settings, &input.request, &decisions),
        Err(e) => response::malformed(&e),
    }
}
