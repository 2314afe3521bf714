//! Exact money: amounts in pico-dollars, rates in USD per million tokens.
//!
//! No binary float comes near an amount. A rate is a decimal read from text; tokens × rate is computed in
//! integers and rounded once, half to even, to a pico-dollar; sums are integer sums. Rounding for people
//! happens in [`Usd::rounded`] only.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;
use std::ops::AddAssign;
use std::ops::Neg;
use std::ops::Sub;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

/// Pico-dollars in a dollar.
const PICO_PER_USD: i128 = 1_000_000_000_000;
/// Decimal places of a pico-dollar.
const PICO_PLACES: u32 = 12;
/// Tokens that a rate is for.
const TOKENS_PER_RATE: i128 = 1_000_000;

/// An exact amount of money in USD, a whole number of pico-dollars.
///
/// `Display` and JSON give the shortest exact decimal, such as `0.0915453`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Usd(i128);

/// Why a price or an amount cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The text is not a decimal number.
    #[error("`{text}` is not a decimal number")]
    NotADecimal {
        /// The text as found.
        text: String,
    },
    /// A price is below zero.
    #[error("price {price} is negative")]
    Negative {
        /// The price as found.
        price: Decimal,
    },
    /// A price is above what cmat computes exactly.
    #[error("price {price} is above 1000000 USD per million tokens")]
    TooHigh {
        /// The price as found.
        price: Decimal,
    },
    /// A price has more decimal places than cmat computes exactly.
    #[error("price {price} has more than {PICO_PLACES} decimal places")]
    TooFine {
        /// The price as found.
        price: Decimal,
    },
    /// tokens × rate does not fit an amount (9.2 million USD for one component of one request).
    #[error("cost of {tokens} tokens at {rate} USD per million tokens is too large to record")]
    Overflow {
        /// Number of tokens.
        tokens: u64,
        /// USD per million tokens.
        rate: Decimal,
    },
}

impl Usd {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// Returns the amount of `pico` pico-dollars.
    pub const fn from_pico(pico: i128) -> Self {
        Self(pico)
    }

    /// Returns the amount in pico-dollars.
    pub const fn pico(self) -> i128 {
        self.0
    }

    /// Returns the amount with `places` decimal places (0 to 12), rounded half to even, with thousands commas.
    ///
    /// ```
    /// use cmat::money::Usd;
    ///
    /// assert_eq!("1234.56785".parse::<Usd>()?.rounded(4), "1,234.5678");
    /// # Ok::<(), cmat::money::MoneyError>(())
    /// ```
    pub fn rounded(self, places: u32) -> String {
        let (sign, whole, fraction) = self.digits(places);
        format!("{sign}{}{fraction}", grouped(whole))
    }

    /// Returns the amount with `places` decimal places (0 to 12), rounded half to even, without commas.
    pub fn fixed(self, places: u32) -> String {
        let (sign, whole, fraction) = self.digits(places);
        format!("{sign}{whole}{fraction}")
    }

    /// Returns the amount divided by `count`, rounded half to even to a pico-dollar; `None` if there is nothing.
    pub fn average(self, count: u64) -> Option<Self> {
        (count > 0).then(|| Self(div_half_even(self.0, i128::from(count))))
    }

    fn digits(self, places: u32) -> (&'static str, u128, String) {
        let places = places.min(PICO_PLACES);
        let rounded = div_half_even(self.0, 10_i128.pow(PICO_PLACES - places));
        let one = 10_i128.pow(places);
        let fraction = match places {
            0 => String::new(),
            _ => format!(".{:0width$}", (rounded % one).unsigned_abs(), width = places as usize),
        };
        (if rounded < 0 { "-" } else { "" }, (rounded / one).unsigned_abs(), fraction)
    }
}

/// Returns `number` with a comma between each three digits.
pub fn grouped(number: impl Into<u128>) -> String {
    let digits = number.into().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Divides and rounds half to even; `divisor` is positive.
fn div_half_even(dividend: i128, divisor: i128) -> i128 {
    let quotient = dividend.div_euclid(divisor);
    let rest = dividend.rem_euclid(divisor);
    // `divisor - rest` instead of `2 * rest`: the double could overflow.
    match rest.cmp(&(divisor - rest)) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + quotient.rem_euclid(2),
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = (self.0 / PICO_PER_USD).unsigned_abs();
        let fraction = (self.0 % PICO_PER_USD).unsigned_abs();
        let text = format!("{sign}{whole}.{fraction:012}");
        f.pad(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl FromStr for Usd {
    type Err = MoneyError;

    /// Reads a decimal number of USD, such as `0.0789`; digits below a pico-dollar are rounded half to even.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let wrong = || MoneyError::NotADecimal { text: text.chars().take(64).collect() };
        let amount = parse_decimal(text).ok_or_else(wrong)?;
        let scale = amount.scale();
        if scale > PICO_PLACES {
            return Ok(Self(div_half_even(amount.mantissa(), 10_i128.pow(scale - PICO_PLACES))));
        }
        amount.mantissa().checked_mul(10_i128.pow(PICO_PLACES - scale)).map(Self).ok_or_else(wrong)
    }
}

fn parse_decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    if text.contains(['e', 'E']) {
        Decimal::from_scientific(text).ok()
    } else {
        Decimal::from_str_exact(text).ok()
    }
}

impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Usd {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Usd {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A price in USD per million tokens: 0 to 1,000,000, with at most 12 decimal places.
///
/// JSON gives it as a decimal string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rate(Decimal);

impl Rate {
    /// Returns the rate of `price` USD per million tokens, or why it cannot be one.
    pub fn new(price: Decimal) -> Result<Self, MoneyError> {
        let price = price.normalize();
        if price.is_sign_negative() && !price.is_zero() {
            return Err(MoneyError::Negative { price });
        }
        if price > Decimal::from(1_000_000) {
            return Err(MoneyError::TooHigh { price });
        }
        if price.scale() > PICO_PLACES {
            return Err(MoneyError::TooFine { price });
        }
        Ok(Self(price.abs()))
    }

    /// Returns USD per million tokens.
    pub fn per_million(self) -> Decimal {
        self.0
    }

    /// Returns what `tokens` tokens cost at this rate × `factor`, rounded once, half to even, to a pico-dollar.
    ///
    /// `factor` is the product of the modifiers that apply, such as 0.5 for a batch and 1.1 for US inference.
    pub fn cost(self, tokens: u64, factor: Decimal) -> Result<Usd, MoneyError> {
        let overflow = || MoneyError::Overflow { tokens, rate: self.0 };
        let scale = self.0.scale() + factor.scale();
        let product = i128::from(tokens)
            .checked_mul(self.0.mantissa())
            .and_then(|product| product.checked_mul(factor.mantissa()))
            .ok_or_else(overflow)?;
        // product / 10^scale is USD × 10^6; a pico-dollar is 10^-12 USD.
        let pico_per_unit = PICO_PER_USD / TOKENS_PER_RATE;
        let pico = match 10_i128.checked_pow(scale) {
            Some(divisor) if divisor >= pico_per_unit => div_half_even(product, divisor / pico_per_unit),
            Some(divisor) => product.checked_mul(pico_per_unit / divisor).ok_or_else(overflow)?,
            None => return Err(overflow()),
        };
        if i64::try_from(pico).is_err() {
            return Err(overflow());
        }
        Ok(Usd(pico))
    }

    /// Returns the rate with two decimal places, more if it needs more: `3.00`, `0.125`.
    pub fn displayed(self) -> String {
        let places = self.0.normalize().scale().max(2) as usize;
        format!("{:.places$}", self.0)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.normalize().to_string())
    }
}

impl FromStr for Rate {
    type Err = MoneyError;

    /// Reads the decimal text of a price, `1e-7` included.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let price = parse_decimal(text)
            .ok_or_else(|| MoneyError::NotADecimal { text: text.chars().take(64).collect() })?;
        Self::new(price)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;
    use num_rational::BigRational;
    use proptest::prelude::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    #[test]
    fn reads_and_shows_exact_decimals() {
        for text in ["0", "0.0915453", "3.91389375", "-3.6", "1234567.000000000001"] {
            assert_eq!(usd(text).to_string(), text);
        }
        assert_eq!(usd("1e-7").to_string(), "0.0000001");
        assert!("NaN".parse::<Usd>().is_err());
        assert!("".parse::<Usd>().is_err());
    }

    #[test]
    fn rounds_half_to_even() {
        for (text, places, expected) in [
            ("0.00005", 4, "0.0000"),
            ("0.00015", 4, "0.0002"),
            ("0.00025", 4, "0.0002"),
            ("-0.00015", 4, "-0.0002"),
            ("1234567.891", 2, "1,234,567.89"),
            ("0.5", 0, "0"),
            ("1.5", 0, "2"),
        ] {
            assert_eq!(usd(text).rounded(places), expected, "{text} to {places} places");
        }
    }

    #[test]
    fn refuses_prices_that_it_could_not_compute_exactly() {
        for (text, expected) in [
            ("-1", "price -1 is negative"),
            ("1000001", "price 1000001 is above 1000000 USD per million tokens"),
            ("0.0000000000001", "price 0.0000000000001 has more than 12 decimal places"),
            ("NaN", "`NaN` is not a decimal number"),
        ] {
            assert_eq!(text.parse::<Rate>().unwrap_err().to_string(), expected);
        }
        assert_eq!("1e-7".parse::<Rate>().unwrap().displayed(), "0.0000001");
        assert_eq!("0.125".parse::<Rate>().unwrap().displayed(), "0.125");
        assert_eq!("3".parse::<Rate>().unwrap().displayed(), "3.00");
    }

    #[test]
    fn an_amount_that_does_not_fit_is_an_error_not_a_wrap() {
        let rate: Rate = "1000000".parse().unwrap();
        assert!(rate.cost(u64::MAX, Decimal::ONE).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(cases()))]

        #[test]
        fn cost_equals_the_rational_model(
            tokens in 0_u64..=1 << 40,
            mantissa in 0_i64..=1_000_000_000_000,
            scale in 0_u32..=12,
            factor in prop::sample::select(vec!["1", "0.5", "1.1", "0.55"]),
        ) {
            let factor: Decimal = factor.parse().unwrap();
            let price = Decimal::new(mantissa, scale);
            let Ok(rate) = Rate::new(price) else { return Ok(()) };
            let exact = BigRational::from(BigInt::from(tokens))
                * ratio(price) * ratio(factor)
                * BigRational::from(BigInt::from(1_000_000));
            let expected = half_even(&exact);
            match rate.cost(tokens, factor) {
                Ok(cost) => prop_assert_eq!(BigInt::from(cost.pico()), expected),
                Err(_) => prop_assert!(expected > BigInt::from(i64::MAX)),
            }
        }
    }

    /// The quick subset, or as many as `CMAT_PROPTEST_CASES` says.
    #[expect(clippy::disallowed_methods, reason = "the number of cases is the tester's choice")]
    fn cases() -> u32 {
        std::env::var("CMAT_PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000)
    }

    fn ratio(decimal: Decimal) -> BigRational {
        BigRational::new(decimal.mantissa().into(), BigInt::from(10).pow(decimal.scale()))
    }

    fn half_even(exact: &BigRational) -> BigInt {
        let floor = exact.floor().to_integer();
        let rest = exact - BigRational::from(floor.clone());
        let half = BigRational::new(1.into(), 2.into());
        let up = rest > half || (rest == half && &floor % BigInt::from(2) != BigInt::from(0));
        if up { floor + 1 } else { floor }
    }
}
