//! The notifier: one digest, one POST.

use super::{Call, Reply};
use crate::config::Notifier;
use gate::digest::Digest;

/// # Errors
/// The codec's word; never for this type.
pub fn post(notifier: &Notifier, digest: &Digest) -> Result<Call, String> {
    Ok(Call {
        method: "POST",
        path: notifier.path.clone(),
        content_type: "application/json",
        body: serde_json::to_vec(digest).map_err(|e| e.to_string())?,
    })
}

/// Any 2xx is a delivery.
pub fn is_delivered(reply: &Reply) -> bool {
    reply.status.is_some_and(|s| (200..300).contains(&s))
}
