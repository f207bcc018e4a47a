//! The fields that people type into, each with its rule. Emails, usernames and passwords are in
//! `wasmart_domain::account`.

use super::{Rule, TextError, narrow};

/// A first or last name.
pub const PERSON_NAME: Rule = Rule::line(100);
/// The name of an item.
pub const ITEM_NAME: Rule = Rule::line(200);
/// The description of an item.
pub const DESCRIPTION: Rule = Rule::lines(4000).or_empty();
/// Where an order is delivered.
pub const ADDRESS: Rule = Rule::lines(500).or_empty();
/// Why somebody changed the stock of an item.
pub const REASON: Rule = Rule::line(200);
/// Why an operator compensated or redrove a saga, or discarded or redrove a message.
pub const OPERATOR_REASON: Rule = Rule::line(500);
/// A claim about a token's owner: another issuer may put anything there.
pub const CLAIM: Rule = Rule::line(254);
/// The text of a search.
pub const SEARCH: Rule = Rule::line(200).or_empty();

const WORD: Rule = Rule::line(64);
const PHONE: Rule = Rule::line(100);
/// RFC 5646 §4.4.1.
const LANGUAGE: Rule = Rule::line(35);

/// A word that the shop itself defines, such as the kind of a notification: `order.paid`.
///
/// # Errors
/// [`TextError`]
pub fn clean_word(typed: &str) -> Result<String, TextError> {
    let word = WORD.clean(typed)?;
    let is_part = |c: char| c.is_ascii_lowercase() || matches!(c, '.' | '_' | '-');
    if word.chars().all(is_part) {
        Ok(word)
    } else {
        Err(TextError::Word)
    }
}

/// A phone number, in any usual notation; ITU-T E.164 allows 15 digits. Full-width digits become
/// ASCII.
///
/// # Errors
/// [`TextError`]
pub fn clean_phone(typed: &str) -> Result<String, TextError> {
    let phone = narrow(&PHONE.clean(typed)?);
    let digits = phone.chars().filter(char::is_ascii_digit).count();
    let is_part =
        |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | '(' | ')' | ' ' | '/');
    if (5..=15).contains(&digits) && phone.chars().all(is_part) {
        Ok(phone)
    } else {
        Err(TextError::Phone)
    }
}

/// A language tag: the shape of RFC 5646, not its registry.
///
/// # Errors
/// [`TextError`]
pub fn clean_language(typed: &str) -> Result<String, TextError> {
    let language = LANGUAGE.clean(typed)?;
    let is_part = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let primary = language.split('-').next().unwrap_or_default();
    let is_primary = primary.len() >= 2 && primary.bytes().all(|b| b.is_ascii_alphabetic());
    if is_primary && language.split('-').all(is_part) {
        Ok(language)
    } else {
        Err(TextError::Language)
    }
}
