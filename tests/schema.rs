//! The published schemas are generated from the types.

use gate::{digest::Digest, document::Merged, verdict::Verdict};
use tests::root;

fn check(file: &str, schema: &schemars::Schema) {
    let path = root("schema").join(file);
    let generated = format!("{}\n", serde_json::to_string_pretty(schema).unwrap());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, generated, "{file} is not what the types say: run `BLESS=1 make test`");
}

#[test]
fn merged_document() {
    check("merged.v1.schema.json", &schemars::schema_for!(Merged));
}

#[test]
fn digest() {
    check("digest.v1.schema.json", &schemars::schema_for!(Digest));
}

#[test]
fn verdict() {
    check("verdict.v1.schema.json", &schemars::schema_for!(Verdict));
}
