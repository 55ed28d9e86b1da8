//! Topics, each a file.

mod bad_input;
mod filter;
mod layout;
mod policy_rules;
mod real_envoy;
mod scenarios;
mod schema;
