//! A Kubernetes quantity (`8`, `500m`, `1.5k`, `2Gi`) as a number.

use gate::fields::shown;
use gate::parse::{tree, Json};

/// Powers of ten and of two (apimachinery `pkg/api/resource/suffix.go`).
const SUFFIXES: [(&str, f64); 15] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
];

/// `None` where it is none.
pub fn quantity(value: &Json) -> Option<f64> {
    match value {
        Json::Str(text) => {
            let suffix = SUFFIXES.iter().find_map(|(s, f)| Some((text.strip_suffix(s)?, *f)));
            let (digits, factor) = suffix.unwrap_or((text, 1.0));
            Some(decimal(digits)? * factor)
        }
        value => value.as_f64(),
    }
}

/// The same for a message.
pub fn written(value: &Json, default: &str) -> String {
    match value {
        Json::Null => default.to_owned(),
        Json::Str(text) => text.to_string(),
        value => shown(value),
    }
}

/// A number that stands in a string. Read as JSON: `f64::from_str` would be a second
/// parser of numbers in the module, ten kilobytes of it.
pub fn decimal(text: &str) -> Option<f64> {
    tree(text.trim().as_bytes()).ok()?.as_f64()
}

/// What Go's `strconv.ParseFloat` makes of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GoFloat {
    Number(f64),
    /// An infinity, no number at all, or a hexadecimal, of which the digits are not read here.
    Wild,
    /// An error.
    None,
}

/// Reads a decimal as Go does, without blanks around it.
pub fn go_float(text: &str) -> GoFloat {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    if matches!(lower.as_str(), "inf" | "infinity" | "nan") || lower.starts_with("0x") {
        return GoFloat::Wild;
    }
    let (mantissa, exponent) =
        lower.split_once('e').map_or((lower.as_str(), None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let exponent_digits = exponent.map(|e| e.strip_prefix(['+', '-']).unwrap_or(e));
    let is_decimal = digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent_digits.is_none_or(|e| digits(e) && !e.is_empty());
    if !is_decimal {
        return GoFloat::None;
    }
    // As JSON wants it: no leading zeros, digits on both sides of the point.
    let sign = if text.starts_with('-') { "-" } else { "" };
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = if fraction.is_empty() { "0" } else { fraction };
    let written = format!("{sign}{whole}.{fraction}e{}", exponent.unwrap_or("0"));
    // A number that is too large is an error there, too.
    decimal(&written).filter(|n| n.is_finite()).map_or(GoFloat::None, GoFloat::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Object;
    use rstest::rstest;
    use serde_json::{json, Value};

    #[rstest]
    #[case(json!("8"), Some(8.0))]
    #[case(json!(8), Some(8.0))]
    #[case(json!("500m"), Some(0.5))]
    #[case(json!("2Gi"), Some(2_147_483_648.0))]
    #[case(json!("1e3"), Some(1000.0))]
    #[case(json!("many"), None)]
    #[case(json!(""), None)]
    #[case(json!(null), None)]
    fn quantities(#[case] value: Value, #[case] expected: Option<f64>) {
        assert_eq!(quantity(Object::of(&value).0), expected);
    }

    #[rstest]
    #[case("0.5", GoFloat::Number(0.5))]
    #[case(".5", GoFloat::Number(0.5))]
    #[case("5.", GoFloat::Number(5.0))]
    #[case("+1e-1", GoFloat::Number(0.1))]
    #[case("-007", GoFloat::Number(-7.0))]
    #[case("50%", GoFloat::None)]
    #[case(" 0.5", GoFloat::None)]
    #[case("", GoFloat::None)]
    #[case(".", GoFloat::None)]
    #[case("1e", GoFloat::None)]
    #[case("1_000", GoFloat::None)]
    #[case("1e400", GoFloat::None)]
    #[case("NaN", GoFloat::Wild)]
    #[case("-Infinity", GoFloat::Wild)]
    #[case("0x1p-2", GoFloat::Wild)]
    fn floats_as_go_reads_them(#[case] text: &str, #[case] expected: GoFloat) {
        assert_eq!(go_float(text), expected);
    }
}
