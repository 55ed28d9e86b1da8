//! Enums whose variants are names that people and machines write.
//!
//! One table a type: the variant beside its name. Reading, writing, listing and
//! the error for an unknown name come from it, so that no name is spelled twice.

#[cfg(feature = "schema")]
#[doc(hidden)]
pub use schemars;

/// Where `text` stands among names; one function for all types, for its size.
///
/// # Errors
/// The text and the names that there are.
#[inline(never)]
pub fn position(text: &str, names: &[&str]) -> Result<usize, String> {
    names.iter().position(|n| *n == text).ok_or_else(|| {
        format!("unknown variant `{text}`, expected one of `{}`", names.join("`, `"))
    })
}

/// Defines an enum with `ALL`, `name`, `parse` and serde by name.
#[macro_export]
macro_rules! named_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            const NAMES: &'static [&'static str] = &[$($text),+];

            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            /// # Errors
            /// The text and the names that there are.
            #[allow(clippy::indexing_slicing, reason = "both lists have the same length")]
            pub fn parse(text: &str) -> Result<Self, String> {
                $crate::names::position(text, Self::NAMES).map(|i| Self::ALL[i])
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.name())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                $crate::parse::text(d, Self::parse)
            }
        }

        $crate::schema_of_names!($name);
    };
}

#[cfg(feature = "schema")]
#[doc(hidden)]
#[macro_export]
macro_rules! schema_of_names {
    ($name:ident) => {
        impl $crate::names::schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(
                _: &mut $crate::names::schemars::SchemaGenerator,
            ) -> $crate::names::schemars::Schema {
                let names: Vec<&str> = $name::ALL.iter().map(|v| v.name()).collect();
                $crate::names::schemars::json_schema!({ "type": "string", "enum": names })
            }
        }
    };
}

#[cfg(not(feature = "schema"))]
#[doc(hidden)]
#[macro_export]
macro_rules! schema_of_names {
    ($name:ident) => {};
}

#[cfg(test)]
mod tests {
    named_enum! {
        #[derive(Default)]
        enum Colour {
            #[default]
            Red = "red",
            DeepBlue = "deep-blue",
        }
    }

    #[test]
    fn reads_and_writes_names() {
        assert_eq!(serde_json::to_string(&Colour::DeepBlue).unwrap(), r#""deep-blue""#);
        assert_eq!(serde_json::from_str::<Colour>(r#""red""#).unwrap(), Colour::default());
    }

    #[test]
    fn an_unknown_name_is_listed_with_the_known() {
        let e = serde_json::from_str::<Colour>(r#""pink""#).unwrap_err().to_string();
        assert!(e.contains("unknown variant `pink`, expected one of `red`, `deep-blue`"), "{e}");
    }
}
