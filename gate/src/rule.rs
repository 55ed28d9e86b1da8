//! The names of the admission rules.
//!
//! Names are data: kebab case for users, snake case for files. One table maps
//! them; what a rule does is in the policy's `rules/` folder, one file each.

use serde::{Deserialize, Serialize};

/// Every admission rule, in the order in which the first match names a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    RedGate,
    CapFrozen,
    CanaryCap,
    CeilingBypass,
}

impl Rule {
    pub const ALL: [Rule; 4] = [
        Rule::RedGate,
        Rule::CapFrozen,
        Rule::CanaryCap,
        Rule::CeilingBypass,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Rule::RedGate => "red-gate",
            Rule::CapFrozen => "cap-frozen",
            Rule::CanaryCap => "canary-cap",
            Rule::CeilingBypass => "ceiling-bypass",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for rule in Rule::ALL {
            let json = format!("\"{}\"", rule.name());
            assert_eq!(serde_json::from_str::<Rule>(&json).unwrap(), rule);
        }
    }
}
