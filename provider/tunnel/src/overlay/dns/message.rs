//! DNS messages (RFC 1035), as much as a responder between workloads and
//! resolvers needs: one question, and a look at what an answer holds.

use std::net::IpAddr;

pub(super) const HEADER: usize = 12;
/// What a client takes over UDP unless it says more (RFC 6891).
const PLAIN_UDP: usize = 512;
/// What is never exceeded: it fits every path without fragments.
pub(super) const MOST_UDP: usize = 1_232;
const MAX_NAME: usize = 253;
/// Records of one section that are looked at; more are refused.
const MAX_RECORDS: u16 = 512;
/// Pointers in one name.
const MAX_JUMPS: usize = 32;

pub(super) const A: u16 = 1;
pub(super) const AAAA: u16 = 28;
pub(super) const PTR: u16 = 12;
pub(super) const CNAME: u16 = 5;
const DNAME: u16 = 39;
const OPT: u16 = 41;
pub(super) const INTERNET: u16 = 1;

/// How an answer ends (RFC 1035, 4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Code {
    Good = 0,
    BadFormat = 1,
    Failed = 2,
    NoSuchName = 3,
    NotDone = 4,
    Refused = 5,
}

/// This is no message that can be dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) id: u16,
    /// In lower case, without the last dot.
    pub(super) name: String,
    pub(super) kind: u16,
    pub(super) class: u16,
    /// 0 is a plain question (RFC 1035's QUERY).
    pub(super) opcode: u8,
    recursion_desired: bool,
    /// What the client takes over UDP.
    pub(super) udp_size: usize,
    /// The question as it came, letters in their case.
    question: Vec<u8>,
}

impl Query {
    /// Reads one question; anything but exactly one is malformed.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let flags = u16_at(bytes, 2)?;
        // An answer is no question: two responders would talk for ever.
        if flags & 0x8000 != 0 || u16_at(bytes, 4)? != 1 {
            return Err(Malformed);
        }
        let Name { text: name, end, is_whole } = Name::read(bytes, HEADER)?;
        // There is nothing before it to point at.
        if !is_whole {
            return Err(Malformed);
        }
        let (kind, class) = (u16_at(bytes, end)?, u16_at(bytes, end + 2)?);
        let question = bytes.get(HEADER..end + 4).ok_or(Malformed)?.to_vec();
        let mut udp_size = PLAIN_UDP;
        let mut at = end + 4;
        let records = [u16_at(bytes, 6)?, u16_at(bytes, 8)?, u16_at(bytes, 10)?];
        for _ in 0..bounded(records)? {
            let record = Record::read(bytes, at)?;
            if record.kind == OPT {
                udp_size = usize::from(record.class).clamp(PLAIN_UDP, MOST_UDP);
            }
            at = record.end;
        }
        Ok(Self {
            id: u16_at(bytes, 0)?,
            name,
            kind,
            class,
            opcode: (flags >> 11 & 15) as u8,
            recursion_desired: flags & 0x0100 != 0,
            udp_size,
            question,
        })
    }

    /// An answer of one's own.
    pub(super) fn answer(&self, code: Code, addresses: &[IpAddr], ttl: u32) -> Vec<u8> {
        let mut bytes = self.head(code, addresses.len() as u16);
        for address in addresses {
            let (kind, data) = match address {
                IpAddr::V4(v4) => (A, v4.octets().to_vec()),
                IpAddr::V6(v6) => (AAAA, v6.octets().to_vec()),
            };
            // The name is that of the question, by a pointer.
            bytes.extend([0xc0, HEADER as u8]);
            bytes.extend(kind.to_be_bytes());
            bytes.extend(INTERNET.to_be_bytes());
            bytes.extend(ttl.to_be_bytes());
            bytes.extend((data.len() as u16).to_be_bytes());
            bytes.extend(data);
        }
        bytes
    }

    /// An answer with the records of another's, which stand behind a question
    /// of the same length: so its pointers lead where they did.
    pub(super) fn answer_with(&self, records: &[u8], count: u16, code: Code) -> Vec<u8> {
        let mut bytes = self.head(code, count);
        bytes.extend_from_slice(records);
        bytes
    }

    /// To be asked again over TCP.
    pub(super) fn truncated(&self) -> Vec<u8> {
        let mut bytes = self.head(Code::Good, 0);
        bytes[2] |= 0x02;
        bytes
    }

    fn head(&self, code: Code, answers: u16) -> Vec<u8> {
        // An answer; recursion is available.
        let flags = 0x8080
            | u16::from(self.opcode) << 11
            | u16::from(self.recursion_desired) << 8
            | code as u16;
        let mut bytes = Vec::with_capacity(MOST_UDP);
        for field in [self.id, flags, 1, answers, 0, 0] {
            bytes.extend(field.to_be_bytes());
        }
        bytes.extend_from_slice(&self.question);
        bytes
    }

    /// The same question with an id of one's own, for a resolver.
    pub(super) fn to_resolver(&self, id: u16) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.question.len() + 11);
        for field in [id, 0x0100, 1, 0, 0, 1] {
            bytes.extend(field.to_be_bytes());
        }
        bytes.extend_from_slice(&self.question);
        // EDNS: answers up to this over UDP.
        bytes.push(0);
        bytes.extend(OPT.to_be_bytes());
        bytes.extend((MOST_UDP as u16).to_be_bytes());
        bytes.extend([0; 6]);
        bytes
    }

    /// Reads a resolver's answer to the question with that id.
    pub(super) fn read_answer(&self, id: u16, bytes: &[u8]) -> Result<Reply, Malformed> {
        let flags = u16_at(bytes, 2)?;
        let asked = bytes.get(HEADER..HEADER + self.question.len()).ok_or(Malformed)?;
        let same = asked.eq_ignore_ascii_case(&self.question);
        if u16_at(bytes, 0)? != id || flags & 0x8000 == 0 || u16_at(bytes, 4)? != 1 || !same {
            return Err(Malformed);
        }
        let (start, count) = (HEADER + self.question.len(), u16_at(bytes, 6)?);
        let mut reply = Reply {
            code: (flags & 15) as u8,
            truncated: flags & 0x0200 != 0,
            count,
            records: vec![],
            addresses: vec![],
            only_addresses: true,
            ttl: u32::MAX,
        };
        let mut at = start;
        for _ in 0..bounded([count, 0, 0])? {
            let record = Record::read(bytes, at)?;
            reply.ttl = reply.ttl.min(record.ttl);
            let data = bytes.get(record.data..record.end).ok_or(Malformed)?;
            match (record.kind, data.len()) {
                (A, 4) => {
                    reply.addresses.extend(data.first_chunk::<4>().map(|v4| IpAddr::from(*v4)));
                }
                (AAAA, 16) => {
                    reply.addresses.extend(data.first_chunk::<16>().map(|v6| IpAddr::from(*v6)));
                }
                (A | AAAA, _) => return Err(Malformed),
                (CNAME | DNAME, _) => {}
                _ => reply.only_addresses = false,
            }
            at = record.end;
        }
        reply.records = bytes.get(start..at).ok_or(Malformed)?.to_vec();
        Ok(reply)
    }
}

/// What a resolver answers; by default nothing, and well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u8,
    pub(super) truncated: bool,
    pub(super) count: u16,
    /// The answers as they stand in the message.
    pub(super) records: Vec<u8>,
    pub(super) addresses: Vec<IpAddr>,
    /// There are no records but addresses and other names of them.
    pub(super) only_addresses: bool,
    /// The least of them, seconds.
    pub(super) ttl: u32,
}

struct Record {
    kind: u16,
    class: u16,
    ttl: u32,
    data: usize,
    end: usize,
}

impl Record {
    fn read(bytes: &[u8], at: usize) -> Result<Self, Malformed> {
        let at = Name::read(bytes, at)?.end;
        let length = usize::from(u16_at(bytes, at + 8)?);
        let ttl = u32::from(u16_at(bytes, at + 4)?) << 16 | u32::from(u16_at(bytes, at + 6)?);
        let (data, end) = (at + 10, at + 10 + length);
        if end > bytes.len() {
            return Err(Malformed);
        }
        Ok(Self { kind: u16_at(bytes, at)?, class: u16_at(bytes, at + 2)?, ttl, data, end })
    }
}

fn bounded(counts: [u16; 3]) -> Result<u32, Malformed> {
    match counts.iter().all(|count| *count <= MAX_RECORDS) {
        true => Ok(counts.iter().map(|count| u32::from(*count)).sum()),
        false => Err(Malformed),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Malformed> {
    let two = bytes.get(at..).and_then(<[u8]>::first_chunk::<2>).ok_or(Malformed)?;
    Ok(u16::from_be_bytes(*two))
}

struct Name {
    /// In lower case, without the last dot.
    text: String,
    /// Where what follows it begins.
    end: usize,
    /// It stands in one place, without a pointer.
    is_whole: bool,
}

impl Name {
    /// Labels with bytes that have no place in names are malformed: nobody
    /// needs to find them.
    fn read(bytes: &[u8], mut at: usize) -> Result<Self, Malformed> {
        let (mut text, mut end, mut jumps) = (String::new(), None, 0);
        loop {
            let length = usize::from(*bytes.get(at).ok_or(Malformed)?);
            match length {
                0 => {
                    let is_whole = end.is_none();
                    return Ok(Self { text, end: end.unwrap_or(at + 1), is_whole });
                }
                1..=63 => {
                    add_label(&mut text, bytes.get(at + 1..at + 1 + length).ok_or(Malformed)?)?;
                    at += 1 + length;
                }
                192..=255 => {
                    let target = usize::from(u16_at(bytes, at)? & 0x3fff);
                    end = end.or(Some(at + 2));
                    jumps += 1;
                    // Backwards only: a name cannot go in circles. And never
                    // into the header, which is another where it is copied to.
                    if !(HEADER..at).contains(&target) || jumps > MAX_JUMPS {
                        return Err(Malformed);
                    }
                    at = target;
                }
                _ => return Err(Malformed),
            }
        }
    }
}

fn add_label(name: &mut String, label: &[u8]) -> Result<(), Malformed> {
    if !label.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'.') {
        return Err(Malformed);
    }
    if !name.is_empty() {
        name.push('.');
    }
    name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
    match name.len() <= MAX_NAME {
        true => Ok(()),
        false => Err(Malformed),
    }
}

/// A question as a client asks it; for tests.
#[cfg(test)]
pub(super) fn question(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = vec![];
    for field in [id, 0x0100, 1, 0, 0, 0] {
        bytes.extend(field.to_be_bytes());
    }
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(INTERNET.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_question_is_answered_with_itself_and_the_address() {
        let query = Query::read(&question(7, "API.example", A)).unwrap();
        assert_eq!((query.name.as_str(), query.kind, query.udp_size), ("api.example", A, 512));
        let answer = query.answer(Code::Good, &["10.0.0.9".parse().unwrap()], 5);
        let reply = query.read_answer(7, &answer).unwrap();
        assert_eq!((reply.code, reply.count, reply.ttl), (0, 1, 5));
        assert_eq!(reply.addresses, ["10.0.0.9".parse::<IpAddr>().unwrap()]);
        assert!(query.read_answer(8, &answer).is_err(), "another id");
        let other = Query::read(&question(7, "other.example", A)).unwrap();
        assert!(other.read_answer(7, &answer).is_err(), "another question");
        assert_eq!(query.truncated()[2] & 2, 2);
        // What goes to a resolver is a question again, which takes more.
        let asked = Query::read(&query.to_resolver(9)).unwrap();
        assert_eq!((asked.id, asked.name, asked.udp_size), (9, query.name, MOST_UDP));
    }

    #[test]
    fn circles_and_answers_are_no_questions() {
        let mut circle = question(1, "", A);
        circle.splice(HEADER..=HEADER, [0xc0, HEADER as u8]);
        assert_eq!(Query::read(&circle), Err(Malformed));
        let mut answer = question(1, "a.example", A);
        answer[2] |= 0x80;
        assert_eq!(Query::read(&answer), Err(Malformed));
        let mut two = question(1, "a.example", A);
        two[5] = 2;
        assert_eq!(Query::read(&two), Err(Malformed));
    }

    /// Found by fuzzing: copied behind another header it asked for another
    /// name.
    #[test]
    fn a_question_whose_name_points_into_the_header_is_no_question() {
        for target in 0..HEADER as u8 {
            let mut pointing = question(1, "", A);
            pointing.splice(HEADER..=HEADER, [0xc0, target]);
            assert_eq!(Query::read(&pointing), Err(Malformed), "{target}");
            let mut behind_a_label = question(1, "", A);
            behind_a_label.splice(HEADER..=HEADER, [1, b'a', 0xc0, target]);
            assert_eq!(Query::read(&behind_a_label), Err(Malformed), "{target}");
        }
    }

    /// Found by fuzzing, too.
    #[test]
    fn an_answer_whose_record_points_into_the_header_is_malformed() {
        let query = Query::read(&question(7, "a.example", A)).unwrap();
        let mut answer = query.answer(Code::Good, &["10.0.0.9".parse().unwrap()], 5);
        let pointer = HEADER + query.question.len() + 1;
        assert_eq!(answer[pointer], HEADER as u8);
        assert!(query.read_answer(7, &answer).is_ok());
        answer[pointer] = HEADER as u8 - 1;
        assert_eq!(query.read_answer(7, &answer), Err(Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            super::super::fuzz(&bytes);
        }

        #[test]
        fn a_message_altered_anywhere_is_read_without_a_panic(
            at in 0usize..60, value: u8, cut in 0usize..80,
        ) {
            let query = Query::read(&question(7, "api.example", A)).unwrap();
            let mut bytes = query.answer(Code::Good, &["10.0.0.9".parse().unwrap(); 2], 5);
            let place = at % bytes.len();
            bytes[place] = value;
            bytes.truncate(cut);
            let _ = query.read_answer(7, &bytes);
            let _ = Query::read(&bytes);
        }
    }
}
