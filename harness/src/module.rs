//! A compiled wasm module: made once, instantiated often.

use anyhow::{anyhow, Context, Result};
use std::path::Path;
use wasmtime::{Engine, Module};

#[derive(Clone)]
pub struct CompiledModule {
    pub(crate) engine: Engine,
    pub module: Module,
}

impl CompiledModule {
    /// # Errors
    /// The file cannot be read or is no module.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("{}: build it first", path.display()))?;
        let engine = Engine::default();
        let module = Module::new(&engine, bytes).map_err(|e| anyhow!("{}: {e}", path.display()))?;
        Ok(Self { engine, module })
    }
}
