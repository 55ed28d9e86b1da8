//! `harness check-settings`.

use anyhow::{bail, Context, Result};
use harness::scenario::run::Modules;
use harness::settings;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;

pub fn main(args: &[String]) -> Result<ExitCode> {
    let (options, files) = super::options(args, &["dist"])?;
    if files.is_empty() {
        bail!("check-settings takes files");
    }
    let dist = options.get("dist").copied().unwrap_or("dist");
    let modules = Modules::load(Path::new(dist))?;
    let mut wrong = 0;
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| file.to_owned())?;
        let mut found = vec![];
        for document in serde_yaml_ng::Deserializer::from_str(&text) {
            let document = Value::deserialize(document).with_context(|| file.to_owned())?;
            found.extend(settings::find(&document));
        }
        if found.is_empty() {
            bail!("{file}: no settings of the policy and no configuration of the filter is in it");
        }
        for found in found {
            match settings::check(&modules, &found)? {
                Ok(()) => println!("{file}: {}: valid", found.what),
                Err(why) => {
                    wrong += 1;
                    println!("{file}: {}: {why}", found.what);
                }
            }
        }
    }
    Ok(ExitCode::from(u8::from(wrong > 0)))
}
