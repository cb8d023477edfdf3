//! Scripted answers about recorded questionings: each key is one that has come to a certain end.

use std::pin::Pin;

use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::{Answer as Told, Scripted};
use crate::proto::transfer::v1::answer::Outcome;
use crate::proto::transfer::v1::get_analysis_request::Form;
use crate::proto::transfer::v1::get_analysis_response::RawAnswer;
use crate::proto::transfer::v1::process_transfer_response::{Step, Wait};
use crate::proto::transfer::v1::reprocess_transfer_request::Which;
use crate::proto::transfer::v1::transfer::State;
use crate::proto::transfer::v1::transfer_service_server::TransferService;
use crate::proto::transfer::v1::*;

/// A key as Firebase makes them, of a transfer that is done.
pub const DONE: &str = "-Ndone";
/// One whose transfer is skipped.
pub const OLD: &str = "-Nold";
/// One whose transfer has failed.
pub const LOST: &str = "-Nlost";
/// One that somebody erased.
pub const ERASED: &str = "-Nerased";
/// One that the feed alone knows.
pub const UNSEEN: &str = "-Nunseen";
/// One whose feed does not answer, and that is not known here.
pub const SILENT: &str = "-Nsilent";

/// Nothing for a key that nobody knows.
fn transfer(key: &str) -> Option<Transfer> {
    let (state, reason) = match key {
        DONE => (State::Done, ""),
        OLD => (State::Skipped, "too_old: recorded longer ago than is analysed"),
        LOST => (State::Failed, "gave_up: the vendor does not answer"),
        ERASED => (State::Erased, ""),
        _ => return None,
    };
    Some(Transfer {
        id: format!("id{key}"),
        feed: "forms".to_owned(),
        key: key.to_owned(),
        state: state.into(),
        reason: reason.to_owned(),
        questions: 2,
        answered: 2,
        run: (key == DONE).then(run),
        ..Transfer::default()
    })
}

fn run() -> Run {
    Run { number: 1, analyzer: "nemesysco_ra7".to_owned(), result: "38|".to_owned(), ..Run::default() }
}

fn answers() -> Vec<Answer> {
    let scored = Answer {
        outcome: Outcome::Scored.into(),
        vendor_risk_score: Some(38),
        vendor_risk: Some(62),
        segments: Some(3),
        ..Answer::default()
    };
    vec![scored, Answer { position: 1, outcome: Outcome::NoSpeech.into(), ..Answer::default() }]
}

fn change(state: State, name: &str, version: i64) -> TransferChange {
    TransferChange {
        r#type: format!("transfer.{name}"),
        key: DONE.to_owned(),
        state: state.into(),
        version,
        cursor: format!("c{version}"),
        ..TransferChange::default()
    }
}

fn named(id: &str) -> Result<Transfer, Status> {
    transfer(id.trim_start_matches("id")).ok_or_else(|| Status::not_found("transfer not found"))
}

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl TransferService for Scripted {
    async fn get_transfer(&self, request: Request<GetTransferRequest>) -> Told<GetTransferResponse> {
        let transfer = Some(named(&request.into_inner().key)?);
        Ok(Response::new(GetTransferResponse { transfer }))
    }

    async fn find_transfer(&self, request: Request<FindTransferRequest>) -> Told<FindTransferResponse> {
        let key = request.into_inner().key;
        let transfer = transfer(&key);
        let is_done = key == DONE;
        let in_feed = match key.as_str() {
            SILENT => None,
            key => Some(transfer.is_some() || key == UNSEEN),
        };
        Ok(Response::new(FindTransferResponse {
            runs: if is_done { vec![run()] } else { vec![] },
            answers: if is_done { answers() } else { vec![] },
            processed_in_feed: in_feed.and_then(|is_there| is_there.then_some(is_done)),
            feed_error: if in_feed.is_none() { "the feed is unavailable".to_owned() } else { String::new() },
            last_error: if key == LOST { "the vendor does not answer".to_owned() } else { String::new() },
            in_feed,
            transfer,
            ..FindTransferResponse::default()
        }))
    }

    /// Three transfers on two pages.
    async fn list_transfers(&self, request: Request<ListTransfersRequest>) -> Told<ListTransfersResponse> {
        let request = request.into_inner();
        let (keys, next) = match request.page_token.as_str() {
            "" => (vec![DONE, OLD], "2"),
            _ => (vec![LOST], ""),
        };
        let transfers = keys.into_iter().filter_map(transfer).collect();
        Ok(Response::new(ListTransfersResponse { transfers, next_page_token: next.to_owned() }))
    }

    type ProcessTransferStream = Streamed<ProcessTransferResponse>;

    /// From its queue over a wait to its end; one that the feed alone knows is cut off.
    async fn process_transfer(
        &self,
        request: Request<ProcessTransferRequest>,
    ) -> Told<Self::ProcessTransferStream> {
        let request = request.into_inner();
        if request.key == DONE && !request.follow {
            return Err(Status::failed_precondition("the transfer is done"));
        }
        let wait = Wait { reason: "the vendor is away".to_owned(), attempt: 1, ..Wait::default() };
        let mut steps = vec![Step::Change(change(State::Analysing, "analysing", 2)), Step::Wait(wait)];
        steps.extend(answers().into_iter().map(Step::Answer));
        match transfer(&request.key) {
            Some(transfer) => steps.push(Step::End(transfer)),
            None if request.key == UNSEEN => {}
            None => return Err(Status::not_found("transfer not found")),
        }
        let steps = steps.into_iter().map(|step| Ok(ProcessTransferResponse { step: Some(step) }));
        Ok(Response::new(Box::pin(tokio_stream::iter(steps.collect::<Vec<_>>()))))
    }

    /// As many as the limit says, of a filter.
    async fn reprocess_transfer(
        &self,
        request: Request<ReprocessTransferRequest>,
    ) -> Told<ReprocessTransferResponse> {
        let request = request.into_inner();
        let answer = match request.which {
            Some(Which::Id(id)) => {
                let mut transfer = named(&id)?;
                if !request.dry_run {
                    transfer.state = State::Queued.into();
                }
                ReprocessTransferResponse { transfers: 1, more: false, transfer: Some(transfer) }
            }
            _ => {
                let transfers = i64::from(request.limit);
                ReprocessTransferResponse { transfers, more: request.dry_run, transfer: None }
            }
        };
        Ok(Response::new(answer))
    }

    async fn get_analysis(&self, request: Request<GetAnalysisRequest>) -> Told<GetAnalysisResponse> {
        let request = request.into_inner();
        named(&request.id)?;
        let mut answer =
            GetAnalysisResponse { run: Some(run()), answers: answers(), ..GetAnalysisResponse::default() };
        match request.form() {
            Form::Raw => {
                let body = b"{\"Status\": \"OK\"}\x1b[2J".to_vec();
                answer.raw_answers = vec![RawAnswer { positions: vec![0], body, end_time: None }];
            }
            Form::Legacy => {
                (answer.document, answer.text) = ("{}".to_owned(), "{\"Status\": \"OK\"}\n".to_owned());
            }
            Form::Unspecified => {}
        }
        Ok(Response::new(answer))
    }

    type WatchTransfersStream = Streamed<WatchTransfersResponse>;

    /// Two changes, then a cursor alone, then the end.
    async fn watch_transfers(&self, _: Request<WatchTransfersRequest>) -> Told<Self::WatchTransfersStream> {
        let changes = vec![change(State::Queued, "queued", 1), change(State::Analysing, "analysing", 2)];
        let answers = [
            WatchTransfersResponse { changes, cursor: "c2".to_owned() },
            WatchTransfersResponse { changes: vec![], cursor: "c3".to_owned() },
        ];
        Ok(Response::new(Box::pin(tokio_stream::iter(answers.map(Ok)))))
    }

    async fn erase_transfer(&self, request: Request<EraseTransferRequest>) -> Told<EraseTransferResponse> {
        let id = named(&request.into_inner().id)?.id;
        let transfer = Some(Transfer { id, state: State::Erased.into(), ..Transfer::default() });
        Ok(Response::new(EraseTransferResponse { transfer }))
    }

    async fn list_transfer_changes(
        &self,
        _: Request<ListTransferChangesRequest>,
    ) -> Told<ListTransferChangesResponse> {
        let changes = vec![change(State::Queued, "queued", 1), change(State::Done, "done", 2)];
        Ok(Response::new(ListTransferChangesResponse { changes }))
    }

    async fn list_feeds(&self, _: Request<ListFeedsRequest>) -> Told<ListFeedsResponse> {
        let feed = Feed {
            name: "forms".to_owned(),
            state: feed::State::Lost.into(),
            reason: "no route".to_owned(),
            open: 3,
            ..Feed::default()
        };
        Ok(Response::new(ListFeedsResponse { feeds: vec![feed] }))
    }
}
