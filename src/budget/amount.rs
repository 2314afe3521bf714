//! Amounts of money that a person writes.

use crate::money::Usd;

/// The largest amount that is taken, in USD.
const LARGEST: i128 = 1_000_000_000;

/// Digits after the point that an amount can have.
const MAX_PLACES: usize = 12;

/// Why a text is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Nothing is there.
    #[error("the amount is empty: expected US dollars, such as 50 or 4.50")]
    Empty,
    /// A sign for a currency, or letters.
    #[error("`{0}` names a currency or a unit: amounts are US dollars, write the number alone, such as 4.50")]
    Currency(String),
    /// A comma, which is a decimal point to some and a separator to others.
    #[error("`{0}` has a comma: write a point before cents and nothing between thousands, such as 1000.50")]
    Comma(String),
    /// Below zero.
    #[error("`{0}` is negative: an amount is above zero")]
    Negative(String),
    /// Zero, which would allow nothing.
    #[error("`{0}` is zero: an amount is above zero")]
    Zero(String),
    /// Above `LARGEST`.
    #[error("`{0}` is too large: an amount is at most 1000000000 US dollars")]
    TooLarge(String),
    /// More places than can be kept exactly.
    #[error("`{0}` has more than 12 decimal places")]
    TooFine(String),
    /// Something else.
    #[error("`{0}` is no amount: expected US dollars, such as 50 or 4.50")]
    NotANumber(String),
}

/// Reads an amount in USD: digits, and a point and more digits if need be; above zero.
pub fn parse(text: &str) -> Result<Usd, AmountError> {
    let text = text.trim();
    let shown =
        || text.chars().take(24).chain((text.chars().count() > 24).then_some('…')).collect::<String>();
    if text.is_empty() {
        return Err(AmountError::Empty);
    }
    if let Some(rest) = text.strip_prefix(['-', '−']) {
        let is_amount = rest.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '$'));
        return Err(if is_amount {
            AmountError::Negative(shown())
        } else {
            AmountError::NotANumber(shown())
        });
    }
    if text.contains(',') {
        return Err(AmountError::Comma(shown()));
    }
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(places) || (whole.is_empty() && places.is_empty()) {
        let has_number = text.contains(|c: char| c.is_ascii_digit());
        let is_exponent =
            text.chars().all(|c| c.is_ascii_digit() || matches!(c, 'e' | 'E' | '+' | '-' | '.'));
        let is_currency = has_number && !is_exponent && !text.contains(['%', '/', '_', ':']);
        return Err(match is_currency {
            true => AmountError::Currency(shown()),
            false => AmountError::NotANumber(shown()),
        });
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() > 10 {
        return Err(AmountError::TooLarge(shown()));
    }
    if places.trim_end_matches('0').len() > MAX_PLACES {
        return Err(AmountError::TooFine(shown()));
    }
    let exact = format!(
        "{}.{:0<MAX_PLACES$}",
        if whole.is_empty() { "0" } else { whole },
        places.trim_end_matches('0')
    );
    let amount: Usd = exact.parse().map_err(|_| AmountError::NotANumber(shown()))?;
    if amount > Usd::from_pico(LARGEST * 1_000_000_000_000) {
        return Err(AmountError::TooLarge(shown()));
    }
    if amount == Usd::ZERO {
        return Err(AmountError::Zero(shown()));
    }
    Ok(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_plain_dollars() {
        for (text, expected) in [
            ("50", "50"),
            ("5.00", "5"),
            (" 4.5 ", "4.5"),
            (".25", "0.25"),
            ("3.", "3"),
            ("007", "7"),
            ("0.000000000001", "0.000000000001"),
            ("1000000000", "1000000000"),
            ("1.0000000000000000", "1"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_anything_else() {
        for (text, expected) in [
            ("", "the amount is empty: expected US dollars, such as 50 or 4.50"),
            ("-5", "`-5` is negative: an amount is above zero"),
            ("-$5", "`-$5` is negative: an amount is above zero"),
            ("0", "`0` is zero: an amount is above zero"),
            ("0.00", "`0.00` is zero: an amount is above zero"),
            (
                "1,000",
                "`1,000` has a comma: write a point before cents and nothing between thousands, such as 1000.50",
            ),
            (
                "$5",
                "`$5` names a currency or a unit: amounts are US dollars, write the number alone, such as 4.50",
            ),
            (
                "5€",
                "`5€` names a currency or a unit: amounts are US dollars, write the number alone, such as 4.50",
            ),
            (
                "5 USD",
                "`5 USD` names a currency or a unit: amounts are US dollars, write the number alone, such as 4.50",
            ),
            ("1e3", "`1e3` is no amount: expected US dollars, such as 50 or 4.50"),
            ("1.2.3", "`1.2.3` is no amount: expected US dollars, such as 50 or 4.50"),
            (".", "`.` is no amount: expected US dollars, such as 50 or 4.50"),
            ("NaN", "`NaN` is no amount: expected US dollars, such as 50 or 4.50"),
            ("--help", "`--help` is no amount: expected US dollars, such as 50 or 4.50"),
            ("50%", "`50%` is no amount: expected US dollars, such as 50 or 4.50"),
            ("٥", "`٥` is no amount: expected US dollars, such as 50 or 4.50"),
            ("0.0000000000001", "`0.0000000000001` has more than 12 decimal places"),
            ("1000000001", "`1000000001` is too large: an amount is at most 1000000000 US dollars"),
            (
                "1234567890123456789012345678901234567890",
                "`123456789012345678901234…` is too large: an amount is at most 1000000000 US dollars",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
