//! Kubernetes quantities, as the API server writes amounts of extended resources: whole numbers, perhaps with a suffix.

/// Reads `"200"`, `"40k"`, `"2e3"`, `"1Ki"`; `None` for anything that is no whole number.
pub(crate) fn whole(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let times: u64 = match suffix {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => {
            let tens = suffix.strip_prefix(['e', 'E'])?;
            10_u64.checked_pow(tens.parse().ok()?)?
        }
    };
    number.parse::<u64>().ok()?.checked_mul(times)
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn the_api_servers_spellings_are_read() {
        let good =
            [("200", 200), ("0", 0), ("40k", 40_000), ("2e3", 2_000), ("1Ki", 1024), ("115M", 115_000_000)];
        for (text, value) in good {
            assert_eq!(whole(text), Some(value), "{text}");
        }
        for bad in ["", "-1", "1.5", "1m", "k", "1e99", "99999999999999999999", "18446744073709551615k"] {
            assert_eq!(whole(bad), None, "{bad}");
        }
    }
}
