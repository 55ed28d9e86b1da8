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

/// Every field of the documents is explained, nested ones by their own name.
#[test]
fn the_documents_are_explained_field_by_field() {
    fn fields(schema: &serde_json::Value, found: &mut Vec<String>) {
        if let Some(properties) = schema["properties"].as_object() {
            found.extend(properties.keys().cloned());
        }
        for (_, part) in schema["$defs"].as_object().into_iter().flatten() {
            fields(part, found);
        }
    }
    let text = std::fs::read_to_string(tests::root("docs/document.md")).unwrap();
    for file in ["merged.v1", "verdict.v1", "digest.v1"] {
        let schema = tests::root(&format!("schema/{file}.schema.json"));
        let schema = std::fs::read_to_string(schema).unwrap();
        let mut found = vec![];
        fields(&serde_json::from_str(&schema).unwrap(), &mut found);
        assert!(found.len() > 10, "{file}");
        for field in found {
            assert!(text.contains(&format!("`{field}`")), "docs/document.md: {file} {field}");
        }
    }
}
