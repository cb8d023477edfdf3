//! The database goes away under a house that knows its callers: whoever it has let in already stays for a while, whoever it has not
//! is told to come back, and nobody is told that a good token is wrong.

use bursar::domain::token::ApiToken;
use bursar::proto::control::v1::GetTreeRequest;
use bursar::proto::control::v1::control_service_client::ControlServiceClient;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::callers::Showing;
use crate::cluster::Cluster;
use crate::process::{Program, eventually};
use crate::stage::Stage;

/// Asks for what needs no database.
async fn asks(channel: &Channel, token: &ApiToken) -> Result<(), Status> {
    let way = InterceptedService::new(channel.clone(), Showing::token(token));
    ControlServiceClient::new(way).get_tree(GetTreeRequest::default()).await.map(|_| ())
}

/// A token, made as whoever sets the house up makes the first one.
async fn first_token(stage: &Stage) -> ApiToken {
    let arguments = [
        "token",
        "create",
        "--store",
        &stage.database_url,
        "--name",
        "an operator",
        "--scope",
        "control.read",
    ];
    let arguments = [&arguments[..], &["--reason", "the first", "--json"]].concat();
    let mut program = Program::start(&arguments, &[]);
    let line = program.line(|line| line.contains("\"secret\"")).await;
    let line = line.unwrap_or_else(|| panic!("no token:\n{}", program.said()));
    assert!(program.ended().await.success(), "{}", program.said());
    let token = line.split('"').find_map(ApiToken::parse);
    token.expect("a token in the answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_known_stays_for_a_while_and_whoever_is_not_is_told_to_come_back() {
    let cluster = Cluster::start().await;
    let stage = Stage::on(cluster.url.clone()).await;
    let (known, unknown) = (first_token(&stage).await, first_token(&stage).await);
    let settings = ["access.mode=tokens", "access.trust=3s", "work.fence_after=4s", "work.reap_after=1h"];
    let mut house = stage.house_with(&settings, &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    asks(&channel, &known).await.expect("it is let in");

    cluster.crash().await;
    asks(&channel, &known).await.expect("it was let in just now");
    let refused = asks(&channel, &unknown).await.expect_err("nobody can say who that is");
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let reason = refused.get_error_details().error_info().map(|info| info.reason.clone());
    assert_eq!(reason.as_deref(), Some("STORE_UNAVAILABLE"), "{refused:?}");
    let refused = eventually("nobody is trusted for ever", async || asks(&channel, &known).await.err()).await;
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");

    cluster.come_back().await;
    for token in [&known, &unknown] {
        eventually("everybody is let in again", async || asks(&channel, token).await.ok()).await;
    }
    house.program.signal("TERM");
    assert!(house.program.ended().await.success(), "{}", house.program.said());
    stage.close().await;
}
