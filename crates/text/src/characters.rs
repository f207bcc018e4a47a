//! Which characters a text may have, and where.
//!
//! Invisible characters are refused, except for three kinds that scripts and emoji need: joiners,
//! variation selectors and the tags in some flags. These are allowed where they have an effect.

use super::TextError;
use super::forms::{IGNORABLE, combining_class};
use icu_properties::props::{Emoji, GeneralCategory, JoiningType};
use icu_properties::{
    CodePointMapData, CodePointMapDataBorrowed, CodePointSetData, CodePointSetDataBorrowed,
};

/// Combining marks that may follow each other: Tibetan stacks have up to eight.
pub const MAX_MARKS: usize = 8;

const VIRAMA: u8 = 9;
const ZWNJ: char = '\u{200C}';
const ZWJ: char = '\u{200D}';
const EMOJI_STYLE: char = '\u{FE0F}';
const KEYCAP: char = '\u{20E3}';
const BLACK_FLAG: char = '\u{1F3F4}';
const END_OF_TAGS: char = '\u{E007F}';

const CATEGORY: CodePointMapDataBorrowed<'static, GeneralCategory> =
    CodePointMapData::<GeneralCategory>::new();
const JOINING: CodePointMapDataBorrowed<'static, JoiningType> =
    CodePointMapData::<JoiningType>::new();
const EMOJI: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<Emoji>();

/// Refuses the first character that is not allowed at its place. The text is in NFC.
pub(super) fn check(text: &str, has_lines: bool) -> Result<(), TextError> {
    let chars: Vec<char> = text.chars().collect();
    let mut marks = 0;
    for (at, &c) in chars.iter().enumerate() {
        if c.is_ascii() {
            check_ascii(c, has_lines)?;
            marks = 0;
            continue;
        }
        let (before, after) = (&chars[..at], &chars[at + 1..]);
        match c {
            '\u{61C}'
            | '\u{200E}'
            | '\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2066}'..='\u{2069}' => return Err(TextError::Direction(c)),
            '\u{85}' | '\u{2028}' | '\u{2029}' => return Err(TextError::LineBreak),
            // The placeholder for an object, and the character that decoders put in the place of
            // bytes that they can't read.
            '\u{FFFC}' | '\u{FFFD}' => return Err(TextError::NoCharacter(c)),
            _ if IGNORABLE.contains(c) && !is_needed(c, before, after) => {
                return Err(TextError::Invisible(c));
            }
            _ if IGNORABLE.contains(c) => continue,
            _ => {}
        }
        match CATEGORY.get(c) {
            GeneralCategory::Control => return Err(TextError::Control(c)),
            GeneralCategory::Format if !is_visible_format(c) => {
                return Err(TextError::Invisible(c));
            }
            GeneralCategory::Unassigned
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate => return Err(TextError::NoCharacter(c)),
            GeneralCategory::NonspacingMark
            | GeneralCategory::SpacingMark
            | GeneralCategory::EnclosingMark => {
                marks += 1;
                if at == 0 {
                    return Err(TextError::LoneMark);
                }
                if marks > MAX_MARKS {
                    return Err(TextError::TooManyMarks);
                }
            }
            _ => marks = 0,
        }
    }
    Ok(())
}

fn check_ascii(c: char, has_lines: bool) -> Result<(), TextError> {
    match c {
        '\n' if has_lines => Ok(()),
        '\n' | '\r' => Err(TextError::LineBreak),
        _ if c.is_ascii_control() => Err(TextError::Control(c)),
        _ => Ok(()),
    }
}

/// Whether anything in the text is visible. The Braille blank and the null note head have a width,
/// but no ink.
pub(super) fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '\u{2800}' | '\u{1D159}') && !IGNORABLE.contains(c)
}

/// Letters, digits and the marks on them.
pub fn is_letter_or_digit(c: char) -> bool {
    use GeneralCategory as G;
    matches!(
        CATEGORY.get(c),
        G::LowercaseLetter
            | G::UppercaseLetter
            | G::OtherLetter
            | G::ModifierLetter
            | G::NonspacingMark
            | G::SpacingMark
            | G::DecimalNumber
    ) && !IGNORABLE.contains(c)
}

/// Signs that enclose a number in Arabic, Syriac or Kaithi: format characters that are visible.
fn is_visible_format(c: char) -> bool {
    matches!(
        c,
        '\u{600}'
            ..='\u{605}'
                | '\u{6DD}'
                | '\u{70F}'
                | '\u{890}'
                | '\u{891}'
                | '\u{8E2}'
                | '\u{110BD}'
                | '\u{110CD}'
    )
}

/// Whether an invisible character changes how its neighbours are shown.
fn is_needed(c: char, before: &[char], after: &[char]) -> bool {
    let Some(&previous) = before.last() else {
        return false;
    };
    let next = after.first().copied();
    match c {
        ZWNJ | ZWJ => joins(c, before, after),
        '\u{FE0E}' | EMOJI_STYLE if previous.is_ascii() => {
            EMOJI.contains(previous) && next == Some(KEYCAP)
        }
        '\u{FE0E}' | EMOJI_STYLE => EMOJI.contains(previous),
        '\u{FE00}'..='\u{FE0D}' => {
            is_ideograph(previous) || CATEGORY.get(previous) == GeneralCategory::MathSymbol
        }
        '\u{E0100}'..='\u{E01EF}' => is_ideograph(previous),
        // Mongolian: letters in another shape, and the separator of a last vowel.
        '\u{180B}'..='\u{180F}' => matches!(previous, '\u{1820}'..='\u{18AA}'),
        '\u{E0020}'..=END_OF_TAGS => {
            let begins = previous == BLACK_FLAG && c != END_OF_TAGS;
            (begins || (is_tag(previous) && previous != END_OF_TAGS))
                && (c == END_OF_TAGS || next.is_some_and(is_tag))
        }
        _ => false,
    }
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

fn is_tag(c: char) -> bool {
    matches!(c, '\u{E0020}'..=END_OF_TAGS)
}

/// Whether a joiner has an effect: beside a virama (Indic scripts), between letters that are
/// connected (Arabic, Syriac, Mongolian …), or between two emoji that become one. A ZWNJ needs such
/// a letter on one side only.
fn joins(joiner: char, before: &[char], after: &[char]) -> bool {
    let previous = before.last().copied().unwrap_or_default();
    let next = after.first().copied();
    if matches!(previous, ZWNJ | ZWJ) {
        return false;
    }
    if combining_class(previous) == VIRAMA || next.is_some_and(|c| combining_class(c) == VIRAMA) {
        return true;
    }
    let connects = |c: &char| {
        use JoiningType as J;
        matches!(
            JOINING.get(*c),
            J::DualJoining | J::LeftJoining | J::RightJoining | J::JoinCausing
        )
    };
    let is_mark = |c: &&char| JOINING.get(**c) == JoiningType::Transparent;
    let left = before.iter().rev().find(|c| !is_mark(c));
    let right = after.iter().find(|c| !is_mark(c));
    let (is_left, is_right) = (left.is_some_and(connects), right.is_some_and(connects));
    if joiner == ZWNJ {
        // Persian writes it after digits, brackets, Latin words and letters that never connect, too;
        // but at the end of a word it would only make two words that look the same.
        let is_inside = |c: Option<&char>| c.is_some_and(|c| !c.is_whitespace());
        return (is_left || is_right) && is_inside(left) && is_inside(right);
    }
    let left = is_left;
    let is_emoji = |c: char| !c.is_ascii() && EMOJI.contains(c);
    let is_styled = previous == EMOJI_STYLE;
    let emoji = before.iter().rev().nth(usize::from(is_styled)).copied();
    left || (emoji.is_some_and(is_emoji) && next.is_some_and(is_emoji))
}
