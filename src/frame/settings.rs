use std::fmt;

/// The settings that SPDY/3.1 knows, by their ids (section 2.6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SettingId {
    /// Expected upload bandwidth of the sender, in kB/s.
    UploadBandwidth = 1,
    /// Expected download bandwidth of the sender, in kB/s.
    DownloadBandwidth = 2,
    /// Expected round-trip time, in milliseconds.
    RoundTripTime = 3,
    /// How many streams the sender of the SETTINGS lets its peer have open at once.
    MaxConcurrentStreams = 4,
    /// TCP congestion window.
    CurrentCwnd = 5,
    /// Retransmission rate, in percent.
    DownloadRetransRate = 6,
    /// Stream window at the start of each stream, in bytes; 65,536 until announced.
    InitialWindowSize = 7,
    /// Size of the certificate vector (SPDY/3 only).
    ClientCertificateVectorSize = 8,
}

impl SettingId {
    const ALL: [Self; 8] = [
        Self::UploadBandwidth,
        Self::DownloadBandwidth,
        Self::RoundTripTime,
        Self::MaxConcurrentStreams,
        Self::CurrentCwnd,
        Self::DownloadRetransRate,
        Self::InitialWindowSize,
        Self::ClientCertificateVectorSize,
    ];

    /// The setting with this id on the wire, if it is a known one.
    #[must_use]
    pub fn from_wire(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|known| *known as u32 == id)
    }
}

/// One value of a SETTINGS frame with its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The value; its unit follows from the [`SettingId`].
    pub value: u32,
    /// The server asks the client to store the value (`PERSIST_VALUE`, 0x01).
    pub persist: bool,
    /// The client returns a value that it had stored (`PERSISTED`, 0x02). Such a value is the receiver's own
    /// and says nothing about the sender.
    pub persisted: bool,
}

/// The known entries of a SETTINGS frame.
///
/// A fixed array: unknown ids are skipped in place, the first of duplicates wins (section 2.6.4), and nothing is
/// ever allocated by a count from the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The frame flag `CLEAR_SETTINGS`: the client drops what it has stored, then applies this frame.
    pub clear: bool,
    entries: [Option<Setting>; 8],
}

impl Settings {
    /// No entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value without persistence flags, replacing an earlier one.
    pub fn set(&mut self, id: SettingId, value: u32) {
        self.entries[id as usize - 1] = Some(Setting {
            value,
            persist: false,
            persisted: false,
        });
    }

    /// Adds an entry unless the id is present already: the first of duplicates wins.
    pub fn insert_first(&mut self, id: SettingId, setting: Setting) {
        self.entries[id as usize - 1].get_or_insert(setting);
    }

    /// The entry for `id`.
    #[must_use]
    pub fn get(&self, id: SettingId) -> Option<Setting> {
        self.entries[id as usize - 1]
    }

    /// The entries, lowest id first, which is the order on the wire.
    pub fn iter(&self) -> impl Iterator<Item = (SettingId, Setting)> + '_ {
        SettingId::ALL
            .into_iter()
            .zip(self.entries)
            .filter_map(|(id, setting)| Some((id, setting?)))
    }

    /// How many entries there are, at most 8.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.clear {
            f.write_str("clear ")?;
        }
        for (n, (id, setting)) in self.iter().enumerate() {
            let gap = if n > 0 { " " } else { "" };
            write!(f, "{gap}{id:?}={}", setting.value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_of_duplicates_wins_and_iteration_is_sorted() {
        let mut settings = Settings::new();
        let entry = |value| Setting {
            value,
            persist: true,
            persisted: false,
        };
        settings.insert_first(SettingId::InitialWindowSize, entry(7));
        settings.insert_first(SettingId::InitialWindowSize, entry(8));
        settings.set(SettingId::UploadBandwidth, 1);
        let all: Vec<_> = settings
            .iter()
            .map(|(id, s)| (id as u32, s.value))
            .collect();
        assert_eq!(all, [(1, 1), (7, 7)]);
        assert_eq!(SettingId::from_wire(0), None);
        assert_eq!(SettingId::from_wire(9), None);
        assert_eq!(
            SettingId::from_wire(8),
            Some(SettingId::ClientCertificateVectorSize)
        );
    }
    #[test]
    fn settings_are_displayed_with_their_values() {
        let mut settings = Settings::new();
        assert_eq!(settings.to_string(), "");
        settings.set(SettingId::MaxConcurrentStreams, 100);
        assert_eq!(settings.to_string(), "MaxConcurrentStreams=100");
        settings.set(SettingId::InitialWindowSize, 5);
        settings.clear = true;
        assert_eq!(
            settings.to_string(),
            "clear MaxConcurrentStreams=100 InitialWindowSize=5"
        );
    }
}
