//! What people write as YAML, read key by key so that every fault is told at once.
//!
//! A derived deserialiser stops at the first fault; whoever fixes settings for
//! a webhook that refuses everything wants to see them all. It also costs two
//! to seven kilobytes of wasm for each struct, where this reader costs its own
//! few once. Unknown keys are faults that list the valid ones.

use serde_json::{Map, Value};

/// One object being read. Call [`Fields::finish`] at the end.
pub struct Fields<'a, 'f> {
    path: String,
    object: Option<&'a Map<String, Value>>,
    known: Vec<&'static str>,
    faults: &'f mut Vec<String>,
}

impl<'a, 'f> Fields<'a, 'f> {
    /// `path` is empty at the top.
    pub fn of(value: &'a Value, path: &str, faults: &'f mut Vec<String>) -> Self {
        let object = value.as_object();
        if object.is_none() {
            faults.push(format!(
                "{}: is {}, not a map",
                if path.is_empty() { "." } else { path },
                kind_of(value)
            ));
        }
        Self { path: path.to_owned(), object, known: Vec::new(), faults }
    }

    /// The path of a key, as in messages.
    pub fn path(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    pub fn fault(&mut self, key: &str, what: &str) {
        let path = self.path(key);
        self.faults.push(format!("{path}: {what}"));
    }

    /// The value of a key; null is as good as absent.
    pub fn get(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.object?.get(key).filter(|v| !v.is_null())
    }

    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let value = self.get(key)?;
        if value.as_str().is_none() {
            self.fault(key, &format!("is {}, not a string", kind_of(value)));
        }
        value.as_str().map(str::to_owned)
    }

    /// A string that must be there and not be empty; empty after a fault.
    pub fn required(&mut self, key: &'static str) -> String {
        let faults = self.faults.len();
        let text = self.text(key).unwrap_or_default();
        if text.is_empty() && self.faults.len() == faults && self.object.is_some() {
            self.fault(key, "is missing or empty");
        }
        text
    }

    /// A string read by `parse`, which says what is wrong with it.
    pub fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(key)?;
        parse(&text).map_err(|e| self.fault(key, &e)).ok()
    }

    /// A whole number from 0 to 4294967295.
    pub fn number(&mut self, key: &'static str) -> Option<u32> {
        let value = self.get(key)?;
        let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
        if number.is_none() {
            self.fault(key, &format!("`{value}` is not a whole number of 0 or more"));
        }
        number
    }

    /// The items of a list, each with its path.
    pub fn list(&mut self, key: &'static str) -> Vec<(String, &'a Value)> {
        let Some(value) = self.get(key) else { return vec![] };
        let Some(items) = value.as_array() else {
            let hint = if value.is_object() {
                "; a generated form may have turned it into one, write it as YAML"
            } else {
                ""
            };
            self.fault(key, &format!("is {}, not a list{hint}", kind_of(value)));
            return vec![];
        };
        let path = self.path(key);
        items.iter().enumerate().map(|(i, item)| (format!("{path}[{i}]"), item)).collect()
    }

    /// Strings of a list.
    pub fn texts(&mut self, key: &'static str) -> Vec<String> {
        let mut texts = Vec::new();
        for (path, item) in self.list(key) {
            match item.as_str() {
                Some(text) => texts.push(text.to_owned()),
                None => self.faults.push(format!("{path}: is {}, not a string", kind_of(item))),
            }
        }
        texts
    }

    pub fn faults(&mut self) -> &mut Vec<String> {
        self.faults
    }

    /// Names every key that nothing asked for.
    pub fn finish(self) {
        for key in self.object.into_iter().flat_map(Map::keys) {
            if !self.known.contains(&key.as_str()) {
                let known: Vec<String> = self.known.iter().map(|k| format!("`{k}`")).collect();
                let path = self.path(key);
                self.faults.push(format!(
                    "{path}: unknown field `{key}`, expected one of {}",
                    known.join(", ")
                ));
            }
        }
    }
}

/// `a string`, `a map` … for messages.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_fault_is_told_at_once() {
        let value = json!({
            "name": 7, "n": -1, "list": {"0": {}}, "texts": ["a", 1], "nul": null, "odd": true
        });
        let mut faults = Vec::new();
        let mut f = Fields::of(&value, "top", &mut faults);
        assert_eq!(f.required("name"), "");
        assert_eq!(f.required("absent"), "");
        assert_eq!(f.number("n"), None);
        assert!(f.list("list").is_empty());
        assert_eq!(f.texts("texts"), ["a"]);
        assert_eq!(f.text("nul"), None);
        f.finish();
        assert_eq!(
            faults,
            [
                "top.name: is a number, not a string",
                "top.absent: is missing or empty",
                "top.n: `-1` is not a whole number of 0 or more",
                "top.list: is a map, not a list; a generated form may have turned it into one, write it as YAML",
                "top.texts[1]: is a number, not a string",
                "top.odd: unknown field `odd`, expected one of `name`, `absent`, `n`, `list`, `texts`, `nul`",
            ]
        );
    }

    #[test]
    fn what_is_no_map_is_one_fault() {
        let mut faults = Vec::new();
        let mut f = Fields::of(&Value::Null, "", &mut faults);
        assert_eq!((f.required("name"), f.number("n")), (String::new(), None));
        f.finish();
        assert_eq!(faults, [".: is null, not a map"]);
    }
}
