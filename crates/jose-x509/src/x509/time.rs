//! UTCTime and GeneralizedTime (RFC 5280, section 4.1.2.5).

use der::Tag;

use super::asn1::{Input, Result, all_within};
use super::error::{CertificateProblem, Field};

/// Reads a time, which has whole seconds, `Z`, and a date that exists from 1970 to 9999. Gives seconds since 1970.
pub(super) fn parse(input: &mut Input<'_>, field: Field) -> Result<u64> {
    let seconds = if let Some(value) = input.optional(Tag::UtcTime)? {
        match digits(value) {
            Some([y1, y2, rest @ ..]) => {
                let year = number(*y1, *y2);
                seconds(year + if year >= 50 { 1900 } else { 2000 }, rest)
            }
            _ => None,
        }
    } else if let Some(value) = input.optional(Tag::GeneralizedTime)? {
        match digits(value) {
            Some([y1, y2, y3, y4, rest @ ..]) => {
                seconds(number(*y1, *y2) * 100 + number(*y3, *y4), rest)
            }
            _ => None,
        }
    } else {
        input.next()?;
        None
    };
    seconds.ok_or(CertificateProblem::InvalidTime { field })
}

/// What stands before the `Z`.
fn digits(text: &[u8]) -> Option<&[u8]> {
    let digits = text.strip_suffix(b"Z")?;
    all_within::<b'0', b'9'>(digits).then_some(digits)
}

/// `rest`: digits for the month and all that is smaller.
fn seconds(year: u16, rest: &[u8]) -> Option<u64> {
    let [mo1, mo2, d1, d2, h1, h2, mi1, mi2, s1, s2] = rest else {
        return None;
    };
    let (hour, minute, second) = (number(*h1, *h2), number(*mi1, *mi2), number(*s1, *s2));
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let time = u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second);
    let days = days(year, number(*mo1, *mo2), number(*d1, *d2))?;
    Some(days * 86_400 + time)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, if it exists and is not earlier. No year has more than
/// four digits.
fn days(year: u16, month: u16, day: u16) -> Option<u64> {
    // From the first of January of year 1.
    const EPOCH: u64 = 719_162;
    // The days of the year before each month, and those in it.
    const MONTHS: [(u16, u16); 12] = [
        (0, 31),
        (31, 28),
        (59, 31),
        (90, 30),
        (120, 31),
        (151, 30),
        (181, 31),
        (212, 31),
        (243, 30),
        (273, 31),
        (304, 30),
        (334, 31),
    ];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (before, length) = *MONTHS.get(usize::from(month.checked_sub(1)?))?;
    let length = length + u16::from(leap && month == 2);
    if !(1..=length).contains(&day) {
        return None;
    }
    let years = u64::from(year.checked_sub(1)?);
    let leap_days = years / 4 - years / 100 + years / 400 + u64::from(leap && month > 2);
    (years * 365 + leap_days + u64::from(before + day - 1)).checked_sub(EPOCH)
}

/// Two octets that are digits.
fn number(tens: u8, ones: u8) -> u16 {
    u16::from(tens & 0x0f) * 10 + u16::from(ones & 0x0f)
}
