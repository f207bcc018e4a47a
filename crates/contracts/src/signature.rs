//! Signatures of events: somebody who can publish on a channel, but has no key, can't speak for a
//! service.
//!
//! A signed event has two more CloudEvents extensions. `channel` is the channel that it was meant
//! for, because a component does not learn on which channel a message came. `signature` is `<key
//! id>:<HMAC-SHA-256 in hex>` (RFC 2104) over all other members of the event, whatever they are
//! called: a member that is added later is covered too.

use hmac_sha256::HMAC;
use serde_json::{Map, Value};
use std::fmt::Write;

/// The member that names the channel.
pub const CHANNEL: &str = "channel";
/// The member that holds the signature.
pub const SIGNATURE: &str = "signature";

/// Prefixed to the signed bytes, so that a signature is valid for nothing else, and for no other
/// version of this scheme.
const PURPOSE: &[u8] = b"wasmart event 1\n";
/// The shortest secret: 32 characters of base64url are 192 bits.
const MIN_SECRET: usize = 32;
const MAX_ID: usize = 32;
/// Keys at once; a rotation needs two.
const MAX_KEYS: usize = 8;

/// The keys that events are signed with. The first one signs, all of them verify.
#[derive(Clone)]
pub struct ChannelKeys(Vec<Key>);

#[derive(Clone)]
struct Key {
    id: String,
    secret: String,
}

/// Why an event is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untrusted {
    /// It has no signature, or is not an event at all.
    Unsigned,
    /// It was signed for another channel.
    WrongChannel,
    /// No key has the id that the signature names.
    UnknownKey,
    /// It was changed, or signed with another secret.
    WrongSignature,
}

impl std::fmt::Display for Untrusted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Untrusted::Unsigned => "not signed",
            Untrusted::WrongChannel => "signed for another channel",
            Untrusted::UnknownKey => "signed with an unknown key",
            Untrusted::WrongSignature => "the signature is wrong",
        })
    }
}

impl ChannelKeys {
    /// Reads `id:secret id:secret …`, separated by spaces, commas or line breaks. `None` if the
    /// text is empty: then nothing is signed.
    ///
    /// # Errors
    /// What is wrong, in words, without the secrets.
    pub fn parse(text: &str) -> Result<Option<ChannelKeys>, String> {
        let mut keys: Vec<Key> = Vec::new();
        let entries = text.split(|c: char| c == ',' || c.is_whitespace());
        for entry in entries.filter(|entry| !entry.is_empty()) {
            let key = read_key(entry)?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(format!("channel_keys has the id {:?} twice", key.id));
            }
            keys.push(key);
        }
        if keys.len() > MAX_KEYS {
            return Err(format!("channel_keys has more than {MAX_KEYS} keys"));
        }
        if keys.is_empty() && !text.trim().is_empty() {
            return Err("channel_keys has no key in it".to_owned());
        }
        Ok((!keys.is_empty()).then_some(ChannelKeys(keys)))
    }

    /// Signs an event for a channel. A signature that it has already is replaced.
    pub fn sign(&self, channel: &str, event: &mut Map<String, Value>) {
        event.insert(CHANNEL.to_owned(), channel.into());
        let Some(key) = self.0.first() else { return };
        let mut signature = format!("{}:", key.id);
        for byte in HMAC::mac(signed_bytes(event), &key.secret) {
            // Writing to a string can't fail.
            let _ = write!(signature, "{byte:02x}");
        }
        event.insert(SIGNATURE.to_owned(), signature.into());
    }

    /// Checks an event that came on one of these channels. The comparison takes the same time
    /// wherever the first difference is.
    ///
    /// # Errors
    /// When it was not signed with one of the keys for one of the channels.
    pub fn check(&self, channels: &[&str], event: &Value) -> Result<(), Untrusted> {
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        let (Some(event), Some(channel), Some(signature)) =
            (event.as_object(), text(CHANNEL), text(SIGNATURE))
        else {
            return Err(Untrusted::Unsigned);
        };
        let (id, mac) = signature.split_once(':').ok_or(Untrusted::Unsigned)?;
        let mac = from_hex(mac).ok_or(Untrusted::WrongSignature)?;
        let mut keys = self.0.iter();
        let key = keys.find(|key| key.id == id).ok_or(Untrusted::UnknownKey)?;
        if !channels.contains(&channel) {
            return Err(Untrusted::WrongChannel);
        }
        if HMAC::verify(signed_bytes(event), &key.secret, &mac) {
            Ok(())
        } else {
            Err(Untrusted::WrongSignature)
        }
    }
}

impl std::fmt::Debug for ChannelKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|key| &key.id))
            .finish()
    }
}

fn read_key(entry: &str) -> Result<Key, String> {
    let (id, secret) = entry
        .split_once(':')
        .ok_or("channel_keys has an entry that is not id:secret")?;
    let named = (1..=MAX_ID).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !named {
        return Err(format!(
            "channel_keys has an id that is not 1 to {MAX_ID} letters, digits, `-`, `_` or `.`"
        ));
    }
    if secret.len() < MIN_SECRET || !secret.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!(
            "channel_keys: the secret of {id:?} must have at least {MIN_SECRET} visible ASCII characters"
        ));
    }
    Ok(Key {
        id: id.to_owned(),
        secret: secret.to_owned(),
    })
}

/// The signed bytes: all members but the signature.
fn signed_bytes(event: &Map<String, Value>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    out.extend_from_slice(PURPOSE);
    let members = event.iter().filter(|(name, _)| *name != SIGNATURE);
    write_object(&mut out, members.collect());
    out
}

/// Every value with its kind and its length, members in the order of their names: two values have the same bytes only if
/// they are the same. Not JSON as it was written, because services read and write it anew; not RFC 8785 either, which
/// makes all numbers floating-point and so can't tell large sums apart.
fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(b'n'),
        Value::Bool(true) => out.push(b't'),
        Value::Bool(false) => out.push(b'f'),
        Value::Number(number) => write_text(out, b'#', &number.to_string()),
        Value::String(text) => write_text(out, b's', text),
        Value::Array(elements) => {
            write_length(out, b'[', elements.len());
            for element in elements {
                write_value(out, element);
            }
        }
        Value::Object(members) => write_object(out, members.iter().collect()),
    }
}

fn write_object(out: &mut Vec<u8>, mut members: Vec<(&String, &Value)>) {
    members.sort_unstable_by_key(|(name, _)| *name);
    write_length(out, b'{', members.len());
    for (name, value) in members {
        write_text(out, b's', name);
        write_value(out, value);
    }
}

fn write_text(out: &mut Vec<u8>, kind: u8, text: &str) {
    write_length(out, kind, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn write_length(out: &mut Vec<u8>, kind: u8, length: usize) {
    out.push(kind);
    out.extend_from_slice(&u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
