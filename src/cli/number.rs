//! Whole numbers as arguments, with words for what is none.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Returns a parser of whole numbers in `range`; what is none is told by `example`.
pub(super) fn whole<N>(
    range: RangeInclusive<N>,
    example: &'static str,
) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync + 'static
where
    N: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text| {
        let text = text.trim();
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (least, most) = (range.start(), range.end());
        match text.parse().ok().filter(|number| range.contains(number)) {
            Some(number) if is_number => Ok(number),
            _ if is_number => Err(format!("expected a number from {least} to {most}")),
            _ => Err(match without_separators(text) {
                Some(digits) => format!("expected a whole number without separators: {digits}"),
                None => format!("expected a whole number, such as {example}"),
            }),
        }
    }
}

/// Returns the digits of a number whose thousands are set apart.
fn without_separators(text: &str) -> Option<String> {
    let mut groups = text.split([',', '_', '\'', ' ']);
    let is_digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let first = groups.next().filter(|first| (1..=3).contains(&first.len()) && is_digits(first))?;
    let rest: Vec<&str> = groups.collect();
    let are_thousands = !rest.is_empty() && rest.iter().all(|group| group.len() == 3 && is_digits(group));
    are_thousands.then(|| format!("{first}{}", rest.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<u32, &str>) {
        assert_eq!(whole(1..=5_000, "80")(text), expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn says_what_was_expected() {
        check("1", Ok(1));
        check(" 5000 ", Ok(5_000));
        for text in ["0", "5001", "99999999999999999999"] {
            check(text, Err("expected a number from 1 to 5000"));
        }
        for text in ["abc", "", "-1", "+1", "80%", "1.5", "1,0", "1e3", ",100", "1,,000"] {
            check(text, Err("expected a whole number, such as 80"));
        }
        check("1,000", Err("expected a whole number without separators: 1000"));
        check("12_345 678", Err("expected a whole number without separators: 12345678"));
    }
}
