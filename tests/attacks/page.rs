//! The numbers on SECURITY.md are those of the formula, and the formula's options those of the crate.

use spdy::Config;
use spdy::frame::Role;

use crate::bound::Limits;
use crate::{KIB, MIB};

#[test]
fn the_defaults_are_those_of_the_crate() {
    for role in crate::BOTH {
        let ours = format!("{:?}", Limits::of(role).config());
        assert_eq!(ours, format!("{:?}", Config::for_role(role)));
    }
}

#[test]
fn the_security_page_has_these_numbers() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/SECURITY.md");
    let page = std::fs::read_to_string(page).unwrap();
    for streams in [0, 1, 10, 200, 400] {
        let [server, client] = crate::BOTH.map(|role| Limits::of(role).bound(streams) / KIB);
        let row = format!("| {streams} | {server} KiB | {client} KiB |");
        assert!(page.contains(&row), "not in SECURITY.md: {row}");
    }
    // The recommended options: 100 streams that are open, and as many that ended while they are held.
    let mut public = Limits::of(Role::Server);
    public.max_concurrent_streams = 100;
    public.stream_window = 64 << 10;
    public.connection_window = 1 << 20;
    let most = format!("at most {} MiB", public.bound(200).div_ceil(MIB));
    assert!(page.contains(&most), "not in SECURITY.md: {most}");
}
