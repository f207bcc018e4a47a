//! A username, in the one spelling in which it is stored and compared: RFC 8265's profile
//! `UsernameCaseMapped`, restricted to letters, digits, `.`, `_` and `-`.

use super::AccountError;
use crate::text::{Rule, is_letter_or_digit, is_plain, narrow, nfc};
use icu_properties::props::BidiClass;
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed};

const MIN: usize = 3;
const MAX: usize = 64;
const TYPED: Rule = Rule::line(MAX);

const DIRECTION: CodePointMapDataBorrowed<'static, BidiClass> =
    CodePointMapData::<BidiClass>::new();

/// Checks a username and brings it into the form in which it is compared: normal width, lower case,
/// NFC.
///
/// # Errors
/// [`AccountError`]
pub fn normalize_username(username: &str) -> Result<String, AccountError> {
    let name = nfc(&narrow(&TYPED.clean(username)?).to_lowercase());
    let is_allowed = |c: char| {
        matches!(c, '.' | '_' | '-') || (is_letter_or_digit(c) && is_plain(c) && !is_old_jamo(c))
    };
    if !(MIN..=MAX).contains(&name.chars().count()) || !name.chars().all(is_allowed) {
        return Err(AccountError::Username);
    }
    if !has_one_direction(&name) {
        return Err(AccountError::Directions);
    }
    Ok(name)
}

/// The form in which usernames were stored before [`normalize_username`] handled Unicode. Only for
/// finding those accounts.
pub fn former_username(username: &str) -> String {
    username.to_lowercase()
}

/// Parts of Hangul syllables that have no syllable of their own (RFC 8264 §9.9).
fn is_old_jamo(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11FF}' | '\u{A960}'..='\u{A97F}' | '\u{D7B0}'..='\u{D7FF}')
}

/// The Bidi rule (RFC 5893 §2): a name with letters of a right-to-left script must read the same in
/// every context.
fn has_one_direction(name: &str) -> bool {
    use BidiClass as B;
    let classes: Vec<BidiClass> = name.chars().map(|c| DIRECTION.get(c)).collect();
    let has = |class: BidiClass| classes.contains(&class);
    if !(has(B::RightToLeft) || has(B::ArabicLetter) || has(B::ArabicNumber)) {
        return true;
    }
    let is_right = |class: &BidiClass| matches!(*class, B::RightToLeft | B::ArabicLetter);
    let last = classes.iter().rfind(|class| **class != B::NonspacingMark);
    classes.first().is_some_and(is_right)
        && !has(B::LeftToRight)
        && last.is_some_and(|c| is_right(c) || matches!(*c, B::EuropeanNumber | B::ArabicNumber))
        && !(has(B::EuropeanNumber) && has(B::ArabicNumber))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::TextError;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_username_are_one() {
        for (spellings, one) in [
            (
                &["ann.lee", "Ann.Lee", " ANN.LEE ", "ａｎｎ．ｌｅｅ"][..],
                "ann.lee",
            ),
            (&["josé", "JOSE\u{301}"], "josé"),
            (&["ёлка", "Е\u{308}ЛКА"], "ёлка"),
            (&["ガラス", "ｶﾞﾗｽ"], "ガラス"),
            (&["श्री1"], "श्री1"),
            (&["שלום", "שלום"], "שלום"),
            (&["שלום-12"], "שלום-12"),
        ] {
            for spelling in spellings {
                assert_eq!(
                    normalize_username(spelling).as_deref(),
                    Ok(one),
                    "{spelling:?}"
                );
            }
        }
    }

    #[test]
    fn a_username_cannot_look_like_an_email_or_hide_anything() {
        for bad in [
            "an",
            "ann@example.com",
            "ann lee",
            "x²y",
            "ﬁnn",
            "ann!",
            "a😀b",
            "ann\u{A0}lee",
        ] {
            assert_eq!(
                normalize_username(bad),
                Err(AccountError::Username),
                "{bad:?}"
            );
        }
        for bad in ["שלוםann", "annשלום", "1שלום", "ש1٢", "٣٣٣"] {
            assert_eq!(
                normalize_username(bad),
                Err(AccountError::Directions),
                "{bad:?}"
            );
        }
        for (bad, fault) in [
            ("   ", TextError::Empty),
            ("ann\u{200B}", TextError::Invisible('\u{200B}')),
            ("an\u{200D}n", TextError::Invisible('\u{200D}')),
            ("a\u{AD}nn", TextError::Invisible('\u{AD}')),
            ("ann\u{3164}", TextError::Invisible('\u{3164}')),
            ("ann\u{202E}", TextError::Direction('\u{202E}')),
            ("\u{301}ann", TextError::LoneMark),
            ("ann\0", TextError::Control('\0')),
        ] {
            assert_eq!(
                normalize_username(bad),
                Err(AccountError::Text(fault)),
                "{bad:?}"
            );
        }
        assert_eq!(
            normalize_username(&"a".repeat(65)),
            Err(AccountError::Text(TextError::TooLong(MAX)))
        );
        // Letters with an invisible joiner are allowed in a text, but not in a username.
        assert_eq!(
            normalize_username("می\u{200C}خواهم"),
            Err(AccountError::Username)
        );
    }

    proptest! {
        #[test]
        fn the_one_spelling_stays_as_it_is(name in "\\PC{3,12}") {
            if let Ok(name) = normalize_username(&name) {
                prop_assert_eq!(normalize_username(&name), Ok(name));
            }
        }
    }
}
