//! Parses and accepts: what is left when a policy decides nothing.

use kubewarden_policy_sdk::request::ValidationRequest;
use kubewarden_policy_sdk::wapc_guest::{register_function, CallResult};

#[no_mangle]
pub extern "C" fn wapc_init() {
    register_function("validate", validate);
}

#[derive(serde::Deserialize, Default)]
struct Settings {}

fn validate(payload: &[u8]) -> CallResult {
    let request: ValidationRequest<Settings> = serde_json::from_slice(payload)?;
    if request.request.operation == "DELETE" {
        return kubewarden_policy_sdk::reject_request(None, None, None, None);
    }
    kubewarden_policy_sdk::accept_request()
}
