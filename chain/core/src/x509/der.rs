//! DER's outer form, checked before a parser that is more lenient reads it.

/// Deepest nesting that is looked into; certificates stay under ten.
const MAX_DEPTH: u8 = 16;

/// Nesting at which a certificate's own fields stand, some of which have tags
/// of its context (RFC 5280, 4.1); everywhere else they are universal.
const FIELDS: u8 = 2;

const CLASS: u8 = 0xc0;
const CONTEXT: u8 = 0x80;
const CONSTRUCTED: u8 = 0x20;
const NUMBER: u8 = 0x1f;
const SEQUENCE: u8 = 0x10;
const SET: u8 = 0x11;

/// One value: tag, length, content.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    tag: u8,
    content: &'a [u8],
    /// With tag and length.
    pub whole: &'a [u8],
}

impl<'a> Value<'a> {
    /// The values in it, where it is filled by them exactly.
    pub fn children(self) -> Option<Vec<Value<'a>>> {
        let mut values = Vec::new();
        let mut rest = self.content;
        while !rest.is_empty() {
            let (value, after) = split(rest)?;
            values.push(value);
            rest = after;
        }
        Some(values)
    }

    /// Whether it and all in it, nested so deep, have tags as certificates
    /// have them.
    fn is_sound(self, depth: u8) -> bool {
        let nested = self.tag & CONSTRUCTED != 0;
        let tagged = match self.tag & CLASS {
            0 => nested == matches!(self.tag & NUMBER, SEQUENCE | SET),
            CONTEXT => depth == FIELDS,
            _ => false,
        };
        if !tagged || depth > MAX_DEPTH {
            return false;
        }
        let Some(children) = self.children().filter(|_| nested) else { return !nested };
        children.into_iter().all(|child| child.is_sound(depth.saturating_add(1)))
    }
}

/// The one value that the bytes are: nothing after it, definite lengths in
/// their shortest form, tags of the right class, every constructed value
/// filled exactly.
pub fn one_value(bytes: &[u8]) -> Option<Value<'_>> {
    let (value, rest) = split(bytes)?;
    (rest.is_empty() && value.is_sound(0)).then_some(value)
}

fn split(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    // A number of more than one byte.
    if tag & NUMBER == NUMBER {
        return None;
    }
    let (length, rest) = length(rest)?;
    let (content, rest) = rest.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len().checked_sub(rest.len())?)?;
    Some((Value { tag, content, whole }, rest))
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        0..=0x7f => Some((usize::from(first), rest)),
        0x81 => {
            let (&length, rest) = rest.split_first()?;
            (length > 0x7f).then_some((usize::from(length), rest))
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            let length = u16::from_be_bytes(*length);
            (length > 0xff).then_some((usize::from(length), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_one(bytes: &[u8]) -> bool {
        one_value(bytes).is_some()
    }

    #[test]
    fn lengths_are_definite_and_shortest() {
        assert!(is_one(&[0x04, 0x01, 0xaa]));
        assert!(!is_one(&[0x04, 0x81, 0x01, 0xaa]), "long form for a short length");
        assert!(!is_one(&[0x30, 0x80, 0x00, 0x00]), "indefinite length");
        assert!(!is_one(&[0x04, 0x02, 0xaa]), "cut off");
        let long = [&[0x04, 0x81, 0x80][..], &[0; 0x80]].concat();
        assert!(is_one(&long));
    }

    #[test]
    fn nothing_stands_beside_or_between_values() {
        assert!(!is_one(&[0x04, 0x01, 0xaa, 0x00]));
        assert!(is_one(&[0x30, 0x03, 0x02, 0x01, 0x05]));
        assert!(!is_one(&[0x30, 0x04, 0x02, 0x01, 0x05, 0x02]));
        assert!(!is_one(&[]));
    }

    #[test]
    fn tags_are_of_their_class_and_form() {
        for tag in [0x43, 0x83, 0xc3, 0x23, 0x10, 0x1f] {
            assert!(!is_one(&[tag, 0x00]), "{tag:#x}");
        }
        let at_depth = |depth: usize| {
            (0..depth).fold(vec![0xa3, 0x00], |inner, _| {
                [&[0x30, u8::try_from(inner.len()).unwrap()][..], &inner].concat()
            })
        };
        assert!(is_one(&at_depth(2)), "where a certificate's fields stand");
        assert!(!is_one(&at_depth(1)) && !is_one(&at_depth(3)));
    }

    #[test]
    fn nesting_is_bounded() {
        let mut bytes = vec![0x30, 0x00];
        for _ in 0..40 {
            let length = u8::try_from(bytes.len()).unwrap();
            bytes = [&[0x30, length][..], &bytes].concat();
        }
        assert!(!is_one(&bytes));
    }
}
