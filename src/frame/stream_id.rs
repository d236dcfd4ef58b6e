use std::fmt;
use std::num::NonZeroU32;

/// The side of a connection an endpoint plays.
///
/// The role follows who *asks*, not who dialled: a media server that dials out and then serves over the
/// dialled connection is the [`Role::Server`] of that session. Clients create odd stream ids and send odd
/// PING ids, servers even ones (SPDY/3.1 sections 2.3.2 and 2.6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Creates streams with odd ids.
    Client,
    /// Creates streams with even ids.
    Server,
}

impl Role {
    /// The role of the other end.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// The first id this role creates, for streams and for PINGs alike.
    #[must_use]
    pub const fn first_id(self) -> u32 {
        match self {
            Self::Client => 1,
            Self::Server => 2,
        }
    }

    /// Whether `id`, of a stream or of a PING, has the parity that this role creates.
    #[must_use]
    pub const fn created(self, id: u32) -> bool {
        id % 2 == self.first_id() % 2
    }
}

/// A stream id: 1 to 2^31-1; 0 never names a stream (SPDY/3.1 section 2.3.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(NonZeroU32);

impl StreamId {
    /// The largest id, 2^31-1. Ids never wrap: behind it a new connection is needed.
    pub const MAX: Self = Self(NonZeroU32::new(0x7fff_ffff).unwrap());

    /// The id with the given number, or `None` for 0.
    ///
    /// The topmost bit is reserved on the wire and is masked off.
    #[must_use]
    pub const fn new(id: u32) -> Option<Self> {
        match NonZeroU32::new(id & 0x7fff_ffff) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The role that creates streams with this id.
    #[must_use]
    pub const fn creator(self) -> Role {
        if self.get() % 2 == 1 {
            Role::Client
        } else {
            Role::Server
        }
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.get(), f)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.get(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_create_odd_ids() {
        let id = |id| StreamId::new(id).unwrap();
        for odd in [1, 3, 0x7fff_ffff] {
            assert_eq!(id(odd).creator(), Role::Client, "{odd}");
        }
        for even in [2, 4, 0x7fff_fffe] {
            assert_eq!(id(even).creator(), Role::Server, "{even}");
        }
        assert_eq!(format!("{:?} {0}", id(7)), "7 7");
    }
}
