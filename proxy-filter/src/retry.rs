//! Exponential backoff with jitter, as a pure function.

/// First delay, milliseconds.
const BASE_MS: u64 = 1_000;
/// Longest delay, milliseconds.
const MOST_MS: u64 = 30_000;

/// Delay before attempt number `failures` + 1: doubled for each failure, and
/// spread by ± 25 % with `seed`, so that gateways do not retry in step.
pub fn delay_ms(failures: u32, seed: u64) -> u64 {
    let plain = BASE_MS.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(MOST_MS);
    spread(plain, 25, seed)
}

/// `value` plus or minus up to `percent`, by `seed`.
pub fn spread(value: u64, percent: u64, seed: u64) -> u64 {
    // splitmix64: neighbouring seeds give unrelated spreads.
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    let width = value * percent / 100;
    value - width + z % (2 * width + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(1, 1_000)]
    #[case(2, 2_000)]
    #[case(5, 16_000)]
    #[case(6, 30_000)]
    #[case(4_000_000_000, 30_000)]
    fn doubles_up_to_the_most(#[case] failures: u32, #[case] expected: u64) {
        for seed in 0..200 {
            let d = delay_ms(failures, seed);
            assert!((expected * 3 / 4..=expected * 5 / 4).contains(&d), "{d}");
        }
    }
}
