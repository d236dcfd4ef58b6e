//! Rules of the draft that no scenario covers by itself: what a session never sends, what it has to tolerate.

use spdy::frame::ResetStatus;

use crate::pair::*;

#[test]
fn status_0_is_never_sent() {
    let mut peer = Solo::client();
    let key = peer.replied(1);
    peer.session.reset(key, ResetStatus::new(0));
    assert_eq!(peer.sent(), ["RST_STREAM 1 PROTOCOL_ERROR"]);
}
