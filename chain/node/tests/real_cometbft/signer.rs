//! A validator whose key is with a signer of its own, behind CometBFT's `priv_validator_laddr`.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use base64::{engine::general_purpose::STANDARD, Engine as _};
use ed25519_dalek::{Signer as _, SigningKey};
use prost::Message as _;
use tendermint_proto::v0_38::{
    crypto::{public_key, PublicKey},
    privval::{
        message::Sum, Message, PingResponse, PubKeyResponse, RemoteSignerError,
        SignedProposalResponse, SignedVoteResponse,
    },
    types::{
        BlockId, CanonicalBlockId, CanonicalPartSetHeader, CanonicalProposal, CanonicalVote,
        Proposal, SignedMsgType, Vote,
    },
};

use crate::{
    node::{await_some, Node, CHAIN},
    wallet::Wallet,
};

/// Height, round and step that were signed last.
type Place = (i64, i32, i32);

/// A signer's secret and its memory, which outlive a connection.
struct Signer {
    key: SigningKey,
    last: Mutex<Option<(Place, Vec<u8>)>>,
    signed: Mutex<Vec<Place>>,
}

impl Signer {
    fn load(key_file: &Path) -> Arc<Self> {
        let file: serde_json::Value = serde_json::from_slice(&fs::read(key_file).unwrap()).unwrap();
        let secret = STANDARD.decode(file["priv_key"]["value"].as_str().unwrap()).unwrap();
        let key = SigningKey::from_bytes(secret[..32].try_into().unwrap());
        Arc::new(Self { key, last: Mutex::default(), signed: Mutex::default() })
    }

    /// Signs a message of a place, unless another one was signed there, or a later place's.
    fn sign(&self, place: Place, bytes: &[u8]) -> Result<Vec<u8>, RemoteSignerError> {
        let mut last = self.last.lock().unwrap();
        if let Some((before, signed)) = &*last {
            if place < *before || (place == *before && signed != bytes) {
                let description = format!("{place:?} after {before:?}: this would sign twice");
                return Err(RemoteSignerError { code: 1, description });
            }
        }
        *last = Some((place, bytes.to_vec()));
        self.signed.lock().unwrap().push(place);
        Ok(self.key.sign(bytes).to_bytes().to_vec())
    }

    fn answer(&self, ask: Sum) -> Sum {
        match ask {
            Sum::PubKeyRequest(_) => {
                let key = self.key.verifying_key().to_bytes().to_vec();
                let pub_key = Some(PublicKey { sum: Some(public_key::Sum::Ed25519(key)) });
                Sum::PubKeyResponse(PubKeyResponse { pub_key, error: None })
            }
            Sum::SignVoteRequest(ask) => {
                let mut vote = ask.vote.unwrap();
                // Prevotes come before precommits.
                let place = (vote.height, vote.round, vote.r#type);
                let error = match self.sign(place, &vote_bytes(&vote, ask.chain_id)) {
                    Ok(signature) => {
                        vote.signature = signature;
                        None
                    }
                    Err(error) => Some(error),
                };
                Sum::SignedVoteResponse(SignedVoteResponse { vote: Some(vote), error })
            }
            Sum::SignProposalRequest(ask) => {
                let mut proposal = ask.proposal.unwrap();
                let place = (proposal.height, proposal.round, 0);
                let error = match self.sign(place, &proposal_bytes(&proposal, ask.chain_id)) {
                    Ok(signature) => {
                        proposal.signature = signature;
                        None
                    }
                    Err(error) => Some(error),
                };
                let proposal = Some(proposal);
                Sum::SignedProposalResponse(SignedProposalResponse { proposal, error })
            }
            Sum::PingRequest(_) => Sum::PingResponse(PingResponse {}),
            other => panic!("a signer is not asked {other:?}"),
        }
    }

    /// Serves one connection to its end.
    fn serve(&self, mut stream: UnixStream) -> Option<()> {
        loop {
            let mut length = 0_usize;
            for shift in (0..).step_by(7) {
                let mut byte = [0];
                stream.read_exact(&mut byte).ok()?;
                length |= usize::from(byte[0] & 0x7f) << shift;
                if byte[0] < 0x80 {
                    break;
                }
            }
            let mut frame = vec![0; length];
            stream.read_exact(&mut frame).ok()?;
            let ask = Message::decode(frame.as_slice()).unwrap().sum.unwrap();
            let answer = Message { sum: Some(self.answer(ask)) };
            stream.write_all(&answer.encode_length_delimited_to_vec()).ok()?;
        }
    }
}

fn canonical(id: Option<BlockId>) -> Option<CanonicalBlockId> {
    let id = id.filter(|id| !id.hash.is_empty())?;
    let parts = id.part_set_header.unwrap_or_default();
    let parts = CanonicalPartSetHeader { total: parts.total, hash: parts.hash };
    Some(CanonicalBlockId { hash: id.hash, part_set_header: Some(parts) })
}

fn vote_bytes(vote: &Vote, chain_id: String) -> Vec<u8> {
    let canonical = CanonicalVote {
        r#type: vote.r#type,
        height: vote.height,
        round: vote.round.into(),
        block_id: canonical(vote.block_id.clone()),
        timestamp: vote.timestamp,
        chain_id,
    };
    canonical.encode_length_delimited_to_vec()
}

fn proposal_bytes(proposal: &Proposal, chain_id: String) -> Vec<u8> {
    let canonical = CanonicalProposal {
        r#type: SignedMsgType::Proposal.into(),
        height: proposal.height,
        round: proposal.round.into(),
        pol_round: proposal.pol_round.into(),
        block_id: canonical(proposal.block_id.clone()),
        timestamp: proposal.timestamp,
        chain_id,
    };
    canonical.encode_length_delimited_to_vec()
}

/// A signer that dials a socket, again and again, until it is hung up.
struct Connected {
    stream: Arc<Mutex<(bool, Option<UnixStream>)>>,
    thread: JoinHandle<()>,
}

impl Connected {
    fn dial(signer: Arc<Signer>, socket: PathBuf) -> Self {
        let stream = Arc::new(Mutex::new((false, None)));
        let shared = Arc::clone(&stream);
        let thread = std::thread::spawn(move || loop {
            if shared.lock().unwrap().0 {
                return;
            }
            match UnixStream::connect(&socket) {
                Ok(stream) => {
                    shared.lock().unwrap().1 = Some(stream.try_clone().unwrap());
                    signer.serve(stream);
                }
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        });
        Self { stream, thread }
    }

    fn hang_up(self) {
        {
            let mut stream = self.stream.lock().unwrap();
            stream.0 = true;
            if let Some(stream) = &stream.1 {
                let _ = stream.shutdown(std::net::Shutdown::Both);
            }
        }
        self.thread.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_signer_signs_for_a_validator_and_may_go_away_for_a_while() {
    let wallet = Wallet::new(CHAIN, 5);
    let mut node = Node::new(&wallet);
    let away = tempfile::tempdir().unwrap();
    let (key, moved) =
        (node.home.path().join("config/priv_validator_key.json"), away.path().join("key.json"));
    fs::rename(&key, &moved).unwrap();
    let signer = Signer::load(&moved);
    let socket = node.home.path().join("signer.sock");
    let laddr = format!("priv_validator_laddr = \"unix://{}\"", socket.display());
    node.configure("config.toml", "priv_validator_laddr = \"\"", &laddr);

    let connected = Connected::dial(Arc::clone(&signer), socket.clone());
    node.start();
    node.wait_for_height(4);
    let signed = signer.signed.lock().unwrap().len();
    assert!(signed >= 12, "a proposal and two votes a block: {signed}");
    let block = node.call("block?height=3").await;
    let proposer = block["result"]["block"]["header"]["proposer_address"].as_str().unwrap();
    let file: serde_json::Value = serde_json::from_slice(&fs::read(&moved).unwrap()).unwrap();
    assert_eq!(proposer, file["address"], "the key that is away proposes");
    let findings = node.json(&["doctor", "-o", "json"]);
    let found = findings.as_array().unwrap().iter().find(|found| found["check"] == "signer");
    assert!(found.unwrap()["what"].as_str().unwrap().contains("remote"), "{findings}");

    connected.hang_up();
    let height = node.height();
    // With no signer at most the block that was being signed is finished.
    std::thread::sleep(Duration::from_secs(3));
    assert!(node.height() <= height + 1);
    let connected = Connected::dial(Arc::clone(&signer), socket);
    await_some("blocks with the signer back", || (node.height() > height + 3).then_some(()));
    node.stop();
    connected.hang_up();
}
