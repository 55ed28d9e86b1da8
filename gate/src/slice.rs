//! The two slices of a gateway's traffic.

crate::named_enum! {
    /// Which build answered: the canary under test, or the stable one beside it.
    pub enum Slice {
        Canary = "canary",
        Stable = "stable",
    }
}

impl Slice {
    /// Reads a header value; anything but the two names is not a slice, and the
    /// caller counts it as stable and as unclassified.
    pub fn from_bytes(value: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| value.eq_ignore_ascii_case(s.name().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(b"canary", Some(Slice::Canary))]
    #[case(b"STABLE", Some(Slice::Stable))]
    #[case(b"", None)]
    #[case(b"canary ", None)]
    #[case(&[0x80, 0xff], None)]
    fn reads_header_bytes(#[case] value: &[u8], #[case] slice: Option<Slice>) {
        assert_eq!(Slice::from_bytes(value), slice);
    }
}
