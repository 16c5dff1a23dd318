//! Peers that a test speaks for, and engines that fetch among them.

use std::sync::Arc;
use std::time::Duration;

use stoa_swarm::bits::Bits;
use stoa_swarm::wire::{self, Message};
use stoa_swarm::{Holding, Store};
use tokio::io::{AsyncWriteExt, DuplexStream};

use super::{finished, limits, read_blob, Engine, Net, DEPLOYMENT};

pub const LONG: Duration = Duration::from_secs(30);

/// Peers with a store each that fetch one blob; all must end with its bytes.
pub async fn all_fetch(net: &Net, names: &[&str], bytes: &[u8]) -> Vec<Engine> {
    let root = blake3::hash(bytes);
    let mut running = vec![];
    for name in names {
        running.push((net.engine(name, limits()), tempfile::tempdir().unwrap()));
    }
    let fetches: Vec<_> = running
        .iter()
        .map(|(engine, dir)| engine.fetch(&Store::open(dir.path()), root, bytes.len() as u64))
        .collect();
    for ((fetch, _), (_, dir)) in fetches.into_iter().zip(&running) {
        finished(fetch).await;
        assert!(read_blob(dir.path(), root) == bytes);
    }
    running.into_iter().map(|(engine, _)| engine).collect()
}

pub async fn say(stream: &mut DuplexStream, messages: &[Message]) {
    let mut frames = vec![];
    messages.iter().for_each(|message| message.encode(&mut frames));
    let _ = stream.write_all(&frames).await;
}

pub async fn hear(stream: &mut DuplexStream) -> Option<Message> {
    wire::read(stream, &mut vec![], LONG, LONG).await.ok()
}

pub fn hello() -> Message {
    Message::Hello { deployment: DEPLOYMENT.into() }
}

/// What a peer does about an ask.
pub enum Answer {
    Say(Message),
    /// Nothing; the connection ends.
    End,
    /// The connection ends within this.
    EndWithin(Message),
}

/// Claims to have everything, and answers each ask as it likes.
pub async fn answers(
    mut stream: DuplexStream,
    source: Arc<Holding>,
    answer: impl Fn(u32, Vec<u8>) -> Answer + Send,
) {
    let (root, shape) = (source.root(), source.shape());
    let pieces = Bits::all(shape.pieces()).to_bytes();
    let have = Message::Have { root, size: shape.size(), pieces };
    say(&mut stream, &[hello()]).await;
    while let Some(message) = hear(&mut stream).await {
        match message {
            Message::Want { .. } => say(&mut stream, std::slice::from_ref(&have)).await,
            Message::Ask { piece, .. } => {
                let encoded = source.encode(piece).unwrap();
                match answer(piece, encoded) {
                    Answer::Say(message) => say(&mut stream, &[message]).await,
                    Answer::End => return,
                    Answer::EndWithin(message) => {
                        let mut frame = vec![];
                        message.encode(&mut frame);
                        let _ = stream.write_all(&frame[..frame.len() / 2]).await;
                        let _ = stream.shutdown().await;
                        // Whatever comes is still taken: what ends is what it says.
                        while hear(&mut stream).await.is_some() {}
                        return;
                    }
                }
            }
            _ => {}
        }
    }
}

/// The same for everybody who connects; None ends the connection.
pub fn liar(
    net: &Net,
    name: &str,
    source: Arc<Holding>,
    answer: impl Fn(u32, Vec<u8>) -> Option<Message> + Send + Sync + 'static,
) {
    let answer = Arc::new(answer);
    net.listen(name, move |_, stream| {
        let (source, answer) = (Arc::clone(&source), Arc::clone(&answer));
        let answer = move |piece, encoded| answer(piece, encoded).map_or(Answer::End, Answer::Say);
        tokio::spawn(answers(stream, source, answer));
    });
}
