//! Topics, each a file.

mod bad_input;
mod budgets;
mod filter;
mod layout;
mod policy_rules;
mod real_envoy;
mod scenarios;
mod schema;
