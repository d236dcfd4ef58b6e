//! `cp`.

use std::path::Path;

use super::server::KubeServer;
use super::{Kubectl, each_kubectl};
use crate::pattern::Noise;
use crate::process::Folder;

each_kubectl! {
    files_and_folders_come_back_as_they_went
}

each_kubectl! {
    proxied:
    files_and_folders_come_back_as_they_went
}

async fn cp(server: &KubeServer, kubectl: Kubectl, from: &str, to: &str) {
    let ended = server.run(kubectl, &["cp", "-c", "c", from, to]).await;
    assert_eq!(ended.code, Some(0), "{from} to {to}: {}", ended.stderr);
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path is text")
}

fn in_pod(path: &Path) -> String {
    format!("p:{}", text(path))
}

async fn files_and_folders_come_back_as_they_went(kubectl: Kubectl) {
    let server = KubeServer::start(kubectl, &[]).await;
    let (here, there, back) = (Folder::new(), Folder::new(), Folder::new());
    let noise = Noise::new(3).take(3_000_001);
    let file = here.write("file", &noise);
    let remote = there.path().join("file");
    cp(&server, kubectl, text(&file), &in_pod(&remote)).await;
    assert!(std::fs::read(&remote).unwrap() == noise);
    let again = back.path().join("file");
    cp(&server, kubectl, &in_pod(&remote), text(&again)).await;
    assert!(std::fs::read(&again).unwrap() == noise);

    let folder = here.path().join("folder");
    std::fs::create_dir_all(folder.join("deep/er")).unwrap();
    std::fs::write(folder.join("deep/er/one"), "1").unwrap();
    std::fs::write(folder.join("empty"), "").unwrap();
    let remote = there.path().join("folder");
    cp(&server, kubectl, text(&folder), &in_pod(&remote)).await;
    let again = back.path().join("folder");
    cp(&server, kubectl, &in_pod(&remote), text(&again)).await;
    for folder in [&remote, &again] {
        assert_eq!(std::fs::read(folder.join("deep/er/one")).unwrap(), b"1");
        assert_eq!(std::fs::read(folder.join("empty")).unwrap(), b"");
    }
    server.leaves_nothing().await;
}
