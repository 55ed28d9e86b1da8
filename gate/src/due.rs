//! ScaledObjects that an edge has still to be carried to, in turn.

use crate::target::Target;
use serde::{Deserialize, Serialize};

/// Names of the ScaledObjects to look at, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Due(Vec<String>);

impl Due {
    /// An edge: every target is looked at once more.
    pub fn look_again(&mut self, targets: &[Target]) {
        for name in targets.iter().filter_map(|t| t.scaled_object.as_ref()) {
            self.add(name);
        }
    }

    pub fn add(&mut self, name: &str) {
        if !self.0.iter().any(|n| n == name) {
            self.0.push(name.to_owned());
        }
    }

    /// The one to look at next.
    pub fn next(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }

    pub fn done(&mut self, name: &str) {
        self.0.retain(|n| n != name);
    }

    /// One that could not be written makes way for the others.
    pub fn postpone(&mut self, name: &str) {
        if let Some(at) = self.0.iter().position(|n| n == name) {
            let name = self.0.remove(at);
            self.0.push(name);
        }
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> Target {
        serde_json::from_value(serde_json::json!({
            "kind": "Deployment", "name": name, "slice": "stable", "scaledObject": name
        }))
        .unwrap()
    }

    #[test]
    fn one_that_is_refused_keeps_no_other_waiting() {
        let mut due = Due::default();
        due.look_again(&[target("stable"), target("canary")]);
        due.look_again(&[target("stable")]);
        assert_eq!(due.next(), Some("stable"));
        due.postpone("stable");
        assert_eq!(due.next(), Some("canary"));
        due.done("canary");
        assert_eq!(due.next(), Some("stable"));
        due.done("stable");
        assert_eq!(due.next(), None);
    }
}
