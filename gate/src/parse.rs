//! Bytes from outside to values, with the JSON path in each error.
//!
//! serde_json says line and column; the path is found from those by walking
//! the text once, only after an error. `serde_path_to_error` does the same
//! while parsing, at the price of a second copy of every deserialiser: 100 KiB
//! of a policy that may have 320.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// Longest text that operators and nodes may send, bytes: it ends in a ConfigMap.
pub const MAX_TEXT: usize = 256;

/// Any JSON, borrowing the text it was read from: the policy reads a thousand
/// verdicts in one answer, and objects of which it looks at a few fields.
pub type Json<'a> = serde_json_borrow::Value<'a>;

/// Reads any JSON.
///
/// # Errors
/// `path: what is wrong`.
#[inline(never)]
pub fn tree(bytes: &[u8]) -> Result<Json<'_>, String> {
    json(bytes)
}

/// The value of a key, whatever `value` is; null where it is not there.
pub fn get<'a>(value: &'a Json<'a>, key: &str) -> &'a Json<'a> {
    value.as_object().and_then(|map| map.get(key)).unwrap_or(&Json::Null)
}

/// Deserialises JSON.
///
/// # Errors
/// `path: what is wrong`; unknown keys are named beside the valid ones by
/// serde where the type denies them.
pub fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    let in_words = |offset: usize, what: String| {
        let path = path_at(bytes, offset);
        if path.is_empty() {
            what
        } else {
            format!("{path}: {what}")
        }
    };
    // One pass over all is cheaper than one for each text.
    let text = std::str::from_utf8(bytes)
        .map_err(|e| in_words(e.valid_up_to(), "is not UTF-8".to_owned()))?;
    serde_json::from_str(text)
        .map_err(|e| in_words(offset(bytes, e.line(), e.column()), e.to_string()))
}

/// Deserialises a string through `parse`. Unlike `String::deserialize` and then
/// parsing, the error keeps the place of the value.
///
/// # Errors
/// What `parse` says.
pub fn text<'de, D: Deserializer<'de>, T>(
    d: D,
    parse: fn(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    struct Text<T>(fn(&str) -> Result<T, String>);
    impl<T> Visitor<'_> for Text<T> {
        type Value = T;
        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("a string")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            (self.0)(text).map_err(E::custom)
        }
    }
    d.deserialize_str(Text(parse))
}

fn offset(bytes: &[u8], line: usize, column: usize) -> usize {
    let before: usize =
        bytes.split_inclusive(|b| *b == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    before.saturating_add(column)
}

enum Frame {
    Object(Option<String>),
    Array(usize),
}

/// Path of the value that was being read when `offset` bytes were consumed.
fn path_at(bytes: &[u8], offset: usize) -> String {
    let mut frames: Vec<Frame> = Vec::new();
    let mut rest = bytes.get(..offset.min(bytes.len())).unwrap_or(bytes).iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'{' => frames.push(Frame::Object(None)),
            b'[' => frames.push(Frame::Array(0)),
            b'}' | b']' => {
                frames.pop();
            }
            b',' => match frames.last_mut() {
                Some(Frame::Object(key)) => *key = None,
                Some(Frame::Array(index)) => *index += 1,
                None => {}
            },
            b'"' => {
                let mut text = Vec::new();
                while let Some(b) = rest.next() {
                    match b {
                        b'"' => break,
                        b'\\' => text.extend(rest.next()),
                        b => text.push(*b),
                    }
                }
                if let Some(Frame::Object(key @ None)) = frames.last_mut() {
                    *key = Some(String::from_utf8_lossy(&text).into_owned());
                }
            }
            _ => {}
        }
    }
    let mut path = String::new();
    for frame in frames {
        match frame {
            Frame::Object(Some(key)) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&key);
            }
            Frame::Object(None) => {}
            Frame::Array(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "read by serde alone")]
    struct Outer {
        list: Vec<Inner>,
        text: String,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "read by serde alone")]
    struct Inner {
        n: u8,
    }

    #[rstest]
    #[case(r#"{"text":"a, {b","list":[{"n":1},{"n":-1}]}"#, "list[1].n: invalid value")]
    #[case("{\n \"text\": \"\\\"x\",\n \"list\": [ {\"n\": \"1\"} ]}", "list[0].n: invalid type")]
    #[case(r#"{"list":[{}],"text":""}"#, "list[0]: missing field `n`")]
    #[case(r#"{"list":[],"text":7}"#, "text: invalid type")]
    #[case(r#"{"list":{},"text":""}"#, "list: invalid type: map")]
    #[case(r#"{"list":[],"text":"","more":1}"#, "unknown field `more`")]
    #[case("[", "EOF")]
    #[case("", "EOF")]
    fn errors_start_with_the_path(#[case] text: &str, #[case] expected: &str) {
        let e = json::<Outer>(text.as_bytes()).unwrap_err();
        assert!(e.contains(expected), "{e}");
    }

    #[test]
    fn what_is_not_utf_8_is_named() {
        let e = json::<Outer>(b"{\"list\":[],\"text\":\"\xff\"}").unwrap_err();
        assert_eq!(e, "text: is not UTF-8");
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..300) {
            let _ = path_at(&bytes, at);
            let _ = json::<Outer>(&bytes);
        }
    }
}
