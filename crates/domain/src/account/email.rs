//! An email address, in the one spelling in which it is stored and compared.

use super::AccountError;
use crate::text::{Rule, narrow, nfc};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Bytes of an address (RFC 5321 §4.5.3.1.3).
const MAX: usize = 254;
/// Bytes of the part before the `@` (§4.5.3.1.1).
const MAX_LOCAL: usize = 64;
const TYPED: Rule = Rule::line(MAX);
/// Characters with a special meaning in a mail's header (RFC 5322 §3.2.3): a reader could take one
/// address for two.
const SPECIALS: &str = "\"(),:;<>[\\]";

/// Checks an email address and brings it into the form in which it is compared: lower case, NFC,
/// the domain in the Unicode form of IDNA (UTS #46).
///
/// Only the shape is checked (one `@`, something on both sides, a dot in the domain); only a mail
/// can tell whether the address exists. Letters of different scripts that look alike stay
/// different.
///
/// # Errors
/// [`AccountError`]
pub fn normalize_email(email: &str) -> Result<String, AccountError> {
    let email = narrow(&TYPED.clean(email)?);
    let (local, domain) = email.split_once('@').ok_or(AccountError::Email)?;
    let local = nfc(&local.to_lowercase());
    let is_bad = |c: char| c.is_whitespace() || SPECIALS.contains(c);
    if local.is_empty() || local.len() > MAX_LOCAL || local.contains(is_bad) {
        return Err(AccountError::Email);
    }
    let email = format!("{local}@{}", normalize_domain(domain)?);
    if email.len() > MAX {
        return Err(AccountError::Email);
    }
    Ok(email)
}

/// `BÜCHER.example`, `bücher.example` and `xn--bcher-kva.example` are one domain.
fn normalize_domain(domain: &str) -> Result<String, AccountError> {
    let (deny, hyphens) = (AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), deny, hyphens, DnsLength::Verify)
        .map_err(|_| AccountError::Email)?;
    if !ascii.contains('.') {
        return Err(AccountError::Email);
    }
    let (shown, valid) = Uts46::new().to_unicode(ascii.as_bytes(), deny, hyphens);
    valid.map_err(|_| AccountError::Email)?;
    Ok(shown.into_owned())
}

/// The form in which addresses were stored before [`normalize_email`] handled Unicode. Only for
/// finding those accounts.
pub fn former_email(email: &str) -> String {
    email.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::TextError;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_address_are_one() {
        for (spellings, one) in [
            (
                &[
                    "ann@example.com",
                    " Ann@Example.COM ",
                    "ａｎｎ＠example.com",
                ][..],
                "ann@example.com",
            ),
            (
                &[
                    "josé@example.com",
                    "jose\u{301}@example.com",
                    "JOSE\u{301}@EXAMPLE.com",
                ],
                "josé@example.com",
            ),
            (
                &[
                    "a@bücher.example",
                    "A@BU\u{308}CHER.example",
                    "a@xn--bcher-kva.example",
                    "a@XN--BCHER-KVA.Example",
                    "a@bücher。example",
                    "a@ｂücher.example",
                ],
                "a@bücher.example",
            ),
            (
                &["ΝΊΚΟΣ@example.com", "νίκος@example.com"],
                "νίκος@example.com",
            ),
            (
                &["\u{212A}ate@example.com", "kate@example.com"],
                "kate@example.com",
            ),
            // Not the same mailbox.
            (&["straße@example.com"], "straße@example.com"),
            (&["strasse@example.com"], "strasse@example.com"),
            (
                &["a..b+c/d=!#$%&'*-^_`{|}~@example.com"],
                "a..b+c/d=!#$%&'*-^_`{|}~@example.com",
            ),
            (&["用户@例子.中国"], "用户@例子.中国"),
        ] {
            for spelling in spellings {
                assert_eq!(
                    normalize_email(spelling).as_deref(),
                    Ok(one),
                    "{spelling:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "ann",
            "@example.com",
            "ann@",
            "ann@com",
            "a b@example.com",
            "a@b@c.de",
            "a@.de",
            "a@de.",
            "a@b..de",
            "a@-b.de",
            "a@b-.de",
            "a@exa_mple.com",
            "a@b c.de",
            "a@xn--a.de",
            "a@[127.0.0.1]",
            "\"a b\"@example.com",
            "a,b@example.com",
            "<a@example.com>",
            "a\u{3000}b@example.com",
            &format!("{}@example.com", "a".repeat(65)),
            &format!("a@{}.com", "a".repeat(64)),
        ] {
            assert_eq!(normalize_email(bad), Err(AccountError::Email), "{bad:?}");
        }
        for (bad, fault) in [
            ("", TextError::Empty),
            ("a\u{200B}@example.com", TextError::Invisible('\u{200B}')),
            ("a\u{AD}@example.com", TextError::Invisible('\u{AD}')),
            ("a@exam\u{2060}ple.com", TextError::Invisible('\u{2060}')),
            ("\u{FEFF}a@example.com", TextError::Invisible('\u{FEFF}')),
            ("a\u{202E}@example.com", TextError::Direction('\u{202E}')),
            ("a\0@example.com", TextError::Control('\0')),
            ("a\n@example.com", TextError::LineBreak),
        ] {
            assert_eq!(
                normalize_email(bad),
                Err(AccountError::Text(fault)),
                "{bad:?}"
            );
        }
        let long = format!("{}@example.com", "x".repeat(300));
        assert_eq!(
            normalize_email(&long),
            Err(AccountError::Text(TextError::TooLong(MAX)))
        );
    }

    proptest! {
        #[test]
        fn the_one_spelling_stays_as_it_is(local in "\\PC{1,12}", domain in "\\PC{1,12}") {
            if let Ok(email) = normalize_email(&format!("{local}@{domain}.com")) {
                prop_assert_eq!(normalize_email(&email), Ok(email));
            }
        }
    }
}
