//! Topics, each a file.

mod bad_input;
mod budgets;
mod digests;
mod error_classes;
mod filter;
mod fuzz;
mod layout;
mod module_shape;
mod policy_rules;
mod policy_settings;
mod real_envoy;
mod real_servers;
mod scenarios;
mod schema;
