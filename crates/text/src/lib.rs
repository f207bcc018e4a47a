//! What people may type: one rule for names, descriptions, addresses, reasons and searches.
//!
//! Two things are corrected silently: the Unicode form (to NFC) and white space around the text.
//! Everything else that a field can't hold is refused with its reason ([`TextError`]), so that the
//! stored text is the typed one. The fields themselves are in `fields`, the characters in
//! `characters`.

mod characters;
mod fields;
mod forms;

pub use characters::{MAX_MARKS, is_letter_or_digit};
pub use fields::{
    ADDRESS, CLAIM, DESCRIPTION, ITEM_NAME, OPERATOR_REASON, PERSON_NAME, REASON, SEARCH,
    clean_language, clean_phone, clean_word,
};
pub use forms::{fold, is_plain, narrow, nfc};

use thiserror::Error;

/// Bytes that a character may take before it is normalised: a Hangul syllable in three parts has nine.
const MAX_TYPED_BYTES: usize = 12;

/// Why a text is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TextError {
    /// The text has nothing visible in it.
    #[error("must not be empty")]
    Empty,
    /// More characters than the field holds, or a multiple of their bytes.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// A line break in a field of one line.
    #[error("must not have a line break")]
    LineBreak,
    /// NUL, tab, escape and the like.
    #[error("must not have the control character U+{:04X}", u32::from(*.0))]
    Control(char),
    /// A control that changes the direction of the text around it, also of text that others wrote.
    #[error("must not have U+{:04X}, which changes the direction of text", u32::from(*.0))]
    Direction(char),
    /// An invisible character where no script or emoji needs it.
    #[error("must not have the invisible character U+{:04X}", u32::from(*.0))]
    Invisible(char),
    /// An unassigned or private-use code point, or the sign of a text that was damaged on its way.
    #[error("must not have U+{:04X}, which is not a character for text", u32::from(*.0))]
    NoCharacter(char),
    /// A combining mark without a letter to sit on.
    #[error("must not begin with a combining mark")]
    LoneMark,
    /// So many combining marks on one letter that they cover the lines around it.
    #[error("must not have more than {MAX_MARKS} combining marks in a row")]
    TooManyMarks,
    /// Not a phone number.
    #[error("must be a phone number of 5 to 15 digits")]
    Phone,
    /// Not a language tag.
    #[error("must be a language tag such as en or pt-BR")]
    Language,
    /// Not a word of the shop's own.
    #[error("must be a word of the letters a to z, '.', '_' and '-'")]
    Word,
}

/// How long the text of a field may be, and whether it may have several lines.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    is_optional: bool,
    most: usize,
    has_lines: bool,
}

impl Rule {
    /// One line of 1 to `most` characters.
    pub const fn line(most: usize) -> Rule {
        Rule {
            is_optional: false,
            most,
            has_lines: false,
        }
    }

    /// Several lines of 1 to `most` characters in all.
    pub const fn lines(most: usize) -> Rule {
        Rule {
            has_lines: true,
            ..Rule::line(most)
        }
    }

    /// The same, but the text may be empty.
    pub const fn or_empty(self) -> Rule {
        Rule {
            is_optional: true,
            ..self
        }
    }

    /// Checks a text and returns its stored form: in NFC, without white space around it, line
    /// breaks as `\n`.
    ///
    /// # Errors
    /// The first fault that is found.
    pub fn clean(&self, typed: &str) -> Result<String, TextError> {
        let typed = typed.trim();
        // Checked before any work is done on the text.
        if typed.len() > self.most * MAX_TYPED_BYTES {
            return Err(TextError::TooLong(self.most));
        }
        let mut text = nfc(typed);
        if self.has_lines {
            text = with_plain_line_breaks(&text);
        }
        if text.chars().count() > self.most {
            return Err(TextError::TooLong(self.most));
        }
        characters::check(&text, self.has_lines)?;
        if !self.is_optional && !text.chars().any(characters::is_visible) {
            return Err(TextError::Empty);
        }
        Ok(text)
    }
}

/// Turns line breaks of other systems and of Unicode into `\n`.
fn with_plain_line_breaks(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace(['\r', '\u{85}', '\u{2028}', '\u{2029}'], "\n")
}

#[cfg(test)]
mod tests;
