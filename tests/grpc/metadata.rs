//! Metadata in both directions.

use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;

use super::*;

const BYTES: &[u8] = &[0, 255, 10, 13, 44, 61];

#[tokio::test(start_paused = true)]
async fn text_and_bytes_arrive_as_they_were_and_come_back() {
    let (_server, mut client, _send) = notes().await;
    let mut request = Request::new(Note::text("metadata"));
    let metadata = request.metadata_mut();
    metadata.insert("x-text", "a, b; c=\"d\"".parse().unwrap());
    metadata.append("x-several", "1".parse().unwrap());
    metadata.append("x-several", "2".parse().unwrap());
    metadata.insert_bin("x-bytes-bin", MetadataValue::from_bytes(BYTES));
    let answer = within("the answer", client.unary(request)).await.unwrap();
    let seen = answer.metadata();
    assert_eq!(seen.get("seen-x-text").unwrap(), "a, b; c=\"d\"");
    let several: Vec<_> = seen.get_all("seen-x-several").iter().collect();
    assert_eq!(several, ["1", "2"]);
    let bytes = seen.get_bin("seen-x-bytes-bin").unwrap();
    assert_eq!(&bytes.to_bytes().unwrap()[..], BYTES);
}

#[tokio::test(start_paused = true)]
async fn what_grpc_demands_of_a_request_arrives() {
    let (_server, mut client, _send) = notes().await;
    let answer = client.unary(Note::text("metadata"));
    let answer = within("the answer", answer).await.unwrap();
    let headers = answer.metadata().clone().into_headers();
    assert_eq!(headers["seen-content-type"], "application/grpc");
    assert_eq!(headers["seen-te"], "trailers");
    assert_eq!(headers["seen-host"], "notes.example");
    assert_eq!(headers["content-type"], "application/grpc");
}

#[tokio::test(start_paused = true)]
async fn interceptors_run_at_both_ends() {
    let guarded =
        NotesServer::with_interceptor(Server::default(), |mut request: Request<()>| match request
            .metadata()
            .get("authorization")
        {
            Some(token) if token == "Bearer key" => {
                request
                    .metadata_mut()
                    .insert("x-user", "me".parse().unwrap());
                Ok(request)
            }
            _ => Err(Status::unauthenticated("who are you?")),
        });
    let send = connect(Routes::new(guarded)).await;
    let mut client = client_on(&send);
    let status = client.unary(Note::text("metadata"));
    let status = within("the answer", status).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.message(), "who are you?");
    // `with_interceptor` of a generated client knows no origin: the two are joined by hand.
    let service = InterceptedService::new(send, |mut request: Request<()>| {
        let token = "Bearer key".parse().unwrap();
        request.metadata_mut().insert("authorization", token);
        Ok(request)
    });
    let mut client = NotesClient::with_origin(service, "http://a".parse().unwrap());
    let answer = client.unary(Note::text("metadata"));
    let answer = within("the answer", answer).await.unwrap();
    assert_eq!(answer.metadata().get("seen-x-user").unwrap(), "me");
}
