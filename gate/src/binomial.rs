//! Exact binomial probabilities.
//!
//! Normal approximations are wrong exactly where a canary lives: few errors at
//! a rate of half a percent. The sums start at the term that the caller asks
//! for and run away from the mean, so that tails of 1e-170 keep their digits.
//! `libm` and not the platform's functions, so that the wasm modules and the
//! native tests give the same bits.

/// Terms below this share of the sum no longer change it.
const NEGLIGIBLE: f64 = 1e-17;

/// Upper tail: P(X ≥ k) for X binomial with `n` trials of probability `p`.
pub fn tail(k: u64, n: u64, p: f64) -> f64 {
    if k == 0 || p >= 1.0 {
        return if k <= n { 1.0 } else { 0.0 };
    }
    if k > n || p <= 0.0 {
        return 0.0;
    }
    if k as f64 > n as f64 * p {
        sum_up(k, n, p)
    } else {
        1.0 - sum_down(k - 1, n, p)
    }
}

/// Lower tail: P(X ≤ k) for X binomial with `n` trials of probability `p`.
pub fn cdf(k: u64, n: u64, p: f64) -> f64 {
    if k >= n || p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return 0.0;
    }
    if k as f64 > n as f64 * p {
        1.0 - sum_up(k + 1, n, p)
    } else {
        sum_down(k, n, p)
    }
}

fn term(k: u64, n: u64, p: f64) -> f64 {
    let (k, n) = (k as f64, n as f64);
    libm::exp(
        libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0)
            + k * libm::log(p)
            + (n - k) * libm::log1p(-p),
    )
}

fn sum_up(k: u64, n: u64, p: f64) -> f64 {
    let odds = p / (1.0 - p);
    let (mut t, mut sum, mut i) = (term(k, n, p), 0.0, k);
    while t > sum * NEGLIGIBLE {
        sum += t;
        if i == n {
            break;
        }
        t *= (n - i) as f64 / (i + 1) as f64 * odds;
        i += 1;
    }
    sum.min(1.0)
}

fn sum_down(k: u64, n: u64, p: f64) -> f64 {
    let odds = (1.0 - p) / p;
    let (mut t, mut sum, mut i) = (term(k, n, p), 0.0, k);
    while t > sum * NEGLIGIBLE {
        sum += t;
        if i == 0 {
            break;
        }
        t *= i as f64 / (n - i + 1) as f64 * odds;
        i -= 1;
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case(0, 0, 0.5, 1.0)]
    #[case(1, 0, 0.5, 0.0)]
    #[case(1, 1, 0.25, 0.25)]
    #[case(2, 2, 0.5, 0.25)]
    #[case(1, 2, 0.5, 0.75)]
    #[case(3, 2, 0.5, 0.0)]
    #[case(1, 5, 0.0, 0.0)]
    #[case(5, 5, 1.0, 1.0)]
    fn small_tails_by_hand(#[case] k: u64, #[case] n: u64, #[case] p: f64, #[case] expected: f64) {
        assert!((tail(k, n, p) - expected).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn tail_and_cdf_are_complements(n in 1u64..5_000, k in 0u64..5_000, p in 0.0001f64..0.9999) {
            prop_assume!(k < n);
            prop_assert!((tail(k + 1, n, p) + cdf(k, n, p) - 1.0).abs() < 1e-9);
        }

        #[test]
        fn tail_falls_with_k(n in 1u64..2_000, k in 0u64..2_000, p in 0.0001f64..0.9999) {
            prop_assert!(tail(k + 1, n, p) <= tail(k, n, p) + 1e-12);
        }
    }
}
