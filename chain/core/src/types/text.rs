//! Bounded text.

use crate::error::SdkError;

/// The text, where it has at most `max` bytes and no control characters.
pub fn bounded(name: &str, text: String, max: usize) -> Result<String, SdkError> {
    if text.len() > max {
        return Err(SdkError::InvalidRequest(format!(
            "{name} has {} bytes; at most {max} are allowed",
            text.len()
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(SdkError::InvalidRequest(format!("{name} holds control characters")));
    }
    Ok(text)
}
