//! The engine's way to put stdout and stderr on one connection: eight bytes
//! of header (which stream, three zeros, the length), then the bytes. Read
//! piece by piece: a frame is never held whole.

use bytes::{Buf, Bytes, BytesMut};

use super::ExecOutput;

const HEADER: usize = 8;

/// Takes bytes as they come, gives what they carry.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// A header that has not come whole.
    header: BytesMut,
    /// Which stream the present frame is of, and what is still to come of it.
    stream: u8,
    left: usize,
}

impl Frames {
    /// What a piece carries; an error where it is not the engine's form.
    pub(super) fn push(&mut self, mut piece: Bytes) -> Result<Vec<ExecOutput>, String> {
        let mut out = vec![];
        while !piece.is_empty() {
            if self.left == 0 {
                let missing = HEADER - self.header.len();
                self.header.extend_from_slice(&piece.split_to(missing.min(piece.len())));
                if self.header.len() == HEADER {
                    self.begin()?;
                }
                continue;
            }
            let bytes = piece.split_to(self.left.min(piece.len()));
            self.left -= bytes.len();
            out.push(match self.stream {
                2 => ExecOutput::Stderr(bytes),
                _ => ExecOutput::Stdout(bytes),
            });
        }
        Ok(out)
    }

    fn begin(&mut self) -> Result<(), String> {
        let stream = self.header.get_u8();
        self.header.advance(3);
        self.left = self.header.get_u32() as usize;
        if stream > 2 {
            return Err(format!("a frame of stream {stream}"));
        }
        self.stream = stream;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u8, content: &[u8]) -> Vec<u8> {
        let mut frame = vec![stream, 0, 0, 0];
        frame.extend((content.len() as u32).to_be_bytes());
        frame.extend(content);
        frame
    }

    #[test]
    fn frames_cut_anywhere_give_the_same_streams() {
        let whole = [frame(1, b"hello"), frame(2, b"oh"), frame(1, b""), frame(1, b"end")].concat();
        for size in 1..=whole.len() {
            let mut frames = Frames::default();
            let (mut stdout, mut stderr) = (vec![], vec![]);
            for piece in whole.chunks(size) {
                for output in frames.push(Bytes::copy_from_slice(piece)).unwrap() {
                    match output {
                        ExecOutput::Stdout(bytes) => stdout.extend(bytes),
                        ExecOutput::Stderr(bytes) => stderr.extend(bytes),
                        ExecOutput::Exit(_) => panic!("no frame says so"),
                    }
                }
            }
            assert_eq!((stdout.as_slice(), stderr.as_slice()), (&b"helloend"[..], &b"oh"[..]));
        }
    }

    #[test]
    fn a_frame_of_four_gigabytes_is_given_on_as_it_comes() {
        let mut frames = Frames::default();
        let header = Bytes::from_static(&[1, 0, 0, 0, 255, 255, 255, 255]);
        assert!(frames.push(header).unwrap().is_empty());
        let given = frames.push(Bytes::from_static(b"abc")).unwrap();
        assert_eq!(given, [ExecOutput::Stdout(Bytes::from_static(b"abc"))]);
        assert!(Frames::default().push(Bytes::from_static(&[9; 8])).is_err());
    }
}
