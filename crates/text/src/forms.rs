//! Forms of a text: the one that is stored, and the one that a search compares.

use icu_normalizer::properties::CanonicalCombiningClassMapBorrowed;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::props::DefaultIgnorableCodePoint;
use icu_properties::{CodePointSetData, CodePointSetDataBorrowed};

const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();
const NFKD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizerBorrowed::new_nfkd();
const COMBINING_CLASS: CanonicalCombiningClassMapBorrowed<'static> =
    CanonicalCombiningClassMapBorrowed::new();
/// Characters that are not shown: joiners, variation selectors, soft hyphens.
pub(super) const IGNORABLE: CodePointSetDataBorrowed<'static> =
    CodePointSetData::new::<DefaultIgnorableCodePoint>();

/// Letters with a stroke and the like, which Unicode does not decompose.
const STROKES: [(char, &str); 9] = [
    ('ł', "l"),
    ('ø', "o"),
    ('đ', "d"),
    ('ħ', "h"),
    ('ŧ', "t"),
    ('ð', "d"),
    ('þ', "th"),
    ('æ', "ae"),
    ('œ', "oe"),
];

/// Unicode's normalisation form C: one encoding for texts that look the same.
pub fn nfc(text: &str) -> String {
    NFC.normalize(text).into_owned()
}

/// Full-width and half-width forms, which East Asian keyboards type, as the usual characters (RFC 8265, width
/// mapping). Compatibility characters otherwise stay as they are.
pub fn narrow(text: &str) -> String {
    let mut narrowed = String::with_capacity(text.len());
    let mut bytes = [0; 4];
    for c in text.chars() {
        if matches!(c, '\u{3000}' | '\u{FF01}'..='\u{FFEE}') {
            narrowed.push_str(&NFKC.normalize(c.encode_utf8(&mut bytes)));
        } else {
            narrowed.push(c);
        }
    }
    nfc(&narrowed)
}

/// Whether a character is the same in NFKC: no ligature, no superscript, no other letter's variant.
pub fn is_plain(c: char) -> bool {
    let mut bytes = [0; 4];
    let text: &str = c.encode_utf8(&mut bytes);
    NFKC.normalize(text) == text
}

/// The canonical combining class: 9 is the virama, which joins the letters beside it.
pub(super) fn combining_class(c: char) -> u8 {
    COMBINING_CLASS.get_u8(c)
}

/// The form of a text that searches compare: case, accents, width and Unicode form make no
/// difference, in any script.
pub fn fold(text: &str) -> String {
    let decomposed = NFKD.normalize(text);
    let mut folded = String::with_capacity(decomposed.len());
    for c in decomposed.chars().filter(|c| counts(*c)) {
        // Default case folding, without a table of its own: ß and ẞ become ss, ς becomes σ.
        let cases = c.to_lowercase().flat_map(char::to_uppercase);
        for c in cases.flat_map(char::to_lowercase) {
            match STROKES.iter().find(|(letter, _)| *letter == c) {
                Some((_, plain)) => folded.push_str(plain),
                None => folded.push(c),
            }
        }
    }
    // For some letters, another case adds an accent.
    NFKD.normalize(&folded)
        .chars()
        .filter(|c| counts(*c))
        .collect()
}

/// Accents and invisible characters do not count. Marks that are vowels or change the sound of a
/// syllable do count. Those among them that have a combining class look like accents, and are named
/// here.
fn counts(c: char) -> bool {
    const NOT_ACCENTS: [u8; 10] = [
        0,   // letters, and most vowel signs
        8,   // Japanese voicing: か is not が
        9,   // virama
        84,  // Telugu length marks
        91,  //
        103, // Thai vowels below
        118, // Lao vowels below
        129, // Tibetan vowels
        130, //
        132, //
    ];
    NOT_ACCENTS.contains(&combining_class(c)) && !IGNORABLE.contains(c)
}
