//! `harness run`.

use anyhow::{bail, Result};
use harness::scenario::format::Scenario;
use harness::scenario::run::{run, Modules};
use std::path::Path;
use std::process::ExitCode;

pub fn main(args: &[String]) -> Result<ExitCode> {
    let (options, files) = super::options(args, &["dist", "format"])?;
    if files.is_empty() {
        bail!("run needs at least one scenario file");
    }
    let format = options.get("format").copied().unwrap_or("table");
    let modules = Modules::load(Path::new(options.get("dist").copied().unwrap_or("dist")))?;
    let mut passed = true;
    for file in files {
        let report = run(&modules, &Scenario::load(Path::new(file))?)?;
        passed &= report.passed();
        match format {
            "table" => print!("{}", report.table()),
            "json" => println!("{}", serde_json::to_string_pretty(&report)?),
            "junit" => print!("{}", report.junit()),
            other => bail!("--format `{other}` is not table, json or junit"),
        }
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
