//! The `Retry-After` header (RFC 9110 section 10.2.3): seconds, or a date.

use std::time::Duration;

use device_grant_domain::Timestamp;

const SECONDS_PER_DAY: u64 = 86_400;

/// How long a `Retry-After` asks to wait from `now` on; `None` if it cannot be read.
pub(crate) fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.parse().ok().map(Duration::from_secs);
    }
    Some(imf_fixdate(value)?.since(now))
}

/// A date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7). The two obsolete forms are not read.
fn imf_fixdate(value: &str) -> Option<Timestamp> {
    let (_weekday, date) = value.split_once(", ")?;
    let mut parts = date.strip_suffix(" GMT")?.split(' ');
    let (day, month, year, time) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let number = |text: &str| text.parse::<u64>().ok();
    let mut clock = time.splitn(3, ':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let sane = hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
    let days = days_since_epoch(number(year)?, month_number(month)?, number(day)?)?;
    sane.then(|| Timestamp::from_secs(days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second))
}

fn month_number(name: &str) -> Option<u64> {
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let index = names.iter().position(|month| *month == name)?;
    u64::try_from(index + 1).ok()
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. The year is counted from March, so that the leap day is
/// its last day.
fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    // 719,468 days lie between 0000-03-01 and the epoch.
    (year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(784_111_777);

    /// UP-05: both forms of the header are understood.
    #[test]
    fn seconds_and_dates_are_read() {
        for (value, seconds) in [
            ("120", 120),
            (" 0 ", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
            ("Sun, 06 Nov 1994 08:50:37 GMT", 60),
            ("Mon, 06 Nov 1995 08:49:37 GMT", 365 * SECONDS_PER_DAY),
            ("Thu, 29 Feb 1996 08:49:37 GMT", 480 * SECONDS_PER_DAY),
            ("Sun, 06 Nov 1988 08:49:37 GMT", 0),
        ] {
            assert_eq!(parse(value, NOW), Some(Duration::from_secs(seconds)), "{value}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        for value in [
            "",
            "soon",
            "-5",
            "1.5",
            "99999999999999999999",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nux 1994 08:49:37 GMT",
            "Thu, 01 Jan 1969 00:00:00 GMT",
        ] {
            assert_eq!(parse(value, NOW), None, "{value}");
        }
    }
}
