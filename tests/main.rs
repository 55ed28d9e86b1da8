//! Topics, each a file.

mod api_server;
mod bad_input;
mod budgets;
mod digests;
mod error_classes;
mod failure;
mod filter;
mod fuzz;
mod hostile_host;
mod hot_restart;
mod layout;
mod load;
mod manifests;
mod module_shape;
mod packages;
mod paused_scale_out;
mod policy_rules;
mod policy_settings;
mod pushes;
mod real_envoy;
mod real_servers;
mod release;
mod scenarios;
mod schema;
mod traps;
mod windows;
