//! A query's parameters (`application/x-www-form-urlencoded`), each to be
//! used once: what nobody asked for is a mistake of the caller's.

use std::fmt::Display;
use std::str::FromStr;

use tonic::Status;

/// Bytes of a query, and parameters in it.
const MAX_QUERY: usize = 8192;
const MAX_PARAMETERS: usize = 128;

/// Parameters that were not asked for yet.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Result<Self, Status> {
        let bad = |why: String| Status::invalid_argument(format!("the query: {why}"));
        if text.len() > MAX_QUERY {
            return Err(bad(format!("at most {MAX_QUERY} bytes")));
        }
        let mut all = vec![];
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if all.len() == MAX_PARAMETERS {
                return Err(bad(format!("at most {MAX_PARAMETERS} parameters")));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = |text| decode(text).ok_or_else(|| bad(format!("`{pair}` is malformed")));
            all.push((decoded(name)?, decoded(value)?));
        }
        Ok(Self(all))
    }

    /// At most one of a name.
    pub(super) fn optional(&mut self, name: &str) -> Result<Option<String>, Status> {
        let mut found = self.all(name, 1)?;
        Ok(found.pop())
    }

    /// All of a name, in order.
    pub(super) fn all(&mut self, name: &str, most: usize) -> Result<Vec<String>, Status> {
        let (found, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|(known, _)| known == name);
        self.0 = rest;
        if found.len() > most {
            return Err(Status::invalid_argument(format!("{name}: at most {most}")));
        }
        Ok(found.into_iter().map(|(_, value)| value).collect())
    }

    /// `name`, `name=true` or `name=1`.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Status> {
        match self.optional(name)?.as_deref() {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(_) => Err(Status::invalid_argument(format!("{name}: true or false"))),
        }
    }

    pub(super) fn number<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, Status>
    where
        T::Err: Display,
    {
        let Some(text) = self.optional(name)? else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits => Ok(Some(number)),
            _ => Err(Status::invalid_argument(format!("{name}: a whole number"))),
        }
    }

    /// Refuses what nobody asked for.
    pub(super) fn is_empty(&self) -> Result<(), Status> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => {
                let shown: String = name.chars().take(40).collect();
                Err(Status::invalid_argument(format!("`{shown}` means nothing here")))
            }
        }
    }
}

/// `+` is a space, `%XX` a byte; what comes out is UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
