//! The Kubewarden policy: registers, fetches and answers, and decides nothing.
//!
//! Path of an edit: [`request`] → [`objects`] → [`scope`] → raises nothing?
//! then [`response`] → [`cluster`] (the lane's state) → `gate::lane` →
//! [`rules`] → [`decision`] → [`response`].

pub mod settings;
pub mod request;
pub mod objects;
pub mod scope;
pub mod cluster;
pub mod rejection;
pub mod rules;
pub mod decision;
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
    let changes = match scope::changes(&input.settings, &input.request) {
        Ok(changes) => changes,
        Err(e) => return response::malformed(&e),
    };
    let mut decisions = Vec::new();
    for change in changes.iter().filter(|c| !c.lifts.is_empty()) {
        let now = cluster::now();
        let mut states = cluster::list_states(change.lane, now);
        let mut decision = decision::decide(&input.settings, change, &states, now);
        // A list may be old or its watch dead: before an answer that hurts, and
        // before a raise, the gateways in question are read once more. What is
        // read may turn the answer, and then the others are in question.
        let mut read = Vec::new();
        loop {
            let again = decision::read_again(&decision, &states, &read);
            if again.is_empty() {
                break;
            }
            for state in states.iter_mut().filter(|g| again.contains(&g.id)) {
                *state = cluster::get_state(change.lane, &state.id, &state.az, cluster::now());
            }
            read.extend(again);
            decision = decision::decide(&input.settings, change, &states, now);
        }
        decisions.push(decision);
    }
    response::answer(&input.settings, &input.request, &decisions)
}
