//! The rule in examples, and its properties for any text.

use super::*;
use icu_normalizer::DecomposingNormalizerBorrowed as Decompose;
use proptest::prelude::*;

const LINE: Rule = Rule::line(20);
const LINES: Rule = Rule::lines(20);

#[test]
fn what_people_write_is_taken_in_any_script() {
    for text in [
        "Ann",
        "O'Neil",
        "Анна-Мария",
        "Nguyễn Văn A",
        "李小龍",
        "ジョン",
        "홍길동",
        "محمد",
        "שָׁלוֹם",
        "กุหลาบ",
        "ཧྐྵྨླྺྼྻྂ",
        "100 % \"pure\" \\_",
        "½ kg",
        "№ 7",
        "…",
        "a\u{A0}b",
        // Joiners: Persian, Hindi, Bengali, Malayalam, Sinhala, the abbreviation of Hijri.
        "می\u{200C}خواهم",
        "کار\u{200C}ها",
        "سوء\u{200C}استفاده",
        "۲۰\u{200C}ساله",
        "PDF\u{200C}ها",
        "«کتاب»\u{200C}ها",
        "क्\u{200D}ष",
        "क्\u{200C}ष",
        "র\u{200D}\u{9CD}য",
        "ന്\u{200D}",
        "ක්\u{200D}ර",
        "ه\u{200D}",
        // Emoji: one heart, a family, an eye in a bubble, a keycap, skin, flags.
        "❤\u{FE0F}",
        "👩\u{200D}👧\u{200D}👦",
        "👁\u{FE0F}\u{200D}🗨\u{FE0F}",
        "1\u{FE0F}\u{20E3}",
        "🕵🏽\u{200D}♂\u{FE0F}",
        "🇩🇪",
        "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
        // A variant of an ideograph, as in Japanese names, and one of a sign.
        "葛\u{E0100}城",
        "≨\u{FE00}",
        // Mongolian with its own selectors.
        "ᠨ\u{180E}ᠠ",
        "ᠠ\u{180B}",
        // A sign that encloses the number after it.
        "\u{600}12",
    ] {
        assert_eq!(LINE.clean(text), Ok(nfc(text)), "{text:?}");
    }
}

#[test]
fn form_and_white_space_around_are_put_right() {
    for (typed, stored) in [
        (" Ann\t\n", "Ann"),
        ("\u{3000}\u{A0}Ann\u{2003}", "Ann"),
        ("Jose\u{301}", "José"),
        ("\u{1112}\u{1161}\u{11AB}", "한"),
        ("\u{212B}", "Å"),
        // Compatibility characters are what was typed.
        ("ﬁ Ａ", "ﬁ Ａ"),
    ] {
        assert_eq!(LINE.clean(typed).as_deref(), Ok(stored), "{typed:?}");
    }
    let typed = "a\r\nb\rc\u{2028}d\u{85}e\n\nf\n";
    assert_eq!(LINES.clean(typed).as_deref(), Ok("a\nb\nc\nd\ne\n\nf"));
}

#[test]
fn what_can_not_be_seen_or_harms_others_is_refused_by_name() {
    use TextError as E;
    for (text, fault) in [
        ("", E::Empty),
        (" \u{3000}\n", E::Empty),
        ("\u{2800}\u{2800}", E::Empty),
        ("a\0b", E::Control('\0')),
        ("a\tb", E::Control('\t')),
        ("a\u{1B}[2J", E::Control('\u{1B}')),
        ("a\u{7F}", E::Control('\u{7F}')),
        ("a\u{9B}b", E::Control('\u{9B}')),
        ("a\nb", E::LineBreak),
        ("a\rb", E::LineBreak),
        ("a\u{85}b", E::LineBreak),
        ("a\u{2028}b", E::LineBreak),
        ("a\u{2029}b", E::LineBreak),
        ("a\u{202E}b", E::Direction('\u{202E}')),
        ("a\u{2066}b", E::Direction('\u{2066}')),
        ("a\u{200E}", E::Direction('\u{200E}')),
        ("\u{200F}a", E::Direction('\u{200F}')),
        ("a\u{61C}b", E::Direction('\u{61C}')),
        ("\u{200B}", E::Invisible('\u{200B}')),
        ("a\u{AD}b", E::Invisible('\u{AD}')),
        ("a\u{2060}b", E::Invisible('\u{2060}')),
        ("\u{FEFF}a", E::Invisible('\u{FEFF}')),
        ("a\u{34F}b", E::Invisible('\u{34F}')),
        ("\u{3164}", E::Invisible('\u{3164}')),
        ("\u{115F}\u{1160}", E::Invisible('\u{115F}')),
        ("\u{FFA0}", E::Invisible('\u{FFA0}')),
        ("a\u{206A}b", E::Invisible('\u{206A}')),
        ("a\u{FFF9}b", E::Invisible('\u{FFF9}')),
        ("a\u{E0001}b", E::Invisible('\u{E0001}')),
        // Tags that spell a hidden message.
        ("hi\u{E0068}\u{E0069}", E::Invisible('\u{E0068}')),
        ("🏴\u{E0067}", E::Invisible('\u{E0067}')),
        ("🏴\u{E007F}", E::Invisible('\u{E007F}')),
        // Joiners and selectors with nothing to do.
        ("a\u{200D}b", E::Invisible('\u{200D}')),
        ("a\u{200C}b", E::Invisible('\u{200C}')),
        ("\u{200D}", E::Invisible('\u{200D}')),
        ("می\u{200C}", E::Invisible('\u{200C}')),
        ("می\u{200C} خ", E::Invisible('\u{200C}')),
        ("a\u{200C}b", E::Invisible('\u{200C}')),
        ("ب\u{200D}\u{200D}", E::Invisible('\u{200D}')),
        ("❤\u{200D}", E::Invisible('\u{200D}')),
        ("\u{FE0F}", E::Invisible('\u{FE0F}')),
        ("a\u{FE0F}", E::Invisible('\u{FE0F}')),
        ("1\u{FE0F}", E::Invisible('\u{FE0F}')),
        ("❤\u{FE0F}\u{FE0F}", E::Invisible('\u{FE0F}')),
        ("a\u{E0100}", E::Invisible('\u{E0100}')),
        ("葛\u{E0100}\u{E0101}", E::Invisible('\u{E0101}')),
        ("a\u{180B}", E::Invisible('\u{180B}')),
        ("a\u{E000}", E::NoCharacter('\u{E000}')),
        ("a\u{F0000}", E::NoCharacter('\u{F0000}')),
        ("a\u{378}", E::NoCharacter('\u{378}')),
        ("a\u{FFFE}", E::NoCharacter('\u{FFFE}')),
        ("a\u{FDD0}", E::NoCharacter('\u{FDD0}')),
        ("a\u{10FFFF}", E::NoCharacter('\u{10FFFF}')),
        ("a\u{FFFD}", E::NoCharacter('\u{FFFD}')),
        ("a\u{FFFC}", E::NoCharacter('\u{FFFC}')),
        ("\u{301}", E::LoneMark),
        (" \u{301}a", E::LoneMark),
        ("\u{20E3}", E::LoneMark),
        (&format!("x{}", "\u{335}".repeat(9)), E::TooManyMarks),
        (&"x".repeat(21), E::TooLong(20)),
        (&"\u{1112}\u{1161}\u{11AB}".repeat(21), E::TooLong(20)),
        (&" ".repeat(100), E::Empty),
    ] {
        assert_eq!(LINE.clean(text), Err(fault), "{text:?}");
        let has_breaks = fault == E::LineBreak;
        assert_eq!(LINES.clean(text).is_ok(), has_breaks, "{text:?}");
    }
}

#[test]
fn lengths_are_of_characters_and_their_bytes_are_bounded() {
    assert_eq!(LINE.clean(&"я".repeat(20)), Ok("я".repeat(20)));
    let syllables = "\u{1112}\u{1161}\u{11AB}".repeat(20);
    assert_eq!(LINE.clean(&syllables), Ok("한".repeat(20)));
    // Some characters are more in NFC than they were when typed.
    assert_eq!(
        LINE.clean(&"\u{FB2C}".repeat(7)),
        Err(TextError::TooLong(20))
    );
    assert_eq!(
        LINE.clean(&"a".repeat(64 * 1024)),
        Err(TextError::TooLong(20))
    );
    assert_eq!(LINE.or_empty().clean("  "), Ok(String::new()));
}

#[test]
fn phones_and_languages_have_a_shape() {
    for (typed, stored) in [
        ("+49 (30) 1234-567", "+49 (30) 1234-567"),
        ("8 800 555 35 35", "8 800 555 35 35"),
        ("12345 ", "12345"),
        ("＋４９　３０１２３４５", "+49 3012345"),
    ] {
        assert_eq!(clean_phone(typed).as_deref(), Ok(stored));
    }
    for bad in [
        "1234",
        "call me",
        "1234567890123456",
        "+49x30123456",
        "٠١٢٣٤٥",
    ] {
        assert_eq!(clean_phone(bad), Err(TextError::Phone), "{bad}");
    }
    assert_eq!(clean_phone("12345\n678"), Err(TextError::LineBreak));
    for good in ["en", "pt-BR", "zh-Hant-TW", "de-CH-1996", "en-x-shop"] {
        assert_eq!(clean_language(good).as_deref(), Ok(good));
    }
    for bad in [
        "e",
        "en_US",
        "-en",
        "en-",
        "123",
        "englishlanguage",
        "en--US",
        "ｅｎ",
        "en us",
    ] {
        assert_eq!(clean_language(bad), Err(TextError::Language), "{bad}");
    }
    assert_eq!(clean_word("order.paid").as_deref(), Ok("order.paid"));
    for bad in ["Order.paid", "order paid", "order.paid'", "оrder.paid"] {
        assert_eq!(clean_word(bad), Err(TextError::Word), "{bad}");
    }
    assert_eq!(clean_language("\0"), Err(TextError::Control('\0')));
}

#[test]
fn texts_that_are_spelled_alike_fold_alike() {
    for alike in [
        &["чайник", "Чайник", "ЧАЙНИК", "чаи\u{306}ник"][..],
        &[
            "éclair",
            "e\u{301}clair",
            "ÉCLAIR",
            "E\u{301}CLAIR",
            "eclair",
            "ECLAIR",
        ],
        &["ёлка", "Елка", "ЁЛКА", "е\u{308}лка"],
        &["straße", "STRASSE", "Straße", "STRAẞE", "strasse"],
        &["istanbul", "İstanbul", "ISTANBUL", "ıstanbul"],
        &["Łódź", "lodz", "ŁO\u{301}DZ\u{301}", "łódź"],
        &["Smørrebrød", "SMORREBROD"],
        &["ΣΊΣΥΦΟΣ", "σίσυφος", "σισυφοσ"],
        &["ガラス", "ｶﾞﾗｽ"],
        &["ｔｅａ１", "Tea1"],
        &["ﬁne", "FINE"],
        &["نور\u{200C}ها", "نورها"],
        &["أحمد", "احمد"],
        &["שָׁלוֹם", "שלום"],
        &["Phở", "pho"],
        &["한", "\u{1112}\u{1161}\u{11AB}"],
        &["❤\u{FE0F}", "❤"],
        &["\u{212B}ngström", "angstrom"],
    ] {
        for text in alike {
            assert_eq!(fold(text), fold(alike[0]), "{text}");
        }
    }
}

#[test]
fn different_words_fold_apart() {
    for (one, other) in [
        ("か", "が"),
        ("か", "カ"),
        ("กุ", "กู"),
        ("कि", "की"),
        ("क्ष", "कष"),
        ("ཀི", "ཀུ"),
        ("a", "а"),
        ("100%", "100_"),
    ] {
        assert_ne!(fold(one), fold(other), "{one} {other}");
    }
}

#[test]
fn folding_again_changes_nothing_in_any_character() {
    for c in '\0'..=char::MAX {
        let folded = fold(&c.to_string());
        assert_eq!(fold(&folded), folded, "U+{:04X}", u32::from(c));
        // Case makes no difference, whichever way it is changed. (In capitals a Greek iota that stands below a
        // letter, where it is an accent, is a letter beside it.)
        let decomposed = Decompose::new_nfd().normalize(&c.to_string()).into_owned();
        if !decomposed.contains('\u{345}') {
            let (upper, lower) = (c.to_uppercase().to_string(), c.to_lowercase().to_string());
            assert_eq!(fold(&upper), folded, "U+{:04X}", u32::from(c));
            assert_eq!(fold(&lower), folded, "U+{:04X}", u32::from(c));
        }
    }
}

/// Texts with more of what is special in them than chance would bring.
fn texts() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        ' ',
        '\n',
        '\r',
        '\u{200D}',
        '\u{200C}',
        '\u{FE0F}',
        '\u{301}',
        '\u{345}',
        '\u{94D}',
        'é',
        'ß',
        'م',
        'क',
        '❤',
        '한',
        '\u{1161}',
        '\u{FB2C}',
        '\u{2028}',
        '\u{E0067}',
        '🏴',
        '\u{E007F}',
    ]);
    prop::collection::vec(
        prop_oneof![special, any::<char>(), prop::char::range('a', 'z')],
        0..25,
    )
    .prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #[test]
    fn what_was_cleaned_is_clean(text in texts()) {
        for rule in [LINE, LINES, LINE.or_empty()] {
            if let Ok(clean) = rule.clean(&text) {
                prop_assert!(clean.chars().count() <= 20 && clean.len() <= 80);
                prop_assert_eq!(rule.clean(&clean), Ok(clean));
            }
        }
    }

    #[test]
    fn all_forms_of_a_text_are_stored_as_one_and_found_as_one(text in texts()) {
        let decomposed = Decompose::new_nfd().normalize(&text).into_owned();
        prop_assert_eq!(LINE.clean(&decomposed), LINE.clean(&text));
        prop_assert_eq!(fold(&decomposed), fold(&text));
        prop_assert_eq!(fold(&fold(&text)), fold(&text));
    }
}
