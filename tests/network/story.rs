//! Runs a network from a seed: clients ask without end, the story disturbs, then all must be well again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;
use turmoil::Sim;

use crate::hosts::{Came, Ledger, ask, proxy_host, server_host};
use crate::pool::Pool;
use crate::support::{Random, on_failure};

pub(crate) const CLIENTS: [&str; 3] = ["client-0", "client-1", "client-2"];
pub(crate) const SERVERS: [&str; 2] = ["server-0", "server-1"];

/// How long it may take after a repair until every request is answered at once.
const RECOVERY: Duration = Duration::from_secs(10);

/// Something that happens at a time after the start.
pub(crate) type Event = (Duration, Box<dyn FnOnce(&mut Sim<'_>)>);

pub(crate) fn at(seconds: f64, event: impl FnOnce(&mut Sim<'_>) + 'static) -> Event {
    (Duration::from_secs_f64(seconds), Box::new(event))
}

/// What came of the requests in all.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered: Cell<u32>,
    pub(crate) unknown: Cell<u32>,
    pub(crate) given_up: Cell<u32>,
    /// Answered after all was repaired.
    pub(crate) afterwards: Cell<u32>,
}

impl Tally {
    fn count(&self, came: &Came) {
        let cell = match came {
            Came::Answered => &self.answered,
            Came::Unknown => &self.unknown,
            Came::GivenUp => &self.given_up,
        };
        cell.set(cell.get() + 1);
    }
}

/// A network with this seed and the usual latency.
pub(crate) fn network(seed: u64) -> Sim<'static> {
    turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(300))
        .tick_duration(Duration::from_millis(10))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(30))
        .tcp_capacity(1024)
        .build()
}

/// With the proxy and the servers.
pub(crate) fn with_proxy(sim: &mut Sim<'_>, ledger: &Ledger) {
    for name in SERVERS {
        let ledger = ledger.clone();
        sim.host(name, move || server_host(name, ledger.clone()));
    }
    sim.host("proxy", || proxy_host(&SERVERS));
}

/// Lets clients ask `entry` while these events happen; from the last one on, all must be well after a while.
pub(crate) fn tell(
    mut sim: Sim<'_>,
    entry: &'static str,
    ledger: &Ledger,
    seed: u64,
    mut events: Vec<Event>,
) -> Tally {
    let said = on_failure(move || eprintln!("with seed {seed}"));
    events.sort_by_key(|(time, _)| *time);
    let last = events.last().map_or(Duration::ZERO, |(time, _)| *time);
    let tally = Rc::new(Tally::default());
    let random = Rc::new(RefCell::new(Random(seed)));
    for name in CLIENTS {
        let (ledger, tally, random) = (ledger.clone(), Rc::clone(&tally), Rc::clone(&random));
        sim.client(name, async move {
            let pool = Rc::new(Pool::new(entry));
            let well_again = last + RECOVERY;
            let mut number = 0;
            while turmoil::sim_elapsed().unwrap() < well_again {
                // Two at once on each connection.
                let ids = [format!("{name}-{number}-a"), format!("{name}-{number}-b")];
                let (a, b) =
                    tokio::join!(ask(&pool, &ids[0], &ledger), ask(&pool, &ids[1], &ledger));
                tally.count(&a);
                tally.count(&b);
                number += 1;
                let pause = random.borrow_mut().below(400);
                sleep(Duration::from_millis(pause)).await;
            }
            for number in 0..10 {
                let id = format!("{name}-afterwards-{number}");
                let came = ask(&pool, &id, &ledger).await;
                assert_eq!(came, Came::Answered, "all is well again, but not for {id}");
                tally.afterwards.set(tally.afterwards.get() + 1);
            }
            Ok(())
        });
    }
    let mut events = events.into_iter().peekable();
    loop {
        while let Some((_, event)) = events.next_if(|(time, _)| *time <= sim.elapsed()) {
            event(&mut sim);
        }
        if sim.step().expect("a client has failed") {
            break;
        }
    }
    assert!(events.next().is_none(), "the story is not over");
    drop(sim);
    ledger.check();
    assert_eq!(tally.afterwards.get(), 30);
    // It would show little if nothing was answered.
    assert!(tally.answered.get() > 60, "{tally:?}");
    drop(said);
    Rc::into_inner(tally).expect("the clients are gone")
}
