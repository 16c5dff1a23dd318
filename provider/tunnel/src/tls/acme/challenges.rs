//! Answers to the CA's questions (http-01), given by the ingress itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Where a CA asks (RFC 8555, 8.3).
const PREFIX: &str = "/.well-known/acme-challenge/";
/// Questions open at a time; far more than orders are.
const MOST: usize = 1024;

/// Open questions by token.
#[derive(Default)]
pub(crate) struct Challenges {
    open: Mutex<HashMap<String, Answer>>,
}

struct Answer {
    host: String,
    words: String,
}

/// A question that is open until this is dropped.
pub(super) struct Open<'a> {
    challenges: &'a Challenges,
    token: String,
}

impl Challenges {
    pub(super) fn open(&self, host: &str, token: &str, words: &str) -> Open<'_> {
        let answer = Answer { host: host.into(), words: words.into() };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() < MOST {
            open.insert(token.into(), answer);
        }
        Open { challenges: self, token: token.into() }
    }

    /// The answer, where a request is such a question.
    pub(crate) fn answer(&self, host: &str, path: &str) -> Option<String> {
        let token = path.strip_prefix(PREFIX)?;
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(token).filter(|answer| answer.host == host).map(|answer| answer.words.clone())
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.challenges.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_for_its_host_while_it_is_open() {
        let challenges = Challenges::default();
        let open = challenges.open("a.example", "tok", "tok.key");
        let ask = |host: &str, path: &str| challenges.answer(host, path);
        assert_eq!(ask("a.example", "/.well-known/acme-challenge/tok").as_deref(), Some("tok.key"));
        assert_eq!(ask("b.example", "/.well-known/acme-challenge/tok"), None);
        assert_eq!(ask("a.example", "/.well-known/acme-challenge/other"), None);
        assert_eq!(ask("a.example", "/tok"), None);
        drop(open);
        assert_eq!(ask("a.example", "/.well-known/acme-challenge/tok"), None);
    }
}
