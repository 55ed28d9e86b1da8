//! The proxy-wasm filter: measures, judges by `gate`, serves and publishes.
//!
//! Two roles of one module. A *probe* counts requests in its worker's memory
//! and writes them to a slot of shared data at each tick. An *endpoint* holds
//! the judge under a lease, serves `/keda/*` and publishes the verdict. They
//! run in separate VMs (same `vm_id`, other VM configuration), so that a trap
//! in the endpoint never takes a probe down.
//!
//! Only [`host`] calls the proxy and only `abi` is called by it; everything that
//! decides is a pure function beside them, or in `gate`.

pub mod host;
pub mod config;
pub mod retry;
pub mod lease;
pub mod ends;
pub mod shared;
pub mod probe;
pub mod outbound;
pub mod endpoint;
pub mod contexts;
#[cfg(target_arch = "wasm32")]
mod abi;
#[cfg(feature = "instrumented")]
mod instrumented;
