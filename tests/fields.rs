//! The rows of `policy::fields` against the schemas of the pinned versions, and the scalers
//! against the struct tags of KEDA's source.
//!
//! `tests/fixtures/fields/` and `tests/fixtures/keda-scalers.json` are what `make fields`
//! takes from the modules. `make shipped` fails where a module is newer than they are.

use policy::fields::{Effect, Table, TABLES};
use policy::objects::scalers::{When, FIXED, SCALERS};
use serde_json::Value;
use std::collections::BTreeSet;
use tests::root;

/// Paths of a kind's fixture.
fn schema(kind: &str) -> Vec<String> {
    let path = root(&format!("tests/fixtures/fields/{kind}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let paths = text.lines().filter_map(|l| l.split_whitespace().next());
    paths.filter(|p| !p.starts_with('#')).map(str::to_owned).collect()
}

/// The row of a field of the schema: its own, that of a subtree around it, or of the map.
fn row_of(table: &Table, field: &str) -> Option<&'static str> {
    let path = field.strip_suffix(".**").unwrap_or(field);
    let mut around = Some(path);
    while let Some(part) = around {
        let found = table.find(&format!("{part}.**"));
        if let Some(row) = found {
            return Some(row.path);
        }
        around = part.rsplit_once(['.', '[']).map(|(outer, _)| outer);
    }
    table.find(path).map(|row| row.path)
}

#[test]
fn every_field_has_a_row() {
    let mut missing = Vec::new();
    for table in TABLES {
        for field in schema(table.kind) {
            // What CRDs say of metadata is nothing: it is as in every kind.
            if field != "metadata.**" && row_of(&table, &field).is_none() {
                missing.push(format!("{}: {field}", table.kind));
            }
        }
    }
    assert!(missing.is_empty(), "fields without a row:\n{}", missing.join("\n"));
}

#[test]
fn every_row_is_of_a_field() {
    // An annotation, a label or a key of a trigger is a row of a map with free keys.
    let is_of_a_map = |path: &str| {
        ["metadata.annotations", "metadata.labels"].iter().any(|map| path.starts_with(map))
    };
    let mut gone = Vec::new();
    for table in TABLES {
        let fields = schema(table.kind);
        let metadata_is_open = fields.iter().any(|f| f == "metadata.**");
        for row in table.rows() {
            let path = row.path.strip_suffix(".**").unwrap_or(row.path);
            let below = |f: &String| {
                f.strip_prefix(path)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            let is_metadata = metadata_is_open && path.starts_with("metadata.");
            // A Scale has no status of whatever it scales, and a status may have no fields.
            if !fields.iter().any(below) && !is_metadata && !is_of_a_map(path) {
                gone.push(format!("{}: {}", table.kind, row.path));
            }
        }
    }
    assert!(gone.is_empty(), "rows without a field:\n{}", gone.join("\n"));
}

/// Defaults of rows that the schema states too.
#[test]
fn defaults_are_those_of_the_schema() {
    use policy::fields::Absent;
    for table in TABLES {
        let path = root(&format!("tests/fixtures/fields/{}.txt", table.kind));
        let text = std::fs::read_to_string(path).unwrap();
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let Some((field, default)) = line.split_once(" = ") else { continue };
            let path = field.split_whitespace().next().unwrap();
            let default: Value = serde_json::from_str(default).unwrap();
            let Some(row) = table.find(path).filter(|row| row.effect != Effect::Nothing) else {
                continue;
            };
            let same = match row.absent {
                Absent::Unset => default == "" || default == 0 || default == false,
                Absent::Number(n) => default == n || default == 0,
                Absent::Text(text) => default == text || default == "",
                Absent::True => default == true,
            };
            assert!(same, "{}: {path}: {default} is not {:?}", table.kind, row.absent);
        }
    }
}

/// Subtrees of which no part has a row are few, and each says why.
#[test]
fn subtrees_are_few() {
    let mut subtrees = BTreeSet::new();
    for table in TABLES {
        for row in table.rows().filter(|row| row.path.ends_with(".**")) {
            subtrees.insert(format!("{}: {} ({})", table.kind, row.path, row.effect.name()));
            assert!(row.source.len() > 10, "{}: {}: {}", table.kind, row.path, row.source);
        }
    }
    println!("{}", subtrees.iter().cloned().collect::<Vec<_>>().join("\n"));
    assert!(subtrees.len() <= 110, "{} subtrees", subtrees.len());
}

fn scaler_tags() -> Value {
    let path = root("tests/fixtures/keda-scalers.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_scaler_of_keda_has_a_row() {
    let tags = scaler_tags();
    let of_keda: BTreeSet<&str> = tags.as_object().unwrap().keys().map(String::as_str).collect();
    let ours: BTreeSet<&str> = SCALERS.iter().map(|s| s.kind).collect();
    let of_keda: BTreeSet<&str> = of_keda.into_iter().filter(|k| *k != "external-mock").collect();
    assert_eq!(of_keda, ours);
}

/// Each key stands in the scaler's source, with the default that the row gives.
#[test]
fn keys_and_defaults_of_scalers_are_kedas() {
    // Defaults that KEDA sets in code, or a tag's number that stands for none.
    let in_code = [
        ("rabbitmq", "queueLength"),
        ("cron", "desiredReplicas"),
        ("cpu", "value"),
        ("memory", "value"),
    ];
    let tags = scaler_tags();
    for scaler in SCALERS {
        let keys = tags[scaler.kind]["keys"].as_array().unwrap();
        let find = |key: &str| keys.iter().find(|k| k["name"] == key);
        for target in scaler.targets.iter().filter(|t| t.key != FIXED) {
            let name = format!("{}: {}", scaler.kind, target.key);
            let tag = find(target.key).unwrap_or_else(|| panic!("{name}: not in the source"));
            let stated = tag["default"].as_str().and_then(|d| d.parse::<f64>().ok());
            if in_code.contains(&(scaler.kind, target.key)) {
                continue;
            }
            match (target.default, stated) {
                (Some(ours), Some(kedas)) => assert!((ours - kedas).abs() < 1e-9, "{name}"),
                (Some(ours), None) => panic!("{name}: {ours} by nobody"),
                // Not a number of jobs: KEDA refuses it unless a formula is used.
                (None, Some(kedas)) => {
                    assert!(kedas <= 0.0 || target.when != When::Always, "{name}: {kedas}")
                }
                (None, None) => {}
            }
        }
        for (key, default) in scaler.defaults {
            let tag = find(key).unwrap_or_else(|| panic!("{}: {key}", scaler.kind));
            // Go's own where the tag has none.
            let zero = match tag["type"].as_str() {
                Some("bool") => "false",
                Some("int" | "int64") => "0",
                _ => "",
            };
            let stated = tag["default"].as_str().filter(|d| !d.is_empty()).unwrap_or(zero);
            assert_eq!(stated, *default, "{}: {key}", scaler.kind);
        }
        for key in scaler.ignores {
            assert!(find(key).is_some(), "{}: {key}", scaler.kind);
        }
    }
}

/// The table of `docs/rules.md`: every field that does something, by kind.
#[test]
fn the_documentation_has_the_table_of_fields() {
    let (begin, end) = ("<!-- fields -->\n", "<!-- /fields -->");
    let mut tables = String::new();
    for table in TABLES {
        let mut rows: Vec<_> = table.rows().filter(|r| r.effect != Effect::Nothing).collect();
        rows.sort_by_key(|row| (row.effect, row.path));
        tables.push_str(&format!(
            "\n### {}\n\n| field | effect | source |\n|---|---|---|\n",
            table.kind
        ));
        for row in rows {
            let source = row.source.replace('|', "\\|");
            tables.push_str(&format!("| `{}` | {} | {source} |\n", row.path, row.effect.name()));
        }
    }
    let path = root("docs/rules.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(begin).expect("where the table begins");
    let (_, after) = rest.split_once(end).expect("where the table ends");
    let written = format!("{before}{begin}{tables}\n{end}{after}");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, written).unwrap();
    } else {
        assert_eq!(text, written, "docs/rules.md: run with BLESS=1");
    }
}
