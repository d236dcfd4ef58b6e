//! C-055 to C-114: SETTINGS, PING, GOAWAY, flow control, CREDENTIAL.

rows! {
    "C-055" "2.6.4" Client "Persisted values go back to the same origin, address and port only.";
        later [
            "SETTINGS persistence"; "Nothing is stored or sent back.";
            "session_pair rules::our_settings_have_no_flags_and_rising_ids",
        ];
    "C-056" "2.6.4" Client "A client never asks a server to persist settings.";
        held ["session_pair rules::our_settings_have_no_flags_and_rising_ids"];
    "C-057" "2.6.4" Server "Persistence flags of a client are ignored.";
        deviates [
            "A value flagged PERSISTED is ours of old, or a foreign one: it is not applied, as U-35 asks. A request to persist is ignored.";
            "session_pair rules::a_request_to_persist_changes_nothing_and_a_persisted_value_is_not_applied",
        ];
    "C-058" "2.6.4" Client "CLEAR_SETTINGS empties the store before the entries of the same frame are stored.";
        later [
            "SETTINGS persistence"; "The flag changes nothing.";
            "session_pair rules::a_request_to_persist_changes_nothing_and_a_persisted_value_is_not_applied",
        ];
    "C-059" "2.6.4" Both "PERSIST_VALUE comes from servers only, PERSISTED from clients only.";
        held ["session_pair rules::our_settings_have_no_flags_and_rising_ids"];
    "C-060" "2.6.4" Both "Bandwidths are whole kB/s.";
        not_applicable ["We announce no bandwidth, and take no notice of the peer's."];
    "C-061" "2.6.4" Both "Only values that are known for certain are sent.";
        held [
            "session_pair rules::our_settings_have_no_flags_and_rising_ids",
            "session_pair liveness::the_first_frames_announce_what_the_options_say",
        ];
    "C-062" "2.6.4" Both "Entries are sent from the lowest id to the highest.";
        held [
            "session_pair rules::our_settings_have_no_flags_and_rising_ids",
            "lib frame::settings::first_of_duplicates_wins_and_iteration_is_sorted",
        ];
    "C-063" "2.6.4" Both "No id is sent twice in one frame.";
        held ["session_pair rules::our_settings_have_no_flags_and_rising_ids"];
    "C-064" "2.6.4" Both "Of an id that comes twice in one frame the first value counts.";
        held ["codec_framing settings_are_taken_entry_by_entry"];
    "C-065" "2.6.4" Both "A later frame replaces the values it names and no others.";
        held ["session_pair rules::settings_change_what_they_name_and_leave_the_rest"];
    "C-066" "2.6.4" Client "All that the server has asked to persist is sent back.";
        later ["SETTINGS persistence"];
    "C-067" "2.6.4" Both "Without MAX_CONCURRENT_STREAMS there is no limit; less than 100 should not be announced.";
        deviates [
            "200 are announced. Towards a peer that announced nothing we stop at 100 streams, because such a peer may refuse what is more.";
            "session_pair streams::a_peer_that_announces_no_limit_gets_a_hundred_streams_at_first",
            "session_pair liveness::the_first_frames_announce_what_the_options_say",
        ];
    "C-068" "draft 2" Server "SETTINGS are no store for data of the server.";
        later ["SPDY/2"];
    "C-069" "draft 2" Both "NOOP is ignored.";
        later ["SPDY/2"; "Type 5 is unknown in SPDY/3.1 and skipped, see U-09."];
    "C-070" "2.6.5" Both "PING goes back unchanged, ahead of all that is queued.";
        held ["session_pair liveness::an_echo_goes_out_ahead_of_everything_that_is_queued"];
    "C-071" "2.6.5" Both "Each PING has a new id.";
        held [
            "driver transport::ping_measures_the_round_trip_and_forgets_when_dropped",
            "lib session::ping::ids_follow_the_role_and_echoes_are_matched_once",
        ];
    "C-072" "2.6.5" Both "PINGs of a client are odd, those of a server even.";
        held [
            "session_pair liveness::concurrent_pings_are_told_apart_and_timed_from_their_emission",
            "lib session::ping::ids_follow_the_role_and_echoes_are_matched_once",
        ];
    "C-073" "2.6.5" Both "An echo of nothing that we have sent is ignored.";
        held ["session_pair liveness::pings_of_our_parity_that_we_did_not_send_are_ignored"];
    "C-074" "2.6.5" Both "PING has a Length of 4.";
        held ["codec_framing fixed_frames_need_their_exact_length"];
    "C-075" "2.6.6" Both "New streams of the peer are ignored once GOAWAY was sent.";
        deviates [
            "A graceful end sends two: streams that arrive before the echo of a PING behind the first, a second at most, are served, or they would be lost. Behind the second they are ignored.";
            "session_pair shutdown::a_graceful_shutdown_serves_what_came_before_the_echo_and_ignores_what_comes_after",
            "session_pair shutdown::a_peer_that_echoes_no_ping_delays_a_shutdown_by_one_second",
            "driver context::a_server_stays_in_step_behind_every_block_it_does_not_use",
        ];
    "C-076" "2.6.6" Both "Who has sent GOAWAY opens no streams.";
        held [
            "driver graceful_end::an_idle_session_shuts_down_in_two_steps",
            "http_client graceful_shutdown_of_a_client_finishes_what_is_under_way",
        ];
    "C-077" "2.6.6" Both "Who has received GOAWAY opens no streams.";
        held [
            "session_pair shutdown::goaway_fails_what_it_excludes_as_retryable_and_lets_the_rest_finish",
            "driver graceful_end::go_away_of_the_peer_spares_streams_up_to_its_last_good",
        ];
    "C-078" "2.6.6" Both "Last-good-stream-ID is 0 where no stream of the peer was accepted.";
        held [
            "driver graceful_end::an_idle_session_shuts_down_in_two_steps",
            "session_pair shutdown::streams_nobody_accepts_do_not_hold_up_a_shutdown",
        ];
    "C-079" "2.6.6" Both "GOAWAY has a Length of 8.";
        held ["codec_framing fixed_frames_need_their_exact_length"];
    "C-080" "2.6.6" Both "Streams above the peer's Last-good-stream-ID were not processed.";
        held [
            "session_pair shutdown::goaway_fails_what_it_excludes_as_retryable_and_lets_the_rest_finish",
            "http_client go_away_gives_back_what_was_not_processed",
        ];
    "C-081" "2.6.8" Both "A DATA frame is no longer than the stream window.";
        later ["SPDY/3"; "C-095 is the rule of SPDY/3.1."];
    "C-082" "2.6.8" Both "DATA stops at a window of 0.";
        later ["SPDY/3"; "C-106 is the rule of SPDY/3.1."];
    "C-083" "2.6.8" Both "Control frames pass the window; one that cannot be buffered costs its stream.";
        later ["SPDY/3"; "C-092 is the rule of SPDY/3.1."];
    "C-084" "2.6.8" Both "Delta-Window-Size is 1 to 2^31-1.";
        held [
            "lib session::window::credit_is_due_at_half_and_never_waits_at_zero",
            "session_pair flow::credit_of_zero_is_an_error_of_the_stream_or_of_the_session",
            "codec_framing reserved_bits_and_unknown_flags_are_ignored",
        ];
    "C-085" "2.6.8" Both "A stream window above 2^31 resets the stream.";
        later ["SPDY/3"; "C-100 is the rule of SPDY/3.1."];
    "C-086" "2.6.8" Both "Stream windows start at 64 KiB.";
        later ["SPDY/3"; "C-102 is the rule of SPDY/3.1."];
    "C-087" "2.6.8" Both "A window made negative by SETTINGS holds DATA until it is positive.";
        later ["SPDY/3"; "C-105 and C-106 are the rules of SPDY/3.1."];
    "C-088" "2.6.8" Both "A receiver that shrank its window resets, or accepts and counts from the new size.";
        later ["SPDY/3"; "C-107 and C-108 are the rules of SPDY/3.1."];
    "C-089" "2.6.8" Both "The last DATA of a stream gets no WINDOW_UPDATE.";
        later [
            "SPDY/3"; "Done in SPDY/3.1 too."; "session_pair flow::no_stream_credit_for_what_content_length_makes_needless",
            "session_pair flow::dropping_an_unread_body_returns_its_bytes_to_the_connection",
        ];
    "C-090" "2.6.8" Both "WINDOW_UPDATE behind our FIN is ignored.";
        later ["SPDY/3"; "Done in SPDY/3.1 too."; "session_pair flow::behind_our_fin_no_window_is_judged"];
    "C-091" "2.6.8" Both "Windows are between neighbours: a proxy does not relay WINDOW_UPDATE.";
        not_applicable ["A proxy made of this crate has a session at either side, and no way to relay a frame."];
    "C-092" "2.6.8" Both "Frames other than DATA are taken and sent whatever the windows are.";
        held ["session_pair rules::frames_other_than_data_pass_windows_that_are_used_up"];
    "C-093" "2.6.8" Both "WINDOW_UPDATE has no flags and a Length of 8.";
        held [
            "codec_framing fixed_frames_need_their_exact_length",
            "codec_vectors byte_exact_vectors_are_encoded_to_the_same_bytes",
            "codec_framing reserved_bits_and_unknown_flags_are_ignored",
        ];
    "C-094" "2.6.8" Both "All DATA counts against the connection window, also that of dead and faulty streams.";
        held [
            "session_pair states::every_frame_in_every_state_gets_the_reaction_of_the_table",
            "session_pair flow::data_of_dead_streams_counts_against_the_connection_too",
            "session_pair flow::a_peer_that_overruns_a_stream_window_has_it_reset_and_the_bytes_count",
        ];
    "C-095" "2.6.8" Both "DATA passes neither the stream window nor that of the connection.";
        held [
            "session_pair flow::stream_credit_alone_does_not_release_what_the_connection_holds_back",
            "session_pair flow::a_shrunk_window_goes_negative_and_recovers_as_the_draft_computes",
            "session_properties two_sessions_keep_the_ledger_and_never_deadlock",
        ];
    "C-096" "2.6.8" Both "Empty DATA with FIN needs no window.";
        held [
            "session_pair rules::frames_other_than_data_pass_windows_that_are_used_up",
            "session_pair flow::an_announced_window_of_zero_holds_data_until_credit_comes",
        ];
    "C-097" "2.6.8" Both "The frame header does not count.";
        held [
            "session_pair flow::a_shrunk_window_goes_negative_and_recovers_as_the_draft_computes",
            "session_pair flow::stream_credit_alone_does_not_release_what_the_connection_holds_back",
            "session_pair flow::a_peer_that_overruns_a_stream_window_has_it_reset_and_the_bytes_count",
        ];
    "C-098" "2.6.8" Both "Sending n bytes lowers both windows by n.";
        held [
            "session_pair flow::stream_credit_alone_does_not_release_what_the_connection_holds_back",
            "session_pair flow::a_shrunk_window_goes_negative_and_recovers_as_the_draft_computes",
        ];
    "C-099" "2.6.8" Both "Credit for stream and connection comes in frames of their own.";
        held [
            "session_pair flow::lenient_flow_control_tolerates_overruns_and_goes_on_crediting",
            "raw_streams back_pressure::bytes_of_a_dropped_reader_are_credited_to_the_connection",
        ];
    "C-100" "2.6.8" Both "Credit that lifts a stream window above 2^31-1 resets the stream with FLOW_CONTROL_ERROR.";
        held [
            "session_pair flow::a_stream_window_lifted_above_the_maximum_resets_the_stream",
            "session_pair vectors::malformed_vectors_get_the_reaction_that_the_drafts_demand",
        ];
    "C-101" "2.6.8" Both "Credit that lifts the connection window above 2^31-1 ends the session.";
        deviates [
            "The draft gives the status that it demands, FLOW_CONTROL_ERROR, no number: PROTOCOL_ERROR is sent, as by most peers, and the error says flow control.";
            "session_pair flow::a_connection_window_lifted_above_the_maximum_ends_the_session",
        ];
    "C-102" "2.6.8" Both "Both windows start at 65,536, until the peer says otherwise.";
        held [
            "session_pair flow::stream_credit_alone_does_not_release_what_the_connection_holds_back",
            "raw_streams back_pressure::a_writer_stops_at_the_window_and_at_64_kib_queued",
        ];
    "C-103" "2.6.8" Both "A new initial window shifts the window of every open stream by the difference.";
        held [
            "session_pair flow::a_shrunk_window_goes_negative_and_recovers_as_the_draft_computes",
            "session_pair flow::settings_that_lift_a_stream_window_above_the_maximum_reset_only_that_stream",
        ];
    "C-104" "2.6.8" Both "SETTINGS do not change the connection window.";
        held ["session_pair rules::settings_never_move_the_connection_window"];
    "C-105" "2.6.8" Both "Windows may be negative, and are counted so.";
        held [
            "session_pair flow::a_shrunk_window_goes_negative_and_recovers_as_the_draft_computes",
            "lib session::window::shrinks_below_zero_and_grows_back",
        ];
    "C-106" "2.6.8" Both "No DATA goes out until the window is positive.";
        held ["session_pair flow::a_shrunk_window_goes_negative_and_recovers_as_the_draft_computes"];
    "C-107" "2.6.8" Both "After lowering the window, data sent under the old one is expected.";
        held ["session_pair flow::a_small_announced_window_tolerates_what_the_peer_sent_before_it_knew"];
    "C-108" "2.6.8" Both "What was accepted so is counted from the new size at both ends.";
        held ["session_pair rules::data_sent_under_the_old_window_is_credited_under_the_new_one"];
    "C-109" "2.6.9" Server "A server keeps a vector of client certificates.";
        later ["SPDY/3"; "SPDY/3.1 skips CREDENTIAL, see U-09."];
    "C-110" "2.6.9" Both "Slots count from 1.";
        later ["SPDY/3"];
    "C-111" "2.6.9" Both "The proof signs exported keying material.";
        later ["SPDY/3"];
    "C-112" "2.6.9" Both "A request without its credential gets INVALID_CREDENTIALS.";
        later ["SPDY/3"];
    "C-113" "2.6.9" Both "A faulty CREDENTIAL ends the session.";
        later ["SPDY/3"];
    "C-114" "3.3.1" Server "Pushed streams use the certificate of their stream, and slot 0.";
        later ["SPDY/3"];
}
