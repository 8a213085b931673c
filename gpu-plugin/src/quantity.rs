//! Kubernetes quantities, as far as extended resources have them: whole numbers in any of the spellings that the API takes.

/// Reads `"200"`, `"1k"`, `"2e3"`, `"1Ki"`, `"1.5k"`, `"3000m"`; `None` if it is no quantity, negative, broken or huge.
pub fn whole(text: &str) -> Option<u64> {
    let end =
        text.bytes().position(|b| !(b.is_ascii_digit() || b == b'.' || b == b'+')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let number = number.strip_prefix('+').unwrap_or(number);
    let (before, after) = number.split_once('.').unwrap_or((number, ""));
    // 40 digits of fraction are more than any amount that is whole in the end can have.
    if (before.is_empty() && after.is_empty()) || after.len() > 40 || number.contains('+') {
        return None;
    }
    let digits: u128 = format!("{before}{after}").parse().ok()?;
    let places = i32::try_from(after.len()).ok()?;
    let (times, tens) = scale(suffix)?;
    let value = digits.checked_mul(times)?;
    let power = tens - places;
    let ten = 10_u128.checked_pow(power.unsigned_abs());
    let value = match power >= 0 {
        true if value == 0 => 0,
        true => value.checked_mul(ten?)?,
        false if value.is_multiple_of(ten?) => value / ten?,
        false => return None,
    };
    u64::try_from(value).ok()
}

/// A suffix as a factor and a power of ten.
fn scale(suffix: &str) -> Option<(u128, i32)> {
    let tens = match suffix {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "" => 0,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        "Ki" => return Some((1 << 10, 0)),
        "Mi" => return Some((1 << 20, 0)),
        "Gi" => return Some((1 << 30, 0)),
        "Ti" => return Some((1 << 40, 0)),
        "Pi" => return Some((1 << 50, 0)),
        "Ei" => return Some((1 << 60, 0)),
        _ => suffix.strip_prefix(['e', 'E'])?.parse().ok().filter(|tens: &i32| tens.unsigned_abs() <= 30)?,
    };
    Some((1, tens))
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn every_spelling_of_a_whole_number_is_read_and_nothing_else() {
        for (text, value) in [
            ("200", 200),
            ("0", 0),
            ("1k", 1000),
            ("2e3", 2000),
            ("2E3", 2000),
            ("1Ki", 1024),
            ("1.5k", 1500),
            ("3000m", 3),
            ("+5", 5),
            ("0.5Ki", 512),
            (".5k", 500),
            ("1E", 1_000_000_000_000_000_000),
            ("1e0", 1),
            ("5000000u", 5),
            ("20e-1", 2),
            ("1.0", 1),
            ("40k", 40_000),
            ("115M", 115_000_000),
        ] {
            assert_eq!(whole(text), Some(value), "{text}");
        }
        for bad in [
            "",
            "-1",
            "1.5",
            "1m",
            "abc",
            "1x",
            "1e",
            "1e99",
            "99999999999999999999",
            "16Ei",
            ".",
            "1.2.3",
            "1 k",
            "k",
            "1+2",
            "+",
            "1e31",
            "1e-2147483648",
            "18446744073709551615k",
            "٣",
        ] {
            assert_eq!(whole(bad), None, "{bad}");
        }
    }
}
