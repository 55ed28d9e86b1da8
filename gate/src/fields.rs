//! What people write as YAML, read key by key so that every fault is told at once.
//!
//! A derived deserialiser stops at the first fault; whoever fixes settings for
//! a webhook that refuses everything wants to see them all. It also costs two
//! to seven kilobytes of wasm for each struct, where this reader costs its own
//! few once. Unknown keys are faults that list the valid ones.

use crate::parse::Json;
use std::fmt;

/// Where a value stands; written out only in a message.
#[derive(Clone, Copy, Debug)]
pub enum Path<'p> {
    Top,
    Key(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, &'p str, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let parent = match self {
            Path::Top => return Ok(()),
            Path::Key(parent, _) | Path::Item(parent, _, _) => parent,
        };
        parent.fmt(f)?;
        if !matches!(parent, Path::Top) {
            f.write_str(".")?;
        }
        match self {
            Path::Top => Ok(()),
            Path::Key(_, key) => f.write_str(key),
            Path::Item(_, key, i) => write!(f, "{key}[{i}]"),
        }
    }
}

/// What is wrong, and the keys that were asked for in the objects being read.
#[derive(Debug, Default)]
pub struct Faults {
    found: Vec<String>,
    /// A stack: those of an object stand above those of the one around it.
    keys: Vec<&'static str>,
}

impl Faults {
    pub fn push(&mut self, fault: String) {
        self.found.push(fault);
    }

    /// The value, if nothing is wrong with it.
    ///
    /// # Errors
    /// Every fault.
    pub fn or<T>(self, value: T) -> Result<T, Vec<String>> {
        if self.found.is_empty() {
            Ok(value)
        } else {
            Err(self.found)
        }
    }
}

/// One object being read. Call [`Fields::finish`] at the end.
pub struct Fields<'a, 'f> {
    path: Path<'f>,
    value: &'a Json<'a>,
    /// Where its keys begin in [`Faults::keys`].
    first_key: usize,
    faults: &'f mut Faults,
}

impl<'a, 'f> Fields<'a, 'f> {
    pub fn of(value: &'a Json<'a>, path: Path<'f>, faults: &'f mut Faults) -> Self {
        if !value.is_object() {
            let place = path.to_string();
            let place = if place.is_empty() { "." } else { &place };
            faults.push(format!("{place}: is {}, not a map", kind_of(value)));
        }
        Self { path, value, first_key: faults.keys.len(), faults }
    }

    pub fn fault(&mut self, key: &str, what: &str) {
        let path = Path::Key(&self.path, key);
        self.faults.push(format!("{path}: {what}"));
    }

    /// The value of a key; null is as good as absent.
    pub fn get(&mut self, key: &'static str) -> Option<&'a Json<'a>> {
        self.faults.keys.push(key);
        Some(self.value.get(key)).filter(|v| !v.is_null())
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
        let faults = self.faults.found.len();
        let text = self.text(key).unwrap_or_default();
        if text.is_empty() && self.faults.found.len() == faults && self.value.is_object() {
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
            self.fault(key, &format!("{} is not a whole number of 0 or more", shown(value)));
        }
        number
    }

    /// The items of a list.
    pub fn list(&mut self, key: &'static str) -> &'a [Json<'a>] {
        let Some(value) = self.get(key) else { return &[] };
        if value.as_array().is_none() {
            let hint = if value.is_object() {
                "; a generated form may have turned it into one, write it as YAML"
            } else {
                ""
            };
            self.fault(key, &format!("is {}, not a list{hint}", kind_of(value)));
        }
        value.as_array().unwrap_or_default()
    }

    /// The items of a list, each read by `read`; a list without items is a fault.
    pub fn items<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&'a Json<'a>, Path, &mut Faults) -> Option<T>,
    ) -> Vec<T> {
        let faults = self.faults.found.len();
        let items = self.list(key);
        if items.is_empty() && self.faults.found.len() == faults && self.value.is_object() {
            self.fault(key, "at least one is needed");
        }
        let mut found = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            found.extend(read(item, Path::Item(&self.path, key, i), self.faults));
        }
        found
    }

    /// Strings of a list.
    pub fn texts(&mut self, key: &'static str) -> Vec<String> {
        let mut texts = Vec::new();
        for (i, item) in self.list(key).iter().enumerate() {
            match item.as_str() {
                Some(text) => texts.push(text.to_owned()),
                None => {
                    let path = Path::Item(&self.path, key, i);
                    self.faults.push(format!("{path}: is {}, not a string", kind_of(item)));
                }
            }
        }
        texts
    }

    /// A map of its own, if it is there.
    pub fn map<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Fields<'a, '_>) -> T,
    ) -> Option<T> {
        let value = self.get(key)?;
        let path = self.path;
        let mut fields = Fields::of(value, Path::Key(&path, key), self.faults);
        let read = read(&mut fields);
        fields.finish();
        Some(read)
    }

    /// Names every key that nothing asked for.
    pub fn finish(self) {
        for (key, _) in self.value.iter_object().into_iter().flatten() {
            let known = self.faults.keys.get(self.first_key..).unwrap_or_default();
            if !known.contains(&key) {
                let known: Vec<String> = known.iter().map(|k| format!("`{k}`")).collect();
                self.faults.push(format!(
                    "{}: unknown field `{key}`, expected one of {}",
                    Path::Key(&self.path, key),
                    known.join(", ")
                ));
            }
        }
        self.faults.keys.truncate(self.first_key);
    }
}

/// `a string`, `a map` … for messages.
pub fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::Str(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "a map",
    }
}

/// A value for a message: texts and whole numbers as JSON has them, others by their kind.
/// What prints a fraction is fifteen kilobytes of a module.
pub fn shown(value: &Json) -> String {
    match (value.as_str(), value.as_i64()) {
        (Some(text), _) => format!("`\"{text}\"`"),
        (_, Some(number)) => format!("`{number}`"),
        _ => kind_of(value).to_owned(),
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
        let value = Json::from(&value);
        let mut faults = Faults::default();
        let mut f = Fields::of(&value, Path::Key(&Path::Top, "top"), &mut faults);
        assert_eq!(f.required("name"), "");
        assert_eq!(f.required("absent"), "");
        assert_eq!(f.number("n"), None);
        assert!(f.list("list").is_empty());
        assert_eq!(f.texts("texts"), ["a"]);
        assert_eq!(f.text("nul"), None);
        f.finish();
        assert_eq!(
            faults.or(()).unwrap_err(),
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
        let mut faults = Faults::default();
        let mut f = Fields::of(&Json::Null, Path::Top, &mut faults);
        assert_eq!((f.required("name"), f.number("n")), (String::new(), None));
        f.finish();
        assert_eq!(faults.or(()).unwrap_err(), [".: is null, not a map"]);
    }
}
