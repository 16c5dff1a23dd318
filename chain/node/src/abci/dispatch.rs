//! From a request to the application's method, and back to a response.

use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::{
    request::Value as Ask, response::Value as Answer, Response, ResponseException,
};

/// Calls the application's method for a request.
pub fn answer(app: &impl Application, ask: Ask) -> Answer {
    match ask {
        Ask::Echo(ask) => Answer::Echo(app.echo(ask)),
        Ask::Flush(_) => Answer::Flush(app.flush()),
        Ask::Info(ask) => Answer::Info(app.info(ask)),
        Ask::InitChain(ask) => Answer::InitChain(app.init_chain(ask)),
        Ask::Query(ask) => Answer::Query(app.query(ask)),
        Ask::CheckTx(ask) => Answer::CheckTx(app.check_tx(ask)),
        Ask::Commit(_) => Answer::Commit(app.commit()),
        Ask::ListSnapshots(_) => Answer::ListSnapshots(app.list_snapshots()),
        Ask::OfferSnapshot(ask) => Answer::OfferSnapshot(app.offer_snapshot(ask)),
        Ask::LoadSnapshotChunk(ask) => Answer::LoadSnapshotChunk(app.load_snapshot_chunk(ask)),
        Ask::ApplySnapshotChunk(ask) => Answer::ApplySnapshotChunk(app.apply_snapshot_chunk(ask)),
        Ask::PrepareProposal(ask) => Answer::PrepareProposal(app.prepare_proposal(ask)),
        Ask::ProcessProposal(ask) => Answer::ProcessProposal(app.process_proposal(ask)),
        Ask::ExtendVote(ask) => Answer::ExtendVote(app.extend_vote(ask)),
        Ask::VerifyVoteExtension(ask) => {
            Answer::VerifyVoteExtension(app.verify_vote_extension(ask))
        }
        Ask::FinalizeBlock(ask) => Answer::FinalizeBlock(app.finalize_block(ask)),
    }
}

/// The answer to what is not a request.
pub fn exception(error: &impl std::fmt::Display) -> Response {
    let error = error.to_string();
    Response { value: Some(Answer::Exception(ResponseException { error })) }
}
